"""A change of structure changes no number: small networks under every rule, on every engine.

`numbers.json` says how it was made. Tolerances are relative to an array's norm, and wide enough for another
machine's order of sums: 1e-9 where float64 is used once, 1e-3 where float32 was trained for 20 steps or an
outer loop ran for 5.
"""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

import cortex_sim as cs

HERE = Path(__file__).resolve().parent
TOLERANCE = {"updates": 1e-9, "protocol": 1e-9, "training": 1e-3, "evolve": 1e-3}


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(HERE.parents[1] / "benchmarks"))
    return importlib.import_module("same_numbers")


@pytest.fixture
def measured(script):
    return importlib.import_module("measured_numbers")


def test_numbers_are_what_they_were(script, measured):
    kept = json.loads((HERE / "numbers.json").read_text("utf-8"))["summaries"]
    now = script.summaries(measured.few())
    assert sorted(now) == sorted(kept)
    wrong = {}
    for name, (norm, *patterns) in kept.items():
        far = np.abs(np.array(now[name]) - [norm, *patterns]).max()
        if not far <= TOLERANCE[name.split("/")[0]] * max(norm, 1e-12):
            wrong[name] = far / norm
    assert not wrong


def test_the_comparison_finds_a_changed_bit_a_lost_array_and_a_deviation(script, tmp_path, capsys):
    def written(name, **arrays):
        found = {}
        for key, array in arrays.items():
            found |= {f"updates/{key}/w:{what}": value for what, value in script.kept(array).items()}
        np.savez(tmp_path / name, **found)
        return tmp_path / f"{name}.npz"

    w = np.random.default_rng(0).normal(size=30_000)  # a sample of it is kept
    bit, far = w.copy(), w.copy()
    bit[7] = np.nextafter(w[7], 9)
    far[0] += 1e-6
    before = written("before", a=w, b=w)
    assert script.compare(before, written("same", a=w, b=w)) == 0
    assert capsys.readouterr().out.count("1 bit for bit") == 2
    assert script.compare(before, written("bit", a=bit, b=w)) == 0
    assert "0 bit for bit" in capsys.readouterr().out
    assert script.compare(before, written("far", a=far, b=w)) == 1
    assert "beyond tolerance: updates/a/w:values" in capsys.readouterr().out
    assert script.compare(before, written("lost", a=w)) == 2  # values and bits
    assert "only in the first: updates/b/w:values" in capsys.readouterr().out


@pytest.mark.parametrize("planted", ["sign", "transposed"])
def test_a_planted_fault_is_seen(script, measured, planted):
    net = measured.networks()["dense gait_prop"]
    x, y = measured.stimuli(net, 3)
    model = cs.torch.build(net, seed=1, precision="64")
    change = model.updates(x, y)["V1->V2"].numpy()
    kept = script.summary(change)
    wrong = -change if planted == "sign" else change.T
    assert max(abs(a - b) for a, b in zip(kept, script.summary(wrong), strict=True)) > 1e-3 * kept[0]
