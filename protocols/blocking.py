"""A stimulus that announces nothing new is not learned: blocking
==============================================================

A stimulus that announces nothing new is not learned, trial by trial as in Rescorla and Wagner's recursion.

Question and prediction
-----------------------

Is a stimulus learned because it is paired with an unconditioned stimulus (US), or because the US is a
surprise? Kamin (1969) paired one stimulus with a shock, then this and a second stimulus with the same shock:
rats did not learn the second. Rescorla & Wagner (1972) explain this by one prediction error for all stimuli
that are present:

ΔV_i = η (λ − Σ_j V_j x_j) x_i, with λ the strength of the US, V the associative strengths, and x whether a
stimulus is present.

The sum is the response of a linear unit, V its weights, and the term in brackets the credit of
``SquaredError``: this is the delta rule (Sutton & Barto 1981, Psychol. Rev. 88,
doi:10.1037/0033-295X.88.2.135). Prediction: after a stage with the tone alone the light causes no response
(**blocking**). Controls:

- **no pre-training**: the light is learned up to half of λ, since the tone shares the error;
- **stronger US** in the second stage: the US is surprising again, and the light is learned up to half of the
  increase, though the tone was pre-trained;
- **overexpectation**: tone and light are learned separately, then presented together with one US. Each loses
  half, although each trial is reinforced: 2·0.5 was expected and 0.5 occurred (Lattal & Nakajima 1998, Anim.
  Learn. Behav. 26);
- **Hebb's rule**, under which the US drives the response and synapses read no error: pre-training does not
  block learning of the light.

What is modelled, and what is not
---------------------------------

Tone, light and US are sources of one unit each; the amygdala is a linear unit with a time constant of 10
ms. A trial is 100 ms of stimuli, then 100 ms of stimuli with the US, during which the plasticity window is
open at 1/s: a tenth of the error is learned in a trial. The US is 0.5, and 1 where it is stronger; in the
arms of the delta rule it is a nudge, one value per trial, in those of Hebb it drives amygdala by a weight
of 1. Weights lie between 0 and 1. Stages have 60 trials; before the first and every 10 trials a probe shows
tone, light and both without US. Nothing is random, so all seeds give one result. Not modelled: time within
a stimulus (temporal differences), attention to stimuli (Mackintosh), and where the error is computed; see
below.

Run it
------

.. code-block:: none

   python protocols/blocking.py          # recording, figure, table
   cortex-sim simulate blocking --backend brian2 --out blocking.nc

About 9 s of one thread for all six arms. With ``--backend torch`` each trial is one step of the recursion,
exactly.

Result
------

.. image:: /figures/blocking.png
   :alt: Weights over trials in four schedules, and responses at the end

By the first command (brian2 2.9, batched engine, dt 1 ms), responses in the last probe:

.. csv-table::
   :delim: |
   :header-rows: 1

   ""| tone | light | both | light by the recursion
   blocking | 0.4994 | 0.0006 | 0.5 | 0.0004
   no pre-training | 0.25 | 0.25 | 0.5 | 0.25
   stronger US | 0.7494 | 0.2506 | 1 | 0.2504
   overexpectation | 0.25 | 0.25 | 0.5 | 0.25
   Hebb, pre-trained | 1 | 1 | 2 | 1
   Hebb, no pre-training | 1 | 1 | 2 | 1

At equilibrium weights equal the recursion after every trial, up to rounding. In time, learning is slightly
slower, because within the window the response grows with the weights. Under Hebb's rule weights grow to
their bound.

Without a nudge
---------------

The error need not be given: it is the rate of a cell that the US excites and that the stimuli inhibit by
their associative strengths. Its synapses then change by minus the product of the rates on both sides. The
example has a user-defined rule and three sources; its weights are minus the associative strengths:

.. code-block:: python

   from dataclasses import dataclass
   from typing import ClassVar

   import cortex_sim as cs

   @dataclass(frozen=True)
   class AntiHebbian:
       # Δw = −η⟨y x⟩

       growth: ClassVar[str] = "-r_post * r_pre"

       def change(self, w, r_pre, r_post):
           return -r_post.T @ r_pre / len(r_pre)

   net = cs.Network("error cell")
   cell = net.population("error", 1, bias=False)
   net.bottom_up(net.population("US", 1), cell, cs.Dense(init=[[1.0]]))
   for name in ("tone", "light"):
       start = cs.Dense(init=[[0.0]])
       net.bottom_up(net.population(name, 1), cell, start, plasticity=AntiHebbian())
   tone = {"tone": 1.0, "US": 0.5}
   both = {"tone": 1.0, "light": 1.0, "US": 0.5}
   drive = {name: cs.PerTrial([tone.get(name, 0.0)] * 60 + [both[name]] * 60) for name in both}
   learn = cs.Phase("CS and US", 100, drive=drive, plasticity=True)
   blocking = cs.Protocol(learn, trials=120, eta_per_s=1, record=cs.Record(weights=True))
   recording = cs.torch.run(cs.Experiment(net, {"blocking": blocking}), progress=False)
   ends = [cs.recording.weights_of(recording, f"{name}->error")[1][-1].item() for name in ("tone", "light")]
   print([round(weight, 4) for weight in ends])  # [-0.4996, -0.0004]

What would refute it
--------------------

A light that after pre-training causes more than a hundredth of the response that it causes without, a loss
under overexpectation other than a half, or strengths at equilibrium that differ from the recursion.
Asserted by ``tests/protocols/test_blocking.py`` (``-m slow``).
"""

import numpy as np

import cortex_sim as cs

STAGE = 60  # trials of each of the two stages
ETA, WINDOW_MS = 1.0, 100  # learning rate in 1/s; how long the US lasts: η·T = 0.1 a trial
STIMULI = ("tone", "light")
PROJECTIONS = tuple(f"{stimulus}->amygdala" for stimulus in STIMULI)
TONE, LIGHT, BOTH, STRONG, NOTHING = (1, 0, 0.5), (0, 1, 0.5), (1, 1, 0.5), (1, 1, 1), (0, 0, 0)  # with US
STAGES = {  # arm: first stage and second; trials of a stage alternate
    "blocking": ([TONE], [BOTH]),
    "no pre-training": ([NOTHING], [BOTH]),
    "stronger US": ([TONE], [STRONG]),
    "overexpectation": ([TONE, LIGHT], [BOTH]),
}
HEBB = {"Hebb, pre-trained": "blocking", "Hebb, no pre-training": "no pre-training"}


def trials(arm: str) -> np.ndarray:
    """Whether tone and light are on, and how strong the US is, (trial, 3)."""
    stages = STAGES[HEBB.get(arm, arm)]
    return np.array([stage[k % len(stage)] for stage in stages for k in range(STAGE)], dtype=float)


def protocol(arm: str) -> cs.Protocol:
    """Stimuli, then stimuli with the US; probes with the tone, the light and both, without US."""
    tone, light, us = trials(arm).T
    shown = {"tone": cs.PerTrial(tone), "light": cs.PerTrial(light)}
    goal = {"amygdala": cs.PerTrial(us[:, None])}  # credit is US − response: the prediction error
    reinforced = (
        {"drive": shown | {"US": cs.PerTrial(us)}} if arm in HEBB else {"drive": shown, "nudge": goal}
    )
    alone = {"tone": cs.PerTrial([1.0, 0.0, 1.0]), "light": cs.PerTrial([0.0, 1.0, 1.0])}
    return cs.Protocol(
        cs.Phase("CS", duration_ms=100, drive=shown),
        cs.Phase("CS and US", duration_ms=WINDOW_MS, plasticity=True, **reinforced),
        trials=len(us),
        probe=cs.Protocol(cs.Phase("CS", duration_ms=100, drive=alone), trials=3),
        probe_every=10,
        record=cs.Record(populations=["amygdala"], phase="CS", weights=True),
        eta_per_s=ETA,
    )


def experiment(seed: int = 0) -> cs.Experiment:
    """Two stimuli and a US, each a source; an arm a schedule, two under Hebb's rule; nothing is random."""
    net = cs.Network("conditioning")
    amygdala = net.population("amygdala", 1, bias=False)
    for stimulus in STIMULI:
        source = net.population(stimulus, 1)
        start = cs.Dense(init=[[0.0]])
        net.bottom_up(source, amygdala, start, plasticity=cs.Backprop(), constraint=cs.Bounds(0, 1))
    net.bottom_up(net.population("US", 1), amygdala, cs.Dense(init=[[1.0]]))
    net.objective(amygdala, cs.SquaredError())

    hebb = net.with_rule("hebbian")
    arms = {arm: cs.Arm(protocol(arm), net) for arm in STAGES}
    return cs.Experiment(net, arms | {arm: cs.Arm(protocol(arm), hebb) for arm in HEBB})


def recursion(arm: str) -> np.ndarray:
    """Strengths of tone and light, trial by trial: V += ηT(US − V·x)x by Rescorla and Wagner, (trial + 1, 2).

    Under Hebb's rule the response stands in place of the error: V += ηT(US + V·x)x, up to 1.
    """
    strengths = [np.zeros(2)]
    for *present, us in trials(arm):
        x, v = np.array(present), strengths[-1]
        post = us + v @ x if arm in HEBB else us - v @ x
        strengths.append(np.clip(v + ETA * WINDOW_MS / 1000 * post * x, 0, 1))
    return np.array(strengths)


def probes(recording, arm: str) -> np.ndarray:
    """Response to the tone, the light and both, without US, (probe, 3)."""
    of_arm = cs.recording.select(recording, arm=arm, population="amygdala")
    rates = of_arm["rate"].transpose("presentation", ...).values[of_arm["stage"].values == "probe"]
    return rates.reshape(-1, 3)


def strengths(recording, arm: str) -> tuple[np.ndarray, np.ndarray]:
    """Trials and weights of tone and light, (snapshot, 2)."""
    both = [cs.recording.weights_of(recording, projection, arm) for projection in PROJECTIONS]
    return both[0][0], np.stack([weights[:, 0, 0] for _, weights in both], axis=1)


def statistics(recording) -> dict[str, dict[str, float]]:
    """Responses in the last probe, and what the recursion predicts of the light."""
    found = {}
    for arm in (*STAGES, *HEBB):
        tone, light, both = probes(recording, arm)[-1]
        expected = recursion(arm)[-1, 1]
        found[arm] = {"tone": tone, "light": light, "both": both, "light by the recursion": expected}
    return found


def figure(recording):
    """Strengths over trials against the recursion, arm by arm, and responses in the last probe."""
    from cortex_sim.viz.panels import COLOURS, new_figure, note, plain

    drawn = new_figure(12, 5.4)
    above = drawn.subplot_mosaic([[*STAGES], ["responses"] * len(STAGES)])
    for arm in STAGES:
        axes = above[arm]
        times, weights = strengths(recording, arm)
        for which, (stimulus, colour) in enumerate(zip(STIMULI, COLOURS, strict=False)):
            style = {"lw": 4, "alpha": 0.5} if stimulus == "tone" else {"lw": 2}  # so that both are visible
            axes.plot(times, weights[:, which], color=colour, label=stimulus, **style)
            axes.plot(recursion(arm)[:, which], color="0.15", lw=1, ls=":")
        axes.axvspan(STAGE, 2 * STAGE, color="0.5", alpha=0.12, lw=0, zorder=0)
        axes.set_title(arm, fontsize=10)
        plain(axes, "trials", "weight to amygdala" if arm == "blocking" else "")
        axes.set_ylim(-0.03, 0.85)
    above["blocking"].legend(frameon=False, fontsize=9)

    rows, axes = statistics(recording), above["responses"]
    place = np.arange(len(rows))
    for which, (stimulus, colour) in enumerate(zip(STIMULI, COLOURS, strict=False)):
        heights = [row[stimulus] for row in rows.values()]
        axes.bar(place + 0.36 * which - 0.18, heights, 0.34, color=colour, label=f"{stimulus} alone")
    axes.set_xticks(place, list(rows))
    plain(axes, "", "response without US, at the end")
    axes.set_ylim(0, 1.1)
    note(
        drawn,
        "dotted: the recursion of Rescorla and Wagner, one step a trial",
        "grey: second stage, tone and light together",
    )
    return drawn


def main(seed: int = 0) -> None:
    """Run all arms; print and draw the results."""
    recording = cs.brian2.run(experiment(seed), seed=seed)
    cs.viz.keep("blocking", recording, figure(recording), statistics(recording))


if __name__ == "__main__":
    main()
