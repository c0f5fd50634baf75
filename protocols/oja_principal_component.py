"""Oja's rule finds the first principal component.

Oja (1982), A simplified neuron model as a principal component analyzer, J. Math. Biol. 15,
doi:10.1007/BF00275687.

Prediction: a linear unit under Oja's rule ends along the first eigenvector of its input's correlation
matrix (|cosine| > 0.99) and at length 1. Control: under Hebb's rule it turns the same way, but its
length grows without bound.
"""

import numpy as np

import cortex_sim as cs

UNITS, REACH = 16, 8.0  # of the retina; distance in units over which correlation falls to 1/e
TRIALS = 3000
PROJECTION = "retina->V1"


def images(seed: int) -> np.ndarray:
    """Gaussian images on a line, (presentation, unit): neighbours are alike."""
    place = np.arange(UNITS)
    correlation = np.exp(-abs(place[:, None] - place) / REACH)
    white = np.random.default_rng(seed).normal(size=(TRIALS, UNITS))
    return white @ np.linalg.cholesky(correlation).T


def experiment(seed: int = 0) -> cs.Experiment:
    """One unit, one rule per arm, the same images and initial weights."""
    net = cs.Network("one linear unit")
    retina = net.population("retina", UNITS)
    v1 = net.population("V1", 1, activation="linear", tau_ms=5, bias=False)
    net.bottom_up(retina, v1, cs.Dense(init=cs.Orthogonal(gain=0.3)), plasticity=cs.Oja())

    shown = {"retina": images(seed)}
    oja = cs.Protocol(
        cs.Phase("settle", duration_ms=30, drive=shown),
        cs.Phase("learn", duration_ms=20, drive=shown, plasticity=True),
        record=cs.Record(weights=True, weights_every=10),
        eta_per_s=0.05,
    )
    return cs.Experiment(net, arms={"Oja": oja, "Hebb": cs.Arm(oja, net.with_rule("hebbian"))})


def component(recording) -> np.ndarray:
    """First eigenvector of the correlation matrix of the presented images, of shape (unit,)."""
    shown = cs.recording.select(recording, population="retina", arm="Oja")["rate"].values
    first = np.linalg.eigh(shown.T @ shown)[1][:, -1]
    return first * np.sign(first.sum())


def course(recording, arm: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Trials, |cosine| to the component, and length, each (snapshot,)."""
    trials, weights = cs.recording.weights_of(recording, PROJECTION, arm)
    length = np.linalg.norm(weights[:, 0], axis=1)
    return trials, abs(weights[:, 0] @ component(recording)) / length, length


def statistics(recording) -> dict[str, dict[str, float]]:
    """Direction and length of each arm's weights, as in the prediction."""
    found = {}
    for arm in ("Oja", "Hebb"):
        _, cosine, length = course(recording, arm)
        found[arm] = {"cosine before": cosine[0], "cosine after": cosine[-1], "length after": length[-1]}
    return found


def figure(recording):
    """Direction and length over trials, and the weights at the end."""
    from cortex_sim.viz.panels import COLOURS, new_figure, plain

    drawn = new_figure(10, 3.2)
    direction, size, profile = drawn.subplots(1, 3)
    place = np.arange(UNITS)
    profile.plot(place, component(recording), color="0.6", lw=5, label="first component")
    for arm, colour in zip(("Oja", "Hebb"), COLOURS, strict=False):
        trials, cosine, length = course(recording, arm)
        last = cs.recording.weights_of(recording, PROJECTION, arm)[1][-1, 0]
        broad = {"lw": 4, "alpha": 0.5} if arm == "Oja" else {"lw": 1.5}  # so that both are visible
        direction.plot(trials, cosine, color=colour, label=arm, **broad)
        size.semilogy(trials, length, color=colour)
        style = {"color": colour, "ls": "-" if arm == "Oja" else "--", "label": f"{arm}, over its length"}
        profile.plot(place, last * np.sign(last.sum()) / length[-1], **style)
    direction.axhline(0.99, color="0.6", lw=1, ls=":")
    size.axhline(1.0, color="0.6", lw=1, ls=":")
    plain(direction, "trials", "|cosine| to the first component")
    plain(size, "trials", "length of the weights")
    plain(profile, "unit of the retina", "weight")
    direction.set_ylim(0, 1.03)
    profile.set_ylim(bottom=0)
    direction.legend(frameon=False)
    profile.legend(frameon=False, fontsize=8, loc="lower center")
    return drawn


def main(seed: int = 0) -> None:
    """Run both arms; print and draw the results."""
    recording = cs.brian2.run(experiment(seed), seed=seed)
    cs.viz.keep("oja_principal_component", recording, figure(recording), statistics(recording))


if __name__ == "__main__":
    main()
