"""Candidate: a network to be presented with stimuli, and the preprocessing that these need."""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from cortex_sim import library
from cortex_sim.checks import listed, require_count, require_path
from cortex_sim.errors import DataError, DeclarationError, RunError
from cortex_sim.experiments import finding
from cortex_sim.experiments.experiment import Experiment
from cortex_sim.network import Network
from cortex_sim.preprocessing import Preprocessing
from cortex_sim.responding.likeness import of_the_source, preprocessing_like, source_of
from cortex_sim.responding.simulated import after, arm_of
from cortex_sim.runs.directory import CHECKPOINT, RUN
from cortex_sim.state import State, as_state, initial, metadata_of, tensors_of


@dataclass(frozen=True, eq=False)
class Candidate:
    """A network that can be presented with stimuli.

    Parameters
    ----------
    name : str
        Its name in tables and files.
    state : State
        Its declaration and all that it has learned, or its initial weights.
    preprocessing : Preprocessing
        Applied to all stimuli: that of its training, or a stated one.
    trained : bool
    like : str
        Where a stated preprocessing comes from, such as "cifar10"; "" if it is that of its training.
    run : Path, optional
        The run directory that it comes from.
    """

    name: str
    state: State
    preprocessing: Preprocessing
    trained: bool
    like: str = ""
    run: Path | None = None

    @property
    def net(self) -> Network:
        """Its declaration."""
        return self.state.network

    def __post_init__(self) -> None:
        source_of(self.net)

    @property
    def stimulated(self) -> str:
        """Population that stimuli drive."""
        return source_of(self.net)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one stimulus."""
        return self.net.populations[self.stimulated].shape

    @property
    def seed(self) -> int:
        """Seed from which its weights were drawn before any training."""
        return int(self.state.origin.get("seed", 0))

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes that it was trained on, in the order of its units; none where not known."""
        from cortex_sim.training.starting import classes_of

        return () if self.run is None else classes_of(self.run)

    def untrained(self, seed: int | None = None) -> Candidate:
        """The same network with initial weights, shown stimuli through the same preprocessing.

        Parameters
        ----------
        seed : int, optional
            By default the seed from which its training started.
        """
        fresh = initial(self.net, self.seed if seed is None else seed)
        return replace(self, name=f"{self.name}, untrained", state=fresh, trained=False)

    def fingerprint(self) -> str:
        """Digest of weights, declaration and preprocessing: equal for equal responses."""
        from cortex_sim.recording.fingerprint import fingerprint

        return fingerprint([tensors_of(self.state), metadata_of(self.state), self.preprocessing, self.like])


def candidate(
    model: Any,
    *,
    rule: str | None = None,
    seed: int | None = None,
    like: Any = None,
    arm: str | None = None,
) -> Candidate:
    """Candidate from a run, a file, an object or the name of a model.

    Parameters
    ----------
    model : path, str, State, Model, Simulation, Network, Experiment or Candidate
        A run directory, a checkpoint or a file of `cortex_sim.save`; something in memory that has a state;
        an experiment, or with ``arm`` a protocol as for ``simulate``, which is simulated in time: the network
        after its trials; or, untrained, a declared network, a shipped model's name, or
        ``path/to/file.py:function`` (which is run).
    rule : str, optional
        Rule of an untrained model, such as "gait_prop"; by default as declared.
    seed : int, default 0
        Seed of an untrained model's weights; for an experiment, also of order and noise.
    like : str, path, ImageSet or Preprocessing, optional
        For a network without preprocessing, such as an untrained model: a run directory or a data set whose
        preprocessing it shares, or "none" to present stimuli as they are. See `preprocessing_like`.
    arm : str, optional
        Arm of an experiment.

    Raises
    ------
    DataError
        If the preprocessing is not known, or is for stimuli of another shape.
    RunError, DeclarationError
        If there is no such run or model, or a setting of untrained models is given for a trained one.
    """
    if arm is not None or isinstance(model, Experiment):
        return _simulated(model, arm, rule, seed, like)
    if isinstance(model, Candidate):
        _refuse_settings(model.name, rule, seed, like)
        return model
    if isinstance(model, Network) or _names_a_model(model):
        return _untrained(model, rule, seed, like)
    if isinstance(model, (str, Path)):
        return _stored(require_path("respond", model, RunError), rule, seed, like)
    _refuse_settings(type(model).__name__, rule, seed, None)
    state = as_state(model)
    return _trained(state.network.name, state, of_the_source(state.network, state.preprocessing), like, None)


def _names_a_model(model: Any) -> bool:
    """Whether this is the name of a model; a name that is also a file's is refused."""
    if not isinstance(model, str):
        return False
    if ".py:" in model or model.endswith(".py"):
        return True
    shipped = model in library.names("models")
    if shipped and Path(model).exists():
        raise RunError(
            f"{model}: is the name both of a model and of a file or folder here; give ./{model} for what is "
            "stored there, or call from another folder"
        )
    return shipped


def _untrained(model: str | Network, rule: str | None, seed: int | None, like: Any) -> Candidate:
    net = library.model(model) if isinstance(model, str) else model
    net = net if rule is None else net.with_rule(rule)
    net.check()
    name = net.name if isinstance(model, Network) else model.rpartition(":")[2]
    require_count("seed", minimum=0, seed=0 if seed is None else seed)
    if like is None:
        raise DataError(
            f"model {name}: untrained, so it has no preprocessing; give that of a run or of a data set: "
            "--like RUN, --like cifar10; or --like none to show stimuli as they are (8-bit ones from 0 to 1)"
        )
    shown, source = preprocessing_like(like, net)
    return Candidate(name, initial(net, seed or 0), shown, trained=False, like=source)


def _simulated(model: Any, arm: str | None, rule: str | None, seed: int | None, like: Any) -> Candidate:
    """The network of an experiment after the trials of one arm."""
    require_count("seed", minimum=0, seed=0 if seed is None else seed)
    experiment = model if isinstance(model, Experiment) else finding.experiment(str(model), seed or 0)
    if rule is not None:
        raise DeclarationError(f"{model}: its arms declare their rules; leave out --rule (rule={rule!r})")
    name = arm_of(experiment, arm)
    net = experiment.network_of(name)
    before = experiment.state_for(net, seed or 0) or initial(net, seed or 0)
    ready = _trained(
        name, before, of_the_source(net, before.preprocessing), like, None
    )  # refused before anything is simulated
    return replace(ready, state=after(experiment, name, seed or 0))


def _stored(path: Path, rule: str | None, seed: int | None, like: Any) -> Candidate:
    if not path.exists():
        models = library.names("models")
        near = get_close_matches(str(path), models, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        arm = "; for a protocol, add --arm" if str(path) in library.names("protocols") else ""
        raise RunError(
            f"state {path}: no such file or run directory, and no model of that name{hint}{arm}; models: "
            f"{listed(models)}"
        )
    if path.suffix == ".nc":
        raise DataError(
            f"{path}: is a recording, so its responses are there already; to present other stimuli, give the "
            "run directory, or a file of cs.save(simulation, PATH)"
        )
    _refuse_settings(str(path), rule, seed, None)
    state = as_state(path)
    checkpoint = path / CHECKPOINT if path.is_dir() else path
    run = checkpoint.parent if (checkpoint.parent / RUN).is_file() else None
    shown = of_the_source(state.network, state.preprocessing)
    if shown is None and run is not None and like is None:
        from cortex_sim.training.shown import preprocessing_of

        shown = preprocessing_of(checkpoint, state.network)
    name = path.resolve().name if path.is_dir() else path.stem
    return _trained(name, state, shown, like, run)


def _trained(name: str, state: State, shown: Preprocessing | None, like: Any, run: Path | None) -> Candidate:
    if shown is not None:
        _refuse_settings(name, None, None, like)
        return Candidate(name, state, shown, trained=True, run=run)
    if like is None:
        raise DataError(
            f"{name}: holds no preprocessing; give that of its training: --like RUN, --like DATA, or "
            "--like none if it was trained on stimuli as they are"
        )
    stated, source = preprocessing_like(like, state.network)
    return Candidate(name, state, stated, trained=True, like=source, run=run)


def _refuse_settings(name: str, rule: str | None, seed: int | None, like: Any) -> None:
    """Raise where settings of untrained models are given for a network that has its own."""
    for what, given in (("rule", rule), ("seed", seed), ("like", like)):
        if given is not None:
            own = "preprocessing" if what == "like" else "weights"
            raise DeclarationError(f"{name}: has its own {own}; leave out --{what} ({what}={given!r})")
