"""Sweeps: every seed and setting, in one dataset; interrupted, it ends with the same bytes."""

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import cortex_sim as cs
from cortex_sim.cli import main
from cortex_sim.errors import CortexSimError, DataError
from cortex_sim.experiments.seed_statistics import SeedStatistics, over_seeds, sign_flip

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import sys, time
import numpy as np
import cortex_sim as cs

def experiment(seed, gain=1.0):
    net = cs.Network("two")
    net.bottom_up(net.population("retina", 7), net.population("V1", 3, activation="tanh"), plasticity="oja")
    x = np.random.default_rng(seed).normal(size=(6, 7)) * gain
    show = cs.Phase("show", 20, drive={"retina": x}, plasticity=True)
    probe = cs.Protocol(cs.Phase("show", 20, drive={"retina": x}))
    whole = cs.Protocol(show, probe=probe, order="shuffled", record=cs.Record(weights=True), eta_per_s=2.0)
    return cs.Experiment(net, {"intact": whole, "cut": whole.replace(lesion=["V1/0"])})
"""
namespace = {}
exec(SCRIPT, namespace)
experiment = namespace["experiment"]


@pytest.fixture(scope="module")
def swept():
    return cs.sweep(experiment, 3, {"eta_per_s": [1.0, 4.0]}, backend="torch")


def test_each_part_is_the_run_of_its_seed_and_setting(swept):
    assert swept.setting.values.tolist() == ["eta_per_s=1.0", "eta_per_s=4.0"]
    assert swept.setting_eta_per_s.values.tolist() == [1.0, 4.0]
    assert swept.seed.values.tolist() == [0, 1, 2]
    made = experiment(2)
    arms = {name: cs.Arm(arm.protocol.replace(eta_per_s=4.0)) for name, arm in made.arms.items()}
    alone = cs.torch.run(cs.Experiment(made.network, arms), 2)
    part = swept.sel(setting="eta_per_s=4.0", seed=2)
    for name in ("rate", "weight:retina->V1", "stimulus_id", "arm", "trial", "stage", "snapshot_trial"):
        np.testing.assert_array_equal(part[name].values, alone[name].values)
    assert swept.stimulus_id.dims == ("setting", "seed", "presentation")  # shuffled by the seed
    assert swept.arm.dims == ("presentation",)


def test_arguments_of_the_function_are_settings():
    swept = cs.sweep(experiment, [4], {"gain": [1.0, 3.0]}, backend="torch")
    show = {name: swept.sel(setting=f"gain={name}", seed=4).rate.values[:, :7] for name in (1.0, 3.0)}
    np.testing.assert_allclose(show[3.0], 3 * show[1.0])


def test_same_bytes_in_parallel_and_after_a_loss(tmp_path):
    whole, other = tmp_path / "whole", tmp_path / "other"
    cs.sweep(experiment, 2, backend="torch", out=whole).close()
    cs.sweep(experiment, 2, backend="torch", out=other).close()
    jobs = sorted(path.name for path in (other / "jobs").iterdir() if path.is_dir())
    assert jobs == ["as_declared-seed=0", "as_declared-seed=1"]
    (other / "sweep.nc").unlink()
    shutil.rmtree(other / "jobs" / jobs[1])
    said = []
    cs.sweep(experiment, 2, backend="torch", out=other, resume=True, report=said.append).close()
    assert said == [f"{jobs[0]}: already done", f"{jobs[1]}: done"]
    assert (whole / "sweep.nc").read_bytes() == (other / "sweep.nc").read_bytes()
    (kept,) = (other / "jobs" / jobs[1]).rglob("*.nc")
    kept.write_bytes(kept.read_bytes()[:-100])
    with pytest.raises(cs.RunError, match=r"seed=1.*cannot be read.*remove that run's folder .*resume"):
        cs.sweep(experiment, 2, backend="torch", out=other, resume=True)


@pytest.mark.slow
def test_killed_and_resumed_it_gives_the_same_bytes(tmp_path):
    script = tmp_path / "script.py"
    run = "cs.sweep(experiment, 3, out=sys.argv[1], jobs=2, resume=True).close()\n"
    script.write_text(f'{SCRIPT}\nif __name__ == "__main__":\n    {run}')
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

    def start(out):
        return subprocess.Popen([sys.executable, str(script), str(out)], env=environment, cwd=tmp_path)

    assert start(tmp_path / "whole").wait(300) == 0
    kills = 0
    for wait in (0.1, 1.0, 2.0, 4.0, 0.5):
        process = start(tmp_path / "killed")
        until = time.monotonic() + 60
        while not (tmp_path / "killed").is_dir() and time.monotonic() < until and process.poll() is None:
            time.sleep(0.05)
        time.sleep(wait)
        kills += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        time.sleep(1.0)  # its workers end by themselves
    assert kills
    assert start(tmp_path / "killed").wait(300) == 0
    assert (tmp_path / "whole" / "sweep.nc").read_bytes() == (tmp_path / "killed" / "sweep.nc").read_bytes()


# -- figures ----------------------------------------------------------------------------------------

FIGURES = {
    "compare_arms": lambda s: cs.viz.compare_arms(s),
    "by condition": lambda s: cs.viz.compare_arms(s, by="stimulus"),
    "time_course": lambda s: cs.viz.time_course(s),
    "weight_trajectories": lambda s: cs.viz.weight_trajectories(s),
    "tuning_curves": lambda s: cs.viz.tuning_curves(s, list(range(6))),
    "raster": lambda s: cs.viz.raster(s.isel(setting=[0])),
}


@pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES)
def test_every_figure_takes_a_sweep_and_says_so(draw, swept):
    figure = draw(swept)
    assert "3 seeds" in " ".join(figure._supxlabel.get_text().split())


def test_bold_line_is_the_mean_over_seeds(swept):
    axes = cs.viz.compare_arms(swept, "rate", window=1).axes[0]
    drawn = {line.get_label(): line.get_ydata() for line in axes.get_lines()}["cut, eta_per_s=4.0"]
    rates = []
    for seed in range(3):
        one = cs.recording.select(swept.isel(setting=1, seed=seed), arm="cut", stage="trial", population="V1")
        rates.append(one.rate.values.mean(axis=1))
    np.testing.assert_allclose(drawn, np.mean(rates, axis=0))


# -- statistics -------------------------------------------------------------------------------------


def test_sign_flip_by_hand():
    assert sign_flip(np.array([1.0, 2.0, 3.0])) == 2 / 8
    assert sign_flip(np.array([1.0, -1.0])) == 1.0
    assert sign_flip(np.array([3.0, 1.0, -1.0])) == 6 / 8  # sums 3, 1, 5, 3 and their negatives
    rng = np.random.default_rng(1)
    many = rng.normal(0.7, 1.0, size=20)
    assert 0.0 < sign_flip(many) < 0.05


def test_means_and_differences_are_over_seeds(swept):
    found = over_seeds(swept, "rate")
    assert found.measured == "mean rate, V1, last probe"
    assert found.reference == "intact, eta_per_s=1.0"
    last = cs.recording.select(swept.isel(setting=1, seed=2), arm="cut", population="V1").rate.values[-6:]
    assert found.values["cut, eta_per_s=4.0"][2] == pytest.approx(last.mean())
    pair = found.pairs[-1]
    difference = found.values["cut, eta_per_s=4.0"] - found.values["intact, eta_per_s=1.0"]
    assert pair.difference == pytest.approx(difference.mean())
    half = 4.302653 * difference.std(ddof=1) / np.sqrt(3)  # t for two degrees of freedom
    assert pair.high - pair.difference == pytest.approx(half, rel=1e-6)
    assert pair.p == pytest.approx(sign_flip(difference))
    assert "minus intact, eta_per_s=1.0" in str(found)


def test_a_measure_of_ones_own_and_its_numbers_on_disk(swept, tmp_path):
    found = over_seeds(swept, measure=lambda recording: recording.rate.values.max())
    found.to_csv(tmp_path / "numbers.csv")
    lines = (tmp_path / "numbers.csv").read_text().splitlines()
    assert len(lines) == 1 + 4 * 3
    assert float(lines[1].rpartition(",")[2]) == found.values["intact, eta_per_s=1.0"][0]


def test_any_name_of_a_group_stays_one_cell(tmp_path):
    SeedStatistics("rate", {'the "cut", late': np.array([0.5])}, ()).to_csv(tmp_path / "numbers.csv")
    with (tmp_path / "numbers.csv").open(newline="") as file:
        assert list(csv.reader(file))[1] == ['the "cut", late', "0", "0.5"]


# -- refusals ---------------------------------------------------------------------------------------

WRONG = {
    "setting": (
        lambda: cs.sweep(experiment, 1, {"eta": [1]}),
        r"unknown setting of a sweep 'eta'.*known: .*gain",
    ),
    "value": (
        lambda: cs.sweep(experiment, 1, {"eta_per_s": [-1]}),
        "eta_per_s=-1: Protocol: eta_per_s must be 0",
    ),
    "no list": (lambda: cs.sweep(experiment, 1, {"gain": "12"}), r"such as \{'gain': \['12'\]\}"),
    "none": (lambda: cs.sweep(experiment, 1, {"gain": []}), "setting gain has no values"),
    "seeds": (lambda: cs.sweep(experiment, 0), "seeds must be a whole number of at least 1"),
    "twice": (lambda: cs.sweep(experiment, [1, 1]), "different whole numbers"),
    "kind": (lambda: cs.sweep(3, 1), "give an Experiment, a function of the seed"),
    "backend": (lambda: cs.sweep(experiment, 1, backend="nest"), "nest"),
    "sizes": (
        lambda: cs.sweep(experiment, 1, {"trials": [2, 3]}, backend="torch"),
        "the recording of trials=3, seed 0 has sizes .* so they do not form one dataset",
    ),
}


@pytest.mark.parametrize("run, said", WRONG.values(), ids=WRONG)
def test_what_cannot_be_swept_is_refused(run, said):
    with pytest.raises(CortexSimError, match=said):
        run()


def test_statistics_need_seeds(swept):
    with pytest.raises(DataError, match="needs the dimension seed"):
        over_seeds(swept.isel(seed=0))
    with pytest.raises(DataError, match="not a finite number"):
        over_seeds(swept, measure=lambda recording: float("nan"))
    with pytest.raises(DataError, match=r"raster: shows one setting, but the sweep has 2"):
        cs.viz.raster(swept)


def test_command_sweeps_a_protocol(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(SCRIPT)
    words = "sweep mine.py --seeds 2 --set gain=1,2 --backend torch --arm cut --out swept"
    assert main(words.split()) == 0
    shown = capsys.readouterr().out
    assert "mean rate, V1, last probe" in shown and "minus gain=1" in shown
    assert sorted(p.name for p in Path("swept").iterdir()) == [
        "jobs",
        "over_seeds.csv",
        "sweep.csv",
        "sweep.nc",
        "sweep.png",
    ]
    assert main(words.split()) == 2
    assert "already exists" in capsys.readouterr().err
    assert main(["sweep", "mine.py", "--rule", "oja", "--out", "x"]) == 2
    assert "mine.py is a protocol, which has no --rule" in capsys.readouterr().err
