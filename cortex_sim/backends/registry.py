"""Backends by name: what `cs.torch.run`, `cs.brian2.run` and ``simulate --backend`` look up.

A backend is registered as one function, which makes a session from a network; see `register_backend`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from cortex_sim.checks import look_up
from cortex_sim.errors import DeclarationError, RunError
from cortex_sim.network import Network
from cortex_sim.protocol.plan import Conditions, Session

#: Makes a session of a declared network from (net, seed, conditions).
Start = Callable[[Network, int, Conditions], Session]

#: The package's own backends, imported on first use, since each imports a simulator.
_SHIPPED = {
    "brian2": "cortex_sim.backends.brian2.simulation:session",
    "torch": "cortex_sim.backends.torch.quasi_static:session",
}
_BACKENDS: dict[str, Start | str] = dict(_SHIPPED)


def register_backend(name: str, start: Start) -> None:
    """Register a user-defined backend, on which experiments can then be run by its name.

    Parameters
    ----------
    name : str
        Its name for ``cortex-sim simulate --backend`` and `cortex_sim.experiments.running.run`.
    start : callable
        ``start(net, seed, conditions)`` returns a `cortex_sim.protocol.plan.Session`: an object that
        carries out a plan trial by trial, and whose ``checkpoint`` holds all that the next trial depends on.

    Raises
    ------
    DeclarationError
        If the name is empty or taken, or ``start`` is not callable.

    Examples
    --------
    >>> from cortex_sim.backends.registry import backends, register_backend
    >>> backends()
    ['brian2', 'torch']
    """
    if not isinstance(name, str) or not name:
        raise DeclarationError(f"backend: its name must be a non-empty string. Got {name!r}")
    if not callable(start):
        raise DeclarationError(
            f"backend {name}: give a function start(net, seed, conditions) that returns a session. "
            f"Got {start!r}"
        )
    known = _BACKENDS.get(name)
    if known is not None and known is not start:
        raise DeclarationError(f"backend {name!r} is registered already; choose another name")
    _BACKENDS[name] = start


def backends() -> list[str]:
    """Names of all backends, sorted."""
    return sorted(_BACKENDS)


def backend_called(name: str) -> Start:
    """Function that starts a session on the backend of this name; `RunError` for an unknown one."""
    found = look_up("backend", name, _BACKENDS, RunError)
    if isinstance(found, str):
        module, _, function = found.partition(":")
        found = getattr(import_module(module), function)
        assert callable(found)
    return found
