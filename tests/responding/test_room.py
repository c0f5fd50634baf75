"""What the room imports, and who may import it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import cortex_sim

HOME = Path(cortex_sim.__file__).parent


def test_importing_it_loads_no_simulator():
    tell = "import sys, cortex_sim.responding; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", tell], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "cortex_sim" in loaded and not loaded & {"torch", "brian2", "sklearn", "matplotlib"}


@pytest.mark.parametrize("room", ["backends", "data", "recording", "protocol", "experiments"])
def test_what_it_builds_on_does_not_import_it(room):
    found = {
        node.module
        for path in (HOME / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module
    }
    assert any(module.startswith("cortex_sim.") for module in found)
    assert not [module for module in found if module.startswith("cortex_sim.responding")]
