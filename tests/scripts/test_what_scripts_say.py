"""A script that fails or is interrupted ends with one sentence, and leaves no files of brian2 behind."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BANNER = "unexpected error"
START = """
    import cortex_sim as cs
    net = cs.model("digits_mlp", hidden=4)
    sim = cs.brian2.build(net)
"""


def started(script, folder, before=""):
    path = folder / "script.py"
    path.write_text(textwrap.dedent(before) + textwrap.dedent(START) + textwrap.dedent(script))
    (folder / "temporary").mkdir()
    places = {"TMPDIR": str(folder / "temporary"), "PYTHONPATH": str(ROOT), "MPLCONFIGDIR": str(folder)}
    return subprocess.Popen(
        [sys.executable, str(path)],
        env={**os.environ, **places},
        cwd=folder,
        text=True,
        stderr=subprocess.PIPE,
    )


def said(script, folder, before=""):
    process = started(script, folder, before)
    return process.communicate(timeout=60)[1]


def left_behind(folder):
    return sorted(path.name for path in (folder / "temporary").glob("brian_*"))


MISTAKES = {
    "refused": pytest.param(
        'sim.run(cs.Protocol(cs.Phase("show", 1.5)))',
        "RunError: phase show: duration_ms must be a multiple of dt_ms=1. Got 1.5",
    ),
    "misspelt": pytest.param(
        "sim.rnu()", "AttributeError: 'Simulation' object has no attribute 'rnu'", marks=pytest.mark.slow
    ),
}


@pytest.mark.parametrize("script, sentence", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_ends_with_its_sentence(script, sentence, tmp_path):
    shown = said(script, tmp_path)
    assert shown.strip().splitlines()[-1].endswith(sentence)
    assert BANNER not in shown
    assert left_behind(tmp_path) == []


@pytest.mark.slow
def test_an_error_within_brian2_keeps_its_announcement(tmp_path):
    shown = said('import brian2\nbrian2.NeuronGroup("one", "dx/dt = -x / second : 1")', tmp_path)
    assert BANNER in shown
    assert left_behind(tmp_path) == []


@pytest.mark.slow
def test_brian2_loaded_by_the_script_stays_as_it_is(tmp_path):
    shown = said("sim.rnu()", tmp_path, before="import brian2")
    assert BANNER in shown
    assert left_behind(tmp_path) != []


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["brian2", "torch"])
def test_interrupted_script_says_how_to_resume(backend, tmp_path):
    script = f"""
        print("ready", flush=True)
        show = cs.Phase("show", 1000, drive={{"retina": 0.5}})
        long = cs.Protocol(show, trials=20_000, batch=1)
        cs.{backend}.run(cs.Experiment(net, {{"long": long}}), out="long.nc")
    """
    process = started(script, tmp_path)
    until = time.monotonic() + 60
    while not (tmp_path / "long.nc.parts").is_dir() and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    shown = process.communicate(timeout=60)[1]
    last = shown.strip().splitlines()[-1]
    assert last.endswith("so far are kept. Run it again with resume=True (--resume) to continue")
    assert last.startswith("cortex-sim: long.nc: interrupted")
    assert "Traceback" not in shown
    assert left_behind(tmp_path) == []


FIT = """
    import numpy as np
    x, y = np.zeros((4000, 64)), np.zeros(4000, int)
    model = cs.torch.build(net)
    print("ready", flush=True)
    model.fit((x, y), epochs=100_000, progress=False)
"""


@pytest.mark.slow
def test_interrupted_training_says_what_is_kept_and_how_to_resume(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(
        "import cortex_sim as cs\nnet = cs.model('digits_mlp', hidden=4)\n" + textwrap.dedent(FIT)
    )
    process = subprocess.Popen(
        [sys.executable, str(path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout.readline() == "ready\n"
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    shown = process.communicate(timeout=60)[1]
    assert shown.strip().splitlines() == [
        "cortex-sim: network digits_mlp: fit interrupted; the model in memory has the updates made so far, "
        "and cs.save(model, FILE) keeps them. Runs of `cortex-sim train MODEL --data DATA --out DIR` can be "
        "resumed"
    ]
    assert process.returncode == 130


def test_a_notebook_can_catch_it_and_save(monkeypatch):
    import numpy as np

    import cortex_sim as cs
    from cortex_sim.backends.torch.training import Trainer

    model = cs.torch.build(cs.model("digits_mlp", hidden=4))
    step = Trainer.train_epoch

    def interrupted(trainer, *given):
        step(trainer, *given)
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(Trainer, "train_epoch", interrupted)
    with pytest.raises(KeyboardInterrupt, match="fit interrupted; the model in memory has the updates made"):
        model.fit((np.zeros((4, 64)), np.zeros(4, int)), progress=False)
    assert model.steps_done == 1 and model.state().origin["updates"] == 1
