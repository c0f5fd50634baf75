"""`check_rule`: tests on a user's rule the properties that every rule must have."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, is_dataclass
from typing import Any

import numpy as np

from cortex_sim.calling import known_arguments
from cortex_sim.capabilities import DeclaredRule, rule_of
from cortex_sim.checks import require_known
from cortex_sim.errors import CortexSimError, DeclarationError
from cortex_sim.registry import from_data, make, to_data
from cortex_sim.rules.agreement import check_agreement
from cortex_sim.rules.in_time import initial_state

_POST, _PRE, _PRESENTATIONS = 3, 5, 7  # all different, so that a transposed axis cannot pass
_LOOSE, _TIGHT = 2e-4, 1e-10


@dataclass(frozen=True)
class RuleCheck:
    """Result of `check_rule`: names of ``passed`` checks, and of ``skipped`` ones with the reason."""

    rule: str
    passed: tuple[str, ...]
    skipped: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [f"rule {self.rule}: {', '.join(self.passed)} passed"]
        for why in dict.fromkeys(self.skipped.values()):
            names = ", ".join(name for name, reason in self.skipped.items() if reason == why)
            lines.append(f"  not tried: {names} ({why})")
        return "\n".join(lines)


class _Failed(Exception):
    """A check that failed, with the reason."""


class _NotTried(Exception):
    """A check that does not apply, with the reason."""


@known_arguments("cs.check_rule")
def check_rule(rule: Any, without: Collection[str] = ()) -> RuleCheck:
    """Test on random numbers the properties that every rule must have.

    - "settings": it is a dataclass, and YAML keeps its settings;
    - "arrays": NumPy and torch give the same Δw/η, finite and of shape (post, pre);
    - "purity": the weights, rates and state that it receives are not changed, and two calls agree;
    - "mean over presentations": the change of a batch is the mean over the changes of its presentations;
    - "pre units alike", "post units alike": permuting units permutes the change, and nothing else;
    - "float32": float32 numbers give a float32 change, close to that of float64;
    - "growth": ``change`` and ``growth`` are the same equation.

    Parameters
    ----------
    rule : rule
        An unsupervised rule, with ``change``. For a supervised rule only "settings" is tested: all share one
        step, and credit depends on the network.
    without : collection of str
        Checks to leave out: ``["post units alike"]`` for a rule that orders units, such as `Sanger`.

    Returns
    -------
    RuleCheck
        What passed, and what was not tested and why; ``print`` shows it.

    Raises
    ------
    DeclarationError
        If a check fails; the message names every failed check, with the reason.
    """
    if isinstance(rule, (str, dict, type)):
        rule = make("rule", rule)
    for name in without:
        require_known("check of a rule", name, _CHECKS)
    declared, word = rule_of(rule), type(rule).__name__
    passed: list[str] = []
    skipped: dict[str, str] = {}
    failed: list[str] = []
    for name, check in _CHECKS.items():
        try:
            if name in without:
                raise _NotTried("left out")
            check(rule, declared)
            passed.append(name)
        except _NotTried as reason:
            skipped[name] = str(reason)
        except (_Failed, CortexSimError) as reason:
            failed.append(f"{name}: {reason}")
        except Exception as exception:  # in the rule's own code, which is being tested
            failed.append(f"{name}: {type(exception).__name__}: {exception}")
    if failed:
        raise DeclarationError(
            f"rule {word} fails {len(failed)} of {len(_CHECKS)} checks: " + "; ".join(failed)
        )
    return RuleCheck(word, tuple(passed), skipped)


# -- the checks -------------------------------------------------------------------------------------


def _settings(rule: Any, declared: DeclaredRule) -> None:
    if not is_dataclass(rule):
        raise _Failed("it is not a dataclass; write @dataclass(frozen=True) above the class")
    again = from_data("rule", to_data("rule", make("rule", rule)))
    if again != rule:
        raise _Failed(f"YAML turns {rule!r} into {again!r}; settings must be numbers, text, lists or arrays")


def _arrays(rule: Any, declared: DeclaredRule) -> None:
    ours = _changed(rule, declared, *_numbers(declared))
    theirs = _changed(rule, declared, *_numbers(declared), convert=_tensor)
    for name, change in ours.items():
        if not np.isfinite(change).all():
            raise _Failed(f"{name} is not finite although all inputs are")
        _same(name, change, theirs[name], _TIGHT, "NumPy and torch differ")
    if declared.lateral and np.diag(ours["change"]).any():
        raise _Failed("the change of a lateral projection must be 0 on the diagonal")


def _purity(rule: Any, declared: DeclaredRule) -> None:
    numbers = _numbers(declared)
    before = [np.array(part) for part in numbers[:3]], {n: np.array(x) for n, x in numbers[3].items()}
    first = _changed(rule, declared, *numbers)
    for name, kept, now in zip(("w", "r_pre", "r_post"), before[0], numbers[:3], strict=True):
        if not np.array_equal(kept, now):
            raise _Failed(f"it changes {name} in place; compute a new array")
    for name, kept in before[1].items():
        if not np.array_equal(kept, numbers[3][name]):
            raise _Failed(f"it changes state {name} in place; return a new array")
    for name, change in _changed(rule, declared, *numbers).items():
        _same(name, first[name], change, 0.0, "two calls on the same numbers differ")


def _batch_mean(rule: Any, declared: DeclaredRule) -> None:
    w, pre, post, state = _numbers(declared)
    together = _changed(rule, declared, w, pre, post, state)["change"]
    alone = [
        _changed(rule, declared, w, pre[i : i + 1], post[i : i + 1], state)["change"] for i in range(len(pre))
    ]
    said = "the change of a batch is not the mean over its presentations (a sum, or a missing 1/len(r_pre)?)"
    _same("change", together, np.mean(alone, axis=0), _TIGHT, said)


def _pre_alike(rule: Any, declared: DeclaredRule) -> None:
    if declared.lateral:
        raise _NotTried("pre and post are the same population; see the post units")
    _relabelled(rule, declared, np.random.default_rng(1).permutation(_PRE), None)


def _post_alike(rule: Any, declared: DeclaredRule) -> None:
    order = np.array([2, 0, 1])
    _relabelled(rule, declared, order if declared.lateral else None, order)


def _relabelled(rule: Any, declared: DeclaredRule, pre: Any, post: Any) -> None:
    w, r_pre, r_post, state = _numbers(declared)
    rows = np.arange(w.shape[0]) if post is None else post
    columns = np.arange(w.shape[1]) if pre is None else pre

    def moved(name: str, values: np.ndarray) -> np.ndarray:
        kind = "PerSynapse" if name == "change" else type(declared.state[name]).__name__
        by_kind = {"PerSynapse": lambda: values[rows][:, columns], "PerPost": lambda: values[rows]}
        return np.asarray((by_kind | {"PerPre": lambda: values[columns]}).get(kind, lambda: values)())

    before = _changed(rule, declared, w, r_pre, r_post, state)
    other = {name: moved(name, values) for name, values in state.items()}
    after = _changed(rule, declared, moved("change", w), r_pre[:, columns], r_post[:, rows], other)
    for name, change in before.items():
        _same(name, after[name], moved(name, change), _TIGHT, "permuted units do not permute the change")


def _float32(rule: Any, declared: DeclaredRule) -> None:
    fine = _changed(rule, declared, *_numbers(declared))
    for convert in (_single, _single_tensor):
        coarse = _changed(rule, declared, *_numbers(declared), convert=convert, keep=True)
        for name, change in coarse.items():
            if "float32" not in str(change.dtype):
                raise _Failed(f"{name} is {change.dtype} for float32 inputs; keep the type of the rates")
            _same(name, np.asarray(change), fine[name], _LOOSE, "float32 and float64 differ")


def _growth(rule: Any, declared: DeclaredRule) -> None:
    if declared.growth is None:
        raise _NotTried("it has no growth: it learns on torch and at equilibrium, but not in time")
    check_agreement(rule)


_CHECKS: dict[str, Callable[[Any, DeclaredRule], None]] = {
    "settings": _settings,
    "arrays": _arrays,
    "purity": _purity,
    "mean over presentations": _batch_mean,
    "pre units alike": _pre_alike,
    "post units alike": _post_alike,
    "float32": _float32,
    "growth": _growth,
}

# -- numbers ----------------------------------------------------------------------------------------


def _numbers(declared: DeclaredRule) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """w, rates on both sides, and a state other than the initial one, so that it matters if it is read."""
    rng = np.random.default_rng(0)
    inputs = _POST if declared.lateral else _PRE
    shapes = (_POST, inputs), (_PRESENTATIONS, inputs), (_PRESENTATIONS, _POST)
    w, pre, post = (rng.uniform(0.2, 0.9, size=shape) for shape in shapes)
    if declared.lateral:
        np.fill_diagonal(w, 0.0)
        pre = post
    start = initial_state(declared.state, (_POST, inputs))
    return w, pre, post, {n: x + rng.uniform(0.1, 0.5, size=x.shape) for n, x in start.items()}


def _changed(
    rule: Any,
    declared: DeclaredRule,
    w: Any,
    pre: Any,
    post: Any,
    state: Mapping[str, Any],
    *,
    convert: Callable[[np.ndarray], Any] = lambda values: values,
    keep: bool = False,
) -> dict[str, Any]:
    """The change and each new state, by name."""
    if declared.change is None:
        raise _NotTried("all supervised rules share one step, and credit depends on the network")
    parts = convert(w), convert(pre), convert(post)
    if not state:
        found = {"change": declared.change(*parts)}
    else:
        returned = declared.change(*parts, {name: convert(x) for name, x in state.items()})
        if not (isinstance(returned, tuple) and len(returned) == 2):
            raise _Failed("a rule with state returns (change, new state), two things")
        found = {"change": returned[0], **returned[1]}
    shapes = {"change": w.shape} | {name: x.shape for name, x in state.items()}
    for name in shapes:
        if name not in found:
            raise _Failed(f"the new state lacks {name}; return every variable")
        if tuple(found[name].shape) != shapes[name]:
            raise _Failed(f"{name} has shape {tuple(found[name].shape)} instead of {shapes[name]}")
    return found if keep else {name: np.asarray(values, dtype=float) for name, values in found.items()}


def _tensor(values: np.ndarray) -> Any:
    import torch

    return torch.from_numpy(np.array(values))


def _single(values: np.ndarray) -> Any:
    return values.astype(np.float32)


def _single_tensor(values: np.ndarray) -> Any:
    return _tensor(values).float()


def _same(name: str, one: Any, other: Any, tolerance: float, said: str) -> None:
    one, other = np.asarray(one, dtype=float), np.asarray(other, dtype=float)
    scale = max(float(np.abs(other).max()), 1e-12)
    apart = float(np.abs(one - other).max())
    if not apart <= tolerance * scale:
        raise _Failed(f"{said}: {name} differs by {apart:.3g}, its largest value is {scale:.3g}")
