"""Surprise learns reversals, in a closed loop
===========================================

A network learns serial reversals from a global modulator in a closed loop; if the modulator is yoked, or
reward alone, it does not.

Question and prediction
-----------------------

Of two actions one is rewarded with probability 0.9, the other with 0.1; once the better one was chosen in
nine of ten trials, the two are exchanged (serial reversals: Izquierdo et al. 2017, Neuroscience 345,
doi:10.1016/j.neuroscience.2016.03.021). Coincidence of cue and action leaves a trace at the synapse
(:doc:`three factors </rules/three_factor>`), and one global number turns it into change: the surprise,
reward minus expected reward (Schultz, Dayan & Montague 1997, Science 275,
doi:10.1126/science.275.5306.1593). What is expected is the rate of the chosen action. So each weight should
follow the delta rule of Rescorla & Wagner (1972), **w ← w + α (reward − w)**, towards its action's
probability of reward, and choices should follow each reversal within a few times 1/α = 4 trials.

**Controls**. *Yoked*: the modulator is the surprise of another animal, so nothing ties it to the choices.
*Reward alone* in place of surprise: weights only grow. Both form habits that outlive the reversal, so there
is hardly a second one.

What is modelled, and what is not
---------------------------------

A cue, two rectified actions (τ = 5 ms) that start with equal weights, and a trial of three phases: the cue
(40 ms), at whose end the closed loop chooses by a softmax of the two rates (inverse temperature 6); the
action, active alone, beside the cue (60 ms), which leaves the trace (time constant 30 ms); the modulator
(60 ms). The :doc:`closed loop </protocols>` chooses, rewards, keeps the last ten choices and exchanges the
actions; its random numbers depend on seed and trial alone. Not modelled: dopamine neurons, time between
action and reward beyond the trace, several cues, a model of the task that would notice reversals at once.

Run it
------

.. code-block:: none

   python protocols/reversal_learning.py          # recording, figure, table
   cortex-sim simulate reversal_learning --backend brian2 --out reversals.nc

About a minute of one thread for three arms of 300 trials.

Result
------

.. image:: /figures/reversal_learning.png
   :alt: Weights over trials with reversals, and right choices around a reversal

By the first command (seed 0, brian2 2.9, batched engine, dt 1 ms):

.. csv-table::
   :delim: |
   :header-rows: 1

   arm | right choices | reversals | trials to criterion, median | right, first 5 trials after a reversal | "
   right, trials 6 to 10 after it"| largest weight
   surprise | 0.67 | 19 | 15 | 0.28 | 0.75 | 0.96
   yoked | 0.15 | 2 | 105.5 | 0.10 | 0.00 | 1.23
   reward alone | 0.03 | 1 | 10 | 0.00 | 0.00 | 13.8

With the contingency, the animal reverses 19 times; without it, habits persist. The yoked weights move as
much as the others, but towards the other animal's history. The ten trials to criterion in the last row are
those of its only reversal: it learns at once, and never again. Trials to criterion include the ten that
count towards it.

What would refute it
--------------------

Fewer than 12 reversals with surprise, more than a third as many in a control, or no recovery
in trials 6 to 10. Asserted by ``tests/protocols/test_reversal_learning.py`` (``-m slow``) for two
seeds, which also compares every trial of every arm with the equations, and each change of a weight with the
delta rule.
"""

import numpy as np

import cortex_sim as cs

TRIALS = 300
REWARDED = (0.1, 0.9)  # probability of reward of the worse and the better action
BETA = 6.0  # inverse temperature of choices
MEMORY, ENOUGH = 10, 9  # last choices that count for the criterion, and how many must be right
DECIDE_MS, ACT_MS, REWARD_MS = 40, 60, 60
TAU_MS, TRACE_MS = 5, 30
ETA = 11.0  # 1/s
PROJECTION = "cue->action"
START = {
    "surprise": 0.0,
    "reward": 0.0,
    "choice": 0,
    "taken": np.zeros(2),
    "better": 0,
    "right": 0,
    "reversed": 0,
    "recent": np.zeros(MEMORY),
}


def bandit(seen, state, rng):
    """Choose by the rates of the two actions, reward the choice, and exchange them at the criterion."""
    expected = seen["action"]
    choice = int(rng.random() < 1 / (1 + np.exp(-BETA * (expected[1] - expected[0]))))
    right = int(choice == state["better"])
    reward = float(rng.random() < REWARDED[right])
    recent = np.append(state["recent"][1:], right)
    over = int(recent.sum() >= ENOUGH)
    return {
        "surprise": reward - expected[choice],
        "reward": reward,
        "choice": choice,
        "taken": np.eye(2)[choice],
        "right": right,
        "better": 1 - state["better"] if over else state["better"],
        "reversed": over,  # after this trial
        "recent": np.zeros(MEMORY) if over else recent,
    }


def delta_rule(seed: int, alpha: float = 0.25, trials: int = TRIALS) -> np.ndarray:
    """Surprise in each trial of another animal, which follows the delta rule itself."""
    values, state, surprise = np.full(2, 0.5), START, np.zeros(trials)
    for trial in range(trials):
        state = state | bandit({"action": values}, state, np.random.default_rng([seed, trial]))
        surprise[trial] = state["surprise"]
        values = values + alpha * surprise[trial] * state["taken"]
    return surprise


def network() -> cs.Network:
    """A cue, and two actions whose rates are the rewards that they promise."""
    net = cs.Network("bandit")
    cue = net.population("cue", 1)
    action = net.population("action", 2, activation="relu", tau_ms=TAU_MS, bias=False)
    net.bottom_up(cue, action, cs.Dense(init=[[0.5], [0.5]]), plasticity=cs.ThreeFactor(tau_ms=TRACE_MS))
    return net


def protocol(loop: cs.ClosedLoop, modulator) -> cs.Protocol:
    """The cue, the action that was chosen, and the modulator that follows it."""
    act = {"cue": 1.0, "action": loop["taken"]}  # the cue's own drive is off: only the action taken is active
    return cs.Protocol(
        cs.Phase("decide", DECIDE_MS, drive={"cue": 1.0}),
        cs.Phase("act", ACT_MS, drive=act, cut=[PROJECTION], plasticity=True, modulator=0.0),
        cs.Phase("reward", REWARD_MS, plasticity=True, modulator=modulator),
        trials=TRIALS,
        record=cs.Record(phase="decide", weights=True),
        eta_per_s=ETA,
    )


def experiment(seed: int = 0) -> cs.Experiment:
    """The closed loop, its modulator yoked to another animal, and reward alone."""
    loop = cs.ClosedLoop(bandit, reads=["action"], phase="decide", state=START)
    modulators = {
        "surprise": loop["surprise"],
        "yoked": cs.PerTrial(delta_rule(seed + 1)),
        "reward alone": loop["reward"],
    }
    return cs.Experiment(network(), {name: protocol(loop, given) for name, given in modulators.items()})


def of_arm(recording, arm: str, variable: str) -> np.ndarray:
    """A variable of the closed loop by trial."""
    return recording[f"bandit:{variable}"].values[recording["arm"].values == arm]


def around_reversals(recording, arm: str) -> np.ndarray:
    """Mean of right choices in the 10 trials before a reversal and the 15 after it, up to the next one."""
    right = of_arm(recording, arm, "right")
    ends = np.flatnonzero(of_arm(recording, arm, "reversed")) + 1
    if not len(ends):
        return np.full(25, np.nan)
    rows = np.full((len(ends), 25), np.nan)
    for row, end, until in zip(rows, ends, [*ends[1:], len(right)], strict=True):
        row[:10] = right[end - 10 : end]
        kept = right[end : min(end + 15, until)]
        row[10 : 10 + len(kept)] = kept
    counted = np.isfinite(rows).sum(axis=0)
    return np.where(counted > 0, np.nansum(rows, axis=0) / np.maximum(counted, 1), np.nan)


def arms_of(recording) -> list[str]:
    """Arms in order."""
    return list(dict.fromkeys(recording["arm"].values.tolist()))


def statistics(recording) -> dict[str, dict[str, float]]:
    """Right choices, reversals, and the trials that each took."""
    found = {}
    for arm in arms_of(recording):
        ends = np.flatnonzero(of_arm(recording, arm, "reversed")) + 1
        course = around_reversals(recording, arm)
        found[arm] = {
            "right choices": of_arm(recording, arm, "right").mean(),
            "reversals": float(len(ends)),
            "trials to criterion, median": float(np.median(np.diff(ends, prepend=0)))
            if len(ends)
            else np.nan,
            "right, first 5 trials after a reversal": course[10:15].mean(),
            "right, trials 6 to 10 after it": course[15:20].mean(),
            "largest weight": cs.recording.weights_of(recording, PROJECTION, arm)[1].max(),
        }
    return found


def figure(recording):
    """Weights over trials with the reversals, and right choices around a reversal."""
    from cortex_sim.viz.panels import COLOURS, new_figure, plain

    arms = arms_of(recording)
    drawn = new_figure(11, 5.6)
    grid = drawn.add_gridspec(len(arms), 2, width_ratios=[1.7, 1])
    for row, arm in enumerate(arms):
        axes = drawn.add_subplot(grid[row, 0])
        _, weights = cs.recording.weights_of(recording, PROJECTION, arm)
        for unit in range(2):
            axes.plot(weights[:, unit, 0], color=COLOURS[unit], lw=1.4, label=f"cue→action {unit}")
        for end in np.flatnonzero(of_arm(recording, arm, "reversed")) + 1:
            axes.axvline(end, color="0.7", lw=0.8, zorder=0)
        axes.set_title(f"{arm}: weights (grey: reversals)", fontsize=10, loc="left")
        if arm != "reward alone":
            axes.set_ylim(-0.1, 1.25)
        plain(axes, "trial" if row == len(arms) - 1 else "", "weight")
        if row == 0:
            axes.legend(frameon=False, fontsize=8, ncols=2, loc="upper right")
    axes = drawn.add_subplot(grid[:, 1])
    trials = np.arange(-10, 15)
    for arm, colour in zip(arms, COLOURS[2:], strict=False):
        course = around_reversals(recording, arm)
        count = int(of_arm(recording, arm, "reversed").sum())
        if count:
            axes.plot(trials, course, color=colour, lw=2, label=f"{arm}, reversals: {count}")
    axes.axvline(-0.5, color="0.7", lw=0.8)
    axes.axhline(0.5, color="0.6", lw=1, ls=":", label="chance")
    axes.set_ylim(-0.03, 1.45)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    plain(
        axes, "trials after a reversal, up to the next", "choices of the better action, mean over reversals"
    )
    return drawn


def main(seed: int = 0) -> None:
    """Run all arms; print and draw the results."""
    recording = cs.brian2.run(experiment(seed), seed=seed)
    cs.viz.keep("reversal_learning", recording, figure(recording), statistics(recording))


if __name__ == "__main__":
    main()
