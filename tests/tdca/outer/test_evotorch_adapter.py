import subprocess
import sys

import pytest
import torch
from quadratic_runs import QuadraticFitness

from cortex_sim.errors import BuildError
from cortex_sim.tdca.outer import SNES


def test_missing_evotorch_is_named_with_the_way_out(monkeypatch):
    monkeypatch.setitem(sys.modules, "evotorch", None)
    with pytest.raises(BuildError, match=r"no module evotorch; pip install 'cortex-sim\[tdca\]'"):
        SNES().begin(QuadraticFitness(), torch.zeros(3), 1, torch.Generator())


@pytest.mark.slow
def test_loaded_when_asked_for_quietly_and_without_ray():
    code = """
import sys, torch
from cortex_sim.tdca.outer import SNES
assert "evotorch" not in sys.modules
sys.path.insert(0, "tests/reference")
from quadratic_runs import QuadraticFitness
SNES(members=8).begin(QuadraticFitness(), torch.zeros(3), 1, torch.Generator()).step()
import ray
assert not ray.is_initialized()
print("done")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
