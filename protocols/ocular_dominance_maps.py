r"""Ocular-dominance columns, as wide as the cortex's interaction
=============================================================

Columns of the two eyes form under subtractive, not multiplicative normalisation, as wide as linear theory
predicts.

Question and prediction
-----------------------

Synapses from both eyes overlap in the visual cortex at first. Later, cells are driven by one eye, and cells
driven by the same eye form columns. Miller, Keller & Stryker (1989, Science 245,
doi:10.1126/science.2762813) derive this from Hebb's rule in arbors, correlated activity within each eye,
excitation nearby and inhibition further away. Something must keep the weights of a cell bounded, and what
does so decides the outcome (Miller & MacKay 1994, Neural Comput. 6, doi:10.1162/neco.1994.6.1.100). As long
as weights are far from their bounds the equations are linear, and a difference between the eyes that varies
over the sheet with frequency k grows at a rate that ``growth`` computes from the interaction I = (1 − M)⁻¹,
the correlations within and between eyes and the arbor. Predictions:

- **subtractive** normalisation subtracts the same amount from all synapses of a cell. The sum of the eyes is
  kept and their difference grows freely: cells become monocular, although the eyes are positively correlated
  (0.5), in columns of the wavelength that grows fastest;
- **wider interaction**: wider columns;
- control, **no interaction**: all frequencies grow alike and slowly; there is no order;
- control, **multiplicative** normalisation slows all growth by that of the mean weight: cells stay
  binocular where the sum of the eyes, equal in all cells, grows faster than any difference;
- control, **multiplicative, anticorrelated** (−0.5): the difference grows faster than the sum, and columns
  form.

What is modelled, and what is not
---------------------------------

Two eyes of 18 × 18 units, the channels of one source, and a cortex of 18 × 18 linear units; opposite edges
meet. Each cell has 21 synapses from each eye, within 2.5 units (``cs.Arbor``), of weight 0.8 to 1.2 at
first, 0 to 2 later (``cs.Bounds``), with a mean of 1 (``cs.RowNorm``). A fixed
:doc:`recurrent projection </concepts>` excites with σ = 0.92 units and inhibits with twice that (1.2 and
2.4 where it is wider). Activity is white noise smoothed with σ = 2 units. Every image is followed by the
same one with the eyes exchanged, and 16 images make one change of weights. Protocols run
:doc:`at equilibrium </quasi-static>`: 60 changes from settled rates.

Both eyes are channels of one source. Two sources whose projections are
:doc:`normalised together </constraints>`, ``cs.RowNorm(total, over=["left->V1", "right->V1"])``, change
alike; if each eye kept its own sum, there would be no competition. Not modelled: rates that cannot be
negative, changing arbors, other layers, and what in a cell subtracts or divides.

Run it
------

.. code-block:: none

   python protocols/ocular_dominance_maps.py          # recording, figure, table
   cortex-sim simulate ocular_dominance_maps --backend torch --out maps.nc

About 60 s of one thread for all five arms; the recording takes 70 MB.

Result
------

.. image:: /figures/ocular_dominance_maps.png
   :alt: Maps of ocular dominance, monocularity over trials, and spectra

By the first command, seed 0 (torch, float64). Monocularity is the mean of \|L − R\|/(L + R), L and R a
cell's summed weights; wavelengths are in units, at the peak of the spectrum, 18 over a whole number; growth
is over η:

.. csv-table::
   :delim: |
   :header-rows: 1

   ""| monocularity before | monocularity after | correlation of neighbours | wavelength | "predicted
   wavelength"| fastest growth of L − R | growth of a uniform L + R
   subtractive | 0.015 | 0.85 | 0.56 | 6 | 6 | 28.8 | 34.3
   wider interaction | 0.015 | 0.64 | 0.78 | 9 | 9 | 26.5 | 44.4
   no interaction | 0.015 | 0.22 | 0.03 | 2.25 | none | 7.4 | 22.2
   multiplicative | 0.015 | 0.0002 | 0.72 | 6 | 6 | 28.8 | 34.3
   multiplicative, anticorrelated | 0.015 | 1.00 | 0.47 | 6 | 6 | 86.5 | 11.4

Seeds 1, 2: subtractive 0.91, 0.85 with wavelength 6; wider interaction 0.76, 0.70 with wavelength 9; no
interaction 0.24, 0.19 and neighbours 0.09, 0.08; multiplicative at most 0.002; anticorrelated 0.99.

The last two columns, and not the sign of the correlation alone, determine the outcome of the multiplicative
arms: with this interaction, growth of the uniform sum exceeds that of the fastest difference only above a
correlation of about 0.43.

What would refute it
--------------------

Under subtractive normalisation binocular cells, or a wavelength other than the one of fastest growth; under
multiplicative normalisation monocular cells where the sum grows faster. Asserted by
``tests/protocols/test_ocular_dominance_maps.py`` (``-m slow``); a quick test takes two updates by the
equations, synapse by synapse, and finds the same weights.
"""

import numpy as np

import cortex_sim as cs

SIDE = 18  # units along each side of the sheets, whose opposite edges meet
ARBOR, SMOOTH = 2.5, 2.0  # radius of arbors, and σ by which white noise is smoothed in each eye, in units
STRENGTH = 1.7  # of excitation and of inhibition within cortex
IMAGES, BATCH, UPDATES = 960, 16, 60
PROJECTION, INTERACTION = "eyes->V1", "V1->V1 recurrent"
ARMS = {  # normalisation, correlation between the eyes, σ of excitation (inhibition: twice that)
    "subtractive": ("subtractive", 0.5, 0.92),
    "wider interaction": ("subtractive", 0.5, 1.2),
    "no interaction": ("subtractive", 0.5, None),
    "multiplicative": ("multiplicative", 0.5, 0.92),
    "multiplicative, anticorrelated": ("multiplicative", -0.5, 0.92),
}


def gaussian(width: float) -> np.ndarray:
    """Bump around unit (0, 0) of the sheet with sum 1, (row, column)."""
    squared = np.minimum(np.arange(SIDE), SIDE - np.arange(SIDE)) ** 2
    bump = np.exp(-(squared[:, None] + squared) / (2 * width**2))
    return bump / bump.sum()


def hat(width: float | None) -> np.ndarray:
    """What a V1 unit at (0, 0) sends: excitation nearby, inhibition twice as far, (row, column)."""
    return 0 * gaussian(1) if width is None else STRENGTH * (gaussian(width) - gaussian(2 * width))


def everywhere(kernel: np.ndarray) -> np.ndarray:
    """A kernel (row, column) from every unit of the sheet to every other, (unit, unit)."""
    row, column = np.indices((SIDE, SIDE)).reshape(2, -1)
    return kernel[(row[:, None] - row) % SIDE, (column[:, None] - column) % SIDE]


def images(correlation: float, seed: int) -> np.ndarray:
    """Smooth Gaussian activity of variance 1 in the left and the right eye, (presentation, 2·unit).

    Every second image is the one before with eyes exchanged, so that no eye is ahead by chance.
    """
    rng = np.random.default_rng(seed)
    left, other = rng.normal(size=(2, IMAGES // 2, SIDE**2))
    right = correlation * left + np.sqrt(1 - correlation**2) * other
    eyes = np.stack([left, right]) @ everywhere(gaussian(SMOOTH) / np.linalg.norm(gaussian(SMOOTH)))
    return np.stack([np.hstack(eyes), np.hstack(eyes[::-1])], axis=1).reshape(IMAGES, -1)


def network(normalisation: str, width: float | None) -> cs.Network:
    """Two eyes, the channels of one source, so that all synapses of a cell compete; one cortical sheet."""
    net = cs.Network("columns")
    eyes = net.population("eyes", shape=(2, SIDE, SIDE))
    v1 = net.population("V1", shape=(1, SIDE, SIDE), activation="linear", bias=False)
    arbor = cs.Arbor(radius=ARBOR, wrap=True, init=cs.Uniform(0.8, 1.2))
    synapses = arbor.wiring(PROJECTION, eyes.shape, v1.shape)[0].sum()  # of each cell, from both eyes
    limits = [cs.Bounds(0, 2), cs.RowNorm(synapses, method=normalisation)]  # the mean weight stays 1
    net.bottom_up(eyes, v1, arbor, plasticity=cs.Hebbian(), constraint=limits)
    net.recurrent(v1, v1, cs.Dense(init=everywhere(hat(width or 1.0))))
    return net


def experiment(seed: int = 0) -> cs.Experiment:
    """One normalisation, correlation and interaction per arm, from the same weights."""
    arms = {}
    for arm, (normalisation, correlation, width) in ARMS.items():
        protocol = cs.Protocol(
            cs.Phase("see", 100, drive={"eyes": images(correlation, seed)}, plasticity=True),
            trials=BATCH * UPDATES,
            batch=BATCH,
            lesion=[INTERACTION] if width is None else [],
            record=cs.Record(populations=["V1"], weights=True, weights_every=BATCH * 10),
            eta_per_s=0.2,
        )
        arms[arm] = cs.Arm(protocol, network(normalisation, width))
    return cs.Experiment(arms["subtractive"].network, arms)


def dominance(weights: np.ndarray) -> np.ndarray:
    """(L − R)/(L + R) of each cell, from its weights (..., unit, 2·unit), as maps (..., row, column)."""
    left, right = np.moveaxis(weights.reshape(*weights.shape[:-1], 2, SIDE**2).sum(axis=-1), -1, 0)
    return ((left - right) / (left + right)).reshape(*weights.shape[:-2], SIDE, SIDE)


def maps(recording, arm: str) -> tuple[np.ndarray, np.ndarray]:
    """Trials, and maps of ocular dominance, (snapshot, row, column)."""
    trials, weights = cs.recording.weights_of(recording, PROJECTION, arm)
    return trials, dominance(weights)


def growth(arm: str, between_eyes: int = -1) -> np.ndarray:
    """Rate, over η, at which L − R grows (L + R for ``between_eyes=1``), by spatial frequency (row, column).

    Where it is d(α)·exp(ikx), at cell x and offset α in its arbor, it grows at the rate
    Σ_yα' I(y) exp(−iky) C(y + α − α') d(α'); I = (1 − M)⁻¹ is the interaction, C the correlation
    within an eye less (plus) that between eyes. The largest eigenvalue counts.
    """
    _, correlation, width = ARMS[arm]
    interaction = np.fft.ifft2(1 / (1 - np.fft.fft2(hat(width)))).real
    alike = np.fft.ifft2(np.fft.fft2(gaussian(SMOOTH)) ** 2).real
    alike *= (1 + between_eyes * correlation) / alike[0, 0]
    reach = range(-int(ARBOR), int(ARBOR) + 1)
    arbor = [(row, column) for row in reach for column in reach if row**2 + column**2 <= ARBOR**2]
    coupled = [
        [np.fft.fft2(interaction * np.roll(alike, (b[0] - a[0], b[1] - a[1]), (0, 1))) for b in arbor]
        for a in arbor
    ]
    return np.linalg.eigvalsh(np.moveaxis(coupled, (0, 1), (-2, -1)))[..., -1]


def frequencies() -> np.ndarray:
    """Spatial frequency of each Fourier component of a map, in cycles per side, (row, column)."""
    along = np.fft.fftfreq(SIDE) * SIDE
    return np.hypot(along[:, None], along)


def spectrum(power: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cycles per side 1, 2, ..., and the mean of ``power`` (..., row, column) at each of them."""
    cycles = np.arange(1, SIDE // 2)
    rings = [power[..., np.rint(frequencies()) == cycle].mean(axis=-1) for cycle in cycles]
    return cycles, np.stack(rings, axis=-1)


def wavelength(power: np.ndarray) -> float:
    """Units per cycle at the peak of a spectrum, from power (row, column)."""
    cycles, rings = spectrum(power)
    return SIDE / cycles[rings.argmax()]


def statistics(recording) -> dict[str, dict[str, float]]:
    """How monocular cells are, how alike neighbours, and the wavelength beside that of fastest growth."""
    found = {}
    for arm, (*_, width) in ARMS.items():
        first, last = maps(recording, arm)[1][[0, -1]]
        found[arm] = {
            "monocularity before": abs(first).mean(),
            "monocularity after": abs(last).mean(),
            "correlation of neighbours": np.corrcoef(last.ravel(), np.roll(last, 1, axis=0).ravel())[0, 1],
            "wavelength": wavelength(abs(np.fft.fft2(last)) ** 2),
            "predicted wavelength": np.nan if width is None else wavelength(growth(arm)),
            "fastest growth of L − R": growth(arm).max(),
            "growth of a uniform L + R": growth(arm, 1)[0, 0],
        }
    return found


def figure(recording):
    """Maps at the end, monocularity over trials, and spectra of the maps with predicted rates of growth."""
    from cortex_sim.viz.panels import COLOURS, new_figure, note, plain

    drawn = new_figure(12, 6)
    above, below = drawn.subfigures(2, 1, height_ratios=[1, 1.1])
    columns = above.subplots(1, len(ARMS))
    course, power, rate = below.subplots(1, 3)
    for axes, arm, colour in zip(columns, ARMS, COLOURS, strict=False):
        trials, found = maps(recording, arm)
        shown = axes.imshow(found[-1], cmap="RdBu", vmin=-1, vmax=1)
        axes.set_title(arm, fontsize=9, color=colour)
        axes.set(xticks=[], yticks=[])
        course.plot(trials, abs(found).mean(axis=(1, 2)), color=colour)
        if ARMS[arm][0] == "subtractive":
            cycles, rings = spectrum(abs(np.fft.fft2(found[-1])) ** 2)
            power.plot(cycles, rings / rings.sum(), "o-", color=colour, ms=3)
            rate.plot(*spectrum(growth(arm)), "o-", color=colour, ms=3)
    above.colorbar(shown, ax=columns, shrink=0.7, label="right eye, left eye", ticks=[-1, 0, 1])
    plain(course, "trials", "monocularity, mean |L − R| / (L + R)")
    plain(power, "cycles per side", "power of the map, relative")
    plain(rate, "cycles per side", "predicted growth of L − R, over η")
    course.set_ylim(0, 1)
    rate.set_ylim(bottom=0)
    note(
        drawn,
        "maps: ocular dominance of each cell at the end; opposite edges meet",
        "lines: in the colours of the titles",
    )
    return drawn


def main(seed: int = 0) -> None:
    """Run all arms; print and draw the results."""
    recording = cs.torch.run(experiment(seed), seed=seed)
    cs.viz.keep("ocular_dominance_maps", recording, figure(recording), statistics(recording))


if __name__ == "__main__":
    main()
