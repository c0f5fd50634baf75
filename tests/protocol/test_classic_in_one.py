"""One protocol: BCM, then covariance, a lesion from trial 200 on, probes; against an own Euler loop."""

import inspect

import numpy as np
import pytest

import cortex_sim as cs

X = np.random.default_rng(5).uniform(0, 1, size=(3, 7))
ETA, MEMORY, TAU, DT = 2.0, 200.0, 25.0, 5.0


def experiment(engine="batched"):
    net = cs.Network("two rules")
    net.population("retina", 7)
    net.population("V1", 5, activation="relu", tau_ms=TAU, bias=False)
    net.population("IT", 2, tau_ms=TAU, bias=False)
    start = np.random.default_rng(0).uniform(0.1, 0.4, size=(5, 7))
    net.bottom_up("retina", "V1", cs.Dense(init=start), plasticity=cs.Bcm(tau_ms=MEMORY))
    net.bottom_up("V1", "IT", cs.Dense(init=start[:2, :5]), plasticity=cs.Covariance(tau_ms=MEMORY))
    show = {"retina": X}
    script = cs.Protocol(
        cs.Phase("show", 20, drive=show, plasticity=cs.FromTrial({0: ["retina->V1"], 100: ["V1->IT"]})),
        trials=230,
        lesion=cs.FromTrial(200, ["V1/2"]),
        probe=cs.Protocol(cs.Phase("show", 20, drive=show), batch=1),
        probe_every=10,
        record=cs.Record(weights=True, weights_every=10),
        eta_per_s=ETA,
    )
    return cs.Experiment(net, {"arm": script}, dt_ms=DT, engine=engine)


class ByHand:
    """The equations of both areas and both rules, all from the state before the step."""

    def __init__(self, w, v):
        self.w, self.v, self.alive = w.copy(), v.copy(), np.ones(5)
        self.theta, self.mean_post, self.mean_pre = np.zeros(5), np.zeros(2), np.zeros(5)

    def show(self, x, window=None):
        """Rates of V1 and IT at the end of a trial from rest."""
        a, b = np.zeros(5), np.zeros(2)
        for _ in range(4):
            r, top, w, v = self.alive * np.maximum(a, 0), b, self.w, self.v
            if window == "bcm":
                self.w = w + ETA * DT / 1000 * np.outer(r * (r - self.theta), x)
                self.theta = self.theta + DT / MEMORY * (r**2 - self.theta)
            if window == "covariance":
                self.v = v + ETA * DT / 1000 * np.outer(top - self.mean_post, r - self.mean_pre)
                self.mean_post = self.mean_post + DT / MEMORY * (top - self.mean_post)
                self.mean_pre = self.mean_pre + DT / MEMORY * (r - self.mean_pre)
            a, b = a + DT / TAU * (w @ x - a), b + DT / TAU * (v @ r - b)
        return np.concatenate([self.alive * np.maximum(a, 0), b])


@pytest.mark.parametrize("engine", ["batched", "synapses"])
def test_one_protocol_is_its_equations(engine):
    assert len(inspect.getsource(experiment).splitlines()) <= 40
    one = experiment(engine)
    seen = cs.brian2.run(one, progress=False)
    first = one.network.initial_weights(0)
    hand, probed, weights = ByHand(first["retina->V1"], first["V1->IT"]), [], []
    for trial in range(231):
        hand.alive[2] = float(trial < 200)
        if trial % 10 == 0:
            probed += [hand.show(x) for x in X]
            weights.append((hand.w.copy(), hand.v.copy()))
        hand.show(X[trial % 3], "bcm" if trial < 100 else "covariance")
    rates = seen["rate"].values[seen["stage"].values == "probe"][:, 7:]
    np.testing.assert_allclose(rates, probed, atol=1e-11)
    np.testing.assert_allclose(seen["weight:retina->V1"], [w for w, _ in weights], atol=1e-11)
    np.testing.assert_allclose(seen["weight:V1->IT"], [v for _, v in weights], atol=1e-11)
    assert not rates[60:, 2].any() and rates[:60, 2].any()
    assert seen["snapshot_trial"].values.tolist() == list(range(0, 231, 10))
