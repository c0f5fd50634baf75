"""Stimuli presented in time settle to the equilibrium of the same state; their course obeys the equation."""

import numpy as np
import pytest

import cortex_sim as cs
from cortex_sim import recording
from cortex_sim.data import StimulusSet
from cortex_sim.errors import CortexSimError, DataError
from cortex_sim.recording import select
from cortex_sim.responding import InTime, candidate, respond_to

X = np.random.default_rng(0).normal(size=(5, 3, 6, 6)).astype(np.float32)
SHOWN = StimulusSet(X, list("abcde"), descriptors={"deg": 30 * np.arange(5)})


def test_settled_rates_are_those_of_the_equilibrium(run, tmp_path):
    at_rest = respond_to(run, SHOWN)
    whole = respond_to(run, SHOWN, in_time=InTime(400))
    asked = {"in_time": InTime(400), "batch": 2, "populations": ["IT", "V1"], "variables": ["drive"]}
    with respond_to(run, SHOWN, out=tmp_path / "r.nc", **asked) as written:
        for name in ("rate", "drive"):
            np.testing.assert_allclose(whole[name], at_rest[name], atol=1e-5)
            some = select(whole, population=["V1", "IT"])[name]
            np.testing.assert_allclose(written[name], some, atol=1e-6)
            assert written[name].attrs == whole[name].attrs == at_rest[name].attrs
        assert set(written.coords) == set(whole.coords) == set(at_rest.coords)
        assert written.stimulus_id.values.tolist() == list("abcde") and written.deg.values[2] == 60
        assert dict.fromkeys(written.population.values.tolist()) == {"V1": None, "IT": None}
        shared = {"stimuli", "model", "network", "stimuli_mean", "seed"}
        assert shared <= set(written.attrs) and written.attrs["backend"] == "brian2"
        assert written.attrs["present_ms"] == 400 and "every_ms" not in written.attrs


def test_time_bins_follow_the_equation_of_the_first_population(run):
    """τ da/dt = −a + W r + b from rest, by the explicit Euler steps of 1 ms, value at the end of each bin."""
    rec = respond_to(run, SHOWN, in_time=InTime(60, every_ms=20), populations=["V1"])
    settled = select(respond_to(run, SHOWN), population="V1").drive.values
    tau = candidate(run).net.populations["V1"].tau_ms
    assert rec.rate.dims == ("presentation", "neuroid", "time_bin") and rec.sizes["time_bin"] == 3
    assert rec.time_bin_end.values.tolist() == [20, 40, 60] and rec.time_bin_end.attrs["units"] == "ms"
    assert set(rec.phase.values) == {"present"} and rec.attrs["every_ms"] == 20
    for k, end in enumerate((20, 40, 60)):
        grown = settled * (1 - (1 - 1 / tau) ** end)
        np.testing.assert_allclose(rec.drive.values[:, :, k], grown, atol=1e-5)


def test_a_file_of_time_bins_is_a_recording(run, tmp_path):
    how = {"in_time": InTime(10, every_ms=5), "variables": ["rate"]}
    respond_to(run, SHOWN, out=tmp_path / "r.nc", batch=3, **how).close()
    kept, made = recording.load(tmp_path / "r.nc"), respond_to(run, SHOWN, **how)
    np.testing.assert_allclose(kept.rate, made.rate, atol=1e-6)
    for name in made.coords:
        np.testing.assert_array_equal(kept[name].values.astype(made[name].dtype), made[name].values)


def test_an_untrained_network_runs_in_time_too():
    images = cs.data.load("digits").part("test")[:3]
    how = {"seed": 2, "like": "digits", "populations": ["IT"]}
    at_rest, in_time = (respond_to("digits_mlp", images, in_time=t, **how) for t in (None, InTime(400)))
    np.testing.assert_allclose(in_time.rate, at_rest.rate, atol=1e-5)


REFUSED = {
    "credit": ({"variables": ["credit"]}, "a stimulus alone causes no credit; .*--backend torch"),
    "variable": ({"variables": ["rates"]}, "did you mean 'rate'"),
    "population": ({"populations": ["V9"]}, "V9.*known: IT, V1, V2, retina"),
    "no population": ({"populations": []}, "name at least one population of retina, V1, V2, IT"),
    "odd time": ({"in_time": InTime(10.5)}, "10.5"),
    "long bins": ({"in_time": InTime(10, every_ms=20)}, "longer than a trial"),
    "odd bins": ({"in_time": InTime(10, every_ms=2.5)}, "every_ms"),
    "batch": ({"batch": 0}, "batch must be at least 1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_before_anything_is_presented(case, run, tmp_path):
    given, message = REFUSED[case]
    with pytest.raises(CortexSimError, match=message):
        respond_to(run, SHOWN, **{"in_time": InTime(10), "out": tmp_path / "r.nc", **given})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "wrong", [{"present_ms": 0}, {"present_ms": "long"}, {"present_ms": 5, "every_ms": -1}]
)
def test_durations_are_checked_at_once(wrong):
    with pytest.raises(CortexSimError, match="must be a"):
        InTime(**wrong)


def test_stimuli_with_a_preprocessing_are_refused(run, images):
    with pytest.raises(DataError, match="have been given a preprocessing already"):
        respond_to(run, SHOWN.shown_through(images.preprocessing()))
