"""Odd data: those that can be used give the score that they should, all others one clear line."""

import numpy as np
import pytest
import xarray as xr
from planted_scores import responses

import cortex_sim as cs
from cortex_sim import neural
from cortex_sim.compare.cka import Cka
from cortex_sim.compare.predictivity import Predictivity
from cortex_sim.compare.responses import Responses
from cortex_sim.compare.rsa import Rsa
from cortex_sim.errors import DataError

STIMULI, REPEATS, NEUROIDS, BINS = 24, 5, 7, 3
IDS = [f"s{i}" for i in range(STIMULI)]
EDGES = {"time_bin_start": 50.0 * np.arange(BINS), "time_bin_end": 50.0 * np.arange(1, BINS + 1)}


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def repeats(rng):
    """Repeats (stimulus, repeat, neuroid), planted in the model."""
    tuning = model().values @ rng.normal(size=(9, NEUROIDS))
    return tuning[:, None] + 2.0 * rng.normal(size=(STIMULI, REPEATS, NEUROIDS))


def model():
    return responses(np.random.default_rng(1).normal(size=(STIMULI, 9)), "model")


def in_npz(folder, **arrays):
    np.savez(folder / "d.npz", **arrays)
    return str(folder / "d.npz")


def scores(data, metrics=("ridge", "rsa", "cka"), **how):
    how = {"controls": False, "resamples": 100, **how}
    found = cs.report.compare({"model": model()}, data, metrics=list(metrics), **how).rows
    for row in found:
        numbers = [value for value in row.values() if isinstance(value, float)]
        assert np.isfinite(numbers).all()
    return [row["score"] for row in found]


def in_memory(repeats, **coordinates):
    rate = repeats.reshape(-1, NEUROIDS)
    known = {"stimulus_id": ("presentation", np.repeat(IDS, REPEATS)), **coordinates}
    return xr.Dataset({"rate": (("presentation", "neuroid"), rate)}, known)


def test_another_order_of_stimuli_changes_nothing_but_the_folds(tmp_path, rng, repeats):
    order = rng.permutation(STIMULI)
    expected = scores(in_npz(tmp_path, response_repeats=repeats, stimulus_id=IDS), ["rsa", "cka"])
    mixed = in_npz(tmp_path, response_repeats=repeats[order], stimulus_id=[IDS[i] for i in order])
    assert scores(mixed, ["rsa", "cka"]) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("metric", [Predictivity("ridge"), Rsa(), Cka()], ids=lambda m: m.name)
def test_an_offset_of_every_neuroid_changes_no_score_and_no_reliability(metric, repeats):
    """Raw fluorescence may lie at 10^10; 16 digits leave six to the signal."""

    def evaluated(values):
        repeated = values.transpose(1, 0, 2)
        return metric.evaluate(model(), Responses("V4", IDS, repeated.mean(0), repeated))

    plain, far = evaluated(repeats), evaluated(repeats + 1e10)
    assert far.raw() == pytest.approx(plain.raw(), abs=1e-3) and plain.raw() > 0.3
    assert far.reliability == pytest.approx(plain.reliability, abs=1e-3) and plain.reliability > 0.5


def test_integers_and_single_precision_are_read_as_they_are(tmp_path, repeats):
    expected = scores(in_npz(tmp_path, response_repeats=np.round(20 * repeats), stimulus_id=IDS))
    for dtype in (np.int16, np.float32):
        stored = np.round(20 * repeats).astype(dtype)
        assert scores(in_npz(tmp_path, response_repeats=stored, stimulus_id=IDS)) == pytest.approx(expected)


def test_missing_repeats_a_constant_neuroid_and_odd_names(tmp_path, repeats):
    repeats[3, 2:] = repeats[7, 1:, 2] = np.nan
    repeats[:, :, 4] = 3.0
    names = ["day one"] * 3 + ["Größe/µ 2"] * 4
    loaded = neural.load(in_npz(tmp_path, response_repeats=repeats, stimulus_id=IDS, session=names))
    assert neural.constant_neuroids(loaded) == ["4"]
    rows = cs.report.compare(
        {"model": model()}, loaded, metrics=["ridge"], controls=False, resamples=100
    ).rows
    assert [row["data"] for row in rows] == ["d day one", "d Größe/µ 2"]
    assert [row["units"] for row in rows] == [3, 3] and rows[1]["excluded"]["constant"] == 1


def test_figures_of_sessions_that_are_spelled_alike_are_kept_apart(tmp_path, repeats):
    names = ["day 1"] * 3 + ["day_1"] * 4
    loaded = neural.load(in_npz(tmp_path, response_repeats=repeats, stimulus_id=IDS, session=names))
    found = cs.report.compare(
        {"model": model()}, loaded, metrics=["rsa"], controls=False, resamples=100
    ).write(tmp_path / "out")
    drawn = [path.name for path in found if path.name.startswith("rdms-")]
    assert drawn == ["rdms-d_day_1.png", "rdms-d_day_1-2.png"]


@pytest.mark.parametrize("stimuli", [1, 2, 3, 7])
@pytest.mark.parametrize("metric", ["ridge", "rsa", "cka", "shape"])
def test_too_few_stimuli_are_refused(tmp_path, repeats, stimuli, metric):
    path = in_npz(tmp_path, response_repeats=repeats[:stimuli], stimulus_id=IDS[:stimuli])
    with pytest.raises(DataError) as refused:
        scores(path, [metric])
    assert "\n" not in str(refused.value)


def test_a_single_repeat_has_no_ceiling_and_says_so(tmp_path, repeats):
    one = in_npz(tmp_path, response_repeats=repeats[:, :1], stimulus_id=IDS)
    [row] = cs.report.compare({"model": model()}, one, metrics=["ridge"], controls=False, resamples=100).rows
    assert row["convention"] == "raw" and row["ceiling"] is row["reliability"] is None
    assert any("no repeats" in said for said in row["notes"])


def test_copies_of_one_response_as_repeats_are_said(tmp_path, repeats, caplog):
    neural.load(in_npz(tmp_path, response_repeats=repeats, stimulus_id=IDS))
    assert not caplog.text
    copies = np.repeat(repeats.mean(1, keepdims=True), REPEATS, 1)
    copies[2, 3:] = np.nan
    neural.load(in_npz(tmp_path, response_repeats=copies, stimulus_id=IDS))
    assert "all repeats of every stimulus are identical" in caplog.text


def test_a_neuroid_that_is_there_twice_is_said(tmp_path, repeats, caplog):
    twice = np.concatenate([repeats, repeats[:, :, 2:3]], axis=2)
    twice[:, :, :2] = 1.0  # constant ones are no copies
    neural.load(in_npz(tmp_path, response_repeats=twice, stimulus_id=IDS))
    assert "neuroids copy another exactly in every presentation, such as 2 and 7" in caplog.text


def test_trials_left_at_0_are_said(tmp_path, rng, caplog):
    counts = rng.poisson(6.0, size=(STIMULI, REPEATS, NEUROIDS)).astype(float)
    few = np.where(rng.random(counts.shape) < 0.1, 1.0, 0.0)  # some presentations have none by chance
    few[0] = 1.0
    for quiet in (counts, few):
        neural.load(in_npz(tmp_path, response_repeats=quiet, stimulus_id=IDS, units="spike count"))
    assert not caplog.text
    counts[4, 2:] = 0.0
    neural.load(in_npz(tmp_path, response_repeats=counts / 0.1, stimulus_id=IDS, units="spikes/s"))
    assert f"spikes in 3 of {STIMULI * REPEATS} presentations, such as presentation 22" in caplog.text


SECONDS = {name: times / 1000 for name, times in EDGES.items()}


def test_time_bins_in_seconds_are_refused(tmp_path, rng):
    course = rng.normal(size=(STIMULI, NEUROIDS, BINS))
    with pytest.raises(DataError, match=r"bins of at most 0.05 ms look like seconds; give ms"):
        neural.load(in_npz(tmp_path, response_mean=course, stimulus_id=IDS, **SECONDS))
    loaded = neural.load(in_npz(tmp_path, response_mean=course, stimulus_id=IDS, **EDGES))
    assert loaded.time_bin_end.values.tolist() == [50.0, 100.0, 150.0]


def timed(rng, **edges):
    rate = rng.normal(size=(STIMULI, NEUROIDS, BINS))
    known = {name: ("time_bin", times) for name, times in {**EDGES, **edges}.items()}
    return xr.Dataset(
        {"rate": (("presentation", "neuroid", "time_bin"), rate)},
        {"stimulus_id": ("presentation", IDS), **known},
    )


WRONG = {
    "no identities": (lambda r, rng: in_memory(r).drop_vars("stimulus_id"), "coordinate stimulus_id"),
    "NaN alone": (
        lambda r, rng: in_memory(r * np.nan),
        "all responses of neuroids 0, 1, 2 and 4 more are NaN",
    ),
    "infinite": (lambda r, rng: in_memory(r / np.zeros(1)), "is infinite"),
    "negative spikes/s": (
        lambda r, rng: in_memory(r).assign(rate=in_memory(r).rate.assign_attrs(units="spikes/s")),
        "spikes/s cannot be negative",
    ),
    "two neuroids of one name": (
        lambda r, rng: in_memory(r, neuroid_id=("neuroid", ["a"] * NEUROIDS)),
        "neuroid_id holds 'a' more than once",
    ),
    "a stimulus that the model did not see": (
        lambda r, rng: in_memory(r).assign_coords(
            stimulus_id=("presentation", np.repeat([*IDS[:-1], "other"], REPEATS))
        ),
        "1 of 24 stimuli of the neural data were not presented to the model, such as other",
    ),
    "reversed time": (
        lambda r, rng: timed(rng).isel(time_bin=slice(None, None, -1)),
        "time bins must ascend",
    ),
    "bins that end before they start": (
        lambda r, rng: timed(rng, time_bin_start=EDGES["time_bin_end"], time_bin_end=EDGES["time_bin_start"]),
        "every time bin must start before it ends",
    ),
    "time without edges": (
        lambda r, rng: timed(rng).drop_vars("time_bin_start"),
        "needs the coordinate time_bin_start (time_bin)",
    ),
}


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize("wrong", WRONG)
def test_what_a_caller_made_is_checked_like_a_file(wrong, repeats, rng):
    make, said = WRONG[wrong]
    with pytest.raises(DataError) as refused:
        scores(make(repeats, rng), ["rsa"], over_time="time" in wrong or "bins" in wrong)
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_what_a_caller_made_is_completed(repeats):
    """Neuroids without ids, and axes in another order, are what they are in a file."""
    plain = in_memory(repeats, repetition=("presentation", np.tile(np.arange(REPEATS), STIMULI)))
    turned = in_memory(repeats).transpose("neuroid", "presentation")
    assert scores(turned) == pytest.approx(scores(plain), abs=1e-12)


def test_recordings_of_models_say_what_they_lack(repeats, rng):
    data = in_memory(repeats)
    how = {"metrics": ["rsa"], "controls": False, "resamples": 100}
    with pytest.raises(DataError, match="do not say which stimulus was presented"):
        cs.report.compare({"m": data.drop_vars("stimulus_id")}, data, **how)
    with pytest.raises(DataError, match="has time bins without time_bin_start and time_bin_end"):
        cs.report.compare({"m": timed(rng).drop_vars("time_bin_start")}, data, over_time=True, **how)
