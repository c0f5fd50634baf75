"""Credit populations as brian2 equations: the credit network, one compartment a unit.

    context, base   τ da/dt = −a + what is heard of the top                       r = a
    two layers      τ da/dt = −a + W r_pre + bias                                 r = tanh(a)
    top             τ da/dt = −a + r_base + s · W r_deep,   s = rms of r_base      r = a
    channels        τ da/dt = −a + W r_base + s · W r_deep                        r = a · rms(r_top)/rms(a)

A power is a mean square over the units of one presentation; it follows without delay. In the shared form
small networks, applied to base and context, stand where the weights are. Populations below hear r in
proportion to the nudge's strength. At rest these are the equations of `cortex_sim.credit.network`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cortex_sim.credit.context import ErrorContext, RawContext
from cortex_sim.credit.declared import BASE, CONTEXT, DEEP, DeclaredCredit, channels_of
from cortex_sim.credit.network import SharedCredit
from cortex_sim.errors import BuildError, RunError

if TYPE_CHECKING:
    from cortex_sim.backends.brian2.circuit import Circuit

_SMALL = "1e-12"  # of `cortex_sim.credit.network`


def credit_equations(circuit: Circuit, name: str) -> str:
    """Equations of one credit population."""
    assert circuit.taught is not None
    population, taught = circuit.net.credit_populations[name], circuit.taught
    drives = ["heard"] if name in (CONTEXT, BASE) else []
    lines = ["heard : 1"] if drives else []
    for p in circuit.net.credit_projections:
        if p.post == name:
            drive = circuit.var("drive", p.name)
            lines.append(f"{drive} : 1")
            drives.append(f"base_size * {drive}" if p.pre == DEEP else drive)
    if population.biases is not None:
        drives.append("bias")
        lines.append("bias : 1")
    rate: Any = population.activation.rate_text  # type: ignore[attr-defined]
    if name == channels_of(taught.top) or _is_channels(taught, name):
        lines += ["base_power : 1", f"base_size = base_power / sqrt(base_power + {_SMALL}) : 1"]
    if _is_channels(taught, name):
        rate = f"a * sqrt((top_power + {_SMALL}) / (own_power + {_SMALL}))"
        lines += ["top_power : 1", "own_power : 1"]
    head = [f"da/dt = (-a + {' + '.join(drives)}) / tau : 1", f"r = {rate} : 1"]
    return "\n".join([*head, *lines, "strength : 1 (shared)"])


def _is_channels(taught: DeclaredCredit, name: str) -> bool:
    return any(name == channels_of(hidden) for hidden in taught.hidden)


def context_equations(taught: DeclaredCredit) -> list[str]:
    """What the top population shows to the credit network: ``seen`` beside the goal, and ``base``.

    Raises
    ------
    BuildError
        If the context has no text.
    """
    match taught.network.context:
        case ErrorContext():
            seen, base, more = "error", "error", []
        case RawContext(contrast=(alpha, beta, gamma, delta)):
            seen, more = "tanh(0.25 * r)", ["mean_rate : 1"]
            contrast = f"{alpha!r} * goal + {-beta!r} * r + {gamma!r} * mean_rate + {delta!r}"
            base = f"tanh({contrast.replace('+ -', '- ')})"
        case other:
            raise BuildError(
                f"population {taught.top}: {type(other).__name__} has no rate dynamics; use ErrorContext() "
                "or RawContext()"
            )
    told = "int(strength != 0)"
    return [f"seen = {told} * {seen} : 1", f"base = {told} * {base} : 1", *more]


def shown_to_credit(circuit: Circuit, name: str) -> dict[str, str]:
    """What synapses of the credit network read of the top population: variable to expression."""
    if circuit.taught is None or name != circuit.taught.top:
        return {}
    return {"sent_seen": "seen", "sent_base": "base", "sent_goal": "int(strength != 0) * goal"}


def reads_objective(taught: DeclaredCredit | None) -> bool:
    """Whether the nudge at the top needs the objective: of credit networks all but those with raw context."""
    return taught is None or not isinstance(taught.network.context, RawContext)


def check_gates(circuit: Circuit, phase: Any) -> None:
    """Raise `RunError` where a phase cuts, scales, delays or disturbs what is inside the credit network."""
    for p in circuit.net.credit_projections:
        if p.name in phase.gates:
            leaving = next(
                p.name for p in circuit.apicals if p.projection.pre in circuit.net.credit_populations
            )
            raise RunError(
                f"phase {phase.name}: {p.name} is inside the credit network, which settles as a whole; cut, "
                f"scale, delay or disturb a projection that leaves it, such as {leaving}"
            )


def check_in_synapses(circuit: Circuit) -> None:
    """Raise `BuildError` where a credit network cannot be made of synapses."""
    if circuit.taught is None:
        return
    network: Any = circuit.taught.network
    shared = isinstance(network, SharedCredit)
    if shared or network.pooled:
        what = "the shared form of a credit network" if shared else "a credit network that pools hidden rates"
        raise BuildError(
            f"network {circuit.net.name}: {what} has no synapses one by one; use the dense form without "
            'pooled, or engine="batched"'
        )
