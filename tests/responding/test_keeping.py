"""Kept responses are found again, and never those of other weights, stimuli or requests."""

import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import cortex_sim as cs
from cortex_sim import recording
from cortex_sim.data import StimulusSet
from cortex_sim.data.fitting import View
from cortex_sim.errors import RunError
from cortex_sim.responding import InTime, candidate, presenting, respond_to

X = np.random.default_rng(0).normal(size=(5, 3, 6, 6)).astype(np.float32)


@pytest.fixture
def presented(monkeypatch):
    """How often a network was presented with stimuli."""
    calls, present = [], presenting._present

    def counting(*given):
        calls.append(given)
        return present(*given)

    monkeypatch.setattr(presenting, "_present", counting)
    return calls


def test_the_second_call_reads_what_the_first_wrote(run, tmp_path, presented):
    shutil.copytree(run, tmp_path / "run")
    plain = respond_to(run, StimulusSet(X))
    for number in range(3):
        with respond_to(tmp_path / "run", StimulusSet(X.copy()), cache=True) as kept:
            np.testing.assert_allclose(kept.rate, plain.rate, atol=1e-6)
            assert len(presented) == 2, f"call {number} presented again"
    files = list((tmp_path / "run" / "responses").glob("*.nc"))
    assert len(files) == 1 and files[0].name.startswith("run-")
    assert files[0].stem.endswith(recording.load(files[0]).attrs["fingerprint"][:24])


def changed_weights(run, folder):
    state = cs.load(run)
    weights = {name: w.copy() for name, w in state.weights.items()}
    weights["V2->IT"][0, 0] += 1e-6
    replace(state, weights=weights).save(folder / "run.safetensors")


def changed_bias(run, folder):
    state = cs.load(run)
    replace(state, biases={n: b + (n == "V1") * 1e-6 for n, b in state.biases.items()}).save(
        folder / "run.safetensors"
    )


def changed_preprocessing(run, folder):
    state = cs.load(run)
    shown = replace(state.preprocessing, sd=(1.0,))
    replace(state, preprocessing=shown).save(folder / "run.safetensors")


def changed_pixel():
    x = X.copy()
    x[4, 2, 5, 5] = np.nextafter(x[4, 2, 5, 5], np.float32(9))
    return StimulusSet(x)


CHANGES = {
    "one weight": {"file": changed_weights},
    "one bias": {"file": changed_bias},
    "preprocessing": {"file": changed_preprocessing},
    "one pixel": {"stimuli": changed_pixel()},
    "order": {"stimuli": StimulusSet(X)[::-1]},
    "ids": {"stimuli": StimulusSet(X, ids=list("abcde"))},
    "descriptors": {"stimuli": StimulusSet(X, descriptors={"deg": np.arange(5)})},
    "populations": {"populations": ["IT"]},
    "variables": {"variables": ["rate"]},
    "angle": {"view": View(degrees=4)},
    "in time": {"in_time": InTime(5)},
    "time bins": {"in_time": InTime(5, every_ms=1)},
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_is_presented_again(change, run, tmp_path, presented):
    """And what did not change is still found afterwards."""
    plain = {"stimuli": StimulusSet(X), "cache": tmp_path / "kept"}
    cs.load(run).save(tmp_path / "run.safetensors")
    respond_to(tmp_path / "run.safetensors", **plain).close()
    change = dict(CHANGES[change])
    change.pop("file", lambda run, folder: None)(run, tmp_path)
    with respond_to(tmp_path / "run.safetensors", **{**plain, **change}) as kept:
        expected = respond_to(tmp_path / "run.safetensors", **{**plain, **change, "cache": False})
        np.testing.assert_allclose(kept.rate, expected.rate, atol=1e-6)
    assert len(presented) == 3
    respond_to(tmp_path / "run.safetensors", **{**plain, **change}).close()
    cs.load(run).save(tmp_path / "run.safetensors")
    respond_to(tmp_path / "run.safetensors", **plain).close()
    assert len(presented) == 3


def test_an_untrained_network_and_its_seeds_are_kept_apart(run, tmp_path, presented):
    shown = candidate(run)
    rates = []
    for one in (shown, shown.untrained(), shown.untrained(4), shown.untrained()):
        with respond_to(one, StimulusSet(X), cache=tmp_path) as kept:
            rates.append(kept.rate.values)
    assert len(presented) == 3
    np.testing.assert_array_equal(rates[1], rates[3])
    assert all(np.abs(a - b).max() > 1e-3 for a, b in [rates[:2], rates[1:3]])


def test_a_damaged_or_exchanged_file_is_made_again(run, tmp_path, presented):
    respond_to(run, StimulusSet(X), cache=tmp_path).close()
    (file,) = tmp_path.glob("*.nc")
    whole = recording.load(file)
    file.write_bytes(file.read_bytes()[:-200])
    respond_to(run, StimulusSet(X), cache=tmp_path).close()
    assert len(presented) == 2 and recording.load(file).identical(whole)
    recording.save(whole.assign_attrs(fingerprint="another"), file)
    respond_to(run, StimulusSet(X), cache=tmp_path).close()
    assert len(presented) == 3 and recording.load(file).identical(whole)


def test_an_interrupted_presentation_leaves_nothing(run, tmp_path):
    class Broken(StimulusSet):
        def batch(self, indices, epoch=0):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        respond_to(run, Broken(X), cache=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] in ([".lock"], [])


def test_files_that_stay_on_disk_are_read_as_they_are_now(run, tmp_path, presented, monkeypatch):
    from cortex_sim.data import pixels

    monkeypatch.setattr(pixels, "HELD_BYTES", 0)
    for level in (0, 1, 1):
        np.save(tmp_path / "x.npy", np.full((3, 3, 6, 6), level, np.uint8))
        respond_to(run, tmp_path / "x.npy", cache=tmp_path / "kept").close()
    assert len(presented) == 2


@pytest.mark.slow
def test_two_processes_make_one_recording(run, tmp_path):
    np.save(tmp_path / "x.npy", X)
    code = """
import sys
from cortex_sim.responding import presenting, respond_to
present = presenting._present
def counting(*given):
    print("presented")
    return present(*given)
presenting._present = counting
respond_to(sys.argv[1], sys.argv[2], cache=sys.argv[3]).close()
"""
    asked = [sys.executable, "-c", code, run, tmp_path / "x.npy", tmp_path / "kept"]
    both = [subprocess.Popen(asked, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted(said) == ["", "presented\n"] and len(list((tmp_path / "kept").glob("*.nc"))) == 1


def test_where_nothing_can_be_kept_is_said(run, tmp_path):
    cs.load(run).save(tmp_path / "alone.safetensors")
    with pytest.raises(RunError, match="alone: has no run directory to keep its responses in; give cache="):
        respond_to(tmp_path / "alone.safetensors", StimulusSet(X), cache=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="file: cannot be written"):
        respond_to(run, StimulusSet(X), cache=tmp_path / "file")
    with pytest.raises(RunError, match="out and cache name two places"):
        respond_to(run, StimulusSet(X), cache=tmp_path, out=tmp_path / "r.nc")
