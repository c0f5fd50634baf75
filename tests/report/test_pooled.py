"""Pooled rows: the hierarchical bootstrap's, each session with its own stimuli; what is refused."""

import csv
import json

import numpy as np
import pytest
from planted_scores import responses

import cortex_sim as cs
from cortex_sim.cli import main
from cortex_sim.compare.choosing import cross_fitted
from cortex_sim.compare.pooling import SeedMean, Session, paired_pooled, pooled
from cortex_sim.compare.responses import Responses
from cortex_sim.compare.rsa import Rsa
from cortex_sim.errors import DataError

HOW = {"metrics": ["rsa"], "resamples": 100}


def sessions(rng, animals=("m1", "m1", "m2", "m2"), stimuli=24, own=False):
    """Data sets with stimuli of their own or shared, and a model that was shown all of them."""
    drive = rng.normal(size=(len(animals) * stimuli, 6))
    model = responses(drive, "model")
    found = {}
    for number, animal in enumerate(animals):
        at = np.arange(stimuli) + stimuli * number * own
        values = drive[at] + (0.5 + number) * rng.normal(size=(stimuli, 6))
        names = [f"s{i}" for i in at]
        found[f"day{number}"] = Responses(
            f"day{number}", names, values, units={"animal": np.array([animal] * 6)}
        )
    return model, found


@pytest.mark.parametrize("pool", ["sessions", "animals"])
@pytest.mark.parametrize("own", [False, True])
def test_a_pooled_row_is_that_of_pooled(pool, own):
    model, data = sessions(np.random.default_rng(0), own=own)
    found = cs.report.compare({"model": model}, data, pool=pool, **HOW)
    *each, row = found.rows
    assert [one["data"] for one in each] == list(data) and row["data"] == f"pooled over {pool}"
    known = []
    for name, one in data.items():
        shown = cs.compare.matched(model, one)[0]
        known.append(Session.of(name, Rsa().evaluate(shown, one), one, str(one.units["animal"][0])))
    truth = pooled(known, over=pool, shared_stimuli=not own, resamples=100)
    assert row["score"] == pytest.approx(np.mean([one["score"] for one in each]))
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((truth.interval.low, truth.interval.high))
    assert row["units"] == 24 and row["stimuli"] == (96 if own else 24)
    assert row["control_shifted"] == pytest.approx(np.mean([one["control_shifted"] for one in each]))
    assert row["permuted_sd"] == pytest.approx(np.linalg.norm([one["permuted_sd"] for one in each]) / 4)
    assert len(row["notes"]) == 4 and row["notes"][0].startswith("day0: ")
    assert "hierarchical bootstrap" in row["interval"]


def test_animals_weigh_the_same():
    model, data = sessions(np.random.default_rng(1), animals=("a", "b", "b"))
    *each, row = cs.report.compare({"model": model}, data, pool="animals", **HOW).rows
    first, *others = [one["score"] for one in each]
    assert row["score"] == pytest.approx((first + np.mean(others)) / 2)


def test_seeds_are_averaged_within_sessions():
    rng = np.random.default_rng(2)
    model, data = sessions(rng)
    seeds = [model, responses(rng.normal(size=(96, 6)), "other")]
    *each, row = cs.report.compare({"model": seeds}, data, pool="sessions", **HOW).rows
    assert row["seeds"] == 2 and row["score"] == pytest.approx(np.mean([one["score"] for one in each]))
    one = next(iter(data.values()))
    both = [Rsa().evaluate(cs.compare.matched(seed, one)[0], one) for seed in seeds]
    half = np.arange(12)
    assert SeedMean(both).score(half) == pytest.approx(np.mean([of.score(half) for of in both]))


def test_sessions_of_one_file_are_told_apart_by_animal():
    import xarray as xr

    rng = np.random.default_rng(3)
    rate = rng.normal(size=(20, 12))
    neural = xr.Dataset(
        {"rate": (("presentation", "neuroid"), rate)},
        coords={
            "stimulus_id": ("presentation", [f"s{i}" for i in range(20)]),
            "neuroid_id": ("neuroid", [f"n{i}" for i in range(12)]),
            "session": ("neuroid", ["1"] * 3 + ["2"] * 3 + ["1"] * 3 + ["2"] * 3),
            "animal": ("neuroid", ["a"] * 6 + ["b"] * 6),
        },
        attrs={"name": "V4"},
    )
    rows = cs.report.compare(
        {"m": responses(rng.normal(size=(20, 4)), "m")}, neural, pool="animals", controls=False, **HOW
    ).rows
    assert [row["data"] for row in rows] == ["V4 a 1", "V4 a 2", "V4 b 1", "V4 b 2", "pooled over animals"]
    assert [row["units"] for row in rows] == [3, 3, 3, 3, 12]


def test_the_command_presents_each_file_its_own_pictures(tmp_path, capsys):
    """Both files number their pictures from 0; pixels must meet the pictures of the same file."""
    rng = np.random.default_rng(4)
    for name, count in (("one", 40), ("two", 30)):
        images = rng.integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
        tuning = images.reshape(count, -1).astype(float)
        repeats = {} if name == "one" else {"response_repeats": np.stack([tuning, tuning + 1], 1)}
        np.savez(tmp_path / f"{name}.npz", images=images, **(repeats or {"response_mean": tuning}))
    words = ["compare", "pixels", f"{tmp_path}/one.npz", "--also", f"{tmp_path}/two.npz", "--metric", "rsa"]
    how = ["--resamples", "100", "--no-controls", "--pool", "sessions", "--out", f"{tmp_path}/out", "--json"]
    assert main([*words, *how]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [row["data"] for row in found["scores"]] == ["one", "two", "pooled over sessions"]
    assert all(row["score"] > 0.95 for row in found["scores"])
    table = list(csv.DictReader((tmp_path / "out" / "scores.csv").read_text("utf-8").splitlines()))
    assert table[-1]["data"] == "pooled over sessions" and int(table[-1]["stimuli"]) == 70
    assert (tmp_path / "out" / "scores.png").is_file()
    assert main([words[0], "rec.nc", *words[2:]]) == 2
    assert "two has its own" in capsys.readouterr().err
    data = {name: f"{tmp_path}/{name}.npz" for name in ("one", "two")}
    rows = cs.report.compare(["pixels"], data, controls=False, pool="sessions", **HOW).rows
    assert [row["score"] for row in rows] == [row["score"] for row in found["scores"]]


def test_mixed_conventions_are_pooled_as_raw_scores():
    rng = np.random.default_rng(5)
    drive = rng.normal(size=(40, 5))
    each = drive[None] + rng.normal(size=(4, 40, 5))
    data = {
        "repeats": responses(each.mean(0), "repeats", repeats=each),
        "means": responses(drive + rng.normal(size=(40, 5)), "means"),
    }
    *rows, row = cs.report.compare(
        {"m": responses(drive, "m")}, data, metrics=["ridge"], pool="sessions", controls=False, resamples=100
    ).rows
    assert [one["convention"] for one in rows] == ["signed_r2_per_neuroid", "raw"]
    assert row["convention"] == "raw" and row["score"] == pytest.approx(np.mean([one["raw"] for one in rows]))
    assert row["notes"][-1] == "data without repeats have no ceiled score: raw scores are pooled"


BAD = {
    "one data set": (["m1"], "sessions", "there is only one data set, day0"),
    "one animal": (["m1", "m1"], "animals", "all are of m1; use --pool sessions"),
    "no animal": (["", ""], "animals", "do not say which animal"),
    "one session of each": (["m1", "m2"], "sessions", "each of m1, m2 has only one session"),
    "no such pool": (["m1", "m1"], "monkeys", "monkeys"),
}


@pytest.mark.parametrize("animals, pool, said", BAD.values(), ids=BAD)
def test_what_cannot_be_pooled_is_refused(animals, pool, said):
    model, data = sessions(np.random.default_rng(6), animals=animals)
    with pytest.raises(DataError) as refused:
        cs.report.compare({"model": model}, data, pool=pool, **HOW)
    assert said in str(refused.value) and "\n" not in str(refused.value)


def three(rng, **how):
    """A model that was shown the data's stimuli, one that adds noise, and one of noise alone."""
    model, data = sessions(rng, **how)
    drive = model.values
    return {
        "truth": model,
        "near": responses(drive + 2.0 * rng.normal(size=drive.shape), "near"),
        "noise": responses(rng.normal(size=drive.shape), "noise"),
    }, data


@pytest.mark.parametrize(
    "pool, own", [pytest.param("sessions", False, marks=pytest.mark.slow), ("animals", True)]
)
def test_models_are_compared_by_pooled_scores(pool, own):
    models, data = three(np.random.default_rng(5), own=own)
    found = cs.report.compare(models, data, pool=pool, controls=False, **HOW)
    *each, last = found.rankings
    assert [one.data for one in each] == list(data) and last.data == f"pooled over {pool}"
    chosen = {
        name: [
            Session(
                label,
                SeedMean([cross_fitted({name: Rsa().evaluate(cs.compare.matched(model, one)[0], one)})]),
                str(one.units["animal"][0]),
            )
            for label, one in data.items()
        ]
        for name, model in models.items()
    }
    truth = paired_pooled(chosen, over=pool, shared_stimuli=not own, resamples=100)
    assert last.comparison.differences == truth.differences and truth.correction == "holm"
    for name, of in chosen.items():
        assert last.intervals[name] == pooled(of, over=pool, shared_stimuli=not own, resamples=100).interval
    assert last.leader == "truth"
    said = [
        text for text in found.sentences if text.startswith(f"pooled over {pool}, rsa: truth scores best")
    ]
    assert len(said) == 1 and str(found).count(f"pooled over {pool}  rsa  truth - noise") == 1


@pytest.mark.slow
def test_differences_are_in_json_csv_and_table(tmp_path, capsys):
    rng = np.random.default_rng(6)
    images = rng.integers(0, 256, (24, 8, 8, 3), dtype=np.uint8)
    for day in (1, 2, 3):
        tuning = images.reshape(24, -1) + 100.0 * rng.normal(size=(24, 192))
        np.savez(tmp_path / f"day{day}.npz", images=images, response_mean=tuning)
    words = ["compare", "pixels", "gabor", f"{tmp_path}/day1.npz", "--metric", "rsa", "--no-controls"]
    words += [word for day in (2, 3) for word in ("--also", f"{tmp_path}/day{day}.npz")]
    words += ["--pool", "sessions", "--resamples", "100"]
    assert main([*words, "--out", f"{tmp_path}/out", "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [one["data"] for one in found["comparisons"]] == ["day1", "day2", "day3", "pooled over sessions"]
    last = found["comparisons"][-1]
    [pair] = last["differences"]
    best = {one["recording"]: one["score"] for one in last["best"]}
    assert (pair["first"], pair["second"], last["correction"]) == ("pixels", "gabor", "holm")
    assert pair["difference"] == pytest.approx(best["pixels"] - best["gabor"])
    assert pair["difference"] == pytest.approx(
        np.mean([one["differences"][0]["difference"] for one in found["comparisons"][:3]])
    )
    table = list(csv.DictReader((tmp_path / "out" / "differences.csv").read_text("utf-8").splitlines()))
    assert [row["data"] for row in table] == ["day1", "day2", "day3", "pooled over sessions"]
    assert {key: float(table[-1][key]) for key in ("difference", "ci_low", "p", "p_adjusted")} == {
        key: pair[key] for key in ("difference", "ci_low", "p", "p_adjusted")
    }
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "Differences between models" in said and "pixels - gabor" in said


def test_without_enough_stimuli_in_one_session_nothing_is_ranked_together():
    models, data = three(np.random.default_rng(7))
    few = {**data, "day3": data["day3"].take(np.arange(12))}
    found = cs.report.compare(models, few, pool="sessions", controls=False, **HOW)
    assert [one.data for one in found.rankings] == ["day0", "day1", "day2"]
    assert any("fewer than 16 stimuli in day3" in said for said in found.sentences)
