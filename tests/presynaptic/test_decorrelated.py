"""The equations against an independent reference, their limits, and what they are known for."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from decorrelating import Reference
from hypothesis import given, settings
from hypothesis import strategies as st

import cortex_sim as cs
from cortex_sim.errors import DeclarationError
from cortex_sim.presynaptic.drawing import noise_of

FORMS = {
    "default": {},
    "local": {"local": True, "mixing": 0.4},
    "groups": {"group": 3, "centring": 0.5},
    "local groups": {"group": 3, "local": True},
    "fast": {"rate": 0.8, "memory": 0.5, "noise": 0.3, "mixing": 1.0},
}


def reference(how, inputs):
    return Reference(
        inputs,
        s=how.mixing,
        c=how.centring,
        local=how.local,
        group=how.group,
        memory=how.memory,
        rate=how.rate,
        sigma=how.noise,
    )


def correlated(count, inputs, seed=0):
    """Rates with a mean and a spectrum that falls."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(inputs, inputs)) * 0.7 ** np.arange(inputs)
    return rng.normal(size=(count, inputs)) @ mixing.T + rng.normal(size=inputs)


def after(how, r, updates, state=None):
    """State after so many updates at rates (presentation, input)."""
    state = how.initial(r.shape[-1]) if state is None else state
    for number in range(updates):
        state = how.renewed(state, r, noise_of("any", number, *r.shape[-2:]))
    return state


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=10, deadline=None)
@given(rows=st.sampled_from([1, 2, 5, 23]), groups=st.sampled_from([2, 3, 5]), seed=st.integers(0, 99))
def test_equals_the_equations(form, rows, groups, seed):
    how, inputs = cs.Decorrelated(**FORMS[form]), 3 * groups
    state, ours = how.initial(inputs), reference(how, inputs)
    for number in range(4):
        r = correlated(rows, inputs, seed + number)
        np.testing.assert_allclose(how.read(state, r), ours.read(r), atol=1e-12)
        noise = np.random.default_rng(number).normal(size=r.shape)
        share = (1.0, 0.01)[number % 2]
        state = how.renewed(state, r, noise, share)
        ours.renew(r, noise, share)
        ours.assert_state(state)


@pytest.mark.parametrize("form", FORMS)
def test_torch_and_runs_side_by_side_are_the_same(form):
    how, runs = cs.Decorrelated(**FORMS[form]), 2
    first = {v: torch.as_tensor(x).expand(runs, *np.shape(x)) for v, x in how.initial(6).items()}
    together, alone = first, [how.initial(6) for _ in range(runs)]
    for number in range(3):
        r = np.stack([correlated(5, 6, 10 * number + run) for run in range(runs)])
        noise = noise_of("any", number, 5, 6)
        read = how.read(together, torch.as_tensor(r))
        together = how.renewed(together, torch.as_tensor(r), torch.as_tensor(noise))
        for run in range(runs):
            np.testing.assert_allclose(read[run], how.read(alone[run], r[run]), atol=1e-12)
            alone[run] = how.renewed(alone[run], r[run], noise)
            for variable, values in alone[run].items():
                np.testing.assert_allclose(together[variable][run], values, atol=1e-12)


def test_nothing_mixed_and_nothing_taken_off_are_the_rates_themselves():
    r = correlated(7, 5)
    plain = cs.Decorrelated(mixing=0, centring=0)
    assert plain.read(after(plain, r, 5), r) is r
    centred = cs.Decorrelated(mixing=0)
    np.testing.assert_allclose(centred.read(after(centred, r, 1), r), r - r.mean(0), atol=1e-12)


def test_at_the_start_p_is_the_identity_and_what_is_read_the_rates():
    how, r = cs.Decorrelated(), correlated(7, 5)
    np.testing.assert_allclose(how.read(how.initial(5), r), r, atol=1e-14)


@pytest.mark.parametrize("local", [False, True])
def test_what_is_read_becomes_decorrelated_with_the_rates_rms(local):
    how, r = cs.Decorrelated(mixing=1, local=local, noise=0.01), correlated(400, 5)
    z = how.read(after(how, r, 2500), r)
    x = r - r.mean(0)
    correlation = np.abs(np.corrcoef(z.T) - np.eye(5)).max()
    assert np.abs(np.corrcoef(x.T) - np.eye(5)).max() > 0.5 and correlation < 0.02
    np.testing.assert_allclose(np.sqrt((z**2).mean()), np.sqrt((x**2).mean()), rtol=1e-3)
    powers = z.var(0)
    assert (powers.max() < 1.05 * powers.min()) != local  # the other form makes powers alike, too


def test_one_update_counts_as_its_parts_do():
    how, r = cs.Decorrelated(memory=0.5, noise=1e-3), correlated(50, 4)
    whole, parts = how.initial(4), how.initial(4)
    noise = noise_of("any", 0, *r.shape)
    for _ in range(30):
        whole = how.renewed(whole, r, noise)
    for _ in range(3000):
        parts = how.renewed(parts, r, noise, 0.01)
    np.testing.assert_allclose(parts["mean"], whole["mean"], atol=1e-12)
    np.testing.assert_allclose(parts["seen"], whole["seen"], atol=1e-12)
    np.testing.assert_allclose(parts["matrix"], whole["matrix"], atol=0.02)


def test_several_updates_at_once_are_one_step_as_long_where_it_is_short():
    how, r = cs.Decorrelated(rate=1e-4, noise=1e-3), correlated(50, 4)
    start, noise = how.initial(4), noise_of("any", 0, *r.shape)
    one, four = start, how.renewed(start, r, noise, 4.0)
    for _ in range(4):
        one = how.renewed(one, r, noise)
    np.testing.assert_allclose(four["matrix"] - np.eye(4), one["matrix"] - np.eye(4), rtol=5e-3, atol=1e-9)
    np.testing.assert_allclose(four["seen"], one["seen"], atol=1e-12)
    large = after(replace(how, rate=0.03), 1e3 * np.abs(correlated(5, 300)), 1)
    for number in range(50):  # longer steps are bounded too
        large = how.renewed(large, 1e3 * np.abs(correlated(5, 300)), noise_of("any", number, 5, 300), 8.0)
    assert np.isfinite(large["matrix"]).all() and np.abs(large["matrix"]).max() < 50


def test_the_step_is_bounded_where_covariances_are_large():
    how, r = cs.Decorrelated(), 1e3 * np.abs(correlated(5, 300))  # ‖C‖_F is near 300 at first
    state = after(how, r, 200)
    assert np.isfinite(state["matrix"]).all() and np.abs(state["matrix"]).max() < 50


def test_silent_inputs_stay_finite():
    how = cs.Decorrelated()
    state = after(how, np.zeros((4, 3)), 300)
    assert np.isfinite(state["matrix"]).all() and not how.read(state, np.zeros((4, 3))).any()


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"mixing": 1.5}, "mixing must be a share between 0 and 1"),
        ({"centring": -1}, "centring must be 0 or more"),
        ({"memory": 1.0}, "memory must be below 1"),
        ({"noise": 0}, "noise"),
        ({"rate": np.nan}, "rate"),
        ({"update_ms": 0}, "update_ms"),
        ({"local": 1}, "local must be True or False"),
        ({"group": 0}, "group"),
        ({"every": 0}, "every"),
        ({"group": 2.5}, "group"),
        ({"group": "all"}, "group of Decorrelated.*fit"),
        ({"group": "Fit"}, "group of Decorrelated.*did you mean 'fit'"),
    ],
)
def test_wrong_settings_are_named(wrong, said):
    with pytest.raises(DeclarationError, match=said):
        cs.Decorrelated(**wrong)


def wide(inputs, **given):
    net = cs.Network("wide")
    net.population("retina", inputs)
    net.population("IT", 3)
    net.bottom_up("retina", "IT", plasticity="hebbian", reads=cs.Decorrelated(**given))
    return net


def test_populations_that_are_too_wide_are_refused_with_the_way_out():
    wide(1024)
    with pytest.raises(DeclarationError, match=r"retina->IT: .*1200² numbers.*at most 1024.*group"):
        wide(1200)
    wide(1200, group=300)
    with pytest.raises(DeclarationError, match=r"group must divide its 1200 inputs.*Got 7; use 6"):
        wide(1200, group=7)
    with pytest.raises(DeclarationError, match="Got 7; use 6"):
        wide(1200, group=np.int64(7))
    with pytest.raises(DeclarationError, match="retina->IT: 1031 inputs have no divisor from 2 to 1024"):
        wide(1031, group="fit")


@pytest.mark.parametrize("inputs, size", [(5, 5), (1024, 1024), (1152, 576), (4096, 1024), (2062, 2), (7, 7)])
def test_groups_that_fit_are_the_largest(inputs, size):
    """As of the same group by its number, and all inputs together where that is allowed."""
    fits = wide(inputs, group="fit").projections["retina->IT"].reads
    assert fits.initial(inputs)["matrix"].shape == (inputs // size, size, size)
    assert "group='fit'" in str(fits) and cs.Network.from_yaml(wide(inputs, group="fit").to_yaml())
    x = np.random.default_rng(0).normal(size=(3, inputs))
    state = fits.initial(inputs)
    same = cs.Decorrelated(group=size)
    np.testing.assert_array_equal(fits.read(state, x), same.read(same.initial(inputs), x))


def test_what_has_no_plastic_weights_cannot_read():
    net = cs.Network("small")
    net.population("retina", 3)
    net.population("V1", 3)
    with pytest.raises(DeclarationError, match="retina->V1: .*do not change; leave reads out"):
        net.bottom_up("retina", "V1", reads="decorrelated")
    with pytest.raises(DeclarationError, match="reads must be one of decorrelated"):
        net.bottom_up("retina", "V1", plasticity="hebbian", reads=cs.Oja())
    assert "retina->V1" not in net.projections


def test_only_bottom_up_projections_in_yaml_read():
    text = wide(5).to_yaml().replace("kind: bottom_up", "kind: recurrent")
    with pytest.raises(DeclarationError, match="unknown key of recurrent projection.*reads"):
        cs.Network.from_yaml(text)


def test_yaml_print_drawing_and_rules_keep_it():
    net = wide(6, group=3, local=True)
    assert cs.Network.from_yaml(net.to_yaml()) == net == net.copy()
    assert "Decorrelated(local=True, group=3)" in str(net)
    labels = [text.get_text() for text in net.draw().axes[0].texts]
    assert "Hebbian + Decorrelated" in labels
    assert "Decorrelated(local=True, group=3)" in str(net.with_rule("oja"))
    assert "reads" not in str(net.with_reads(None)) and net.with_reads(None) != net
    assert net.with_reads(None).with_reads(cs.Decorrelated(group=3, local=True)) == net
