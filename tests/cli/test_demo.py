"""`cortex-sim demo`: what it makes, prints and draws."""

from dataclasses import replace

import numpy as np
import pytest
from run_outputs import FINAL, RUN_FILES, is_png

from cortex_sim.commands.demo import IN_TIME, RULES, in_time, next_folder
from cortex_sim.training import settings


def test_demo(result, here, monkeypatch):
    """Every rule for one epoch: what is printed and written."""
    whole = settings.resolve

    def short(model, *, flags):
        return replace(whole(model, flags=flags), epochs=1)

    monkeypatch.setattr(settings, "resolve", short)
    said = result("demo --out shown")
    assert list(said["rules"]) == list(RULES)
    assert is_png(here / "shown" / "demo.png")
    for rule, metrics in said["rules"].items():
        assert set(metrics) >= FINAL
        assert {p.name for p in (here / "shown" / rule).iterdir()} == RUN_FILES
    assert {"gait_prop", "tdca"} == set(IN_TIME)
    for rule in IN_TIME:  # credit in time: none before the label, then what torch has, none after the cut
        shown = in_time(here / "shown" / rule, rule, seed=0)
        recording, settled = shown.recording.isel(presentation=0), shown.settled.credit.values[0]
        credit = recording.credit.transpose("time_bin", "neuroid").values
        phase = recording.phase.values
        assert np.abs(settled).max() > 0
        assert not credit[phase == "image"].any() and not credit[phase == "projection cut"].any()
        np.testing.assert_allclose(
            credit[phase == "label"][-1], settled, rtol=0.02, atol=0.02 * np.abs(settled).max()
        )


@pytest.mark.slow  # half a minute on a core of its own
def test_demo_shows_what_it_should(result, here):
    said = result("demo --out shown")
    accuracies = {rule: metrics["test_accuracy"] for rule, metrics in said["rules"].items()}
    angles = {rule: m["angle_to_bp_deg"]["retina->V1"] for rule, m in said["rules"].items()}
    assert min(accuracies.values()) > 0.8
    assert abs(accuracies["gait_prop"] - accuracies["backprop"]) < 0.03
    assert angles["backprop"] == pytest.approx(0, abs=0.1)
    assert angles["gait_prop"] < 30 < angles["feedback_alignment"] < 90


def test_demo_chooses_a_new_folder_each_time(here):
    assert next_folder(here / "runs") == here / "runs" / "demo-1"
    (here / "runs" / "demo-1").mkdir(parents=True)
    assert next_folder(here / "runs") == here / "runs" / "demo-2"
