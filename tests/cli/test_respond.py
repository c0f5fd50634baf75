"""``respond`` beyond a run's own data: untrained models, in time, a field of view, and what it refuses."""

import shutil
from collections import namedtuple

import numpy as np
import pytest
from PIL import Image

import cortex_sim as cs
from cortex_sim import recording
from cortex_sim.recording import select

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def pictures(here):
    """A folder of landscapes, 8 high and 20 wide; the model of the tests takes 4 x 5."""
    rng = np.random.default_rng(1)
    for number in range(3):
        (here / "shown" / "far").mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(rng.integers(0, 256, (8, 20), dtype=np.uint8))
        picture.save(here / "shown" / "far" / f"{number}.png")
    return here / "shown"


def test_an_untrained_model_like_a_run_and_like_its_data(result, here, arrays):
    result("respond net.py:small --seed 0 --like done --data ok.npz --out a.nc")
    result("respond net.py:small --like ok.npz --data ok.npz --out b.nc")
    result("respond net.py:small --seed 1 --like done --data ok.npz --out c.nc")
    a, b, c = (recording.load(here / f"{name}.nc") for name in "abc")
    np.testing.assert_array_equal(a.rate, b.rate)
    assert a.attrs["preprocessing_like"] == "done" and b.attrs["preprocessing_like"] == "ok"
    assert a.attrs["updates"] == 0 and (a.attrs["seed"], c.attrs["seed"]) == (0, 1)
    assert abs(a.rate - c.rate).max() > 0.1
    x = arrays["x_test"].reshape(17, 20)
    mean, sd = arrays["x_train"].mean(dtype=float), arrays["x_train"].std(dtype=float)
    np.testing.assert_allclose(select(a, population="retina").rate, (x - mean) / sd, atol=1e-5)


def test_a_shipped_model_by_name_with_a_rule(result, here):
    np.save(here / "x.npy", np.random.default_rng(0).normal(size=(3, 64)))
    asked = "respond digits_mlp --rule feedback_alignment --like none --stimuli x.npy --population IT"
    said = result(f"{asked} --variable rate --out a.nc")
    assert said["dims"] == {"presentation": 3, "neuroid": 10} and said["populations"] == ["IT"]
    kept = recording.load(here / "a.nc")
    assert kept.attrs["rule"] == "feedback_alignment" and kept.attrs["preprocessing_like"] == "none"
    built = cs.torch.build(cs.model("digits_mlp").with_rule("feedback_alignment"), 0)
    expected = select(built.respond(np.load(here / "x.npy")), population="IT").rate
    np.testing.assert_allclose(kept.rate, expected, atol=1e-6)


def test_in_time_settles_where_the_equilibrium_is(result, here):
    result("respond done --count 4 --out a.nc")
    said = result("respond done --count 4 --backend brian2 --present-ms 500 --batch-size 3 --out b.nc")
    assert said["dims"] == {"presentation": 4, "neuroid": 90}
    a, b = (recording.load(here / f"{name}.nc") for name in "ab")
    np.testing.assert_allclose(b.rate, a.rate, atol=1e-4)
    asked = "respond done --count 4 --backend brian2 --present-ms 40 --every-ms 10 --population IT"
    said = result(f"{asked} --variable rate --out c.nc")
    assert said["dims"] == {"presentation": 4, "neuroid": 3, "time_bin": 4}
    assert recording.load(here / "c.nc").time_bin_start.values.tolist() == [0, 10, 20, 30]


def test_a_saved_simulation_responds(result, here):
    simulation = cs.brian2.build(cs.model("digits_mlp"), seed=4)
    cs.save(simulation, here / "sim.safetensors")
    result("respond sim.safetensors --like digits --data digits --count 3 --out a.nc")
    kept = recording.load(here / "a.nc")
    images = cs.data.load("digits").standardised()
    expected = cs.torch.build(cs.model("digits_mlp"), 4).respond(images.x_test[:3])
    np.testing.assert_allclose(kept.rate, expected.rate, atol=1e-6)


def test_a_protocol_is_simulated_first(result, refused, here):
    np.save(here / "x.npy", np.random.default_rng(0).normal(size=(3, 15)))
    asked = "respond bcm_selectivity --stimuli x.npy --population V1"
    refused(f"{asked} --arm Oja --like none --out a.nc", "unknown arm 'Oja'", "BCM, Hebb")
    refused(f"{asked} --like none --out a.nc", "bcm_selectivity: no such file", "protocol, add --arm")


def test_pictures_are_cut_and_placed_by_their_visual_angle(result, refused, here, pictures):
    asked = "respond done --stimuli shown --variable rate --population retina"
    refused(f"{asked} --out a.nc", "8 x 20", "would be distorted", "--crop centre")
    result(f"{asked} --crop centre --out a.nc")
    result(f"{asked} --crop centre --degrees 4 --model-degrees 8 --out b.nc")
    a, b = (recording.load(here / f"{name}.nc") for name in "ab")
    assert a.stimulus_id.values.tolist() == [f"far/{i}.png" for i in range(3)]
    assert a.attrs["stimuli_changed"].startswith("cut to the central 8 x 10 of 8 x 20")
    assert "stimuli_degrees" not in a.attrs
    assert (b.attrs["stimuli_degrees"], b.attrs["model_degrees"]) == (4, 8)
    shown = cs.load(here / "done").preprocessing
    for kept, box in ((a, (5, 0, 15, 8)), (b, None)):
        for number, values in enumerate(kept.rate.values):
            image = Image.open(pictures / "far" / f"{number}.png")
            if box is None:
                screen = Image.new("L", (20, 16), 128)
                screen.paste(image, (0, 4))
            else:
                screen = image.crop(box)
            x = np.asarray(screen.resize((5, 4), Image.Resampling.BICUBIC), np.float32) / 255
            np.testing.assert_allclose(values, shown.apply(x[None, None]).ravel(), atol=1e-5)


def test_too_little_disk_is_refused_before_anything_is_written(refused, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(10**9, 10**9, 1000))
    refused(
        "respond done --out new.nc", "new.nc: needs ", " kB of disk, but only 1 kB is free", "--population"
    )
    refused(
        "respond done --backend brian2 --present-ms 5 --out new.nc",
        "of disk, but only 1 kB is free",
        "--count",
    )


REFUSED = {
    "data and stimuli": ("done --data ok.npz --stimuli x.npy", "--data", "--stimuli", "not both"),
    "no folder": ("done --stimuli nowhere", "stimuli nowhere: no such file or folder"),
    "empty folder": ("done --stimuli empty", "holds no pictures"),
    "size": ("done --stimuli wide.npy", "9 x 4", "population retina with 4 x 5"),
    "values": ("done --stimuli flat.npy", "(7,)", "population retina expects (1, 4, 5)"),
    "population": ("done --population V9", "unknown population 'V9'", "known: IT, V1, V2, retina"),
    "variable": ("done --variable rates", "did you mean 'rate'", "known: credit, drive, rate"),
    "credit": ("done --stimuli fits.npy --credit", "credit needs labels"),
    "crop": ("done --stimuli wide.npy --crop left", "crop must be"),
    "angle": ("done --stimuli wide.npy --crop centre --degrees -4", "degrees must be a visual angle"),
    "no data": ("net.py:small --like done", "no data of its own; give --data or --stimuli"),
    "no like": ("net.py:small --data ok.npz", "untrained, so it has no preprocessing", "--like none"),
    "like nothing": ("net.py:small --data ok.npz --like nope.npz", "like nope.npz", "no such file"),
    "like a shape": ("conv4 --stimuli fits.npy --like done", "(1, 4, 5)", "retina takes (3, 32, 32)"),
    "like other data": ("conv4 --stimuli fits.npy --like digits", "like digits", "retina expects 3072"),
    "like of a run": ("done --like ok.npz", "has its own preprocessing", "leave out --like"),
    "seed of a run": ("done --seed 1", "has its own weights", "leave out --seed"),
    "rule of a run": ("done --rule backprop", "has its own weights", "leave out --rule"),
    "unknown model": ("conv5 --like done", "conv5: no such file", "did you mean 'conv4'"),
    "file alone": ("net.py --like done", "name the function that makes the network"),
    "backend": ("done --backend numpy", "unknown --backend 'numpy'", "known: brian2, torch"),
    "no duration": ("done --backend brian2", "give --present-ms"),
    "duration": ("done --present-ms 5", "--present-ms 5: torch settles at once"),
    "bins": ("done --every-ms 5", "--every-ms 5: torch settles at once"),
    "no time": ("done --backend brian2 --present-ms 0", "present_ms must be a positive number"),
    "odd time": ("done --backend brian2 --present-ms 2.5", "2.5"),
    "credit in time": ("done --backend brian2 --present-ms 5 --credit", "causes no credit"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_in_one_line(case, refused, here):
    (here / "empty").mkdir()
    for name, shape in {"x": (2, 4, 5), "fits": (2, 4, 5), "wide": (2, 9, 4), "flat": (2, 7)}.items():
        np.save(here / f"{name}.npy", np.zeros(shape))
    line, *said = REFUSED[case]
    refused(f"respond {line} --out new.nc", *said)


def test_a_recording_is_not_a_model(result, refused):
    result("respond done --count 2 --out kept.nc")
    refused("respond kept.nc --out new.nc", "kept.nc: is a recording, so its responses are there already")
