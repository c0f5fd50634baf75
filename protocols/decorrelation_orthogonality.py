"""On white input, lateral decorrelation makes a projection orthogonal enough for GAIT-prop
========================================================================================

Local decorrelation makes weights orthogonal enough for GAIT-prop, on white input.

Question and prediction
-----------------------

:doc:`GAIT-prop </rules/gait_prop>` equals backpropagation where weights are orthogonal. In training this is
ensured by a penalty, which reads all weights of a projection at once. Its authors (Ahmad, van Gerven &
Ambrogioni 2020, arXiv 2006.06438, discussion) suggest lateral decorrelation as a local mechanism. Does it
suffice? With :doc:`decorrelating </rules/decorrelation>` lateral projections (Földiák 1990,
doi:10.1007/BF02331346) together with :doc:`Oja's rule </rules/oja>` (Földiák 1989, Int. Joint Conf. on
Neural Networks), rates are y = Qx with Q = (I + L)⁻¹W. Let C be the input's correlation. The fixed point of
decorrelation is Q C Qᵀ = D diagonal, that of Oja's rule Q C = D W; together (I + L) Q Qᵀ = I. Predictions:

- **white input**, C = I: Q Qᵀ = D is diagonal, so is I + L, whose diagonal is 1: **L = 0 and W Wᵀ = I**.
  The angle between GAIT-prop's and backpropagation's update of a projection *below* W goes to 0;
- **correlated input**: rates become uncorrelated and W spans the leading components of C, but W Wᵀ = D⁻¹ Q
  C² Qᵀ D⁻¹ need not be diagonal: at most a partial improvement;
- **control, alone** (no lateral projections): on white input rows keep about the angles they had; on
  correlated input all cells become the first component, and W cannot be inverted.

What is modelled, and what is not
---------------------------------

16 retinal units, 8 linear V1 cells with a time constant of 3 ms, oblique initial weights (Gaussian). 16 000
Gaussian images in batches of 20, each presented for 70 ms with the window open in the last 20; η·T is 0.01
for W and 0.02 for L. *Correlated*: falling to 1/e over 2 units of a line. For the angle, W of each snapshot
is placed between V1 (16) and V2 (8) of a leaky-ReLU network retina-V1-V2-IT, whose other weights are
orthogonal, without its lateral weights: the angle is that of retina->V1, on 500 fixed presentations,
damping 1e-3. Not modelled: learning by GAIT-prop and decorrelation at the same time, rectified cells, units
that outnumber their inputs.

Run it
------

.. code-block:: none

   python protocols/decorrelation_orthogonality.py          # recording, figure, table
   cortex-sim simulate decorrelation_orthogonality --backend brian2 --out rows.nc

About 5 s of one thread for all four arms.

Result
------

.. image:: /figures/decorrelation_orthogonality.png
   :alt: Orthogonality and angle to backpropagation over presentations, and W Wᵀ at the end

By the first command, seed 0 (brian2 2.9, batched engine, dt 1 ms; deviation is ‖W Wᵀ/s² − I‖/√n):

.. csv-table::
   :delim: |
   :header-rows: 1

   ""| deviation before | deviation after | angle before | angle after | row lengths | "correlation
   of rates"| leading components
   white, lateral | 0.70 | **0.04** | 41.9° | **1.7°** | 1.00 to 1.00 | 0.01 | ""
   white, alone | 0.70 | 0.76 | 41.9° | 47.6° | 1.00 to 1.00 | 0.29 | ""
   correlated, lateral | 0.70 | 0.53 | 41.9° | 19.5° | 0.99 to 1.01 | 0.01 | 0.995
   correlated, alone | 0.70 | 2.65 | 41.9° | 86.8° | 1.00 to 1.00 | 1.00 | 0.49

*Correlation*: root mean square between two cells. *Leading components*: smallest cosine between the span of
W's rows and that of the first 8 eigenvectors of C. Seeds 1, 2: white, lateral 2.8°, 3.4°; correlated,
lateral 31.6°, 30.0°; alone 45.6°, 50.6° (white) and 82.5°, 89.1° (correlated).

**What holds**: on white input, local rules make W orthogonal, and GAIT-prop's direction below it equal to
backpropagation's within a few degrees; the remainder is due to the fluctuation of single batches and
shrinks with η. Lateral weights end at 0.014 (root mean square), so leaving them out of the network costs
nothing. Norms come from Oja's rule, not from decorrelation: rows orthogonal but of lengths 0.3 to 3 are
more than 10° off (see the test).

**What does not**: uncorrelated rates do not imply orthogonal weights. On correlated input rates are as
uncorrelated as on white input, W spans the right space, but its rows stay oblique (a deviation of 2.65 = √7
means that all rows are alike; 0.53 is not far from the start). The lateral weights, 0.19, are part of the
solution there, and are lost if only W is copied. Every layer would need whitened input, or its own
decorrelation below. Stronger correlations (1/e over 8 units) made the recurrence itself diverge at these
rates: an eigenvalue of I + L reached 0, and the run stopped with an error.

What would refute it
--------------------

A deviation above 0.1 or an angle above 5° on white input with lateral projections, or a control that
reaches either. Asserted by ``tests/protocols/test_decorrelation_orthogonality.py`` (``-m slow``).
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
