"""What inner runs are tested on, and how the numbers come about."""

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

import cortex_sim as cs
from cortex_sim.credit import load_credit
from cortex_sim.errors import DataError
from cortex_sim.tdca.evolving import outcome as module
from cortex_sim.tdca.evolving.outcome import outcome, parameters_of, present, write_credit
from cortex_sim.tdca.evolving.settings import OuterSettings
from cortex_sim.tdca.inner.cohort import layout, start

TASKS = {"kind": "images", "sources": ["digits"], "side": 8}


def made(testing=None, **settings):
    tests = {"data": ["digits"], "steps": [3], "lives": 2} | (testing or {})
    body = {"inputs": 64, "hidden": [8]}
    rule = {"name": "tdca", "credit_network": {"name": "dense", "channels": 3, "hidden": 4}}
    return OuterSettings(
        **{"model_settings": body, "rule": rule, "tasks": TASKS, "testing": tests, **settings}
    )


def phi_of(settings):
    rule, step = settings.inner_rule(), settings.inner_step()
    body = settings.body()
    return layout(rule, step, body).joined(start(rule, step, 0, body))


@pytest.mark.parametrize(
    "limit, kept", [(None, (1500, 297)), (300, (300, 297)), ({"digits": 120}, (120, 120))]
)
def test_test_sets_are_read_as_for_training(limit, kept):
    tasks = TASKS | {"validation": 60} | ({} if limit is None else {"limit": limit})
    count = module.test_tasks(made(tasks=tasks), "digits", None).table.count[0].sum(1)
    assert (int(count[0] + count[1]), int(count[2])) == kept
    assert int(count[1]) == 60


def test_a_limit_on_another_source_is_none_on_this(tmp_path):
    tasks = TASKS | {"sources": ["mnist"], "limit": {"mnist": 50}}
    count = module.test_tasks(made(tasks=tasks), "digits", tmp_path).table.count
    assert int(count.sum()) == 1797


def test_each_set_is_read_once(monkeypatch):
    read, real = [], module.test_tasks

    def reading(settings, name, data_dir):
        read.append(name)
        return real(settings, name, data_dir)

    monkeypatch.setattr(module, "test_tasks", reading)
    settings = made({"data": ["digits", "digits"], "widths": {"9": {"hidden": [9]}}, "controls": ["noise"]})
    found = outcome(settings, phi_of(settings), None, lambda _: None)
    assert read == ["digits"]
    assert found["per_life"].keys() == {"digits", "digits@9", "digits:noise"}


def test_lives_are_paired_between_rules():
    """Births and tasks are the same under every rule: at a rate of 0 all rules end alike."""
    found = []
    for name in ("backprop", "direct_feedback_alignment"):
        settings = made(rule={"name": name}, step={"name": "plain", "rate": 1e-30})
        found.append(outcome(settings, phi_of(settings), None, lambda _: None)["per_life"])
    assert found[0] == found[1]


def test_lives_are_the_same_under_every_outer_seed():
    """More outer seeds are no more inner runs; the page of results says so."""
    phi = phi_of(made())
    found = [outcome(made(seed=seed), phi, None, lambda _: None)["per_life"] for seed in (0, 1)]
    assert found[0] == found[1]


def test_present_names_what_is_there(tmp_path):
    assert present(made({"data": ["mnist", "digits"]}), tmp_path) == (["digits"], ["mnist"])
    with pytest.raises(DataError, match=r"nowhere.* names are .*digits"):
        present(made({"data": ["nowhere"]}), tmp_path)


def test_written_parameters_are_phi(tmp_path):
    settings = made()
    phi = phi_of(settings) + torch.linspace(0, 1, len(phi_of(settings)))
    assert write_credit(settings, phi, tmp_path)
    outer, own = load_file(tmp_path / "outer.safetensors"), load_credit(tmp_path / "credit.safetensors")
    flat = np.concatenate([outer[name].ravel() for name in parameters_of(settings, phi)])
    np.testing.assert_array_equal(flat, phi.double().numpy())
    assert set(outer) - set(own.parameters) == {"step_rate", "step_fall"}
    settings = made(rule={"name": "backprop"})
    assert not write_credit(settings, phi_of(settings), tmp_path)


READS = [
    (None, []),
    ({"name": "decorrelated", "mixing": 0.6, "centring": 0.8}, [np.log(1.5), np.log(4.0)]),
    ({"name": "decorrelated", "mixing": 0.6}, [np.log(1.5), 40.0]),
    ({"name": "decorrelated", "mixing": 0.0, "centring": 0.8}, [-40.0, np.log(4.0)]),
]


@pytest.mark.parametrize("name", ["layered", "broadcast"])
@pytest.mark.parametrize("reads, shares", READS)
def test_what_synapses_read_is_written_with_a_plastic_form(tmp_path, name, reads, shares):
    """Shares that were declared as 0 or 1, and so not trained, too."""
    settings = made(
        rule={"name": name}, model_settings={"inputs": 64, "hidden": [8], "reads": reads}, tasks=TASKS
    )
    phi = phi_of(settings)
    assert write_credit(settings, phi, tmp_path)
    kept = load_credit(tmp_path / "credit.safetensors")
    assert kept.network.decorrelated == (reads is not None)
    written = [kept.parameters[share] for share in ("mixing", "centring") if share in kept.parameters]
    np.testing.assert_allclose(written, shares, rtol=1e-6)
    assert kept.parameters["log_gain"].shape == () and set(kept.about["step"]) == {"step_rate", "step_fall"}
    if name == "layered":
        declared = cs.model("tdca_mlp", inputs=64, hidden=[8]).with_rule("tdca", credit=kept)
        expected = settings.body().net.bottom_ups[0].reads
        found = declared.bottom_ups[0].reads
        assert (found is None) == (expected is None)
        if expected is not None:
            assert (found.mixing, found.centring) == pytest.approx((expected.mixing, expected.centring))
