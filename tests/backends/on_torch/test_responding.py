"""Respond shows whatever hands out presentations, and writes what is asked for, in bounded memory."""

import subprocess
import sys

import numpy as np
import pytest

import cortex_sim as cs
from cortex_sim import recording
from cortex_sim.data import StimulusSet

RNG = np.random.default_rng(0)


@pytest.fixture
def model():
    net = cs.Network("small")
    net.population("retina", shape=(1, 4, 4))
    net.population("V1", 7, activation="leaky_relu")
    net.population("IT", 3)
    net.bottom_up("retina", "V1", plasticity="backprop")
    up = net.bottom_up("V1", "IT", plasticity="backprop")
    net.top_down("IT", "V1", feedback=cs.Transpose(of=up))
    net.objective("IT", "cross_entropy")
    return cs.torch.build(net, seed=1)


@pytest.fixture
def stimuli():
    x = RNG.normal(size=(11, 1, 4, 4)).astype(np.float32)
    return StimulusSet(x, [f"s{i}" for i in range(11)], np.arange(11) % 3, {"angle": np.arange(11.0)})


def test_a_file_holds_what_memory_holds(model, stimuli, tmp_path):
    asked = {"populations": ["IT", "retina"], "variables": ["rate", "credit"]}
    kept = model.respond(stimuli, **asked)
    with model.respond(stimuli, **asked, batch=4, out=tmp_path / "r.nc") as opened:
        assert opened.rate.dtype == np.float32
        assert set(opened.data_vars) == {"rate", "credit"} and opened.attrs == kept.attrs
        for name in kept.coords:
            np.testing.assert_array_equal(opened[name].values.astype(kept[name].dtype), kept[name].values)
        for name in kept.data_vars:
            np.testing.assert_allclose(opened[name], kept[name], atol=1e-6)
            assert opened[name].attrs == kept[name].attrs
    assert dict.fromkeys(kept.population.values.tolist()) == {"retina": None, "IT": None}
    assert kept.stimulus_id.values.tolist() == list(stimuli.ids) and kept.angle.values[3] == 3
    whole = recording.select(model.respond(stimuli.x), population="IT")
    np.testing.assert_allclose(recording.select(kept, population="IT").rate, whole.rate, atol=1e-6)


def test_a_source_of_ones_own_is_asked_by_the_batch(model, stimuli):
    asked = []

    class Lazy:
        def __len__(self):
            return 11

        def batch(self, indices, epoch=0):
            asked.append(len(indices))
            return stimuli.batch(indices)

    recorded = model.respond(Lazy(), batch=4, ids=list("abcdefghijk"))
    assert asked == [4, 4, 3] and recorded.stimulus_id.values[10] == "k"
    np.testing.assert_allclose(recorded.rate, model.respond(stimuli).rate, atol=1e-6)


def test_an_image_set_shows_its_test_part(model):
    digits = cs.data.image_set(
        "few", RNG.normal(size=(9, 4, 4)), [0] * 9, RNG.normal(size=(5, 4, 4)), [0] * 5
    )
    np.testing.assert_array_equal(model.respond(digits).rate, model.respond(digits.x_test).rate)


def test_stimuli_are_fitted_and_the_recording_says_so(model):
    large = StimulusSet(RNG.integers(0, 256, (2, 8, 8), dtype=np.uint8))
    told = model.respond(large).attrs
    assert told["stimuli_changed"] == "resized from 8 x 8 to 4 x 4 (bicubic, antialiased)"


def test_what_is_asked_wrongly_is_refused_and_leaves_nothing(model, stimuli, tmp_path):
    out = tmp_path / "r.nc"
    for asked, message in [
        ({"populations": ["V9"]}, "V9"),
        ({"variables": ["rates"]}, "did you mean 'rate'"),
        ({"ids": ["a"]}, "1 ids for 11 presentations"),
        ({"batch": 0}, "batch must be at least 1"),
        ({"populations": []}, "at least one population"),
    ]:
        with pytest.raises(cs.DataError, match=message):
            model.respond(stimuli, out=out, **asked)
    with pytest.raises(cs.DataError, match="credit needs labels"):
        model.respond(stimuli.x, variables=["credit"], out=out)
    assert not list(tmp_path.iterdir())
    out.write_text("mine")
    with pytest.raises(cs.RunError, match="already exists"):
        model.respond(stimuli, out=out)


def test_rates_that_are_not_finite_are_named_not_recorded(model, stimuli, tmp_path):
    model.set_weights({"retina->V1": np.full((7, 16), np.float32(3e38))})
    with pytest.raises(cs.RunError, match="population V1: its rate is not finite at presentation 0"):
        model.respond(stimuli, variables=["rate"], out=tmp_path / "r.nc")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_two_populations_of_2000_images_within_a_gibibyte(tmp_path):
    code = """
import resource, sys
import numpy as np, cortex_sim as cs
x = np.random.default_rng(0).integers(0, 256, (2000, 3, 32, 32), dtype=np.uint8)
model = cs.torch.build(cs.model("conv4"))
model.respond(cs.data.StimulusSet(x), populations=["V1", "V2"], variables=["rate"], out=sys.argv[1]).close()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    asked = [sys.executable, "-c", code, tmp_path / "r.nc"]
    ended = subprocess.run(asked, capture_output=True, text=True, check=True)
    assert int(ended.stdout) < 2**20  # in KiB
    with recording.open_lazily(tmp_path / "r.nc") as opened:
        assert dict(opened.sizes) == {"presentation": 2000, "neuroid": 32768 + 16384}
