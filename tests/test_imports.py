"""Imports point one way: declaring a network loads no simulator and draws nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import cortex_sim as cs

HEAVY = {"torch", "brian2", "matplotlib", "sklearn", "xarray", "sympy"}  # sympy comes with torch's compiler
STEPS = {
    "import": "",
    "declare": "net = cs.model('gait_tower'); net.check(); net.initial_weights(0)",
    "with_rule": "net = cs.model('conv4').with_rule('kolen_pollack')",
    "yaml": "net = cs.Network.from_yaml(cs.model('gait_tower').to_yaml())",
    "print": "net = str(cs.model('gait_imagenet')); assert 'retina->V1' in net",
}


def loaded_by(code):
    """Top-level modules in a fresh process after ``code``."""
    tell = "import sys; print('loaded:', *sorted({m.split('.')[0] for m in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", f"import cortex_sim as cs\n{code}\n{tell}"],
        cwd=Path(cs.__file__).parent.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.rpartition("loaded:")[2].split())


@pytest.mark.parametrize("step", STEPS)
def test_declaring_loads_no_backend(step):
    loaded = loaded_by(STEPS[step])
    assert {"cortex_sim", "numpy"} <= loaded
    assert not loaded & HEAVY


@pytest.mark.parametrize("room, needs", [("viz.drawing", {"matplotlib"}), ("backends.torch", {"torch"})])
def test_a_room_loads_what_it_needs_and_no_more(room, needs):
    """Which also shows that the test above can fail."""
    loaded = loaded_by(f"import cortex_sim.{room}")
    assert needs <= loaded
    assert not loaded & (HEAVY - needs)


@pytest.mark.parametrize("room, module", [("torch", "torch"), ("viz", "cortex_sim")])
def test_a_room_opens_when_it_is_asked_for(room, module):
    assert module in loaded_by(f"assert cs.{room}.__name__.startswith('cortex_sim.')")


def test_all_that_is_promised_is_there():
    for name in cs.__all__:
        assert getattr(cs, name) is not None
    with pytest.raises(AttributeError, match="module 'cortex_sim' has no attribute 'nonsense'"):
        cs.nonsense  # noqa: B018


@pytest.mark.parametrize("room", ["torch", "brian2", "data", "viz", "recording"])
def test_rooms_are_real_modules(room):
    """Imported by name, listed, and the same object by attribute."""
    loaded_by(f"import cortex_sim.{room} as room; assert room is cs.{room}; assert {room!r} in dir(cs)")


BELOW = {  # what may not be imported by whom: directions of the house
    "backends": (
        "cortex_sim.experiments",
        "cortex_sim.commands",
        "cortex_sim.training",
        "cortex_sim.responding",
    ),
    "protocol": ("cortex_sim.experiments", "cortex_sim.backends"),
    "recording": ("cortex_sim.experiments", "cortex_sim.backends", "cortex_sim.responding"),
    "neural": ("cortex_sim.compare", "cortex_sim.report", "cortex_sim.responding", "cortex_sim.backends"),
    "compare": ("cortex_sim.report", "cortex_sim.responding", "cortex_sim.backends", "cortex_sim.commands"),
    "responding": ("cortex_sim.compare", "cortex_sim.report", "cortex_sim.commands"),
    "report": ("cortex_sim.commands", "cortex_sim.html_report"),
    "html_report": ("cortex_sim.commands",),
}


@pytest.mark.parametrize("room", BELOW)
def test_no_room_imports_upward(room):
    folder = Path(cs.__file__).parent / room
    found = []
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            found += [f"{path.name}: {name}" for name in names if name.startswith(BELOW[room])]
    assert found == []
