"""A value of a closed loop as plain data and back: its function by name, as ``module:function``.

As with other parts that a user defines, reading runs no code: the script that reads the file must have
declared a `ClosedLoop` with the function before.
"""

from __future__ import annotations

from typing import Any

from cortex_sim.arrays import array_from_data, array_to_data, is_array_data
from cortex_sim.errors import DeclarationError
from cortex_sim.protocol import yaml_settings
from cortex_sim.protocol.closed_loop import KNOWN, ClosedLoop, LoopValue, place_in_code

_IN_PYTHON = "write the experiment as a Python file that defines experiment(seed), and run it by its path"
_KEYS = ("closed_loop", "variable", "up_to", "reads", "phase", "state", "average", "loop_name")


def to_data(value: LoopValue) -> dict[str, Any]:
    """The whole loop, and which of its variables acts."""
    loop = value.loop
    data: dict[str, Any] = {
        "closed_loop": _named(loop, loop.function),
        "variable": value.variable,
        "reads": list(loop.reads),
        "phase": loop.phase,
    }
    if callable(loop.state):
        data["state"] = _named(loop, loop.state)
    else:
        data["state"] = {n: array_to_data(x) if x.ndim else x.item() for n, x in loop.state.items()}
    if value.most is not None:
        data["up_to"] = value.most
    if loop.average:
        data["average"] = True
    if loop.name != getattr(loop.function, "__name__", ""):
        data["loop_name"] = loop.name
    return data


def _named(loop: ClosedLoop, function: Any) -> str:
    place = place_in_code(function)
    if not place:
        raise DeclarationError(
            f"closed loop {loop.name}: YAML holds a function by its name, and this one is not defined at the "
            f"top of a module; define it there, or {_IN_PYTHON}"
        )
    return place


def from_data(owner: str, data: Any) -> LoopValue:
    """A variable of a loop whose function was declared before.

    Raises
    ------
    DeclarationError
        If it was not.
    """
    given = yaml_settings.settings(owner, data, _KEYS)
    for key in ("closed_loop", "variable", "reads", "phase", "state"):
        if key not in given:
            raise DeclarationError(f"{owner}: a closed loop needs {key}; add it")
    state = given["state"]
    if isinstance(state, dict):
        state = {n: array_from_data(x) if is_array_data(x) else x for n, x in state.items()}
    loop = ClosedLoop(
        _known(owner, given["closed_loop"]),
        reads=given["reads"],
        phase=given["phase"],
        state=_known(owner, state) if isinstance(state, str) else state,
        average=given.get("average", False),
        name=given.get("loop_name", ""),
    )
    value = loop[given["variable"]]
    return value.up_to(given["up_to"]) if "up_to" in given else value


def _known(owner: str, place: Any) -> Any:
    if place in KNOWN:
        return KNOWN[place]
    raise DeclarationError(
        f"{owner}: closed loop {place} is Python code, which reading YAML does not run; import its module "
        f"and declare a ClosedLoop with it first, or {_IN_PYTHON}"
    )
