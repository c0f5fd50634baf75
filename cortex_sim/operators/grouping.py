"""A rule on a connector with groups: its equation applied to each group as to a separate projection."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cortex_sim.arrays import Array, array_namespace
from cortex_sim.rules.base import Global, PerPost, PerPre, PerSynapse

State = Mapping[str, Array]
#: Δw/η and the new value of each state variable, from w (post, pre), state, and signals by name.
Changing = Callable[..., tuple[Array, dict[str, Array]]]


def by_group(
    op: Any,
    change: Changing,
    w: Array,
    state: State,
    kinds: Mapping[str, Any],
    down: bool = False,
    **signals: Array,
) -> tuple[Array, dict[str, Array]]:
    """What ``change(w, state, **signals)`` gives for the weights of all groups.

    Parameters
    ----------
    op : cortex_sim.operators.Operator
    change : callable
        A rule's equation for one matrix.
    w : array of shape (post, pre)
        As rules see it: (channel, input), or with ``down`` (input, channel).
    state, kinds : mapping of str
        State of the rule and what each variable belongs to. No variable may belong to the inputs, which
        differ between groups (`cortex_sim.validation` refuses it).
    down : bool
        Whether the weights are those of a top-down projection.
    **signals : array of shape (presentation · place, unit), with groups (group, presentation · place, unit)
    """
    if op.groups == 1:
        return change(w, state, **signals)
    axis, count = int(down), w.shape[int(down)] // op.groups
    found = []
    for group in range(op.groups):
        rows = slice(group * count, (group + 1) * count)
        mine = {n: _part(x, kinds[n], axis, rows) for n, x in state.items()}
        shown = {n: x[group] for n, x in signals.items()}
        found.append(change(w[rows] if axis == 0 else w[:, rows], mine, **shown))
    xp = array_namespace(w)
    changes = xp.concat([one for one, _ in found], axis=axis)
    moved = {n: _joined([of[n] for _, of in found], kinds[n], axis, xp) for n in found[0][1]}
    return changes, moved


def change_of_feedback(op: Any, rule: Any, b: Array, u: Array, read: Array) -> Array:
    """Δb/η of a rule that reads credit u and what the synapses below read, both by place; shaped as b."""
    w = op.feedback_matrix(b)

    def change(w: Array, state: State, u_pre: Array, r_post: Array) -> tuple[Array, dict[str, Array]]:
        return rule.change(w, u_pre, r_post), {}

    found, _ = by_group(op, change, w, {}, {}, down=True, u_pre=u, r_post=read)
    return op.as_feedback(found * op.places, b.shape)


def _part(x: Array, kind: Any, axis: int, rows: slice) -> Array:
    """A group's part of a state variable."""
    match kind:
        case Global():
            return x
        case PerSynapse():
            return x[rows] if axis == 0 else x[:, rows]
        case PerPost() | PerPre():
            return x[rows]


def _joined(parts: list[Array], kind: Any, axis: int, xp: Any) -> Array:
    """A state variable of all groups; for one number per projection their mean, exact where all agree."""
    if isinstance(kind, Global):
        first = parts[0]
        return first + sum(part - first for part in parts) / len(parts)
    return xp.concat(parts, axis=axis if isinstance(kind, PerSynapse) else 0)
