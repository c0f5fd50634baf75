"""Lateral decorrelation makes a projection orthogonal enough for GAIT-prop.

Decorrelation: Földiák (1990), Biol. Cybern. 64, doi:10.1007/BF02331346; with Oja's rule: Földiák (1989),
Int. Joint Conf. on Neural Networks. As a local mechanism for the orthogonal weights under which GAIT-prop
equals backpropagation: Ahmad, van Gerven & Ambrogioni (2020), arXiv 2006.06438, discussion.

Prediction: on white input, Oja's rule with decorrelating lateral projections ends at W Wᵀ = I, lateral
weights at zero; put into a network, GAIT-prop's update below W then has the direction of
backpropagation's. On correlated input rates become uncorrelated and W spans the leading components, but
its rows need not be orthogonal. Control: without lateral projections rows stay as oblique as they were
(white), or all become the first component (correlated).
"""

import numpy as np

import cortex_sim as cs

UNITS, CELLS, REACH = 16, 8, 2.0  # of the retina; of V1; distance over which correlation falls to 1/e
TRIALS, BATCH = 16000, 20  # presentations, and batch size
PROJECTION, LATERAL = "retina->V1", "V1->V1"
INPUTS, CIRCUITS = ("white", "correlated"), ("lateral", "alone")


def correlations(kind: str) -> np.ndarray:
    """Correlations of the images' units, (unit, unit): none, or falling with distance on a line."""
    place = np.arange(UNITS)
    return {"white": np.eye(UNITS), "correlated": np.exp(-abs(place[:, None] - place) / REACH)}[kind]


def images(kind: str, seed: int) -> np.ndarray:
    """Gaussian images of variance 1, (presentation, unit)."""
    white = np.random.default_rng(seed).normal(size=(TRIALS, UNITS))
    return white @ np.linalg.cholesky(correlations(kind)).T


def network(circuit: str, seed: int) -> cs.Network:
    """Linear cells under Oja's rule, from oblique weights; with lateral projections or alone."""
    net = cs.Network(circuit)
    retina = net.population("retina", UNITS)
    v1 = net.population("V1", CELLS, activation="linear", tau_ms=3, bias=False)
    start = np.random.default_rng(seed).normal(size=(CELLS, UNITS)) / np.sqrt(UNITS)
    net.bottom_up(retina, v1, cs.Dense(init=start), plasticity=cs.Oja())
    if circuit == "lateral":
        net.lateral(v1, plasticity=cs.Decorrelation())
    return net


def experiment(seed: int = 0) -> cs.Experiment:
    """Both inputs, to cells with and without lateral projections; initial weights are the same in all."""
    arms = {}
    for kind in INPUTS:
        for circuit in CIRCUITS:
            shown = {"retina": images(kind, seed)}
            eta = {PROJECTION: 0.5} | ({LATERAL: 1.0} if circuit == "lateral" else {})
            protocol = cs.Protocol(
                cs.Phase("settle", duration_ms=50, drive=shown),
                cs.Phase("learn", duration_ms=20, drive=shown, plasticity=eta),
                batch=BATCH,
                record=cs.Record(populations=["V1"], phase="settle", weights=[PROJECTION], weights_every=400),
            )
            arms[f"{kind}, {circuit}"] = cs.Arm(protocol, network(circuit, seed))
    return cs.Experiment(network("lateral", seed), arms)


def deviation(weights: np.ndarray) -> float:
    """‖W Wᵀ/s² − I‖ / √n with s² the mean squared row length: 0 is orthogonal, rows of one length."""
    gram = weights @ weights.T
    return np.linalg.norm(gram / np.diag(gram).mean() - np.eye(len(gram))) / np.sqrt(len(gram))


def angle_below(weights: np.ndarray, seed: int = 0) -> float:
    """Degrees between GAIT-prop's and backpropagation's update of a projection below these weights."""
    from cortex_sim.backends.torch.diagnostics import angles_to_backprop

    net = cs.Network("with learned weights")
    sizes = {"retina": UNITS, "V1": UNITS, "V2": CELLS, "IT": 4}
    for name, size in sizes.items():
        net.population(name, size, activation="leaky_relu" if name.startswith("V") else "linear")
    net.bottom_up("retina", "V1", plasticity="backprop")
    net.bottom_up("V1", "V2", cs.Dense(init=weights), plasticity="backprop")
    net.bottom_up("V2", "IT", plasticity="backprop")
    net.objective("IT", cs.CrossEntropy())
    model = cs.torch.build(net.with_rule("gait_prop"), seed=seed, precision="64")
    rng = np.random.default_rng(seed)
    found = angles_to_backprop(model, rng.normal(size=(500, UNITS)), rng.integers(4, size=500))
    return found["retina->V1"]


def rate_correlation(recording, arm: str, last: int = 2000) -> float:
    """Root mean square correlation between two V1 cells, over the last presentations."""
    rates = cs.recording.select(recording, arm=arm, population="V1")["rate"].values[-last:]
    return np.sqrt((np.corrcoef(rates.T)[~np.eye(CELLS, dtype=bool)] ** 2).mean())


def leading(kind: str, weights: np.ndarray) -> float:
    """Smallest cosine between the rows' span and that of the leading components; NaN where there are none."""
    if kind == "white":
        return np.nan
    components = np.linalg.eigh(correlations(kind))[1][:, -CELLS:]
    rows = np.linalg.svd(weights, full_matrices=False)[2]
    return np.linalg.svd(rows @ components)[1].min()


def statistics(recording) -> dict[str, dict[str, float]]:
    """Orthogonality and angle before and after; correlation of rates, row lengths and span."""
    found = {}
    for arm in dict.fromkeys(recording["arm"].values.tolist()):
        weights = cs.recording.weights_of(recording, PROJECTION, arm)[1]
        first, last = weights[0], weights[-1]
        lengths = np.linalg.norm(last, axis=1)
        found[arm] = {
            "deviation before": deviation(first),
            "deviation after": deviation(last),
            "angle before (deg)": angle_below(first),
            "angle after (deg)": angle_below(last),
            "shortest row": lengths.min(),
            "longest row": lengths.max(),
            "correlation of rates": rate_correlation(recording, arm),
            "leading components": leading(arm.split(", ")[0], last),
        }
    return found


def figure(recording):
    """Orthogonality and angle to backpropagation over presentations, and W Wᵀ at both ends."""
    from cortex_sim.viz.panels import COLOURS, new_figure, plain

    drawn = new_figure(11, 3.6)
    curves, matrices = drawn.subfigures(1, 2, width_ratios=[1.9, 1])
    oblique, angle = curves.subplots(1, 2)
    grams = matrices.subplots(2, 2)
    for number, arm in enumerate(dict.fromkeys(recording["arm"].values.tolist())):
        trials, weights = cs.recording.weights_of(recording, PROJECTION, arm)
        style = {"color": COLOURS[number // 2], "ls": "-" if arm.endswith("lateral") else "--"}
        oblique.plot(trials, [deviation(w) for w in weights], label=arm, **style)
        angle.plot(trials, [angle_below(w) for w in weights], **style)
        axes = grams[number // 2, number % 2]
        shown = axes.imshow(weights[-1] @ weights[-1].T, cmap="RdBu_r", vmin=-1, vmax=1)
        axes.set_title(arm, fontsize=9)
        axes.set(xticks=[], yticks=[])
    matrices.colorbar(shown, ax=grams, label="W Wᵀ at the end", aspect=25)
    plain(oblique, "presentations", "deviation of W from orthogonality")
    plain(angle, "presentations", "angle to backpropagation below W (deg)")
    oblique.set_ylim(0, 3.9)
    angle.set_ylim(0, 95)
    oblique.legend(frameon=False, fontsize=8, ncols=2, loc="upper center")
    return drawn


def main(seed: int = 0) -> None:
    """Run all arms; print and draw the results."""
    recording = cs.brian2.run(experiment(seed), seed=seed)
    cs.viz.keep("decorrelation_orthogonality", recording, figure(recording), statistics(recording))


if __name__ == "__main__":
    main()
