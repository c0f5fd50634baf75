"""Presynaptic decorrelation: synapses change with centred, decorrelated rates; activity is unaffected.

    x = r − c r̄,    z = P x √(⟨x²⟩ / ⟨(P x)²⟩),    Δw = Δ(post signal, (1 − s) x + s z)

for every rule Δ. The mean r̄, P and the two powers are slow state: what synapses read in a batch depends on
earlier batches only, so that a batch's change is the mean of its presentations' changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cortex_sim.arrays import Array, array_namespace
from cortex_sim.checks import (
    require_count,
    require_flag,
    require_known,
    require_nonnegative,
    require_positive,
)
from cortex_sim.errors import DeclarationError
from cortex_sim.registry import register

State = Mapping[str, Array]
Shares = tuple[Array | None, Array | None]  # s and c

#: Most inputs n that one matrix P may decorrelate: its update costs about 4 n² operations per presentation.
WIDEST = 1024
FIT = "fit"
_SMALL = 1e-12  # added to powers, so that silent inputs keep a ratio of 1


@register("reads", "decorrelated")
@dataclass(frozen=True)
class Decorrelated:
    """What plastic synapses read of their pre rates r: x = r − c r̄, mixed with a decorrelated z = P x.

    After each update, with x of that update and white noise ξ, P ← P − κ (C P − P), C = ⟨zzᵀ⟩ scaled to a
    mean diagonal of 1, z = P (x + σξ), κ = rate / (1 + rate ‖C‖_F). P begins as the identity.

    Parameters
    ----------
    mixing : float, default 0.7
        s, the decorrelated share of what is read, between 0 and 1.
    centring : float, default 1.0
        c, the share of the running mean that is subtracted, between 0 and 1.
    local : bool, default False
        Use P ← P − κ off(C), where off(C) is C without its diagonal: each entry of P changes with the
        activity z of the two units that it connects. The default form needs the values of all units.
    group : int or "fit", optional
        Decorrelate within groups of this many consecutive inputs, P and C being 0 between groups; by default
        all inputs together, at most `WIDEST`. Must divide the number of inputs; "fit" takes the largest
        divisor up to `WIDEST`, so that one declaration serves projections of many widths. More inputs than
        `WIDEST` are refused if 1 is their only such divisor.
    memory : float, default 0.9
        Share of the running mean and powers that an update keeps, at least 0 and below 1; the first update
        replaces their initial values.
    rate : float, default 0.03
        Rate at which P changes, in κ; positive.
    noise : float, default 0.1
        σ, in units of the rates; positive. It keeps P finite where inputs do not vary.
    update_ms : float, default 100.0
        In time, the milliseconds that count as one update; positive.
    every : int, default 1
        In training, the number of weight updates per update of the state, which then counts as that many. In
        time the state changes at every step.

    Notes
    -----
    (C P)_ij = ⟨z_i (Pᵀz)_j⟩ contains a sum over all units, so P's change is not local, except with ``local``.
    A convolution's synapses read patches, (C_in·k·k) inputs, with one P for all places.

    References
    ----------
    The iteration towards ⟨zzᵀ⟩ ∝ I is that of Ahmad, Schrader & van Gerven (2022), arXiv 2203.11740, where
    the decorrelated rates are sent onward; here they serve plasticity alone. The local form follows Földiák
    (1990), Biol. Cybern. 64, doi:10.1007/BF02331346.
    """

    mixing: float = 0.7
    centring: float = 1.0
    local: bool = False
    group: int | str | None = None
    memory: float = 0.9
    rate: float = 0.03
    noise: float = 0.1
    update_ms: float = 100.0
    every: int = 1

    def __post_init__(self) -> None:
        require_nonnegative(self, mixing=self.mixing, centring=self.centring, memory=self.memory)
        require_positive(self, rate=self.rate, noise=self.noise, update_ms=self.update_ms)
        require_flag(self, local=self.local)
        for setting in ("mixing", "centring"):
            if getattr(self, setting) > 1:
                raise DeclarationError(
                    f"Decorrelated: {setting} must be a share between 0 and 1. Got {getattr(self, setting):g}"
                )
        if self.memory >= 1:
            raise DeclarationError(f"Decorrelated: memory must be below 1. Got {self.memory:g}")
        require_count(self, every=self.every)
        if isinstance(self.group, str):
            require_known("group of Decorrelated", self.group, {FIT: None})
        elif self.group is not None:
            require_count(self, group=self.group)
            object.__setattr__(self, "group", int(self.group))

    def check(self, name: str, inputs: int) -> None:
        """Raise `DeclarationError` where a projection has too many inputs, or ``group`` does not fit."""
        if self.group is None and inputs > WIDEST:
            raise DeclarationError(
                f"projection {name}: Decorrelated() would keep {inputs}² numbers for its inputs, but at most "
                f"{WIDEST} are decorrelated together; give group=..., a divisor of {inputs}, or group={FIT!r}"
            )
        if self.group == FIT and inputs > WIDEST and _nearest(inputs, WIDEST) == 1:
            raise DeclarationError(
                f"projection {name}: {inputs} inputs have no divisor from 2 to {WIDEST}, so every group "
                "would have one input; use another number of inputs, or leave reads out"
            )
        if isinstance(self.group, int) and (inputs % self.group or self.group > WIDEST):
            raise DeclarationError(
                f"projection {name}: group must divide its {inputs} inputs and be at most {WIDEST}. Got "
                f"{self.group}; use {_nearest(inputs, self.group)}"
            )

    def initial(self, inputs: int) -> dict[str, np.ndarray]:
        """State before the first update, float64.

        ``mean`` r̄ (input,), ``matrix`` P (group, unit, unit), ``power`` ⟨x²⟩ and ``power_after`` ⟨(Px)²⟩, and
        ``seen``, the total weight of the updates in the running means, 0 at first.
        """
        size = _nearest(inputs, WIDEST) if self.group == FIT else int(self.group or inputs)
        blocks = np.broadcast_to(np.eye(size), (inputs // size, size, size)).copy()
        scalars = {"power": np.array(1.0), "power_after": np.array(1.0), "seen": np.array(0.0)}
        return {"mean": np.zeros(inputs), "matrix": blocks, **scalars}

    def read(self, state: State, r: Array, shares: Shares = (None, None)) -> Array:
        """What synapses read of rates r (…, presentation, input), with the leading axes of the state.

        ``shares`` are s and c in place of the declared ones, arrays () or with the state's leading axes;
        an outer loop may train them.
        """
        mixing, centring = self._shares(shares)
        x = r - centring * state["mean"][..., None, :] if self.centring else r
        if not self.mixing:
            return x
        scale = ((state["power"] + _SMALL) / (state["power_after"] + _SMALL)) ** 0.5
        z = _joined(_grouped(x, state["matrix"]) @ _turned(state["matrix"]))
        return (1 - mixing) * x + mixing * scale[..., None, None] * z

    def _shares(self, shares: Shares) -> tuple[Any, Any]:
        """Mixing and centring, in shapes that broadcast against (…, presentation, input)."""
        own = (self.mixing, self.centring)
        return tuple(  # type: ignore[return-value]
            mine if given is None else given[..., None, None] for mine, given in zip(own, shares, strict=True)
        )

    def renewed(
        self, state: State, r: Array, noise: Array, share: float = 1.0, shares: Shares = (None, None)
    ) -> dict[str, Array]:
        """State after an update in which synapses read rates r (…, presentation, input).

        Parameters
        ----------
        state : mapping of str to array
        r, noise : array of shape (…, presentation, input)
            Rates, and standard normal noise.
        share : float, default 1.0
            How many updates this counts as: in time, the step divided by ``update_ms``; in training
            ``every``, where κ = share · rate / (1 + share · rate ‖C‖_F).
        shares : tuple
            As in `read`.
        """
        _, centring = self._shares(shares)
        forgotten = 1 - self.memory**share
        seen = state["seen"] + forgotten * (1 - state["seen"])
        gain = forgotten / seen
        mean = state["mean"] + gain[..., None] * (r.mean(-2) - state["mean"])
        old = state["matrix"]
        x = _grouped(r - centring * mean[..., None, :], old)
        z = (x + self.noise * _grouped(noise, old)) @ _turned(old)
        new = self._moved(z, old, share)
        after = x @ _turned(new)
        return {
            "mean": mean,
            "matrix": new,
            "power": state["power"] + gain * (_mean_square(x) - state["power"]),
            "power_after": state["power_after"] + gain * (_mean_square(after) - state["power_after"]),
            "seen": seen,
        }

    def _moved(self, z: Array, p: Array, share: float) -> Array:
        """P − κ (C P − P), or P − κ off(C), from z (…, group, presentation, unit)."""
        rows, units = z.shape[-2:]
        diagonal = _mean_square(z)
        wide = units > rows and not self.local  # then C itself, (unit, unit), is never needed
        gram = (z @ _turned(z) if wide else _turned(z) @ z) / rows
        size = (gram * gram).sum((-1, -2, -3)) ** 0.5 / diagonal  # ‖C‖_F, the same for zᵀz and zzᵀ
        kappa = share * self.rate / (1 + max(share, 1.0) * self.rate * size)
        scale = (kappa / diagonal)[..., None, None, None]
        if self.local:
            return p - scale * _off(gram)
        kept = p * (1 + kappa)[..., None, None, None]
        if wide:
            return _less(kept, _turned(z) * (scale / rows), z @ p)
        return _less(kept, gram * scale, p)


def _less(kept: Array, a: Array, b: Array) -> Array:
    """``kept`` − a b, written into ``kept``."""
    if isinstance(kept, np.ndarray):
        kept -= a @ b
        return kept
    flat = [x.reshape(-1, *x.shape[-2:]) for x in (kept, a, b)]
    return flat[0].baddbmm_(flat[1], flat[2], alpha=-1).reshape(kept.shape)


def _grouped(x: Array, p: Array) -> Array:
    """Inputs of each group, (…, group, presentation, unit), for P of shape (…, group, unit, unit)."""
    groups, units = p.shape[-3], p.shape[-1]
    return x.reshape(*x.shape[:-1], groups, units).swapaxes(-2, -3)


def _joined(x: Array) -> Array:
    """The inverse of `_grouped`."""
    turned = x.swapaxes(-2, -3)
    return turned.reshape(*turned.shape[:-2], -1)


def _turned(p: Array) -> Array:
    return p.swapaxes(-1, -2)


def _mean_square(z: Array) -> Array:
    """Mean square over groups, presentations and units."""
    return (z * z).mean((-1, -2, -3))


def _off(c: Array) -> Array:
    """The matrix without its diagonal."""
    xp = array_namespace(c)
    here: dict[str, Any] = {} if isinstance(c, np.ndarray) else {"device": c.device}
    return c * (1 - xp.eye(c.shape[-1], dtype=c.dtype, **here))


def _nearest(inputs: int, group: int) -> int:
    """The divisor of ``inputs`` nearest to ``group``, not above `WIDEST`."""
    fits = [n for n in range(1, min(inputs, WIDEST) + 1) if not inputs % n]
    return min(fits, key=lambda n: abs(n - group))
