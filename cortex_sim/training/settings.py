"""Settings of a training run: from a model's defaults, a configuration file and the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from cortex_sim import library, registry, yaml_text
from cortex_sim.checks import look_up, require_known, spelled
from cortex_sim.credit.shipped import shipped
from cortex_sim.data import names as data_names
from cortex_sim.default_settings import TRAINED_STEP, declared_rule, with_regularisers
from cortex_sim.default_settings import shipped as shipped_settings
from cortex_sim.errors import RunError
from cortex_sim.network import Network
from cortex_sim.rules.base import WORDS
from cortex_sim.runs.merging import merged
from cortex_sim.training.choosing import check_choosing
from cortex_sim.updating import Updating

_CYCLE = {"name": "OneCycleLR", "pct_start": 0.2, "cycle_momentum": False}


@dataclass(frozen=True)
class Settings:
    """Everything that decides what a training run does.

    Parameters
    ----------
    model : str
        Name of a shipped model, or ``path/to/file.py:function``.
    data : str
        Name of a data set, or a path.
    rule : str or None
        A word such as "gait_prop"; None trains the network as declared.
    credit : str or None
        Credit network of the rule "tdca": a file, or the name of a shipped one; None picks the shipped one
        that fits.
    start : str or None
        Run directory or state file whose weights, biases and preprocessing training starts from; None draws
        weights from the seed.
    seed : int
        Seed of weights, data order and noise.
    epochs, batch_size : int
    optimiser : dict
        Name of a torch optimiser and its settings.
    schedule : dict or None
        Name of a torch learning-rate schedule and its settings; stepped after every update.
    precision : {"32", "64", "bf16"}
    settling : dict or None
        Name "unrolled", with steps and perhaps dt_ms and truncate, or "equilibrium", perhaps with tolerance,
        limit or recompute; None is the equilibrium.
    standardise : bool
        Whether inputs are standardised on the training set.
    hold_out : int
        Training presentations held back and tested on in place of the test set; 0 for none.
    model_settings, rule_settings, feedback : dict
        Arguments of the model's function, of the rule, and of the feedback that the rule adds.
    regulariser : list or None
        Replaces the declared regularisers of every plastic bottom-up projection, except those from a source,
        through which no credit passes; None keeps the declared ones.
    objective : dict or None
        Replaces the declared objective, at the same population.
    checkpoint_every : int
        Updates between further checkpoints, besides those of each epoch and every five minutes; 0 for none.
    augmentation : list or None
        Steps through which training pictures are shown; see `cortex_sim.augmentation`.
    view : list or None
        Steps that bring pictures on disk to the network's size in tests; None is a resize and a centre crop.
    workers : int
        Processes that prepare training and test batches of pictures; the result does not depend on them.
    device : str
        Torch device, such as "cpu" or "cuda".
    threads : int
        CPU threads that torch uses.
    accumulate : int
        Batches per update; see `cortex_sim.updating.Updating`.
    clip_norm : float or None
        Largest norm of the whole change of weights: a change with a larger norm is scaled down to it.
    ema_decay : float or None
        Decay of the exponential moving average of weights, which is evaluated and saved too.
    compile : bool
        Whether torch compiles the network's passes.
    channels_last : bool
        Whether pictures are laid out with their channels last in memory.
    evaluate_every : int
        Updates between further evaluations, besides those of each epoch; 0 for none.
    early_stopping : int or None
        Evaluations without improvement after which training ends; needs ``hold_out``, or data that have a
        validation part.
    keep_best : bool
        Whether the state at the best evaluation is written, to ``best.safetensors``.
    best_by : {"accuracy", "loss", "ema_accuracy", "ema_loss"} or None
        Measure by which evaluations are compared; None is the accuracy, or the loss without classes.
    """

    model: str = "digits_mlp"
    data: str = "digits"
    rule: str | None = None
    credit: str | None = None
    start: str | None = None
    seed: int = 0
    epochs: int = 10
    batch_size: int = 64
    optimiser: dict[str, Any] = field(default_factory=lambda: {"name": "Adam", "lr": 1e-3})
    schedule: dict[str, Any] | None = field(default_factory=lambda: dict(_CYCLE))
    precision: str = "32"
    standardise: bool = True
    hold_out: int = 0
    model_settings: dict[str, Any] = field(default_factory=dict)
    rule_settings: dict[str, Any] = field(default_factory=dict)
    feedback: dict[str, Any] = field(default_factory=dict)
    regulariser: list[Any] | None = None
    objective: dict[str, Any] | None = None
    checkpoint_every: int = 0
    device: str = "cpu"
    threads: int = 1
    settling: dict[str, Any] | None = None
    augmentation: list[Any] | None = None
    view: list[Any] | None = None
    workers: int = 0
    accumulate: int = 1
    clip_norm: float | None = None
    ema_decay: float | None = None
    evaluate_every: int = 0
    early_stopping: int | None = None
    keep_best: bool = False
    best_by: str | None = None
    compile: bool = False
    channels_last: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "precision", str(self.precision))
        object.__setattr__(self, "data", _located(self.data))
        object.__setattr__(self, "model", _located(self.model))
        object.__setattr__(self, "credit", _located(self.credit))
        object.__setattr__(self, "start", _located(self.start))
        if isinstance(self.rule, str):
            object.__setattr__(self, "rule", spelled(self.rule, WORDS))
        for name, kinds, wanted in _KINDS:
            value = getattr(self, name)
            if (isinstance(value, bool) and bool not in kinds) or not isinstance(value, kinds):
                raise RunError(f"setting {name} must be {wanted}. Got {value!r}")
        for name, minimum in _LEAST.items():
            if getattr(self, name) < minimum:
                raise RunError(f"setting {name} must be at least {minimum}. Got {getattr(self, name)}")
        for name in _NAMED:
            value = getattr(self, name)
            if value is not None and not isinstance(value.get("name"), str):
                raise RunError(f"setting {name} needs a name, such as {_NAMED[name]}. Got {value!r}")
        check_choosing(self)
        self.updating  # noqa: B018 - raises where its settings are wrong
        if self.settling is not None:
            kind = self.settling["name"]
            known = dict.fromkeys(look_up("setting settling", kind, _SETTLINGS, RunError))
            for name in self.settling:
                require_known(f"setting of settling={kind}", name, known, RunError)

    @property
    def updating(self) -> Updating:
        """Settings of the updates: accumulation, clipping, averaging and compilation."""
        return Updating(self.accumulate, self.clip_norm, self.ema_decay, self.compile, self.channels_last)

    def as_dict(self) -> dict[str, Any]:
        """The settings as plain data, in order."""
        return asdict(self)


_KINDS: list[tuple[str, Any, str]] = [
    *((name, (str,), "text") for name in ("model", "data", "device", "precision")),
    ("rule", (str, type(None)), "a word such as gait_prop"),
    ("credit", (str, type(None)), "a file that cortex-sim evolve wrote, or the name of a shipped one"),
    ("start", (str, type(None)), "a run directory, or a file of cs.save"),
    *((n, (int,), "a whole number") for n in ("seed", "epochs", "batch_size", "hold_out", "threads")),
    *((n, (int,), "a whole number") for n in ("checkpoint_every", "evaluate_every", "accumulate")),
    *((n, (int, float, type(None)), "a number, or null") for n in ("clip_norm", "ema_decay")),
    ("early_stopping", (int, type(None)), "a whole number of evaluations, or null"),
    ("best_by", (str, type(None)), "null, or one of accuracy, loss, ema_accuracy and ema_loss"),
    *((n, (bool,), "true or false") for n in ("standardise", "keep_best", "compile", "channels_last")),
    *((n, (dict,), "settings, name: value") for n in ("model_settings", "rule_settings", "feedback")),
    ("optimiser", (dict,), "settings with a name, such as optimiser.name=SGD"),
    ("schedule", (dict, type(None)), "null, or settings with a name, such as schedule.name=StepLR"),
    ("objective", (dict, type(None)), "settings with a name, such as objective.name=squared_error"),
    ("settling", (dict, type(None)), "null, or settings with a name, such as settling.name=unrolled"),
    ("regulariser", (list, type(None)), "a list such as [hard_orthogonality]"),
    ("augmentation", (list, type(None)), "a list such as [random_crop, flip]"),
    ("view", (list, type(None)), "a list such as [resize, centre_crop]"),
    ("workers", (int,), "a whole number of processes"),
]

_NAMED = {
    "optimiser": "optimiser.name=SGD",
    "schedule": "schedule.name=StepLR",
    "objective": "objective.name=cross_entropy",
    "settling": "settling.name=unrolled",
}
_SETTLINGS = {
    "equilibrium": ("name", "tolerance", "limit", "recompute"),
    "unrolled": ("name", "steps", "dt_ms", "truncate"),
}
# Settings that belong inside others and are often given at the top level.
_INSIDE = {
    **dict.fromkeys(("lr", "momentum", "weight_decay", "betas", "eps", "nesterov"), "optimiser"),
    **dict.fromkeys(("decay", "others", "fused"), "optimiser"),
    "label_smoothing": "objective",
    **dict.fromkeys(("max_lr", "pct_start", "T_max", "step_size", "milestones", "total_steps"), "schedule"),
    **dict.fromkeys(("damping", "refresh", "rescale", "solver", "auxiliary", "keeps"), "feedback"),
    **dict.fromkeys(("gamma", "relative"), "rule_settings"),
    **dict.fromkeys(("steps", "dt_ms", "truncate", "tolerance", "recompute"), "settling"),
    **dict.fromkeys(("hidden", "classes"), "model_settings"),
}
_CALLED = {"learning_rate": "optimiser.lr", "rate": "optimiser.lr", "optimizer": "optimiser"}
_CALLED |= {"scheduler": "schedule", "lr_scheduler": "schedule", "regularizer": "regulariser"}
_CALLED |= {"num_workers": "workers", "transforms": "augmentation", "augment": "augmentation"}
_CALLED |= {"patience": "early_stopping", "ema": "ema_decay", "eval_every": "evaluate_every"}
_CALLED |= dict.fromkeys(("clip", "max_norm", "grad_clip", "clip_grad_norm"), "clip_norm")
_CALLED |= dict.fromkeys(("accumulation", "accumulate_grad_batches"), "accumulate")

_LEAST = {
    "seed": 0,
    "epochs": 1,
    "batch_size": 1,
    "hold_out": 0,
    "checkpoint_every": 0,
    "evaluate_every": 0,
    "accumulate": 1,
    "threads": 1,
    "workers": 0,
}
_NAMES = {f.name for f in fields(Settings)}


def defaults(model: str, rule: str | None) -> dict[str, Any]:
    """Settings that ship for a model and a rule (``protocols/defaults/MODEL.yaml``), if any."""
    return _known(shipped_settings(model, rule), f"{model}.yaml")


def read_yaml(path: Path) -> dict[str, Any]:
    """Settings from a YAML file.

    Raises
    ------
    RunError
        If it cannot be read or is not a mapping.
    """
    content = yaml_text.read_file(f"configuration {path}", path, RunError)
    if not isinstance(content, dict):
        raise RunError(f"configuration {path}: expected settings, name: value. Got {type(content).__name__}")
    return content


def from_file(path: Path) -> dict[str, Any]:
    """Settings from a configuration or a ``run.yaml``, whose description of the machine is ignored."""
    content = {k: v for k, v in read_yaml(path).items() if k != "environment"}
    return _known(content, f"configuration {path}")


def from_assignments(assignments: list[str]) -> dict[str, Any]:
    """Settings from ``name=value`` words; ``optimiser.lr=1e-3`` sets one inside another."""
    found: dict[str, Any] = {}
    for word in assignments:
        name, equals, text = word.partition("=")
        if not equals or not name:
            raise RunError(f"--set {word}: give name=value, such as optimiser.lr=3e-4")
        place, keys = found, name.split(".")
        for key in keys[:-1]:
            place = place.setdefault(key, {})
            if not isinstance(place, dict):
                raise RunError(f"--set {word}: {key} was set to {place!r} before; give one of the two")
        value = _value(text, word)
        if len(keys) == 1 and keys[0] in _NAMED:
            value = _as_named(value)
            if isinstance(value, dict) and isinstance(place.get(name), dict):
                value = {**place[name], **value}  # optimiser.lr=0.1 before optimiser=SGD
        place[keys[-1]] = value
    return _known(found, "--set")


def _as_named(value: Any) -> Any:
    """``optimiser=AdamW`` means ``optimiser.name=AdamW``."""
    return {"name": value} if isinstance(value, str) else value


def _value(text: str, word: str) -> Any:
    return yaml_text.parse(f"--set {word}", text, RunError)


def _known(found: dict[str, Any], owner: str) -> dict[str, Any]:
    for name in found:
        meant = f"{_INSIDE[name]}.{name}" if name in _INSIDE else _CALLED.get(name)
        if meant and name not in _NAMES:
            raise RunError(f"unknown setting in {owner} {name!r} (did you mean {meant}?)")
        require_known(f"setting in {owner}", name, dict.fromkeys(_NAMES), RunError)
    return {name: _as_named(value) if name in _NAMED else value for name, value in found.items()}


def resolve(
    model: str | None,
    *,
    config: Path | None = None,
    assignments: list[str] | None = None,
    flags: Mapping[str, Any] | None = None,
) -> Settings:
    """Settings of a run: defaults, overridden by the configuration, by ``--set``, then by other options.

    Raises
    ------
    RunError
        If a setting is unknown or of the wrong kind.
    """
    from_config = from_file(config) if config is not None else {}
    given = merged(from_config, from_assignments(assignments or []))
    given = merged(given, {k: v for k, v in (flags or {}).items() if v is not None})
    if model is not None:
        given["model"] = model
    if "model" not in given:
        raise RunError("train: give a model (cortex-sim list models), or --config with one")
    if model is None and is_code(from_config.get("model")) and is_code(given["model"]):
        raise RunError(
            f"configuration {config}: would run the code of {given['model']}; name that model on "
            "the command line if you trust it"
        )
    name = Settings(**merged(asdict(Settings()), given)).model  # refuses values of the wrong kind
    rule = given.get("rule")
    if rule is None and not is_code(name):
        rule = declared_rule(library.model(name, **(given.get("model_settings") or {})))
    base = asdict(Settings())
    if config is None or "environment" not in read_yaml(config):  # a run.yaml is complete
        base = merged(base, defaults(name, rule))
    return _with_trained_step(Settings(**merged(base, given)), given)


def _with_trained_step(settings: Settings, given: Mapping[str, Any]) -> Settings:
    """Settings with the step that the credit network was trained with, unless another is chosen."""
    chosen = "optimiser" in given or ("schedule" in given and given["schedule"] is not None)
    if settings.rule == "tdca" and not chosen and network(settings).step is not None:
        return replace(settings, **TRAINED_STEP)
    if settings.optimiser["name"] == TRAINED_STEP["optimiser"]["name"] and "schedule" not in given:
        return replace(settings, schedule=None)  # the trained step includes a schedule
    return settings


def _located(given: Any) -> Any:
    """An absolute path, so that a run can be resumed from another folder; names stay as they are."""
    if not isinstance(given, str):
        return given
    path, colon, function = given.partition(".py:")
    file = Path(f"{path}.py") if colon else Path(given)
    known = given in library.names("models") or given in data_names() or given in shipped()
    if known or not file.exists():
        return given
    return f"{file.resolve()}{':' + function if colon else ''}"


def is_code(model: Any) -> bool:
    """Whether a model is a function in a user's file, ``path/to/file.py:function``."""
    return isinstance(model, str) and ".py:" in model


def network(settings: Settings) -> Network:
    """The network that these settings train: the model with its rule, feedback and regularisers."""
    from cortex_sim.words import with_settings

    net = library.model(settings.model, **settings.model_settings)
    if settings.objective is not None:
        at, net.objective_at = net.objective_at, None
        if at is None:
            raise RunError(f"model {settings.model}: declares no objective to replace")
        net.objective(at, registry.from_data("objective", settings.objective))
    if settings.regulariser is not None:
        net = with_regularisers(net, settings.regulariser)
    rule = settings.rule
    if rule is None and (settings.rule_settings or settings.feedback or settings.credit):
        rule = declared_rule(net)
    if rule is not None:
        net = with_settings(net, rule, settings.rule_settings, settings.feedback, settings.credit)
    net.check()
    return net
