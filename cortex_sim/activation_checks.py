"""Check that an activation's rate, gain, inverse and brian2 texts describe the same function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from cortex_sim.calling import known_arguments
from cortex_sim.capabilities import activation_of
from cortex_sim.errors import DeclarationError
from cortex_sim.registry import make
from cortex_sim.transfers import bound

#: Functions that brian2 knows in an activation's text.
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: getattr(np, name) for name in ("exp", "log", "log10", "expm1", "log1p", "sqrt", "abs", "sign")},
    **{name: getattr(np, name) for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "ceil", "floor")},
    "arctan": np.arctan,
    "clip": np.clip,
    "int": lambda condition: np.asarray(condition, dtype=float),
}
_STEP = 1e-6
_DRIVES = np.linspace(-3.13, 2.91, 61)  # none at 0, where a rectifier has its kink


@known_arguments("cs.check_activation")
def check_activation(activation: Any) -> None:
    """Test an activation on drives from −3 to 3; also done before it runs in time.

    The gain must be the derivative of the rate; ``drive`` must undo the rate, where the activation is
    invertible; ``rate_text`` and ``gain_text`` must give the same values as ``rate`` and ``gain``; NumPy and
    torch must agree.

    Parameters
    ----------
    activation : activation or str
        The activation, or its name.

    Raises
    ------
    DeclarationError
        If two of them disagree; the message says which, and at which drive.
    """
    part = make("activation", activation)
    declared, word = activation_of(part), type(part).__name__
    start = {name: np.full(1, float(value)) for name, value in declared.parameters.items()}
    f = bound(part, start)
    rate, gain = np.asarray(f.rate(_DRIVES)), np.asarray(f.gain(_DRIVES))
    slope = (np.asarray(f.rate(_DRIVES + _STEP)) - np.asarray(f.rate(_DRIVES - _STEP))) / (2 * _STEP)
    _same(f"activation {word}: gain is not the derivative of rate", gain, slope, 1e-5)
    if declared.invertible:
        _same(f"activation {word}: drive does not undo rate", np.asarray(f.drive(rate)), _DRIVES, 1e-4)
    check_texts(part)
    _check_torch(part, word, start, rate, gain)


def check_texts(part: Any) -> None:
    """Raise `DeclarationError` where an activation's text and its code compute different functions.

    A text that uses a function unknown here is not checked; brian2 will judge it.
    """
    declared, word = activation_of(part), type(part).__name__
    start = {name: np.full(1, float(value)) for name, value in declared.parameters.items()}
    try:
        f = bound(part, start)
        code = {"rate": np.asarray(f.rate(_DRIVES)), "gain": np.asarray(f.gain(_DRIVES))}
    except (TypeError, AttributeError):  # it accepts tensors only
        return
    for which, text in (("rate", declared.rate_text), ("gain", declared.gain_text)):
        if text is None:
            continue
        said = _evaluated(text, start)
        if said is not None:
            _same(f"activation {word}: {which}_text {text!r} is not its {which}", said, code[which], 1e-9)


def _evaluated(text: str, parameters: Mapping[str, np.ndarray]) -> np.ndarray | None:
    names = {"__builtins__": {}, **_FUNCTIONS, **parameters, "a": _DRIVES}
    try:
        with np.errstate(all="ignore"):
            return np.broadcast_to(np.asarray(eval(text, names), dtype=float), _DRIVES.shape)
    except (NameError, SyntaxError, TypeError):
        return None


def _check_torch(part: Any, word: str, start: Mapping[str, np.ndarray], rate: Any, gain: Any) -> None:
    import torch

    drives = torch.from_numpy(_DRIVES)
    f = bound(part, {name: torch.from_numpy(values) for name, values in start.items()})
    for which, ours in (("rate", rate), ("gain", gain)):
        theirs = np.asarray(getattr(f, which)(drives))
        _same(f"activation {word}: {which} differs between NumPy and torch", theirs, ours, 1e-9)


def _same(said: str, one: np.ndarray, other: np.ndarray, tolerance: float) -> None:
    if np.shape(one) != np.shape(other):
        raise DeclarationError(f"{said}: shapes {np.shape(one)} and {np.shape(other)}; act elementwise")
    off = ~(np.abs(one - other) <= tolerance * (1 + np.abs(other)))
    if off.any():
        i = int(np.argmax(off))
        raise DeclarationError(
            f"{said}: at a = {_DRIVES[i]:.3g} they are {one[i]:.6g} and {other[i]:.6g}; make both the same"
        )
