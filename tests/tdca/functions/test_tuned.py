"""A trained rule whose rate and fall are chosen for each n, on the families that it was trained on."""

import itertools
import math
import shutil

import numpy as np
import pytest
import torch

from cortex_sim.tdca.functions import studies
from cortex_sim.tdca.functions.first_order import FirstOrder
from cortex_sim.tdca.functions.own import PRETRAINED
from cortex_sim.tdca.functions.settings import NEVER_SEEN, TRAINED
from cortex_sim.tdca.functions.studies import FACTORS, FALLS, Tuned, moved
from cortex_sim.tdca.functions.tasks import draw
from cortex_sim.tdca.functions.testing import TUNED
from cortex_sim.tdca.studies.jobs import Folders


@pytest.fixture
def folders(tmp_path):
    shutil.copytree(PRETRAINED / "first_order", tmp_path / "first_order-0" / "run")
    return Folders(tmp_path, tmp_path / "results")


def test_rate_and_fall_move_and_all_else_stays():
    form = FirstOrder(hidden=3, points=2, rate=0.2, fall=1.0)
    phi = form.layout.joined(form.draw(1))[None].double()
    before, after = form.layout.split(phi), form.layout.split(moved(form, phi, 1.5, 0.5))
    for name, values in before.items():
        by = {"log_rate": math.log(1.5), "fall": 0.5}.get(name, 0.0)
        torch.testing.assert_close(after[name], values + by, rtol=0, atol=1e-12)


def test_the_setting_chosen_solves_most_and_of_equals_comes_lowest(folders):
    """Every setting alone, on the same tasks."""
    settings, phi = studies.trained(folders.run("first_order-0"))
    rule, names = settings.inner_rule(), ["levy", "rastrigin"]
    job = Tuned("first_order", 0, counted=True, tuned=2)
    scores = {}
    for setting in itertools.product(FACTORS, FALLS):
        tasks = draw(names, 10, 2, torch.Generator().manual_seed(TUNED + 10), torch.float64)
        best = torch.full((4,), torch.inf, dtype=torch.float64)
        steps = rule.run(moved(rule, phi, *setting), tasks, 36, torch.Generator().manual_seed(TUNED))
        for above, _ in steps:  # 400 evaluations at n + 1 each
            best = torch.minimum(best, above.detach()[0].amin(1))
        level = (best / tasks.median).numpy()
        scores[setting] = ((level < 0.01).mean(), -np.log10(level.clip(1e-4, 1e4)).mean())
    assert len(set(scores.values())) > 1
    assert scores[job.tune(rule, phi, names, 10)] == pytest.approx(max(scores.values()))


def test_it_is_tuned_on_trained_families_alone_and_tested_on_all(folders, monkeypatch):
    asked, tune = [], Tuned.tune
    monkeypatch.setattr(Tuned, "tune", lambda s, *a: asked.append(a[2:]) or tune(s, *a))
    job = Tuned("first_order", 0, counted=True, controls=("silent",), tuned=1, tested=2, dimensions=(2,))
    result = job.do(folders.runs, folders)
    assert asked == [(TRAINED, 2)] and set(result["settings"]) == {"n2"}
    found = result["per_life"]
    names = {f"n2 {name}" for name in (*TRAINED, *NEVER_SEEN)}
    assert found.keys() == names | {f"{name}:silent" for name in names}
    assert all(at is None or at <= 400 // 3 for cell in found.values() for at in cell["solved_at"])
    assert any(found[name] != found[f"{name}:silent"] for name in names)


def test_its_name_and_configuration_follow_its_outer_loop(folders):
    job = Tuned("rotated_3", 0)
    assert (job.key, job.source) == ("rotated_3_tuned-0", "rotated_3-0")
    assert Tuned("first_order", 2, counted=True).key == "first_order_tuned_counted-2"
    before = job.configuration(folders)
    folders.keep("rotated_3-0", {studies.FINGERPRINT: "of another configuration"})
    assert job.configuration(folders) != before
