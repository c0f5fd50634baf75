"""Runs on pictures from disk and with augmentation: alike with any workers, ranks and interruptions."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from painted_pictures import painted
from safetensors import safe_open

import cortex_sim as cs
from cortex_sim import data
from cortex_sim.cli import main
from cortex_sim.errors import CortexSimError, DataError, RunError
from cortex_sim.training.presented import Presented
from cortex_sim.training.run import train
from cortex_sim.training.settings import network, resolve

MODEL = """
import cortex_sim as cs


def small():
    net = cs.Network("small")
    net.population("retina", shape=(3, 10, 8))
    net.population("V1", shape=(4, 5, 4), activation="leaky_relu")
    net.population("IT", 3)
    net.bottom_up("retina", "V1", cs.Conv2d(kernel=2, stride=2), plasticity="backprop")
    net.bottom_up("V1", "IT", plasticity="backprop")
    net.top_down("IT", "V1", feedback=cs.Transpose(of="V1->IT"))
    net.objective("IT", "cross_entropy")
    return net
"""
AUGMENTATION = [{"name": "random_resized_crop", "scale": [0.3, 1.0]}, "flip"]
ROOT = Path(cs.__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A model, a folder of 42 pictures to train on, one of them damaged, and its shards."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "net.py").write_text(MODEL, encoding="utf-8")
    painted(folder / "set", [("train", 14), ("val", 4)])
    (folder / "set/train/a-b/p.4.PNG").write_bytes(b"junk")
    assert main(["shard", f"{folder}/set", "--out", f"{folder}/shards", "--shard-size", "9"]) == 0
    return folder


@pytest.fixture
def settings(place, no_figure):
    def make(data="set", **given):
        flags = {"data": str(place / data), "batch_size": 8, "epochs": 2, "checkpoint_every": 2}
        return resolve(f"{place / 'net.py'}:small", flags=flags | {"augmentation": AUGMENTATION} | given)

    return make


def test_names_and_classes_of_pictures_are_what_a_resumed_run_requires(place, settings, tmp_path):
    def digest():
        own = replace(settings(), data=str(tmp_path / "set"))
        return Presented(own, network(own)).digest()

    shutil.copytree(place / "set", tmp_path / "set")
    first = digest()
    classes = sorted(path for path in (tmp_path / "set/train").iterdir() if path.is_dir())
    moved = next(classes[0].glob("*0*"))
    moved.rename(classes[1] / f"other{moved.suffix}")
    assert digest() != first
    (classes[1] / f"other{moved.suffix}").rename(moved)
    assert digest() == first


@pytest.fixture(scope="module")
def whole(place, tmp_path_factory):
    """The run that nothing interrupts, without workers."""
    out = tmp_path_factory.mktemp("whole") / "run"
    command = [f"{place}/net.py:small", "--data", f"{place}/set", "--out", str(out), *COMMON]
    assert main(["train", *command]) == 0
    return out


COMMON = ["--batch-size", "8", "--epochs", "2", "--checkpoint-every", "2", "--set"]
COMMON += [f"augmentation={json.dumps(AUGMENTATION)}"]


def tensors(out):
    with safe_open(out / "checkpoint.safetensors", framework="np") as opened:
        return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118


def assert_same(one, other, assert_same_end):
    assert_same_end(one, other)
    warned = json.loads((one / "metrics.json").read_text())["warnings"]
    assert any("1 picture could not be read" in w and "train/a-b/p.4.PNG" in w for w in warned)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_do_not_change_a_run(workers, settings, whole, tmp_path, assert_same_end):
    train(settings(workers=workers), tmp_path / "run")
    assert_same(tmp_path / "run", whole, assert_same_end)


def test_shards_do_not_change_a_run(settings, whole, tmp_path):
    train(settings("shards", workers=1), tmp_path / "run")
    ours, theirs = tensors(tmp_path / "run"), tensors(whole)
    for name, values in ours.items():
        np.testing.assert_array_equal(values, theirs[name])


def test_a_folder_with_val_is_validated_on(whole):
    found = json.loads((whole / "metrics.json").read_text())
    assert found["test_accuracy"] is None and 0 <= found["validation_accuracy"] <= 1
    assert found["steps"] == 12


@pytest.mark.parametrize("then", [0, 2])
def test_killed_in_mid_epoch_with_workers(then, settings, whole, tmp_path, kill_during, assert_same_end):
    """Killed in the fifth update of the first epoch, resumed with another number of workers."""
    from cortex_sim.backends.torch.training import Trainer

    update = Trainer.update

    def deadly(trainer, index):
        if trainer.step == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        update(trainer, index)

    def patch():
        Trainer.update = deadly

    out = tmp_path / "run"
    kill_during(settings(workers=1), out, patch)
    assert not (out / "metrics.json").exists()
    train(settings(workers=then), out, resume=True)
    assert_same(out, whole, assert_same_end)


def environment(**more):
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", **more}


def ranks_of(count):
    """Environments as torchrun makes them."""
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        port = str(opened.getsockname()[1])
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "GLOO_SOCKET_IFNAME": "lo"}
    return [
        environment(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(count), **where)
        for rank in range(count)
    ]


def started(arguments, ranks=1):
    command = [sys.executable, "-m", "cortex_sim", "train", *arguments]
    places = ranks_of(ranks) if ranks > 1 else [environment()]
    return [
        subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for env in places
    ]


def finished(processes):
    said = [process.communicate(timeout=300)[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), said


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["64"])
def test_two_ranks_present_what_one_does(precision, place, tmp_path):
    """Batches of 8 in float64: on one rank, on two, and begun on two and ended on one."""
    command = [f"{place}/net.py:small", "--data", f"{place}/set", *COMMON, "--set", "workers=1"]
    command += ["--precision", precision]
    finished(started([*command, "--out", str(tmp_path / "one")]))
    finished(started([*command, "--out", str(tmp_path / "two")], ranks=2))
    both = started([*command, "--out", str(tmp_path / "mixed")], ranks=2)
    log = tmp_path / "mixed/checkpoint.safetensors"
    while not (log.exists() and steps_in(log) >= 2):
        assert all(process.poll() is None for process in both)
        time.sleep(0.01)
    for process in both:
        process.kill()
        process.communicate()
    finished(started(["--resume", "--out", str(tmp_path / "mixed")]))
    one = tensors(tmp_path / "one")
    for other in ("two", "mixed"):
        for name, values in tensors(tmp_path / other).items():
            np.testing.assert_allclose(values, one[name], rtol=0, atol=1e-10, err_msg=f"{other} {name}")
    warned = json.loads((tmp_path / "two/metrics.json").read_text())["warnings"]
    assert any("train/a-b/p.4.PNG" in said for said in warned)


def steps_in(checkpoint):
    with safe_open(checkpoint, framework="np") as opened:
        return json.loads(opened.metadata()["cortex_sim"])["step"]


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_twenty_random_kills(part, place, tmp_path, assert_same_end):
    """Five at a time, in one run each, at random moments and with 0 to 2 workers."""
    chance = random.Random(part)
    command = [f"{place}/net.py:small", "--data", f"{place}/set", *COMMON, "--epochs", "30"]
    out = tmp_path / "run"
    finished(started([*command, "--out", str(tmp_path / "whole")]))
    again = [*command, "--out", str(out)]
    kills = 0
    while kills < 5:
        (process,) = started([*again, "--set", f"workers={chance.randrange(3)}"])
        before = steps_in(out / "checkpoint.safetensors") if kills else -1
        deadline = time.monotonic() + 120
        while (
            not (out / "checkpoint.safetensors").exists()
            or steps_in(out / "checkpoint.safetensors") == before
        ):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.3))
        assert process.poll() is None, "ended before it could be killed"
        process.kill()
        process.communicate()
        kills += 1
        again = ["--resume", "--out", str(out)]
    finished(started([*again, "--set", "workers=1"]))
    assert_same(out, tmp_path / "whole", assert_same_end)


def test_augmentation_in_memory(work, no_figure, tmp_path, assert_same_end):
    """Crops and flips of an image set, before its preprocessing; a network with a flat source."""
    rng = np.random.default_rng(0)
    arrays = {f"x_{part}": rng.integers(0, 256, (n, 6, 6), dtype=np.uint8) for part, n in PARTS}
    np.savez(tmp_path / "six.npz", **arrays, **{f"y_{part}": np.arange(n) % 3 for part, n in PARTS})
    (tmp_path / "net.py").write_text(
        "import cortex_sim as cs\n\n\ndef flat():\n    net = cs.Network('flat')\n"
        "    net.population('retina', 36)\n    net.population('IT', 3)\n"
        "    net.bottom_up('retina', 'IT', plasticity='backprop')\n"
        "    net.objective('IT', 'cross_entropy')\n    return net\n"
    )
    flags = {"data": str(tmp_path / "six.npz"), "batch_size": 7, "epochs": 2}
    words = ["augmentation=[{name: random_crop, padding: 1}, flip]"]

    def run(name, **given):
        made = resolve(f"{tmp_path / 'net.py'}:flat", assignments=words, flags=flags | given)
        train(made, tmp_path / name)
        return tensors(tmp_path / name)

    run("one")
    run("other", workers=2)
    assert_same_end(tmp_path / "one", tmp_path / "other")
    words = []
    plain = run("plain")
    assert any((plain[name] != values).any() for name, values in tensors(tmp_path / "one").items())


PARTS = (("train", 20), ("test", 6))


def test_normalise_becomes_the_preprocessing(settings, tmp_path):
    declared = [*AUGMENTATION, {"name": "normalise", "mean": [0.5, 0.4, 0.3], "sd": 0.2}]
    train(settings(augmentation=declared, epochs=1), tmp_path / "run")
    kept = cs.load(tmp_path / "run").preprocessing
    assert kept == cs.Normalise((0.5, 0.4, 0.3), (0.2,)).preprocessing((3, 10, 8))
    other = settings(augmentation=["normalise"], start=str(tmp_path / "run"))
    with pytest.raises(RunError, match="which is kept; leave normalise out"):
        train(other, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_evaluate_and_respond_read_from_disk(whole, place, capsys, caplog):
    assert main(["evaluate", str(whole), "--split", "validation", "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    kept = json.loads((whole / "metrics.json").read_text())
    assert found["presentations"] == 12 and found["accuracy"] == kept["validation_accuracy"]
    np.testing.assert_allclose(found["loss"], kept["validation_loss"], rtol=1e-6)
    assert main(["evaluate", str(whole), "--split", "train"]) == 0  # the damaged picture is replaced
    assert "train/a-b/p.4.PNG cannot be read" in caplog.text
    assert main(["evaluate", str(whole)]) == 2
    assert "has no part 'test', but train, validation" in capsys.readouterr().err


def test_fit_with_workers(place):
    net = cs.Network("flat")
    net.population("retina", shape=(3, 10, 8))
    net.population("IT", 3)
    net.bottom_up("retina", "IT", plasticity="backprop")
    net.objective("IT", "cross_entropy")
    images = data.streamed_set(place / "set").fit_to((3, 10, 8))
    curves = [
        cs.torch.build(net, seed=0).fit(images.shown("train"), epochs=2, batch_size=8, workers=workers)
        for workers in (0, 2)
    ]
    assert curves[0] == curves[1]


@pytest.mark.parametrize(
    "given, said",
    [
        ({"augmentation": ["flop"]}, "setting augmentation: unknown augmentation 'flop'"),
        ({"augmentation": [{"name": "random_resized_crop", "size": 5}]}, "after augmentation pictures have"),
        ({"view": ["flip", "centre_crop"]}, "without random numbers"),
        ({"augmentation": ["normalise", "flip"]}, "put it last, once"),
        ({"batch_size": 10**12, "workers": 10**6, "epochs": 1}, "of shared memory in"),
    ],
)
def test_wrong_settings_are_refused(given, said, settings, tmp_path):
    if "batch_size" in given and not os.path.isdir("/dev/shm"):
        pytest.skip("no shared memory to fill")
    with pytest.raises(CortexSimError) as refused:
        train(settings(**given), tmp_path / "run")
    assert said in str(refused.value)


def test_settings_of_the_wrong_kind(settings):
    with pytest.raises(RunError, match="setting workers must be at least 0"):
        settings(workers=-1)
    with pytest.raises(RunError, match="setting augmentation must be a list"):
        settings(augmentation="flip")


def test_a_view_is_for_pictures_on_disk(settings, tmp_path):
    images = {f"x_{part}": np.zeros((n, 3, 10, 8), np.uint8) for part, n in PARTS}
    np.savez(tmp_path / "x.npz", **images, **{f"y_{part}": np.arange(n) % 3 for part, n in PARTS})
    with pytest.raises((RunError, DataError), match="setting view: .* is held in memory"):
        train(settings(data=str(tmp_path / "x.npz"), view=["centre_crop"]), tmp_path / "run")


def test_early_stopping_with_a_validation_folder(settings, tmp_path):
    train(settings(early_stopping=1, epochs=3), tmp_path / "run")
    assert "stopped_early" in json.loads((tmp_path / "run/metrics.json").read_text())
