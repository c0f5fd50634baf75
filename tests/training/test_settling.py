"""`cortex-sim train --set settling=…`: unrolled steps, or the search for the equilibrium."""

import json

import numpy as np
import pytest

import cortex_sim as cs
from cortex_sim.errors import BuildError, CortexSimError, DataError, DeclarationError, RunError
from cortex_sim.training.run import train
from cortex_sim.training.settings import from_assignments
from cortex_sim.training.sweeping import configuration_of

pytestmark = pytest.mark.usefixtures("no_figure")

UNROLLED = ["settling=unrolled", "settling.steps=6", "settling.dt_ms=5"]


def given(*words, **flags):
    return from_assignments(list(words)) | {"rule": "backprop", "epochs": 1} | flags


def test_trains_by_steps_and_is_loaded_unrolled(settings, work, tmp_path):
    out = tmp_path / "run"
    chosen = settings(**given(*UNROLLED))
    assert chosen.settling == {"name": "unrolled", "steps": 6, "dt_ms": 5}
    metrics = train(chosen, out)
    model = cs.torch.load(out)
    assert model.unrolled == cs.torch.Unrolled(6, 5)
    assert metrics["test_loss"] > 0 and json.loads((out / "metrics.json").read_text())["steps"] == 6
    x = np.load(work / "tiny.npz")["x_test"]
    assert model.predict(x).shape[:2] == (17, 6)
    settled = train(settings(**given()), tmp_path / "settled")
    assert settled["test_loss"] != metrics["test_loss"]
    with pytest.raises(DataError, match="was trained by unrolled steps, .* or record the steps by"):
        cs.responding.respond_to(out, x)


def test_the_search_for_the_equilibrium_is_set(settings, tmp_path):
    chosen = settings(**given("settling=equilibrium", "settling.limit=50"))
    assert (
        train(chosen, tmp_path / "run")["test_loss"]
        == train(settings(**given()), tmp_path / "as")["test_loss"]
    )


def test_kept_results_of_sweeps_stay_valid(settings):
    assert "settling" not in configuration_of(settings(**given()))
    assert "settling" in configuration_of(settings(**given(*UNROLLED)))


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        (["settling=unroled"], RunError, "unknown setting settling 'unroled'.*did you mean"),
        (["settling=unrolled", "settling.tolerance=1"], RunError, "unknown setting of settling=unrolled"),
        (["settling=unrolled"], RunError, "unrolled needs steps, such as settling.steps=20"),
        (["settling.steps=20"], RunError, "setting settling needs a name, such as settling.name=unrolled"),
        (["dt_ms=2"], RunError, "did you mean settling.dt_ms"),
        (["settling=unrolled", "settling.steps=0"], DeclarationError, "steps must be a whole number"),
        ([*UNROLLED[:2], "settling.dt_ms=30"], BuildError, "unstable at dt_ms=30"),
    ],
)
def test_settings_that_make_no_sense_are_refused(words, error, said, settings, tmp_path):
    with pytest.raises(error, match=said):
        train(settings(**given(*words)), tmp_path / "run")
    assert issubclass(error, CortexSimError) and not (tmp_path / "run").exists()
