"""A trained credit network put over a bottom-up network, as populations and top-down projections."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cortex_sim.credit.declared import BASE, CONTEXT, DEEP, FIRST, channels_of, taught
from cortex_sim.credit.feedback import Addressed, Diffusion, Elementwise
from cortex_sim.credit.kernels import Learned, NoDiffusion
from cortex_sim.credit.network import DenseCredit, SharedCredit
from cortex_sim.credit.saving import TrainedCredit
from cortex_sim.errors import DeclarationError
from cortex_sim.feedback import Given

if TYPE_CHECKING:
    from cortex_sim.network import Network


def wire(net: Network, trained: TrainedCredit) -> None:
    """Add the credit network to ``net``, whose plastic projections carry `Tdca`.

    Parameters
    ----------
    net : Network
        Changed in place; with an objective, and without top-down projections.
    trained : TrainedCredit
        Hidden population i of n, the lowest first, hears its set of channels ⌊i·levels/n⌋.

    Raises
    ------
    DeclarationError
        If the credit network is of no known form, or trained for another number of outputs.
    """
    network = trained.network
    top = net.populations[str(net.objective_at)]
    if isinstance(network, DenseCredit):
        if network.outputs != top.size:
            raise DeclarationError(
                f"network {net.name}: the credit network was trained for {network.outputs} output units, and "
                f"{top.name} has {top.size}; use one of the shared form, or train one for {top.size}"
            )
        _dense(net, network, trained.parameters)
    elif isinstance(network, SharedCredit):
        _shared(net, network, trained.parameters)
    else:
        raise DeclarationError(
            f"network {net.name}: {type(network).__name__} cannot be declared as populations; use "
            "DenseCredit(...) or SharedCredit(...)"
        )


def told_by(rule: Any, trained: TrainedCredit) -> Any:
    """The rule ``rule``, with the context that ``trained`` reads; another context is an error."""
    network = trained.network
    context = network.context.trained(trained.parameters)
    pooled = getattr(network, "pooled", False)
    default = type(rule)()
    for name, asked, found in (("context", rule.context, context), ("pooled", rule.pooled, pooled)):
        if asked not in (found, getattr(default, name)):
            raise DeclarationError(
                f"with_rule: Tdca asks for {name}={asked!r}, but the credit network was trained with "
                f"{found!r}; leave it out, or give another credit network"
            )
    return replace(rule, context=context, pooled=pooled, gated=rule.gated and network.gated)


def _levels(net: Network, levels: int) -> Iterable[tuple[str, int]]:
    hidden = taught(net)
    for i, name in enumerate(hidden):
        yield name, i * levels // len(hidden)


def _dense(net: Network, network: DenseCredit, p: Any) -> None:
    outputs, h = network.outputs, network.hidden
    top = channels_of(net.objective_at)
    net.credit_population(CONTEXT, p["context"].shape[1])
    net.credit_population(BASE, outputs)
    net.credit_population(FIRST, h, activation="tanh", biases=p["context_bias"][0])
    net.credit_population(DEEP, h, activation="tanh", biases=p["hidden_bias"][0])
    net.credit_population(top, outputs)
    net.top_down(CONTEXT, FIRST, feedback=Given(p["context"]))
    net.top_down(FIRST, DEEP, feedback=Given(p["hidden"]))
    net.top_down(BASE, top, feedback=Diffusion(NoDiffusion()))
    net.top_down(DEEP, top, feedback=Given(p["top"]))
    for name, level in _levels(net, network.levels):
        channels = channels_of(name)
        net.credit_population(channels, network.channels[level])
        net.top_down(BASE, channels, feedback=Given(p[f"broadcast_{level}"]))
        net.top_down(DEEP, channels, feedback=Given(p[f"channels_{level}"]))
        kernel = network.kernel[level]
        if isinstance(kernel, Learned):
            spread = kernel.interpolated(net.populations[name].shape) @ p[f"diffusion_{level}"]
            net.top_down(channels, name, feedback=Given(spread))
        else:
            net.top_down(channels, name, feedback=Diffusion(kernel, network.signs))
    net.top_down(top, str(net.objective_at), feedback=Diffusion(NoDiffusion()))


def _shared(net: Network, network: SharedCredit, p: Any) -> None:
    top = channels_of(net.objective_at)
    outputs = net.populations[str(net.objective_at)].size
    net.credit_population(BASE, outputs)
    net.credit_population(top, outputs)
    net.top_down(BASE, top, feedback=Elementwise(p["top"], p["top_bias"], p["top_out"]))
    for name in taught(net):
        channels = channels_of(name)
        net.credit_population(channels, network.channels)
        net.top_down(BASE, channels, feedback=Addressed(p["unit"], p["unit_bias"], p["unit_out"]))
        net.top_down(channels, name, feedback=Diffusion(network.kernel, network.signs))
    net.top_down(top, str(net.objective_at), feedback=Diffusion(NoDiffusion()))
