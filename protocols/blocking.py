"""A stimulus that announces nothing new is not learned: blocking.

Kamin (1969), Predictability, surprise, attention, and conditioning, in Campbell & Church (eds.), Punishment
and Aversive Behavior. Explained by a prediction error that all present stimuli share: Rescorla & Wagner
(1972), A theory of Pavlovian conditioning, in Black & Prokasy (eds.), Classical Conditioning II; it is the
delta rule of Sutton & Barto (1981), Psychol. Rev. 88, doi:10.1037/0033-295X.88.2.135.

Prediction: after tone and US, then tone and light with US, the light alone causes no response. Controls:
without the first stage it is learned (each of the two by half); with a stronger US in the second stage it
is learned after pre-training too; two stimuli learned one by one lose half of their response when they are
followed by one US together (overexpectation). Under Hebb's rule, which has no prediction error, pre-training
does not protect: the light is learned in any case.
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
