"""A recurrent network learns sequences without a way back through time
====================================================================

Synaptic traces and momentary credit, compared with backpropagation through time on three tasks.

Eligibility propagation: Bellec et al. (2020), doi:10.1038/s41467-020-17236-y; of rate units, Murray (2019),
doi:10.7554/eLife.43299. Credit that diffuses from few places: Barretto-Bittar et al. (2026), arXiv
2603.08949.

Question and prediction
-----------------------

Backpropagation through time stores every step and carries credit back through all of them. Can credit that
is sent from the top at each step, by a top-down projection, make a recurrent network learn what it must
hold over a delay, if synapses keep :doc:`traces </rules/e_prop>`? Arms differ in one word of the
declaration:

- **backpropagation through time**, and truncated to segments of 5 steps;
- **e-prop**, credit by the transpose of the readout (symmetric), by random weights, by random weights to 16
  places of 64 units from which it diffuses, or to 16 units alone (sparse);
- **broadcast without traces**: random weights; credit is combined with the synapse's activity one step
  before. The control for traces;
- **readout only**: all other weights stay at their initial values. The control for learning in the recurrent
  network.

Prediction: e-prop, symmetric, is above the broadcast without traces and the readout alone on every task, and
below backpropagation through time; diffusion is above sparse credit. Truncation to fewer steps than the
delay costs more than traces do.

What is modelled, and what is not
---------------------------------

64 leaky tanh units with τ = 50 ms and steps of 10 ms, from a stimulus and onto a readout without a leak.
*Match*: delayed match to sample; two of four noisy stimuli, 2 bins each, 6 bins apart; two bins later the
readout must tell whether they are the same. *Pattern*: a cue names one of four pairs of curves that the
readout must follow for 30 bins. *Rows*: images are shown row by row, and their class is required two bins
after the last (MNIST: 30 bins; embedded digits: 10). There are 300 updates of 50 trials by Adam with a
cosine schedule; every arm has its own best rate, chosen on validation trials. Not modelled: spikes, the
diffusion of credit in time, and how the error of the readout reaches the population within a step.

Run it
------

.. code-block:: none

   python protocols/learning_sequences.py     # rows of the embedded digits, every arm once, one rate
   export CORTEX_SIM_DATA=FOLDER              # where mnist.npz is
   python benchmarks/sequences.py run         # an interrupted command continues where it stopped
   python benchmarks/sequences.py page
   python benchmarks/sequences.py figures

Result
------

.. image:: /figures/learning_sequences.png
   :alt: Scores of every kind of credit on every task, mean over seeds and each seed

Right answers in *match*: backpropagation through time 98.4 %, e-prop, symmetric, 92.3 %, random 78.2 %,
diffused from 16 places 84.4 %, sparse 86.3 %, broadcast without traces 72.5 %, readout only 74.8 %;
explained variance of *pattern*: 96.5, 84.3, 58.3, 71.4, 71.7, 46.1 and 42.6 %; right answers in *rows* of
MNIST: 85.2, 61.6, 51.6, 48.1, 62.9, 46.0 and 72.5 % (three seeds). Symmetric e-prop minus the broadcast:
+19.8 [+6.8, +32.9], +38.1 [+31.7, +44.5] and +15.6 [+1.3, +29.9] points; minus backpropagation through time:
−6.1 [−15.8, +3.6], −12.2 [−19.4, −5.1] and −23.6 [−24.7, −22.4].

On two tasks symmetric e-prop is above the broadcast and the readout alone, as predicted; **on rows a
readout alone is better than e-prop**, by 10.9 points [5.8, 16.0]: all weights share one rate, and the
readout's own best is a hundred times e-prop's. Diffusion is not above sparse credit on any task, against
the prediction. Tables with differences, intervals and rates: :doc:`results </results-sequences>`.

What would refute it
--------------------

On two of the three tasks, an interval of the difference between symmetric e-prop and the broadcast without
traces that is not above 0; or a readout alone that is as good.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import cortex_sim as cs

UNITS, PLACES = 64, 16  # recurrent units; those of them that receive credit where it is sparse or diffuses
TAU_MS, DT_MS = 50.0, 10.0  # recurrent time constant; step, which is also the readout's time constant
UPDATES, BATCH = 300, 50
ROWS = 10_000  # training images that are drawn, at most: fewer if there are fewer presentations
Pair = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Task:
    """A sequence task: its trials, the units of its answer, and how answers are scored.

    Parameters
    ----------
    draw : callable
        ``draw(part, trials, seed)`` gives (x, y) of "train", "validation" or "test".
    answers : int
        Units of the top.
    objective : str
    """

    draw: Callable[[str, int, int], Pair]
    answers: int
    objective: str = "cross_entropy"


_PARTS = {"train": 0, "validation": 1, "test": 2}


def _drawn(make: Callable[..., Pair]) -> Callable[[str, int, int], Pair]:
    return lambda part, trials, seed: make(trials, 3 * seed + _PARTS[part])


@cache
def _images(data: str) -> cs.data.ImageSet:
    images = cs.data.load(data)
    return images.hold_out(len(images.x_train) // 6)


def _rows(data: str) -> Callable[[str, int, int], Pair]:
    """Rows of images; the validation part is held out of the training set, the test set is the data's own."""

    def draw(part: str, trials: int, seed: int) -> Pair:
        x, y = (getattr(_images(data), f"{kind}_{part}") for kind in "xy")
        chosen = np.random.default_rng(seed).permutation(len(x))[:trials]
        side = math.isqrt(x[0].size)
        return cs.tasks.by_rows(x[chosen].reshape(len(chosen), side, side)), y[chosen]

    return draw


def tasks(data: str = "digits") -> dict[str, Task]:
    """Tasks by name; rows are those of the named images."""
    return {
        "match": Task(_drawn(cs.tasks.delayed_match), 2),
        "pattern": Task(_drawn(cs.tasks.pattern_generation), 2, "squared_error"),
        "rows": Task(_rows(data), 10),
    }


@dataclass(frozen=True)
class Arm:
    """How the recurrent network learns.

    Parameters
    ----------
    word : str
        Of ``net.with_rule``.
    truncate : int, optional
        Steps over which credit goes back.
    memory : str
        Of traces.
    feedback : callable, optional
        ``feedback(seed, answers)``, in place of the word's.
    readout_only : bool
        Whether all but the weights onto the top stay as they were drawn.
    """

    word: str
    truncate: int | None = None
    memory: str = "leak"
    feedback: Callable[[int, int], Any] | None = None
    readout_only: bool = False


def sparse(seed: int, answers: int) -> cs.Given:
    """Random feedback to as many units as places, and none to the others: without what spreads from there."""
    b = np.zeros((UNITS, answers))
    places = (2 * np.arange(PLACES) + 1) * UNITS // (2 * PLACES)
    b[places] = np.random.default_rng([seed, 4]).normal(size=(PLACES, answers)) / np.sqrt(answers)
    return cs.Given(b)


ARMS = {
    "backpropagation through time": Arm("backprop"),
    "truncated to 5 steps": Arm("backprop", truncate=5),
    "e-prop, symmetric": Arm("e_prop_symmetric"),
    "e-prop, random": Arm("e_prop"),
    "e-prop, diffused from 16": Arm("e_prop_diffused"),
    "e-prop, sparse at 16": Arm("e_prop", feedback=sparse),
    "broadcast without traces": Arm("e_prop", memory="none"),
    "readout only": Arm("e_prop_symmetric", readout_only=True),
}


def network(task: Task, inputs: int, arm: Arm, seed: int = 0) -> cs.Network:
    """One recurrent population of leaky units between the stimulus and a readout without a leak."""
    net = cs.Network("sequences")
    stimulus = net.population("stimulus", inputs)
    pfc = net.population("PFC", UNITS, activation="tanh", tau_ms=TAU_MS)
    answer = net.population("answer", task.answers, tau_ms=DT_MS)
    learns = None if arm.readout_only else "backprop"
    net.bottom_up(stimulus, pfc, cs.Dense(init="he"), plasticity=learns)
    net.recurrent(pfc, pfc, cs.Dense(init="orthogonal"), plasticity=learns)
    net.bottom_up(pfc, answer, plasticity="backprop")
    net.objective(answer, task.objective)
    net = net.with_rule(arm.word)
    if arm.memory != "leak":
        net = net.with_rule(cs.EProp(arm.memory))
    if arm.feedback is not None:
        del net.projections["answer->PFC"]
        net.top_down(answer, pfc, feedback=arm.feedback(seed, task.answers))
    return net


def trained(task: Task, arm: Arm, rate: float, seed: int, updates: int = UPDATES) -> Any:
    """A model after its updates, by Adam with a cosine schedule, each on a batch of training trials."""
    import torch

    x, y = task.draw("train", min(BATCH * updates, ROWS), seed)
    how = cs.torch.Unrolled(x.shape[1], DT_MS, arm.truncate)
    model = cs.torch.build(network(task, x.shape[2], arm, seed), seed, settling=how)
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, updates)
    model.attach(optimiser)
    model.train()
    x, y = torch.from_numpy(x), torch.from_numpy(y)
    draws = np.random.default_rng([seed, 7])
    for _ in range(updates):
        index = torch.from_numpy(draws.integers(len(x), size=BATCH))
        optimiser.zero_grad()
        model(x[index], y[index]).backward()
        optimiser.step()
        schedule.step()
    return model.eval()


def score(model: Any, task: Task, part: str, seed: int, trials: int = 2000) -> float:
    """Share of right answers at the end; of patterns, the share of their variance that is explained."""
    x, y = task.draw(part, trials, seed)
    answer = np.asarray(model.predict(x))
    if task.objective == "cross_entropy":
        return float((answer[:, -1].argmax(1) == y).mean())
    return float(1 - ((answer - y) ** 2).sum() / ((y - y.mean((0, 1))) ** 2).sum())


def figure(scores: dict[str, dict[str, Sequence[float]]]) -> Any:
    """Scores of every arm, a panel a task: mean over seeds, and each seed."""
    from cortex_sim.viz.panels import COLOURS, new_figure, plain

    drawn = new_figure(3.2 * len(scores) + 1.6, 3.2)
    panels = np.atleast_1d(drawn.subplots(1, len(scores), sharey=True))
    for axes, (task, arms) in zip(panels, scores.items(), strict=True):
        for arm, found in arms.items():
            number = list(ARMS).index(arm)
            colour = COLOURS[0] if "backprop" in ARMS[arm].word else COLOURS[1] if "e-prop" in arm else "0.6"
            axes.barh(number, np.mean(found), color=colour, alpha=0.5)
            axes.plot(found, [number] * len(found), "o", color=colour, ms=3)
        axes.set_yticks(range(len(ARMS)), list(ARMS))
        axes.set_title(task)
        axes.set_xlim(0, 1)
        plain(axes, "explained variance" if task == "pattern" else "right answers", "")
    panels[0].invert_yaxis()
    return drawn


def main(seed: int = 0) -> None:
    """Every arm on rows of the embedded digits, at one rate; print the scores and draw them."""
    task = tasks()["rows"]
    found = {
        name: [score(trained(task, arm, 0.01, seed, updates=200), task, "test", seed)]
        for name, arm in ARMS.items()
    }
    drawn = figure({"rows": found})
    folder = Path("runs/learning_sequences")
    folder.mkdir(parents=True, exist_ok=True)
    drawn.savefig(folder / "learning_sequences.png", dpi=150)
    for name, values in found.items():
        print(f"{name:30} {values[0]:.3f}")


if __name__ == "__main__":
    main()
