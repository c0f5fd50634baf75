"""Does a credit network pass local minima, or step further?
=========================================================

The path of learning under a trained credit network, compared with backpropagation from the same start.

Methods: lines between networks, Frankle et al. (2020), arXiv 1912.05671, and between neighbouring
iterates, Xing et al. (2018), arXiv 1802.08770; filter-normalised slices, Li et al. (2018), arXiv 1712.09913;
principal components beside those of a random walk, Antognini and Sohl-Dickstein (2018), arXiv 1806.08805.

Question and prediction
-----------------------

Wang et al. (arXiv 2208.01416) state that a credit network passes local minima. How would that show? Along
the way the objective would have to rise, on the straight line from start to end or between iterates, and
the end would lie in another basin than that of backpropagation, beyond a barrier. If the credit network
merely takes longer steps, its path is longer, no barrier is in the way, and the gradient ends at an equally
good point if its steps are as long. Arms, from the same initial weights, with the same presentations:

- **credit network**: the shipped one for MNIST, with its own step;
- **backpropagation**: with the same step, rates and schedule;
- **gradient, as long**: plain gradient descent in which every step has, in each layer, the length of the
  credit network's. The control for step length;
- **gradient with noise, as long**: the same, turned away from the gradient in a random direction, by the
  angle that the credit network has. The control for the angle;
- **backpropagation, other presentations**: the difference between two runs of one rule.

Prediction: no barrier on any line from the start; as many crossings between iterates as under the gradient
with noise; what a plane of principal components shows is little more than it would show of a random walk.

What is modelled, and what is not
---------------------------------

196-64-10 ReLU, batch 32, 300 steps, images at 14 x 14 (MNIST, which the credit network was trained on, or the
embedded digits); labels permuted in every inner run. The objective is always that of 512 presentations of the
training part, the same for all arms. Lines are straight: a barrier on one does not exclude a curved path
without.

Run it
------

.. code-block:: none

   python protocols/landscapes.py             # two runs of 100 steps on the embedded digits
   export CORTEX_SIM_DATA=FOLDER              # where mnist.npz is
   python benchmarks/landscapes.py run        # an interrupted command continues where it stopped
   python benchmarks/landscapes.py page
   python benchmarks/landscapes.py figures

Result
------

.. image:: /figures/landscapes.png
   :alt: The plane through start and two ends, barriers between ends, first principal components

The credit network moves further and crosses no barrier: no step goes over one in 12 runs on MNIST and 12 on
digits, and the objective climbs by no more than 0.003 on the line from the start. On MNIST its path has
length 45 (backpropagation: 34), and it ends at a distance of 10.6 from the start (6.4), at an objective of
0.28 (0.24). It ends in another valley (with a barrier of 0.18 [0.14, 0.21] to backpropagation's end, and of
0.001 between two runs of backpropagation), which it reaches downhill from the start. The third prediction
was wrong: a first component of 84 % is more than the 58 % of a random walk. Tables: :doc:`results
</results-landscapes>`.

What would refute it
--------------------

A step over a barrier, or a climb on the line from the start, in more runs than under the gradient with noise.
"""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

import cortex_sim as cs
from cortex_sim import landscapes
from cortex_sim.credit.shipped import credit_network
from cortex_sim.tdca.inner.architecture import architecture
from cortex_sim.tdca.inner.cohort import Cohort
from cortex_sim.tdca.inner.rules import Backprop, TopDownCredit
from cortex_sim.tdca.inner.step import Mixed
from cortex_sim.tdca.tasks.settings import tasks_from

CREDIT, BACKPROP, LONG = "credit network", "backpropagation", "gradient, as long"
NOISY, OTHER = "gradient with noise, as long", "backpropagation, other presentations"
ARMS = (CREDIT, BACKPROP, LONG, NOISY, OTHER)
BATCH, SHOWN, HEIGHT = 32, 512, 0.001  # presentations of a step, of the objective; a crossing's height, nats
Layers = list[torch.Tensor]
"""Weights and biases of each layer, (run, parameter)."""


class Bench:
    """Inner runs of all seeds side by side: gradients and objectives at any weights."""

    def __init__(self, data: str, seeds: int, steps: int) -> None:
        self.seeds, self.steps = seeds, steps
        shipped = credit_network("tdca_mnist", 10)
        self.parameters = {
            name: torch.as_tensor(np.asarray(p), dtype=torch.float32)
            for name, p in {**shipped.parameters, **shipped.about["step"]}.items()
        }
        self.rules = {True: TopDownCredit(shipped.network), False: Backprop()}
        self.body = architecture(cs.model("tdca_mlp", inputs=196, hidden=[64]))
        generator = torch.Generator().manual_seed(7)
        drawn = tasks_from({"kind": "images", "sources": [data], "side": 14}, None)
        self.tasks = drawn.draw(seeds, generator)
        self.shown = self.tasks.presentations(SHOWN, "train", generator)
        self.tested = self.tasks.presentations(2000, "test", generator)

    def cohort(self, credit: bool = False, runs: int = 0) -> Cohort:
        """Inner runs at their start."""
        count = runs or self.seeds
        made = Cohort(self.body, self.rules[credit], Mixed(), count)
        if not runs:
            every = torch.ones(count, dtype=torch.bool)
            made.begin(every, torch.arange(count) + 5000, torch.full((count,), float(self.steps)))
        return made

    def batches(self, seed: int) -> Any:
        """Presentations of every step; the same for all arms with one seed."""
        generator = torch.Generator().manual_seed(seed)
        for _ in range(self.steps):
            yield self.tasks.presentations(BATCH, "train", generator)

    def gradient(self, at: Cohort, x: torch.Tensor, y: torch.Tensor) -> Layers:
        """Minus the gradient, by layer."""
        _, local = at.changes(self.parameters, x, y)
        found = []
        for u, read in local:
            weight = torch.bmm(u.transpose(1, 2), read) / x.shape[1]
            found.append(torch.cat((weight.flatten(1), u.sum(1) / x.shape[1]), 1))
        return found

    def objective(self, run: int, accuracy: bool = False) -> landscapes.lines.Objective:
        """Of one run: objective (or accuracy on test images) of points (point, parameter)."""
        x, y = (t[run] for t in (self.tested if accuracy else self.shown))

        @torch.no_grad()
        def found(points: np.ndarray) -> np.ndarray:
            values = []
            for some in torch.from_numpy(np.asarray(points, dtype=np.float32)).split(64):
                cohort = self.cohort(runs=len(some))
                place(cohort, some)
                top = cohort.settle(x.expand(len(some), -1, -1))
                if accuracy:
                    values.append((top.argmax(-1) == y.argmax(-1)).double().mean(1))
                else:
                    values.append(self.body.judged(top, y.expand(len(some), -1, -1))[0].double().mean(1))
            return torch.cat(values).numpy()

        return found


def layers(cohort: Cohort) -> Layers:
    """Weights and biases of each layer, (run, parameter)."""
    return [
        torch.cat((w.flatten(1), b.flatten(1)), 1) for w, b in zip(cohort.weights, cohort.biases, strict=True)
    ]


def place(cohort: Cohort, points: torch.Tensor) -> None:
    """Put the weights of a cohort at points (run, parameter)."""
    sizes = [part.shape[1] for part in layers(cohort)]
    for i, part in enumerate(points.split(sizes, 1)):
        w, b = cohort.weights[i], cohort.biases[i]
        cohort.weights[i] = part[:, : w[0].numel()].reshape(w.shape)
        cohort.biases[i] = part[:, w[0].numel() :].reshape(b.shape)


@dataclass(frozen=True, eq=False)
class Moves:
    """What the credit network's steps were: length and cosine to the gradient by layer, each (step, run)."""

    lengths: list[np.ndarray]
    cosines: list[np.ndarray]


@torch.no_grad()
def trajectory(bench: Bench, arm: str, moves: Moves | None = None) -> tuple[np.ndarray, Moves]:
    """Points (run, time, parameter) of an arm, and what its steps were."""
    cohort = bench.cohort(credit=arm == CREDIT)
    pure = bench.cohort()
    noise = torch.Generator().manual_seed(11)
    at = layers(cohort)
    points, lengths, cosines = [torch.cat(at, 1)], [], []
    for step, (x, y) in enumerate(bench.batches(2 if arm == OTHER else 1)):
        place(pure, points[-1])
        down = bench.gradient(pure, x, y)
        if arm in (LONG, NOISY):
            assert moves is not None, "the credit network goes first"
            after = [
                old + _as(g, moves, step, i, noise if arm == NOISY else None)
                for i, (old, g) in enumerate(zip(at, down, strict=True))
            ]
        else:
            cohort.advance(bench.parameters, x, y)
            after = layers(cohort)
        moved = [new - old for new, old in zip(after, at, strict=True)]
        lengths.append([m.norm(dim=1).numpy() for m in moved])
        cosines.append([torch.cosine_similarity(m, g, 1).numpy() for m, g in zip(moved, down, strict=True)])
        at = after
        points.append(torch.cat(at, 1))
    found = Moves(
        [np.stack(of) for of in zip(*lengths, strict=True)],
        [np.stack(of) for of in zip(*cosines, strict=True)],
    )
    return torch.stack(points, 1).numpy(), found


def _as(g: torch.Tensor, moves: Moves, step: int, layer: int, noise: torch.Generator | None) -> torch.Tensor:
    """A step down the gradient as long as the credit network's; with noise also at its angle."""
    along = torch.nn.functional.normalize(g, dim=1)
    length = torch.from_numpy(moves.lengths[layer][step])[:, None]
    if noise is None:
        return length * along
    cosine = torch.from_numpy(moves.cosines[layer][step])[:, None]
    random = torch.randn(g.shape, generator=noise)
    across = torch.nn.functional.normalize(random - (random * along).sum(1, keepdim=True) * along, dim=1)
    return length * (cosine * along + (1 - cosine.square()).clamp_min(0).sqrt() * across)


def measured(bench: Bench, run: int, path: np.ndarray) -> dict[str, float]:
    """What one run's trajectory (time, parameter) says."""
    objective, start, end = bench.objective(run), path[0], path[-1]
    steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
    share = np.array([0, 1 / 3, 2 / 3])[:, None]
    between = [(1 - share) * a + share * b for a, b in pairwise(path)]
    values = objective(np.concatenate([*between, end[None]]))
    every = np.stack([values[3 * i : 3 * i + 4] for i in range(len(steps))])
    line = landscapes.along(objective, start, end)
    shares, null = landscapes.explained(path), landscapes.explained_of_random_walk(steps)
    return {
        "objective": float(values[-1]),
        "accuracy": float(bench.objective(run, accuracy=True)(end[None])[0]),
        "path": float(steps.sum()),
        "distance": float(np.linalg.norm(end - start)),
        "climb": landscapes.climb(line),
        "crossings": float(sum(landscapes.crosses(segment, HEIGHT) for segment in every)),
        "rises": float((np.diff(every[:, [0, -1]], axis=1) > HEIGHT).sum()),
        "first": float(shares[0]),
        "second": float(shares[1]),
        "first_null": float(null[0]),
        "second_null": float(null[1]),
        "slice": _slice(bench, run, end),
    }


def _slice(bench: Bench, run: int, end: np.ndarray, directions: int = 5) -> float:
    """Rise of the objective at a quarter of the weights' length, mean over filter-normalised directions."""
    cohort, rng = bench.cohort(runs=1), np.random.default_rng(run)
    place(cohort, torch.from_numpy(end[None].astype(np.float32)))
    moved = []
    for _ in range(directions):
        new = landscapes.filter_normalised([w[0].numpy() for w in cohort.weights], rng)
        parts = [
            np.concatenate((d.ravel(), np.zeros(b.numel()))) for d, b in zip(new, cohort.biases, strict=True)
        ]
        moved += [end + 0.25 * np.concatenate(parts), end - 0.25 * np.concatenate(parts)]
    values = bench.objective(run)(np.stack([end, *moved]))
    return float(values[1:].mean() - values[0])


PAIRS = ((CREDIT, BACKPROP), (CREDIT, LONG), (CREDIT, NOISY), (BACKPROP, LONG), (BACKPROP, OTHER))


def study(data: str = "digits", seeds: int = 2, steps: int = 100) -> dict[str, Any]:
    """Measurements of all arms, barriers between their ends, and one run's plane.

    Returns
    -------
    dict
        ``arms`` {arm: {measurement: [one per run]}}, ``pairs`` {"arm | arm": {"barrier", "distance": …}},
        ``cosine`` of the credit network's steps with the gradient, and ``plane`` of the first run.
    """
    bench = Bench(data, seeds, steps)
    moves: Moves | None = None
    arms: dict[str, dict[str, list[float]]] = {}
    ends, first, cosine = {}, {}, 0.0
    for arm in ARMS:
        points, took = trajectory(bench, arm, moves)
        if moves is None:
            moves, cosine = took, float(np.mean([c.mean() for c in took.cosines]))
        each = [measured(bench, run, points[run]) for run in range(seeds)]
        arms[arm] = {name: [one[name] for one in each] for name in each[0]}
        ends[arm], first[arm] = points[:, -1].copy(), points[0].copy()
    pairs = {}
    for one, other in PAIRS:
        lines = [landscapes.along(bench.objective(r), ends[one][r], ends[other][r]) for r in range(seeds)]
        apart = np.linalg.norm(ends[one] - ends[other], axis=1)
        pairs[f"{one} | {other}"] = {
            "barrier": [landscapes.barrier(line) for line in lines],
            "distance": apart.tolist(),
        }
    return {"arms": arms, "pairs": pairs, "cosine": cosine, "plane": _plane(bench, first)}


def _plane(bench: Bench, paths: dict[str, np.ndarray], points: int = 25) -> dict[str, Any]:
    """Objective on the plane through start and the ends of two arms, and the arms' ways over it."""
    start, one, other = paths[CREDIT][0], paths[CREDIT][-1], paths[BACKPROP][-1]
    plane = landscapes.Plane.through(*(p.astype(float) for p in (start, one, other)))
    ways = {arm: plane.coordinates(paths[arm]) for arm in (CREDIT, BACKPROP, LONG, NOISY)}
    every = np.concatenate(list(ways.values()))
    low, high = every.min(0), every.max(0)
    margin = 0.25 * (high - low).max()
    axes = [np.linspace(low[i] - margin, high[i] + margin, points) for i in range(2)]
    grid = np.stack(np.meshgrid(*axes, indexing="xy"), -1).reshape(-1, 2)
    values = bench.objective(0)(plane.points(grid)).reshape(points, points)
    return {
        "x": axes[0].tolist(),
        "y": axes[1].tolist(),
        "objective": values.tolist(),
        "ways": {arm: way[::5].tolist() for arm, way in ways.items()},
        "outside": {arm: float(plane.outside(paths[arm][-1:])[0]) for arm in ways},
    }


def figure(found: dict[str, Any]) -> Any:
    """The plane with the ways of four arms; barriers; first components beside those of a random walk."""
    from cortex_sim.viz.panels import COLOURS, new_figure, plain

    drawn = new_figure(12, 3.4)
    left, middle, right = drawn.subplots(1, 3, width_ratios=(1.3, 1, 1))
    plane = found["plane"]
    levels = np.geomspace(max(np.min(plane["objective"]), 0.02), min(np.max(plane["objective"]), 20), 14)
    left.contour(plane["x"], plane["y"], plane["objective"], levels=levels, colors="0.75", linewidths=0.7)
    colours = dict(zip(ARMS, (COLOURS[1], COLOURS[0], "0.45", "0.65", COLOURS[2]), strict=True))
    for arm in (arm for arm in ARMS if arm in plane["ways"]):
        way = plane["ways"][arm]
        left.plot(*np.transpose(way), ".-", ms=2, lw=1, color=colours[arm], label=arm)
    left.plot(0, 0, "k*", ms=7)
    left.legend(fontsize=7, frameon=False)
    plain(left, "along the credit network's way", "across")
    for number, arm in enumerate(ARMS):
        values = found["arms"][arm]
        right.plot(values["first"], [number] * len(values["first"]), "o", ms=3, color=colours[arm])
        right.plot(values["first_null"], [number + 0.2] * len(values["first"]), "|", ms=6, color="0.5")
    for number, (one, other) in enumerate(PAIRS):
        values = found["pairs"][f"{one} | {other}"]["barrier"]
        middle.plot(values, [number] * len(values), "o", ms=3, color=colours[one])
    named = [f"{one} –\n{other}" for one, other in PAIRS]
    for axes, labels, what in (
        (middle, named, "barrier between ends (nats)"),
        (right, [arm.replace(", ", ",\n") for arm in ARMS], "first component (random walk: |)"),
    ):
        axes.set_yticks(range(len(labels)), labels, fontsize=7)
        axes.invert_yaxis()
        plain(axes, what, "")
    return drawn


def main() -> None:
    """Two runs on the embedded digits; print the means and draw them."""
    torch.set_num_threads(1)
    found = study()
    folder = Path("runs/landscapes")
    folder.mkdir(parents=True, exist_ok=True)
    figure(found).savefig(folder / "landscapes.png", dpi=150, bbox_inches="tight")
    for arm, values in found["arms"].items():
        print(f"{arm:38}", ", ".join(f"{name} {np.mean(v):.3g}" for name, v in values.items()))
    for pair, values in found["pairs"].items():
        print(
            f"{pair:68} barrier {np.mean(values['barrier']):.3g}, distance {np.mean(values['distance']):.3g}"
        )


if __name__ == "__main__":
    main()
