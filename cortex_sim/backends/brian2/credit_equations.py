"""Credit populations as brian2 equations: the credit network, one compartment per unit.

    context, base   τ da/dt = −a + x + input from the top                          r = a
    two layers      τ da/dt = −a + x + W r_pre + bias                             r = tanh(a)
    top             τ da/dt = −a + x + r_base + s · W r_deep,   s = rms of r_base  r = a
    channels        τ da/dt = −a + W r_base + s · W r_deep,      r = a · rms(r_top)/rms(a) + e
                    τ de/dt = −e + x

In the broadcast form with plastic diffusion, channels are not normalised: τ da/dt = −a + x + W r_base, r = a.
x is a drive from outside; r is 0 where units are silenced. rms is taken over the units of one presentation;
it follows without delay. In the shared form small networks, applied to base and context, replace the
weights. In any other form only the outputs, top and channels, have dynamics:

    τ da/dt = −a + x + the form's ``credits`` at the present rates          r = a

Populations below receive r in proportion to the nudge's strength. At rest these are the equations of
`cortex_sim.credit.in_parts`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cortex_sim.capabilities import activation_of
from cortex_sim.credit.broadcast import BroadcastCredit
from cortex_sim.credit.context import ErrorContext, RawContext
from cortex_sim.credit.dense import DenseCredit
from cortex_sim.credit.in_parts import injects, moves_in_parts, normalises, scaled_by_base
from cortex_sim.credit.population import Part
from cortex_sim.credit.shared import SharedCredit
from cortex_sim.credit.teacher import Teacher
from cortex_sim.errors import BuildError

if TYPE_CHECKING:
    from cortex_sim.backends.brian2.circuit import Circuit

_SMALL = "1e-12"  # as in `cortex_sim.credit.network`


def credit_equations(circuit: Circuit, name: str) -> str:
    """Equations of one credit population."""
    teacher = circuit.teacher
    assert teacher is not None
    population, whole = teacher.populations[name], not moves_in_parts(teacher)
    leaving = population.part in (Part.TOP, Part.CHANNELS)
    behind, from_top = injects(teacher, name), population.part in (Part.CONTEXT, Part.BASE)
    drives, lines = ([] if behind else ["external"]), ["external : 1", "alive : 1"]
    if from_top or (leaving and whole):
        drives.append("heard")
        lines.append("heard : 1")
    for p in circuit.net.credit_projections if not whole else []:
        if p.post == name:
            drive, gate = circuit.var("drive", p.name), circuit.var("gate", p.name)
            lines += [f"{drive} : 1", f"{gate} : 1 (shared)"]
            arriving = f"{gate} * {drive}"
            drives.append(f"base_size * {arriving}" if scaled_by_base(teacher, p) else arriving)
    if population.biases is not None:
        drives.append("bias")
        lines.append("bias : 1")
    rate = str(activation_of(population.activation).rate_text)
    if leaving and normalises(teacher):
        lines += ["base_power : 1", f"base_size = base_power / sqrt(base_power + {_SMALL}) : 1"]
    if behind:
        rate = f"a * sqrt((top_power + {_SMALL}) / (own_power + {_SMALL})) + injected"
        lines += ["top_power : 1", "own_power : 1", "dinjected/dt = (-injected + external) / tau : 1"]
    head = [f"da/dt = (-a + {' + '.join(drives)}) / tau : 1", f"r = alive * ({rate}) : 1"]
    return "\n".join([*head, *lines, "strength : 1 (shared)"])


def context_equations(teacher: Teacher) -> list[str]:
    """What synapses of the credit network read at the top: ``seen`` in addition to the goal, and ``base``.

    Empty for a user-defined context, which the batched engine computes with numpy.
    """
    match teacher.network.context.trained(teacher.parameters):
        case ErrorContext():
            seen, base, more = "error", "error", []
        case RawContext(contrast=(alpha, beta, gamma, delta)):
            seen, more = "tanh(0.25 * r)", ["mean_rate : 1"]
            contrast = f"{alpha!r} * goal + {-beta!r} * r + {gamma!r} * mean_rate + {delta!r}"
            base = f"tanh({contrast.replace('+ -', '- ')})"
        case _:
            return []
    received = "int(strength != 0)"
    return [f"seen = {received} * {seen} : 1", f"base = {received} * {base} : 1", *more]


def shown_to_credit(circuit: Circuit, name: str) -> dict[str, str]:
    """What synapses of the credit network read of the top population: variable to expression."""
    if circuit.teacher is None or name != circuit.teacher.top:
        return {}
    return {"sent_seen": "seen", "sent_base": "base", "sent_goal": "int(strength != 0) * goal"}


def reads_objective(teacher: Teacher | None) -> bool:
    """Whether the nudge at the top needs the objective; a context declares it."""
    return teacher is None or bool(teacher.network.context.reads_error)


def check_in_synapses(circuit: Circuit) -> None:
    """Raise `BuildError` where a credit network cannot be made of synapses."""
    if circuit.teacher is None:
        return
    network: Any = circuit.teacher.network
    if isinstance(network, BroadcastCredit):
        return
    if not isinstance(network, DenseCredit):
        own = f"the credit network {type(network).__name__}"
        what = "the shared form of a credit network" if isinstance(network, SharedCredit) else own
    elif network.pooled:
        what = "a credit network that pools hidden rates"
    elif not isinstance(network.context, (ErrorContext, RawContext)):
        what = f"the context {type(network.context).__name__}"
    else:
        return
    raise BuildError(
        f"network {circuit.net.name}: {what} cannot be made of single synapses; use the dense form without "
        'pooled, with ErrorContext() or RawContext(), BroadcastCredit(), or engine="batched"'
    )
