"""A rule in continuous time: dw/dt = η·growth, and the dynamics of the rule's state, for a whole projection.

``growth`` is the text for one synapse at one moment; here it is averaged over simultaneous presentations. An
equation that reads several synapses at once is instead a method of whole arrays, which the batched engine
runs and the synapses engine refuses.
"""

from __future__ import annotations

import ast
import numbers
from collections.abc import Callable, Mapping
from dataclasses import fields
from types import CodeType
from typing import Any

import numpy as np

from cortex_sim.capabilities import rule_of
from cortex_sim.checks import listed
from cortex_sim.errors import DeclarationError
from cortex_sim.rules.base import LOCAL_GROWTH, Global, PerPost, PerPre, PerSynapse, local_step

State = dict[str, np.ndarray]

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "exp": np.exp,
    "log": np.log,
    "tanh": np.tanh,
    "abs": np.abs,
    "sign": np.sign,
    "sqrt": np.sqrt,
    "clip": np.clip,
    "int": lambda condition: np.asarray(condition, dtype=float),
}
_MS = 1e-3  # seconds
_POST, _PRE = ("r_post", "u_post"), ("r_pre", "u_pre")
_SYNAPSE = ("w", *_POST, *_PRE, "reconstruction_post")
_READABLE: dict[type, tuple[tuple[str, ...], tuple[type, ...]]] = {  # per kind: signals, kinds of state
    PerSynapse: (_SYNAPSE, (PerSynapse, PerPost, PerPre, Global)),
    PerPost: (_POST, (PerPost, Global)),
    PerPre: (_PRE, (PerPre, Global)),
    Global: ((), (Global,)),
}
_GRAMMAR = (
    *(ast.Expression, ast.BinOp, ast.UnaryOp, ast.Compare, ast.Call, ast.Name, ast.Load, ast.Constant),
    *(ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.UAdd, ast.USub),
    *(ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq),
)


def growth_of(rule: Any) -> dict[str, str]:
    """Right-hand sides as text: "w" (Δw/η of one synapse) and state variables with dynamics (per second).

    Raises
    ------
    DeclarationError
        If the rule has no growth, or growth of a variable that is neither w nor part of its state.
    """
    declared = rule_of(rule)
    said = declared.growth
    if said is None and declared.supervised:
        said = LOCAL_GROWTH  # all supervised rules take the same local step
    if said is None:
        raise DeclarationError(
            f"rule {_name(rule)}: has no growth, so it cannot run in time; give the class the text for one "
            'synapse, such as growth = "r_post * r_pre", or growth = change if it reads several synapses'
        )
    if callable(said):
        raise DeclarationError(
            f"rule {_name(rule)}: its growth reads several synapses at once and has no text for a single "
            'one; use engine="batched"'
        )
    texts = {"w": said} if isinstance(said, str) else dict(said)
    if "w" not in texts:
        raise DeclarationError(f'rule {_name(rule)}: growth has no entry "w"; it has {listed(texts)}')
    for variable in texts:
        if variable != "w" and variable not in declared.state:
            raise DeclarationError(
                f"rule {_name(rule)}: growth of {variable!r}, which is not a state of the rule; "
                f"known: w, {listed(declared.state)}"
            )
    return texts


def by_array(rule: Any) -> bool:
    """Whether a rule's growth is a method of whole arrays, rather than the text of one synapse."""
    return callable(rule_of(rule).growth)


def constants_of(rule: Any) -> dict[str, float]:
    """The rule's numeric settings by name, and ``ms`` in seconds."""
    found = {f.name: getattr(rule, f.name) for f in fields(rule)}
    return {"ms": _MS} | {n: float(v) for n, v in found.items() if isinstance(v, numbers.Real)}


def initial_state(kinds: Mapping[str, Any], shape: tuple[int, int]) -> State:
    """Initial state, float64, of variables of these kinds, for weights of ``shape`` (post, pre)."""
    post, pre = shape
    shapes: dict[type, tuple[int, ...]]
    shapes = {PerPost: (post,), PerPre: (pre,), PerSynapse: (post, pre), Global: ()}
    return {name: np.full(shapes[type(kind)], float(kind.initial)) for name, kind in kinds.items()}


class InTime:
    """A rule's right-hand sides for one projection, each text parsed and checked once.

    Parameters
    ----------
    rule : rule
        A rule with ``growth``, or a supervised one.

    Attributes
    ----------
    reads : frozenset of str
        Which of r_pre, r_post, u_pre, u_post, reconstruction_post its texts or its ``change`` read.
    kinds : mapping of str to PerPost, PerPre, PerSynapse or Global
        The rule's state variables.

    Raises
    ------
    DeclarationError
        If a text cannot be parsed, or reads something that it may not.
    """

    def __init__(self, rule: Any) -> None:
        self.rule = rule
        declared = rule_of(rule)
        self.kinds: Mapping[str, Any] = declared.state
        self._by_change = declared.change is not None
        self._by_array: Callable[..., Any] | None = declared.growth if callable(declared.growth) else None
        self._constants = constants_of(rule)
        self._moving: dict[str, CodeType] = {}
        reads: set[str] = set()
        texts = growth_of(rule) if self._by_array is None else {}
        if self._by_array is not None and self.kinds:
            raise DeclarationError(
                f"rule {_name(rule)}: growth of whole arrays cannot keep state in time; give it as text, or "
                f"leave out the state {listed(self.kinds)}"
            )
        for variable, text in texts.items():
            kind = PerSynapse if variable == "w" else type(self.kinds[variable])
            code, names = _read(rule, variable, text, kind, self.kinds, self._constants)
            reads |= names
            if variable == "w":
                self._text = code
            else:
                self._moving[variable] = code
        self._pre = "u_pre" if declared.reads_credit else "r_pre"
        array = self._by_change or self._by_array is not None
        reads |= {self._pre, "r_post" if array else "u_post"}
        self.reads = frozenset(reads.intersection(_SYNAPSE) - {"w"})

    def __reduce__(self) -> tuple[type[InTime], tuple[Any]]:
        """Rebuild from the rule, since compiled code cannot be pickled."""
        return InTime, (self.rule,)

    def initial_state(self, shape: tuple[int, int]) -> State:
        """Initial state, float64, for weights of ``shape`` (post, pre)."""
        return initial_state(self.kinds, shape)

    def __call__(
        self, w: np.ndarray, state: Mapping[str, np.ndarray], **signals: np.ndarray
    ) -> tuple[np.ndarray, State]:
        """Δw/η (post, pre), and dx/dt in 1/s of each state variable x that has dynamics.

        Both are means over presentations, at the given state.

        Parameters
        ----------
        w : array of shape (post, pre)
            For a convolution (C_out, C_in·k·k), where every patch counts as a presentation.
        state : mapping of str to array
            As returned by `initial_state`; not changed.
        **signals : array of shape (presentation, unit)
            Those of ``r_pre``, ``r_post``, ``u_pre``, ``u_post`` that are in `reads`.
            ``reconstruction_post`` is not needed: a rule's ``change`` computes it from w and r_pre.
        """
        moved = {name: self._speed(name, code, w, state, signals) for name, code in self._moving.items()}
        return self._growth(w, state, signals), moved

    def growth_by_text(
        self, w: np.ndarray, state: Mapping[str, np.ndarray], **signals: np.ndarray
    ) -> np.ndarray:
        """Δw/η (post, pre) synapse by synapse from the text only, without the rule's ``change``."""
        if self._by_array is not None:
            return np.asarray(self._growth(w, state, signals))
        return self._by_presentation(self._text, w, state, signals)

    def _growth(self, w: np.ndarray, state: Mapping[str, np.ndarray], signals: Mapping[str, Any]) -> Any:
        """By the rule's array equation: one matrix product instead of a loop over synapses."""
        if self._by_array is not None:
            return self._by_array(w, signals[self._pre], signals["r_post"])
        if not self._by_change:
            return local_step(signals["u_post"], signals["r_pre"])
        sides = signals[self._pre], signals["r_post"]
        return self.rule.change(w, *sides, dict(state))[0] if self.kinds else self.rule.change(w, *sides)

    def _speed(
        self,
        variable: str,
        code: CodeType,
        w: np.ndarray,
        state: Mapping[str, np.ndarray],
        signals: Mapping[str, np.ndarray],
    ) -> np.ndarray:
        match self.kinds[variable]:
            case PerPost() | PerPre():  # state is (unit,), rates are (presentation, unit)
                each = self._value(code, {**state, **signals})
                return np.array(np.broadcast_to(each, (_count(signals), *state[variable].shape)).mean(0))
            case Global():
                return np.asarray(self._value(code, state))
            case _:
                return self._by_presentation(code, w, state, signals)

    def _by_presentation(
        self,
        code: CodeType,
        w: np.ndarray,
        state: Mapping[str, np.ndarray],
        signals: Mapping[str, np.ndarray],
    ) -> np.ndarray:
        """Mean of (post, pre) over presentations, one by one: (presentation, post, pre) is never stored."""
        kept = {name: self._upright(name, values) for name, values in state.items()}
        total, count = np.zeros_like(w), _count(signals)
        for i in range(count):
            now: dict[str, Any] = {"w": w, **kept}
            for name, values in signals.items():
                now[name] = values[i][:, None] if name in _POST else values[i][None, :]
            if "reconstruction_post" in self.reads:
                now["reconstruction_post"] = (w @ signals["r_pre"][i])[:, None]
            total += self._value(code, now)
        return total / count

    def _upright(self, name: str, values: np.ndarray) -> np.ndarray:
        return values[:, None] if isinstance(self.kinds[name], PerPost) else values

    def _value(self, code: CodeType, names: Mapping[str, Any]) -> Any:
        return eval(code, {"__builtins__": {}, **FUNCTIONS, **self._constants}, dict(names))


def _read(
    rule: Any, variable: str, text: str, kind: type, kinds: Mapping[str, Any], constants: Mapping[str, float]
) -> tuple[CodeType, set[str]]:
    """Compiled text, and the names in it."""
    owner = f"rule {_name(rule)}: growth of {variable}, {text!r},"
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, AttributeError):
        raise DeclarationError(f"{owner} is not an expression; write only the right-hand side") from None
    for node in ast.walk(tree):
        if not _readable(node):
            raise DeclarationError(
                f"{owner} contains {type(node).__name__}; use numbers, names, + - * / ** % and comparisons, "
                f"and the functions {listed(FUNCTIONS)}"
            )
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    used = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    signals, states = _READABLE[kind]
    known = {*signals, *constants, *(n for n, k in kinds.items() if isinstance(k, states))}
    for node in used:
        if node.id not in (FUNCTIONS if id(node) in called else known):
            raise DeclarationError(
                f"{owner} names {node.id!r}; a {kind.__name__} variable may read {listed(known)}, "
                f"and the functions {listed(FUNCTIONS)}"
            )
    return compile(tree, f"<growth of {variable}>", "eval"), {node.id for node in used}


def _readable(node: ast.AST) -> bool:
    match node:
        case ast.Call():
            return isinstance(node.func, ast.Name) and not node.keywords
        case ast.Compare():
            return len(node.ops) == 1
        case ast.Constant():
            return isinstance(node.value, (int, float)) and not isinstance(node.value, bool)
        case _:
            return isinstance(node, _GRAMMAR)


def _count(signals: Mapping[str, np.ndarray]) -> int:
    return len(next(iter(signals.values())))


def _name(rule: Any) -> str:
    return type(rule).__name__
