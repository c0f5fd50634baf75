"""Spiking units: against the paper's equations, in their limits, and what they refuse."""

import copy
import pickle

import numpy as np
import pytest
import spiking
import torch

import cortex_sim as cs

KEYS = {"x->A": "in", "A->A recurrent": "rec", "A->y": "out", "A": "b", "y": "b_out"}


def softmax(r):
    return np.exp(r - r.max()) / np.exp(r - r.max()).sum()


CREDITS = {"squared_error": lambda r, y: y - r, "cross_entropy": lambda r, y: y - softmax(r)}


def declared(
    sizes, *, recurrent=True, objective="squared_error", tau=12.0, tau_out=17.0, word="e_prop", **feedback
):
    net = cs.Network("spiking")
    net.population("x", sizes[0])
    net.population("A", sizes[1], activation="tanh", tau_ms=tau)
    net.population("y", sizes[2], tau_ms=tau_out)
    net.bottom_up("x", "A", plasticity="backprop")
    if recurrent:
        net.recurrent("A", "A", plasticity="backprop")
    net.bottom_up("A", "y", plasticity="backprop")
    net.objective("y", objective)
    return net.with_rule(word, **feedback)


def trials(sizes, seed, count=3, steps=30, p=0.5):
    rng = np.random.default_rng(seed)
    return (rng.random((count, steps, sizes[0])) < p), rng.normal(size=(count, steps, sizes[2]))


def built(net, seed=0, scale=0.8, **settings):
    """With weights so large that every unit spikes, and biases."""
    sim = cs.brian2.Spiking(net, seed, **settings)
    rng = np.random.default_rng([seed, 5])
    for w in sim.weights.values():
        w[...] *= scale * rng.uniform(2, 3)
    for b in sim.biases.values():
        b[...] = 0.4 + 0.4 * rng.normal(size=b.shape)
    return sim


def expected(sim, x, y, *, tau, tau_out, dt, refractory, objective, memory):
    """Spikes, readout, mean changes, ē and mean Σ e by the reference."""
    (b,) = [sim._feedback(p) for p in sim.net.top_downs]
    w = {"rec": None, "feedback": b}
    w |= {KEYS[name]: value for name, value in {**sim.weights, **sim.biases}.items()}
    own = tau, tau_out, dt, sim.neurons.threshold_mV, sim.neurons.dampening, refractory
    each = [
        spiking.trial(shown.astype(float), goal, w, *own, CREDITS[objective], memory)
        for shown, goal in zip(x, y, strict=True)
    ]
    spikes, output, changes, traces, sums = zip(*each, strict=True)
    dw = {n: np.mean([one[key] for one in changes], axis=0) for n, key in KEYS.items() if key in changes[0]}
    e = {n: np.mean([one[key] for one in sums], axis=0) for n, key in KEYS.items() if key in sums[0]}
    return np.array(spikes), np.array(output), dw, traces, e


@pytest.mark.parametrize(
    ("seed", "settings"),
    [
        (0, {"objective": "squared_error"}),
        (1, {"objective": "cross_entropy", "word": "e_prop_symmetric", "dt": 0.5, "refractory_ms": 3.0}),
        (2, {"word": "e_prop_diffused", "places": 2, "threshold_mV": 7.0, "dampening": 0.5}),
        (3, {"memory": "none", "refractory_ms": 0.0}),
        (4, {"recurrent": False, "word": "e_prop_symmetric"}),
    ],
)
def test_equals_the_papers_equations(seed, settings):
    """Spikes, readout, traces and changes of three trials; sizes and time constants at random."""
    rng = np.random.default_rng(seed)
    settings = dict(settings)
    sizes = tuple(int(n) for n in rng.permutation([7, 5, 3]))
    tau, tau_out = rng.uniform(5, 25, size=2)
    dt, memory = settings.pop("dt", 1.0), settings.pop("memory", "leak")
    units = {k: settings.pop(k) for k in ("threshold_mV", "dampening", "refractory_ms") if k in settings}
    objective = settings.get("objective", "squared_error")
    net = declared(sizes, tau=tau, tau_out=tau_out, **settings)
    if memory != "leak":
        net = net.with_rule(cs.EProp(memory))
    sim = built(net, seed, 1.5, neurons=cs.brian2.LeakyIntegrateAndFire(**units), dt_ms=dt)
    x, y = trials(sizes, seed)
    if objective == "cross_entropy":
        y = np.eye(sizes[2])[y.argmax(2)]
    y[0, ::3] = y[1, 5:] = np.nan
    found = sim.run(x, y)
    refractory = round(sim.neurons.refractory_ms / dt)
    z, out, dw, bars, _ = expected(
        sim, x, y, tau=tau, tau_out=tau_out, dt=dt, refractory=refractory, objective=objective, memory=memory
    )
    assert 10 < z.sum() < 0.6 * z.size
    np.testing.assert_array_equal(found.spikes["A"], z)
    np.testing.assert_allclose(found.output, out, atol=1e-12)
    assert set(found.changes) == set(dw)
    for name, change in dw.items():
        assert np.abs(change).max() > 1e-6, name
        np.testing.assert_allclose(found.changes[name], change, atol=1e-12, err_msg=name)
    traces = sim.built.of_trials("x->A", "e_bar")
    np.testing.assert_allclose(traces, [bar["in"].ravel() for bar in bars], atol=1e-12)


def test_firing_rates_are_drawn_to_their_target():
    """λ (f* − f_i) times the rate's derivative, mean over trials of Σ_t e_ij a second, beside the rest."""
    sizes, dt = (6, 5, 3), 0.5
    rates = cs.brian2.FiringRates(target_hz=35.0, strength=0.02)
    free, drawn = (built(declared(sizes), 6, dt_ms=dt, firing_rates=given) for given in (None, rates))
    x, y = trials(sizes, 6)
    z, _, _, _, e = expected(
        free, x, y, tau=12.0, tau_out=17.0, dt=dt, refractory=4, objective="squared_error", memory="leak"
    )
    seconds = x.shape[1] * dt / 1000
    f = z.mean(0).sum(0) / seconds
    assert f.min() < 35 < f.max()
    ours, theirs = drawn.run(x, y).changes, free.run(x, y).changes
    for name, change in ours.items():
        extra = 0.02 * (35 - f) * e[name].T / seconds if name in e else np.zeros(change.shape).T
        np.testing.assert_allclose(change - theirs[name], extra.T, atol=1e-10, err_msg=name)
        assert extra.any() == (name in ("x->A", "A->A recurrent", "A"))


def surrogate_gradients(sim, x, y, tau=12.0, tau_out=17.0):
    """Autograd's minus gradients of the mean objective, through the surrogate; the reset has no gradient."""

    class Spike(torch.autograd.Function):
        @staticmethod
        def forward(ctx, v, free):
            ctx.save_for_backward(v, free)
            return (v > 1).double() * free

        @staticmethod
        def backward(ctx, grad):
            v, free = ctx.saved_tensors
            return grad * 0.3 * torch.clamp(1 - abs(v - 1), min=0) * free, None

    w = {KEYS[n]: torch.tensor(v, requires_grad=True) for n, v in {**sim.weights, **sim.biases}.items()}
    alpha, kappa = np.exp(-1 / tau), np.exp(-1 / tau_out)
    shown, goal = torch.tensor(x, dtype=torch.float64), torch.tensor(y)
    v = z = torch.zeros(len(x), len(w["b"]), dtype=torch.float64)
    out, total = torch.zeros(len(x), len(w["b_out"]), dtype=torch.float64), 0.0
    last = torch.full_like(v, -99)
    for t in range(x.shape[1]):
        v = alpha * v + (1 - alpha) * w["b"] + shown[:, t] @ w["in"].T - z.detach()  # in thresholds
        free = (t - last >= 2).double()
        z = Spike.apply(v, free)
        last = torch.where(z.detach() > 0, float(t), last)
        out = kappa * out + (1 - kappa) * w["b_out"] + z @ w["out"].T
        total = total + 0.5 * ((out - goal[:, t]) ** 2).sum(1).mean() / x.shape[1]
    found = torch.autograd.grad(total, list(w.values()))
    named = dict(zip(w, found, strict=True))
    return {name: -named[key].numpy() for name, key in KEYS.items() if key in named}, float(total.detach())


def test_without_recurrence_and_with_the_transpose_it_is_the_surrogate_gradient():
    sizes = (6, 5, 3)
    sim = built(declared(sizes, recurrent=False, word="e_prop_symmetric"), 7)
    x, y = trials(sizes, 7)
    found = sim.run(x, y)
    gradients, objective = surrogate_gradients(sim, x, y)
    assert found.objective == pytest.approx(objective, rel=1e-12)
    for name, gradient in gradients.items():
        assert np.abs(gradient).max() > 1e-6, name
        np.testing.assert_allclose(found.changes[name], gradient, atol=1e-12, err_msg=name)


def test_rates_follow_the_f_i_curve():
    """1/(τ ln(I/(I − 1))) for a constant current I in thresholds, at most one spike a refractory period."""
    currents = np.array([0.5, 0.95, 1.1, 1.5, 2.5, 6.0])
    net = declared((2, len(currents), 1), recurrent=False, tau=20.0)
    sim = cs.brian2.Spiking(net, dt_ms=0.1, neurons=cs.brian2.LeakyIntegrateAndFire(refractory_ms=4.0))
    sim.biases["A"][...] = currents
    spikes = sim.run(np.zeros((1, 2000, 2))).spikes["A"][0]
    assert not spikes[:, :2].any()
    for current, times in zip(currents[2:], (0.1 * np.flatnonzero(z) for z in spikes.T[2:]), strict=True):
        interval = max(20 * np.log(current / (current - 1)), 4.0)
        assert np.diff(times).mean() == pytest.approx(interval, rel=0.01)


def test_trials_side_by_side_are_trials_one_by_one_and_leave_nothing_behind():
    sizes = (6, 5, 3)
    sim = built(declared(sizes), 3)
    x, y = trials(sizes, 3)
    together = sim.run(x, y)
    again = sim.run(x, y)
    alone = [sim.run(x[k : k + 1], y[k : k + 1]) for k in range(len(x))]
    assert sim.run(x[:1]).changes == {}
    for name, change in together.changes.items():
        np.testing.assert_array_equal(again.changes[name], change)
        np.testing.assert_allclose(np.mean([one.changes[name] for one in alone], 0), change, atol=1e-13)
    for k, one in enumerate(alone):
        np.testing.assert_array_equal(one.spikes["A"][0], together.spikes["A"][k])


def test_weights_start_as_on_every_backend_and_learning_adds_eta_times_the_change():
    sizes = (6, 5, 3)
    net = declared(sizes)
    sim = cs.brian2.Spiking(net, seed=4)
    start = net.initial_weights(4)
    for name, w in sim.weights.items():
        np.testing.assert_array_equal(w, start[name])
    np.testing.assert_array_equal(sim.feedback["y->A"], start["y->A"])
    x, y = trials(sizes, 4, p=0.5)
    found = sim.learn(x, y, eta=0.5)
    for name, w in sim.weights.items():
        np.testing.assert_allclose(w - start[name], 0.5 * found.changes[name], atol=1e-15)
    np.testing.assert_allclose(sim.biases["y"], 0.5 * found.changes["y"], atol=1e-15)


def test_sparse_synapses_exist_where_declared_fixed_ones_stay_and_areas_follow_one_another():
    """The second area is the reference's units, whose sources are the first area's spikes, a step later."""
    net = cs.Network("two areas")
    for name, size in (("x", 6), ("A", 5), ("B", 4), ("y", 2)):
        net.population(name, size)
    net.bottom_up("x", "A")  # without plasticity
    net.bottom_up("A", "B", cs.Sparse(probability=0.5), plasticity="backprop")
    net.bottom_up("B", "y", plasticity="backprop")
    net.objective("y", "squared_error")
    sim = built(net.with_rule("e_prop"), scale=1.5)
    x, y = trials((6, 5, 2), 0)
    found = sim.run(x, y)
    exists = sim.net.wiring(sim.net.projections["A->B"])
    assert set(found.changes) == {"A->B", "B->y", "B", "y"}
    assert 0 < exists.sum() < exists.size and found.spikes["B"].any()
    w = {"in": sim.weights["A->B"] * exists, "rec": None, "out": sim.weights["B->y"]}
    w |= {"b": sim.biases["B"], "b_out": sim.biases["y"], "feedback": sim.feedback["y->B"]}
    sent = np.pad(found.spikes["A"][:, :-1].astype(float), ((0, 0), (1, 0), (0, 0)))
    theta, gamma = sim.neurons.threshold_mV, sim.neurons.dampening
    each = [
        spiking.trial(shown, goal, w, 10.0, 10.0, 1.0, theta, gamma, 2, CREDITS["squared_error"])
        for shown, goal in zip(sent, y, strict=True)
    ]
    np.testing.assert_array_equal(found.spikes["B"], [one[0] for one in each])
    for name, key in (("A->B", "in"), ("B->y", "out"), ("B", "b"), ("y", "b_out")):
        change = np.mean([one[2][key] for one in each], axis=0)
        change = change * exists if key == "in" else change
        assert np.abs(change).max() > 1e-6
        np.testing.assert_allclose(found.changes[name], change, atol=1e-12, err_msg=name)


def test_units_of_a_channel_share_a_bias_as_on_every_backend():
    """Its change is the sum of the changes that units would have with biases of their own."""
    sims = []
    for shape in ({"shape": (2, 2, 3)}, {"size": 12}):
        net = cs.Network("channels")
        net.population("x", 5)
        net.population("A", **shape)
        net.population("y", 2)
        net.bottom_up("x", "A", plasticity="backprop")
        net.bottom_up("A", "y", plasticity="backprop")
        net.objective("y", "squared_error")
        rates = cs.brian2.FiringRates(35.0, 0.02)
        sims.append(built(net.with_rule("e_prop"), scale=1.5, firing_rates=rates))
    ours, theirs = sims
    ours.biases["A"][...] = (0.7, 1.2)
    theirs.biases["A"][...] = [0.7] * 6 + [1.2] * 6
    ours.biases["y"][...] = theirs.biases["y"][...] = 0.3
    x, y = trials((5, 12, 2), 0)
    ours, theirs = (sim.run(x, y) for sim in sims)
    np.testing.assert_array_equal(ours.spikes["A"], theirs.spikes["A"])
    apart = theirs.changes["A"].reshape(2, 6)
    assert np.abs(apart).max() > 1e-6
    np.testing.assert_allclose(ours.changes.pop("A"), apart.sum(1), atol=1e-14)
    for name, change in ours.changes.items():
        np.testing.assert_allclose(change, theirs.changes[name], atol=1e-14, err_msg=name)


def test_copies_go_on_alone():
    sim = built(declared((6, 5, 3)), 3)
    x, y = trials((6, 5, 3), 3)
    sim.run(x, y)
    for copied in (copy.deepcopy(sim), pickle.loads(pickle.dumps(sim))):
        before = {name: w.copy() for name, w in sim.weights.items()}
        ours = copied.learn(x, y, 0.5)
        np.testing.assert_array_equal(ours.output, sim.run(x, y).output)
        assert all(np.array_equal(w, before[name]) for name, w in sim.weights.items())
        assert not np.array_equal(copied.weights["x->A"], before["x->A"])


def test_sign_symmetric_feedback_has_the_signs_and_the_length_of_the_weights():
    sizes = (6, 5, 3)
    net = declared(sizes)
    del net.projections["y->A"]
    given = net.copy()
    net.top_down("y", "A", feedback=cs.SignSymmetric(of="A->y"))
    w = net.initial_weights(2)["A->y"].T
    given.top_down("y", "A", feedback=cs.Given(np.sign(w) * np.sqrt((w**2).mean())))
    x, y = trials(sizes, 2, p=0.9)
    ours, theirs = (cs.brian2.Spiking(one, 2).run(x, y).changes for one in (net, given))
    assert np.abs(ours["x->A"]).max() > 1e-6
    for name, change in theirs.items():
        np.testing.assert_allclose(ours[name], change, atol=1e-14, err_msg=name)
