"""Bad input to the program as a shell starts it: status 2, one line, no traceback."""

import os
import subprocess
import sys
from pathlib import Path

import cortex_sim

TRAIN = "train net.py:small --out new --data ok.npz --batch-size 8 --epochs 1"


def test_in_a_process_of_its_own(here):
    """The same by the shell: status 2, one line, no traceback."""
    command = [sys.executable, "-m", "cortex_sim", *TRAIN.split(), "--data", "nope.npz"]
    place = {**os.environ, "PYTHONPATH": str(Path(cortex_sim.__file__).parents[1])}
    done = subprocess.run(command, cwd=here, env=place, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("cortex-sim: data nope.npz: no such file")
    assert done.stderr.count("\n") == 1
    assert not (here / "new").exists()


def test_a_locale_that_cannot_spell_a_path_is_said(tmp_path):
    """Python reads such a word as bytes, which other libraries then refuse in the middle of the work."""
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "cortex_sim", "show", "digits_mlp", "--draw", str(tmp_path / "été.png")],
        capture_output=True,
        text=True,
        env=os.environ | plain,
        check=False,
    )
    assert done.returncode == 2
    assert "cannot represent it; set PYTHONUTF8=1" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
