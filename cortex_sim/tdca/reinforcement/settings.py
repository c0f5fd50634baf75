"""Settings of outer loops whose inner runs are policies that learn from reward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from cortex_sim import library
from cortex_sim.checks import require_count, require_flag, require_known, require_positive
from cortex_sim.errors import RunError
from cortex_sim.registry import make, register, registered_name, to_data
from cortex_sim.runs.files import write_tensors
from cortex_sim.tdca.evolving.kinds import KIND, Report, content
from cortex_sim.tdca.inner.cohort import layout, start
from cortex_sim.tdca.reinforcement import modulation, rules  # noqa: F401  (they register themselves)
from cortex_sim.tdca.reinforcement.environment import SETTINGS
from cortex_sim.tdca.reinforcement.named import environment
from cortex_sim.tdca.reinforcement.persistent import Learning, PersistentPolicies
from cortex_sim.tdca.reinforcement.policy import Policy, policy
from cortex_sim.tdca.reinforcement.signals import ActionContext

CONTROLS = ("silent", "units", "observations", "policy")


@dataclass(frozen=True)
class Practice:
    """What an inner run consists of.

    Parameters
    ----------
    updates, episodes : int
        Updates of an inner run, and episodes in each.
    window : int
        Updates between two outer updates.
    discount : float
        Discount of rewards, in (0, 1].
    setting : {"D", "R", "E"}
        Physical parameters of the inner runs that the outer loop learns from; one draw for each inner run.
    scrambled : bool
        Whether each inner run has its own rotation (and signs) of observations and order of actions.
    fresh : int
        Episodes at the end of each window from which the inner run does not learn; the outer loop judges the
        window by them and by those of its updates. 0: as many as in an update.
    """

    updates: int = 30
    episodes: int = 8
    window: int = 5
    discount: float = 0.99
    setting: str = "R"
    scrambled: bool = False
    fresh: int = 0

    def __post_init__(self) -> None:
        owner = "practice"
        require_count(owner, updates=self.updates, window=self.window)
        require_count(owner, minimum=2, episodes=self.episodes)
        require_count(owner, minimum=0, fresh=self.fresh)
        require_positive(owner, discount=self.discount)
        require_flag(owner, scrambled=self.scrambled)
        require_known("setting of practice", self.setting, dict.fromkeys(SETTINGS), RunError)
        if self.discount > 1:
            raise RunError(f"practice: discount must be at most 1. Got {self.discount!r}")
        if self.updates % self.window:
            raise RunError(
                f"practice: updates must be a multiple of window, {self.window}. Got {self.updates}"
            )


@dataclass(frozen=True)
class Testing:
    """What is tested at the end of an outer loop.

    Parameters
    ----------
    settings : list of str
        Physical parameters: D, R, E.
    inner_runs : int
        Inner runs in each; they depend on the seed of the outer loop, and are the same for every rule.
    after : int
        Test episodes of each inner run after its last update, which give the share solved.
    controls : list of str
        silent and units: hidden credit left out, or shuffled over units; observations: the credit network
        reads those of other steps; policy: the credit network itself is read as a policy.
    """

    settings: list[str] = field(default_factory=lambda: list(SETTINGS))
    inner_runs: int = 12
    after: int = 16
    controls: list[str] = field(default_factory=lambda: list(CONTROLS))

    def __post_init__(self) -> None:
        require_count("testing", inner_runs=self.inner_runs, after=self.after)
        for name, known in (("settings", SETTINGS), ("controls", CONTROLS)):
            if not isinstance(getattr(self, name), list):
                raise RunError(f"setting {name} of testing must be a list. Got {getattr(self, name)!r}")
            for given in getattr(self, name):
                require_known(f"{name} of testing", given, dict.fromkeys(known), RunError)
        if not self.settings:
            raise RunError("testing: settings is empty; give at least one of D, R, E")


def _default_rule() -> dict[str, Any]:
    top = {"name": "dense", "outputs": 2, "channels": 1, "hidden": 16, "context": {"name": "actions"}}
    return {"name": "layered_of_trained_top", "credit_network": top}


@register(KIND, "reinforcement")
@dataclass(frozen=True)
class ReinforcementSettings:
    """All settings of an outer loop whose inner runs learn from reward.

    Parameters
    ----------
    task : str
        acrobot, card_sorting, cartpole, context_choice, match_to_sample, mountain_car or pendulum.
    model, model_settings
        A shipped model that is a chain, and the arguments of its function; inputs and classes are those of
        the environment.
    rule : dict
        tdca, layered_of_trained_top, backprop_of_trained_top, backprop, direct_feedback_alignment,
        readout_only, …, and its settings.
    step : dict
        adam or plain, and its settings.
    practice : dict
        See `Practice`.
    searcher : dict
        meta_gradient (by the score function) or nres, and its settings.
    iterations, inner_runs : int
        Outer updates; inner runs in parallel.
    testing : dict
        See `Testing`.
    seed : int
        Seed of outer parameters, worlds and inner runs.
    checkpoint_every : int
        Outer updates between checkpoints.
    """

    choices: ClassVar[tuple[str, ...]] = ("rule", "step", "searcher")

    task: str = "cartpole"
    model: str = "tdca_mlp"
    model_settings: dict[str, Any] = field(default_factory=lambda: {"hidden": [32], "activation": "tanh"})
    rule: dict[str, Any] = field(default_factory=_default_rule)
    step: dict[str, Any] = field(default_factory=lambda: {"name": "adam", "adam": 0.005})
    practice: dict[str, Any] = field(default_factory=dict)
    searcher: dict[str, Any] = field(default_factory=lambda: {"name": "meta_gradient", "rate": 0.02})
    iterations: int = 60
    inner_runs: int = 16
    testing: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    checkpoint_every: int = 10

    def __post_init__(self) -> None:
        require_count("evolve", iterations=self.iterations, inner_runs=self.inner_runs)
        require_count("evolve", checkpoint_every=self.checkpoint_every)
        require_count("evolve", minimum=0, seed=self.seed)
        for name in ("model_settings", "rule", "step", "practice", "searcher", "testing"):
            if not isinstance(getattr(self, name), dict):
                raise RunError(f"setting {name} must be a mapping, name: value. Got {getattr(self, name)!r}")
        _made(Practice, "practice", self.practice)
        _made(Testing, "testing", self.testing)
        environment(self.task)

    def as_dict(self) -> dict[str, Any]:
        """The settings as plain data, in order."""
        return content(self)

    def described(self) -> dict[str, Any]:
        """Environment and model, and rule and searcher with all their settings."""
        rule, search = to_data("inner_rule", self.inner_rule()), to_data("searcher", self.search())
        return {"task": self.task, "model": self.model, "rule": rule, "searcher": search}

    def sources(self) -> list[str]:
        """No data are needed."""
        return []

    def body(self) -> Policy:
        """The policy of the inner runs."""
        env = environment(self.task)
        sizes = {"inputs": env.observations, "classes": env.actions}
        return policy(library.model(self.model, **{**sizes, **self.model_settings}), env)

    def inner_rule(self) -> Any:
        """The rule of the inner runs."""
        return make("inner_rule", self.rule)

    def inner_step(self) -> Any:
        """The step that turns its changes into weight updates."""
        return make("step", self.step)

    def practised(self) -> Practice:
        """What an inner run consists of."""
        return Practice(**self.practice)

    def tests(self) -> Testing:
        """What is tested at the end."""
        return Testing(**self.testing)

    def search(self) -> Any:
        """The searcher."""
        return make("searcher", self.searcher)

    def learning(self, rule: Any, count: int, copies: int = 1) -> Learning:
        """Policies that learn in parallel under a rule."""
        practice, env = self.practised(), environment(self.task)
        network = network_of(rule)
        return Learning(
            self.body(),
            rule,
            self.inner_step(),
            env,
            count,
            practice.episodes,
            practice.discount,
            copies,
            network.context.horizons if network is not None else (),
        )

    def problem(self, data_dir: Path | None) -> tuple[Any, Tensor]:
        """The inner runs, and the outer parameters to start from."""
        search, rule, step, practice = (
            self.search(),
            self.inner_rule(),
            self.inner_step(),
            self.practised(),
        )
        if search.serves != "unrolls":
            raise RunError(
                f"setting searcher: {self.searcher['name']} needs whole inner runs, but policies are "
                "unrolled in windows; use meta_gradient or nres"
            )
        copies = 2 if search.twins else 1
        if self.inner_runs % copies:
            raise RunError(
                f"setting inner_runs: {self.searcher['name']} needs them in pairs; give an even number. "
                f"Got {self.inner_runs}"
            )
        _check_step(step)
        body = self.body()
        _check_context(self, rule, body)
        runs = PersistentPolicies(
            self.learning(rule, self.inner_runs, copies),
            practice.setting,
            practice.scrambled,
            practice.updates,
            practice.window,
            self.seed,
            practice.fresh,
        )
        return runs, layout(rule, step, body).joined(start(rule, step, self.seed, body))

    def check(self, data_dir: Path | None) -> None:
        """Check that `outcome` can run."""
        from cortex_sim.tdca.reinforcement.outcome import controls_of

        controls_of(self)

    def write(self, phi: Tensor, out: Path) -> None:
        """Write all outer parameters by name."""
        named = layout(self.inner_rule(), self.inner_step(), self.body()).split(phi)
        write_tensors(out / "outer.safetensors", {n: p.double().numpy() for n, p in named.items()}, {})

    def outcome(self, phi: Tensor, data_dir: Path | None, report: Report) -> dict[str, Any]:
        """Returns of inner runs, see `cortex_sim.tdca.reinforcement.outcome`."""
        from cortex_sim.tdca.reinforcement.outcome import outcome

        return outcome(self, phi, report)

    def table(self, metrics: Mapping[str, Any]) -> tuple[str, tuple[str, ...], list[tuple[Any, ...]]]:
        """Return over inner runs, return after, and share solved, by setting and control."""
        rows = [
            (label, *(f"{row[k][0]:.3g} ± {row[k][1]:.2g}" if k in row else None for k in _COLUMNS))
            for label, row in metrics["return"].items()
        ]
        heads = ("", "return over the inner run", "return after", "solved after")
        return "mean and standard deviation over inner runs", heads, rows

    def draw(self, axes: Any, metrics: Mapping[str, Any]) -> bool:
        """Return over updates, by setting."""
        for label, row in metrics["per_life"].items():
            if "curve" in row and ":" not in label:
                axes.plot(range(1, len(row["curve"]) + 1), row["curve"], label=label)
        axes.set(xlabel="update of an inner run", ylabel="mean return")
        axes.legend(fontsize=8)
        axes.grid(alpha=0.3)
        return True


_COLUMNS = ("mean", "after", "solved")


def network_of(rule: Any) -> Any:
    """The credit network of a rule, if it reads a context; else None."""
    network = getattr(rule, "credit_network", None)
    return network if hasattr(network, "context") else None


def _check_step(step: Any) -> None:
    name = registered_name("step", step)
    if name not in ("adam", "plain"):
        raise RunError(f"setting step: {name} is not supported for policies; use adam or plain")


def _check_context(settings: ReinforcementSettings, rule: Any, body: Policy) -> None:
    network, name = network_of(rule), f"rule {settings.rule['name']}"
    if network is None:
        return
    if not isinstance(network.context, ActionContext):
        raise RunError(
            f"{name}: a policy's credit network reads actions and outcomes; give context: {{name: actions}}"
        )
    if network.context.observation not in (0, body.inputs):
        raise RunError(
            f"{name}: its context reads {network.context.observation} values, but an observation of "
            f"{settings.task} has {body.inputs}; give observation: {body.inputs} or 0"
        )
    if network.outputs not in (None, body.outputs):
        raise RunError(
            f"{name}: its credit network is for {network.outputs} actions, but {settings.task} has "
            f"{body.outputs}; give outputs: {body.outputs}"
        )


def _made(cls: Any, name: str, settings: Mapping[str, Any]) -> Any:
    known = dict.fromkeys(f.name for f in fields(cls))
    for setting in settings:
        require_known(f"setting of {name}", setting, known, RunError)
    return cls(**settings)
