"""``cortex-sim simulate``: one recording of all arms, interrupted anywhere, from files of every kind."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import cortex_sim
from cortex_sim import recording

PROTOCOLS = """
import numpy as np

import cortex_sim as cs


def experiment(seed=0):
    net = cs.Network("small")
    net.population("retina", 6)
    net.population("V1", 4)
    net.population("IT", 3)
    net.bottom_up("retina", "V1", plasticity="backprop")
    up = net.bottom_up("V1", "IT", plasticity="backprop")
    net.top_down("IT", "V1", feedback=cs.Transpose(of=up))
    net.objective("IT", "cross_entropy")
    images = np.random.default_rng(seed).normal(size=(5, 6))
    learn = cs.Phase(
        "learn", 20, drive={"retina": images}, nudge={"IT": np.arange(5) % 3}, plasticity=True
    )
    intact = cs.Protocol(learn, trials=6, record=cs.Record(weights=True), eta_per_s=1.0)
    return cs.Experiment(net, {"intact": intact, "cut": intact.replace(lesion=["IT->V1"])})


def unknown(seed=0):
    made = experiment(seed)
    wrong = made.arms["intact"].protocol.replace(lesion=["IT->V2"])
    return cs.Experiment(made.network, {"wrong": wrong})


def film(seed=0):
    made = experiment(seed)
    timed = made.arms["intact"].protocol.replace(record=cs.Record(every_ms=2.0))
    return cs.Experiment(made.network, {"film": timed})


def odd(seed=0):
    made = experiment(seed)
    timed = made.arms["intact"].protocol.replace(record=cs.Record(every_ms=1.5))
    return cs.Experiment(made.network, {"odd": timed})


def nothing(seed=0):
    pass
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory with nothing but a file of protocols."""
    (tmp_path / "own.py").write_text(PROTOCOLS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_result(result, here):
    found = result("simulate own.py --out a.nc --seed 2")
    assert found.pop("seconds") > 0
    assert found == {
        "out": "a.nc",
        "dims": {
            "presentation": 12,
            "neuroid": 13,
            "snapshot": 14,
            "post:retina->V1": 4,
            "pre:retina->V1": 6,
            "post:V1->IT": 3,
            "pre:V1->IT": 4,
        },
        "populations": ["retina", "V1", "IT"],
        "arms": ["intact", "cut"],
        "backend": "brian2",
    }
    made = recording.load(here / "a.nc")
    assert made.attrs["seed"] == 2 and made.attrs["backend"] == "brian2"
    assert sorted(p.name for p in here.iterdir() if p.suffix != "") == ["a.nc", "own.py"]
    cut = recording.select(made, arm="cut")["weight:retina->V1"].values
    intact = recording.select(made, arm="intact")["weight:retina->V1"].values
    np.testing.assert_array_equal(cut[0], intact[0])
    assert np.abs(intact[-1] - intact[0]).max() > 1e-4 and np.abs(cut[-1] - cut[0]).max() < 1e-12


def test_line_for_people(run, here):
    status, out, err = run("simulate own.py --out a.nc --arm cut")
    assert (status, err) == (0, "")
    assert out.startswith(
        "a.nc: 6 presentations, 13 neuroids, 7 snapshots; arms cut; populations retina, V1, IT; "
    )


def test_help_has_an_example(run):
    status, out, _ = run("simulate --help")
    assert status == 0 and "Example: cortex-sim simulate" in out and "--json" in out


def test_finished_prints_its_result_again(result, here):
    first = result("simulate own.py --out a.nc")
    written = (here / "a.nc").read_bytes()
    again = result("simulate own.py --out a.nc --resume")
    assert {**again, "seconds": 0} == {**first, "seconds": 0}
    assert (here / "a.nc").read_bytes() == written


def test_both_backends_record_the_same_thing(result, here):
    pytest.importorskip("cortex_sim.backends.torch.quasi_static")
    for backend in ("brian2", "torch"):
        result(f"simulate own.py --backend {backend} --out {backend}.nc")
    in_time, settled = (recording.load(here / f"{backend}.nc") for backend in ("brian2", "torch"))
    assert in_time.sizes == settled.sizes
    for name in in_time.coords:
        xr.testing.assert_equal(in_time[name], settled[name])
    first = "weight:V1->IT"
    np.testing.assert_array_equal(in_time[first][0], settled[first][0])


REFUSED = {
    "no equilibrium": ("own.py:film --out a.nc --backend torch", "every_ms=2 needs time within a phase"),
    "off the step": ("own.py:odd --out a.nc", "every_ms must be a multiple of dt_ms=1"),
    "no such protocol": ("nope --out a.nc", "unknown protocol 'nope'"),
    "no such file": ("nope.py --out a.nc", "nope.py"),
    "of another kind": (
        "papers/gait_2020_tower --out a.nc",
        "papers/gait_2020_tower is run by: cortex-sim train --config papers/gait_2020_tower",
    ),
    "no such backend": ("own.py --backend brian --out a.nc", "unknown backend 'brian'"),
    "no such arm": ("own.py --arm uncut --out a.nc", "unknown arm 'uncut'"),
    "no such projection": ("own.py:unknown --out a.nc", "IT->V2"),
    "no experiment": ("own.py:nothing --out a.nc", "cs.Experiment"),
    "no out": ("own.py", "--out"),
    "taken": ("own.py --out own.py", "own.py: already exists"),
    "nowhere": ("own.py --out nowhere/a.nc", "no folder nowhere"),
    "nothing to resume": ("own.py --out a.nc --resume", "a.nc: nothing to resume"),
    "not its recording": ("own.py --out own.py --resume", "recording own.py: cannot be read"),
    "negative seed": ("own.py --out a.nc --seed -1", "--seed"),
}


@pytest.mark.parametrize("line, said", REFUSED.values(), ids=REFUSED)
def test_bad_input_is_one_line_and_status_2(line, said, run, here):
    status, out, err = run(f"simulate {line}")
    assert (status, out) == (2, ""), err
    assert err.startswith("cortex-sim: ") and err.count("\n") == 1 and said in err
    assert [p.name for p in here.iterdir() if p.name != "__pycache__"] == ["own.py"]


def test_resume_with_another_seed(run, here):
    assert run("simulate own.py --out a.nc")[0] == 0
    status, _, err = run("simulate own.py --out a.nc --resume --seed 1")
    assert status == 2 and "was made with seed 0, and 1 is requested" in err


# -- in a process of its own ------------------------------------------------------------------------

# The program, with a chunk after every trial, ended in the middle of its fourth.
ENDED = """
import os, signal, sys
from cortex_sim.cli import main
from cortex_sim.recording import recorder
from cortex_sim.runs import files

recorder.CHUNK_SECONDS = -1.0
save, count = files.save_file, 0

def ended(arrays, path, labels):
    global count
    count += "rows" in path.name
    if count == 9 and signal.SIGNAL == signal.SIGKILL:
        path.write_bytes(b"half")
    if count == 9:
        os.kill(os.getpid(), signal.SIGNAL)
    save(arrays, path, labels)

files.save_file = ended
sys.exit(main(sys.argv[1:]))
"""


def in_its_own_process(here, program, line):
    place = {**os.environ, "PYTHONPATH": str(Path(cortex_sim.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *program, "simulate", *line.split()]
    return subprocess.run(command, cwd=here, env=place, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "name, status",
    [("SIGKILL", -signal.SIGKILL), pytest.param("SIGINT", 130, marks=pytest.mark.slow)],
)
def test_ended_in_the_middle_of_a_write(name, status, run, here):
    done = in_its_own_process(here, ["-c", ENDED.replace("SIGNAL", name)], "own.py --out a.nc")
    assert done.returncode == status, done.stderr
    if name == "SIGINT":
        assert done.stderr.endswith("cortex-sim: interrupted; continue with --resume\n")
    assert not (here / "a.nc").exists() and (here / "a.nc.parts").is_dir()
    status, out, err = run("simulate own.py --out a.nc --resume --json")
    assert (status, err) == (0, "")
    assert json.loads(out.splitlines()[-1])["dims"]["presentation"] == 12
    assert run("simulate own.py --out whole.nc")[0] == 0
    assert (here / "a.nc").read_bytes() == (here / "whole.nc").read_bytes()
    assert not (here / "a.nc.parts").exists()


@pytest.mark.slow
def test_brian2_does_not_wait_for_torch(here):
    program = """
import sys
from cortex_sim.cli import main

sys.exit(main(sys.argv[1:]) or "torch" in sys.modules)
"""
    done = in_its_own_process(here, ["-c", program], "own.py --out a.nc --backend brian2")
    assert (done.returncode, done.stderr) == (0, "")
