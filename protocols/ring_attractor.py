r"""A ring remembers an angle, rivals a choice
==========================================

A ring of units holds an angle after its cue, and noise moves it in a random walk of predicted size; mutually
inhibiting units hold the choice of the largest input.

Question and prediction
-----------------------

How can activity outlast its cause? Units on a ring that excite their neighbours and inhibit the others hold
a bump of activity at any angle, long after the cue that put it there is gone (Ben-Yishai, Bar-Or &
Sompolinsky 1995, PNAS 92, doi:10.1073/pnas.92.9.3844; for the sense of direction Zhang 1996,
doi:10.1523/JNEUROSCI.16-06-02112.1996). Units that all inhibit each other hold a choice: the one with the
largest input silences the others (Grossberg 1973, doi:10.1002/sapm1973523213). With rates max(0, a),
weights (J0 + J1 cos(θ_i − θ_j))/N and J1 = 4 the theory has no free parameter:

- the bump is A·max(0, cos(θ − φ)), A = π·background/\|J0\|, at *any* φ: without noise the cued angle
  stays, within 1° here;
- no force holds φ in place: noise moves it in a **random walk** (Compte, Brunel, Goldman-Rakic & Wang
  2000, doi:10.1093/cercor/10.9.910; Burak & Fiete 2012, PNAS 109, doi:10.1073/pnas.1117386109). Projected
  on the direction in which the bump moves, noise of standard deviation σ that is redrawn every h ms gives
  after t ms the variance σ²ht/(τ²A²N/4);
- the same noise does **not** change which of the rivals is active: the drive of the others, 1 − 1.5, is 10σ
  below their threshold;
- **control**, weaker recurrence: at J1 < 2 the only state of the ring is uniform activity, which is reached
  with a time constant of τ/(1 − J1/2), 40 ms here; below an inhibition of 1 all rivals are equally active
  once their inputs are equal.

What is modelled, and what is not
---------------------------------

A ring of 48 units and 6 rivals, each group with its own source, τ = 10 ms, rectified rates. In each
of 200 trials, a cue of 300 ms, 1 + cos(θ − φ) with a random φ for the ring and evidence between 0 and 1 for
each rival, is followed by a delay of 2 s, in which every unit receives the same background of 1, plus noise
(σ = 0.05, redrawn every 5 ms). Weights are constant: the ring's by ``net.recurrent``, between rivals by
``net.lateral``. Not modelled: how such weights are learned, and kept tuned (a ring whose weights vary from
unit to unit drifts without noise as well), separate inhibitory cells, spikes. Memory exists in time only:
at equilibrium (``--backend torch``) every phase settles from rest, so that the delay would not see the cue.

Run it
------

.. code-block:: none

   python protocols/ring_attractor.py          # recording, figure, table
   cortex-sim simulate ring_attractor --backend brian2 --out ring.nc

About 7 s of one thread for all three arms.

Result
------

.. image:: /figures/ring_attractor.png
   :alt: A trial with strong and with weaker recurrence, drift over time

By the first command, seed 0 (brian2 2.9, batched engine, dt 1 ms), at the end of the delay; drift is the
root mean square since the cue ended, contrast \|Σ r e^(iθ)\|/Σ r, which is π/4 for the predicted bump:

.. csv-table::
   :delim: |
   :header-rows: 1

   ""| mean error, ° | drift, ° | predicted drift, ° | contrast | highest rate | right winner | "winner's
   rate"| next rate
   no noise | 0.05 | 0.13 | 0 | 0.785 | 0.785 | 1 | 1 | 0
   noise | 8.9 | 10.9 | 10.5 | 0.785 | 0.806 | 1 | 1.00 | 0
   weaker recurrence | 90 | 105 | – | 0.03 | 0.26 | 0.18 | 0.33 | 0.31

Seeds 1, 2, 3: drift with noise 10.7, 10.5, 10.8° (the standard error of 200 trials is 0.5°); mean error
with weaker recurrence 97, 85, 91° (chance: 90°); right winner 0.22, 0.22, 0.12 (chance: 0.17).

The 0.13° without noise arise in the first 100 ms, while the bump loses the width that the cue gave it;
after that the angle does not move. Both memories hold for as long as the background lasts. The choice holds
exactly, one of six; the angle can have any value and pays for it by diffusion, which only more units,
higher rates or slower units reduce.

What would refute it
--------------------

A drift with noise that differs from the prediction by more than 20 %, one without noise above 1°, a change
of winner, or an angle that is decoded better than chance with weaker recurrence. Asserted by
``tests/protocols/test_ring_attractor.py`` (``-m slow``).
"""

import numpy as np

import cortex_sim as cs

UNITS, RIVALS, TRIALS = 48, 6, 200
TAU_MS, CUE_MS, DELAY_MS, BIN_MS = 10.0, 300, 2000, 20
BACKGROUND = 1.0  # input of every unit, at all times
UNIFORM = -4.0  # J0 of the ring's weights (J0 + J1·cos(θ_i − θ_j))/N
NOISE, HOLD_MS = 0.05, 5.0  # standard deviation, redrawn every HOLD_MS during the delay
ANGLES = 2 * np.pi * np.arange(UNITS) / UNITS
RECURRENCE = {  # J1 of the ring, weight with which rivals inhibit each other, noise
    "no noise": (4.0, 1.5, 0.0),
    "noise": (4.0, 1.5, NOISE),
    "weaker recurrence": (1.5, 0.5, NOISE),
}


def cued(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Each trial's angle in rad, (trial,), and evidence for each rival, (trial, rival)."""
    rng = np.random.default_rng(seed)
    return rng.uniform(-np.pi, np.pi, TRIALS), rng.uniform(0, 1, (TRIALS, RIVALS))


def network(cosine: float, inhibition: float) -> cs.Network:
    """Two circuits, each with a source of its own."""
    net = cs.Network("two memories")
    cue, evidence = net.population("cue", UNITS), net.population("evidence", RIVALS)
    like = {"activation": "relu", "tau_ms": TAU_MS, "nonnegative": True}
    ring, rivals = net.population("ring", UNITS, **like), net.population("rivals", RIVALS, **like)
    net.bottom_up(cue, ring, cs.Identity())
    net.bottom_up(evidence, rivals, cs.Identity())
    around = (UNIFORM + cosine * np.cos(ANGLES[:, None] - ANGLES)) / UNITS
    net.recurrent(ring, ring, cs.Dense(init=around))
    net.lateral(rivals, weights=inhibition * (1 - np.eye(RIVALS)))
    return net


def protocol(noise: float, seed: int) -> cs.Protocol:
    """A cue, then a delay in which every unit receives the same."""
    angle, evidence = cued(seed)
    shown = {"cue": 1 + np.cos(ANGLES - angle[:, None]), "evidence": evidence}
    rest = BACKGROUND if noise == 0 else cs.Noise(noise, mean=BACKGROUND, hold_ms=HOLD_MS)
    return cs.Protocol(
        cs.Phase("cue", CUE_MS, drive={**shown, "ring": BACKGROUND, "rivals": BACKGROUND}),
        cs.Phase("delay", DELAY_MS, drive={"ring": rest, "rivals": rest}),
        record=cs.Record(populations=["ring", "rivals"], every_ms=BIN_MS),
    )


def experiment(seed: int = 0) -> cs.Experiment:
    """The same cues in every arm; strengths of recurrence and noise as in ``RECURRENCE``."""
    nets = {arm: network(cosine, inhibition) for arm, (cosine, inhibition, _) in RECURRENCE.items()}
    arms = {arm: cs.Arm(protocol(RECURRENCE[arm][2], seed), net) for arm, net in nets.items()}
    return cs.Experiment(nets["noise"], arms)


def rates(recording, arm: str, population: str) -> np.ndarray:
    """Rates of shape (trial, time bin, unit)."""
    chosen = cs.recording.select(recording, arm=arm, population=population)
    return chosen["rate"].transpose("presentation", "time_bin", "neuroid").values


def decoded(bumps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Angle in rad and contrast of the population vector Σ r e^(iθ)/Σ r; of rates (..., unit)."""
    vector = bumps @ np.exp(1j * ANGLES) / bumps.sum(axis=-1)
    return np.angle(vector), abs(vector)


def between(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Angle from the second to the first, in degrees, −180 to 180."""
    return np.degrees(np.angle(np.exp(1j * (first - second))))


def spread(drift: np.ndarray) -> np.ndarray:
    """Root mean square over trials, the first axis."""
    return np.sqrt((drift**2).mean(axis=0))


def predicted_spread(arm: str, ms: np.ndarray) -> np.ndarray:
    """Root mean square of the random walk in degrees, after a delay of so many ms; NaN without a bump."""
    cosine, _, noise = RECURRENCE[arm]
    amplitude = np.pi * BACKGROUND / -UNIFORM if cosine > 2 else np.nan
    return np.degrees(noise * np.sqrt(HOLD_MS * ms) / (TAU_MS * amplitude * np.sqrt(UNITS / 4)))


def drifts(recording, arm: str) -> tuple[np.ndarray, np.ndarray]:
    """Time since the cue in ms, (bin,), and drift of the angle since then in degrees, (trial, bin)."""
    angle, _ = decoded(rates(recording, arm, "ring"))
    end = recording["time_bin_end"].values
    after = end >= CUE_MS
    return end[after] - CUE_MS, between(angle[:, after], angle[:, after][:, :1])


def statistics(recording) -> dict[str, dict[str, float]]:
    """What the ring and the rivals remember at the end of the delay."""
    found = {}
    for arm in RECURRENCE:
        ring, rivals = rates(recording, arm, "ring")[:, -1], rates(recording, arm, "rivals")[:, -1]
        angle, evidence = (shown[: len(ring)] for shown in cued(recording.attrs["seed"]))
        since, drift = drifts(recording, arm)
        remembered, contrast = decoded(ring)
        ordered = np.sort(rivals, axis=1)
        found[arm] = {
            "mean error, °": abs(between(remembered, angle)).mean(),
            "drift, °": spread(drift)[-1],
            "predicted drift, °": predicted_spread(arm, since[-1]),
            "contrast": contrast.mean(),
            "highest rate": ring.max(axis=1).mean(),
            "right winner": (rivals.argmax(axis=1) == evidence.argmax(axis=1)).mean(),
            "winner's rate": ordered[:, -1].mean(),
            "next rate": ordered[:, -2].mean(),
        }
    return found


def figure(recording):
    """A trial with and without strong recurrence, drift over time, and rivals over time."""
    from cortex_sim.viz.panels import COLOURS, new_figure, plain

    drawn = new_figure(11, 5.4)
    axes = drawn.subplots(2, 3, width_ratios=[1, 1, 1.1])
    angle, evidence = cued(recording.attrs["seed"])
    time = recording["time_bin_end"].values
    shown = abs(angle[: len(rates(recording, "noise", "ring"))]).argmax()  # a bump that is not cut in two
    for row, arm in enumerate(("noise", "weaker recurrence")):
        ring, rivals = rates(recording, arm, "ring"), rates(recording, arm, "rivals")
        extent = (0, time[-1], 0, 360)
        image = axes[row, 0].imshow(
            ring[shown].T, origin="lower", aspect="auto", extent=extent, vmin=0, vmax=1.5, cmap="magma"
        )
        axes[row, 0].set(xlabel="time (ms)", ylabel="preferred angle (°)", yticks=[0, 90, 180, 270, 360])
        axes[row, 0].set_title(f"ring, {arm}", fontsize=9, color="0.35")
        drawn.colorbar(image, ax=axes[row, 0], label="rate", extend="max")
        for rank, unit in enumerate(np.argsort(-evidence[shown])):
            axes[row, 1].plot(time, rivals[shown, :, unit], color=COLOURS[rank], label=f"{rank + 1}")
        axes[row, 1].axvline(CUE_MS, color="0.6", lw=1, ls=":")
        axes[row, 1].set_title(f"rivals, {arm}", fontsize=9, color="0.35")
        axes[row, 1].set_ylim(-0.05, 2.1)
        plain(axes[row, 1], "time (ms); dotted: the cue ends", "rate")
    axes[0, 1].legend(frameon=False, fontsize=8, ncols=3, title="by size of input", title_fontsize=8)
    traces, growth = axes[0, 2], axes[1, 2]
    for arm, colour in zip(("no noise", "noise"), COLOURS, strict=False):
        since, drift = drifts(recording, arm)
        traces.plot(since, drift[:12].T, color=colour, lw=0.7, alpha=0.8)
        traces.plot([], [], color=colour, label=arm)
        growth.plot(since, spread(drift), color=colour, lw=2)
        expected = predicted_spread(arm, since)
        growth.plot(
            since, expected, color="0.3", lw=1, ls="--", label="predicted" if arm == "noise" else None
        )
    traces.set_title("12 trials", fontsize=9, color="0.35")
    growth.set_title("root mean square, all trials", fontsize=9, color="0.35")
    plain(traces, "time since the cue (ms)", "drift (°)")
    plain(growth, "time since the cue (ms)", "drift (°)")
    traces.legend(frameon=False, fontsize=8, loc="upper left")
    growth.legend(frameon=False, fontsize=8, loc="upper left")
    return drawn


def main(seed: int = 0) -> None:
    """Run all arms; print and draw the results."""
    recording = cs.brian2.run(experiment(seed), seed=seed)
    cs.viz.keep("ring_attractor", recording, figure(recording), statistics(recording))


if __name__ == "__main__":
    main()
