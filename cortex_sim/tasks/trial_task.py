"""A task with neurogym's interface: each of its trials is a trial of a protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cortex_sim.checks import require_count
from cortex_sim.errors import DeclarationError
from cortex_sim.protocol.closed_loop import ClosedLoop, Seen
from cortex_sim.protocol.inputs import TimeSeries
from cortex_sim.protocol.per_trial import PerTrial
from cortex_sim.tasks.choosing import Choose, highest, require_choice


@dataclass(frozen=True, eq=False)
class TaskTrials:
    """Trials of a task: movies for drives, lengths for phases, answers for nudges; one per trial.

    The decision is due in the last stretch of a trial, through which the right answer stays the same.

    Attributes
    ----------
    observations : tuple of array of shape (bin, unit)
    answers : array of shape (trial,) or (trial, value)
        Right answers at the end of each trial, whole numbers where actions are discrete.
    until : tuple of int
        Bins before the decision.
    dt_ms : float
        Length of a bin.
    actions : int or None
        Number of discrete actions.
    """

    name: str
    observations: tuple[np.ndarray, ...]
    answers: np.ndarray
    until: tuple[int, ...]
    dt_ms: float
    actions: int | None

    @property
    def whole(self) -> PerTrial:
        """Drive through whole trials."""
        return self._drive([(0, len(shown)) for shown in self.observations])

    @property
    def whole_ms(self) -> list[float]:
        """Length of whole trials."""
        return [len(shown) * self.dt_ms for shown in self.observations]

    @property
    def before(self) -> PerTrial:
        """Drive until the decision."""
        return self._drive([(0, end) for end in self._split()])

    @property
    def before_ms(self) -> list[float]:
        """Time until the decision."""
        return [end * self.dt_ms for end in self._split()]

    @property
    def decision(self) -> PerTrial:
        """Drive during the decision."""
        ends = zip(self._split(), self.observations, strict=True)
        return self._drive([(start, len(shown)) for start, shown in ends])

    @property
    def decision_ms(self) -> list[float]:
        """Length of the decision."""
        pairs = zip(self._split(), self.observations, strict=True)
        return [(len(shown) - start) * self.dt_ms for start, shown in pairs]

    def rewarded(
        self,
        reads: Any,
        phase: str,
        *,
        choose: Choose | None = None,
        average: bool = False,
        name: str = "",
    ) -> ClosedLoop:
        """A closed loop with the variables ``choice`` and ``reward``, 1 for the right answer, else 0.

        ``choose(seen, rng)`` returns a choice; by default the unit with the highest rate.
        """
        require_choice(f"task {self.name}", choose)
        if self.actions is None:
            raise DeclarationError(
                f"task {self.name}: its answers are not whole numbers, so no choice is simply right; write a "
                "cs.ClosedLoop that compares rates with .answers[seen.own_trial]"
            )
        reward = _Rewarded(self.answers, self.actions, choose)
        state = {"reward": 0.0, "choice": 0}
        return ClosedLoop(reward, reads, phase, state, average=average, name=name or self.name)

    def _drive(self, spans: Sequence[tuple[int, int]]) -> PerTrial:
        cut = zip(self.observations, spans, strict=True)
        return PerTrial([TimeSeries(shown[first:last], self.dt_ms) for shown, (first, last) in cut])

    def _split(self) -> tuple[int, ...]:
        for trial, end in enumerate(self.until):
            if not end:
                raise DeclarationError(
                    f"task {self.name}: in trial {trial} the right answer is the same throughout, so there "
                    "is no time before the decision; use .whole and .whole_ms"
                )
        return self.until


@dataclass(frozen=True, eq=False)
class _Rewarded:
    answers: np.ndarray
    actions: int
    choose: Choose | None

    def __call__(self, seen: Seen, state: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
        choice = highest(seen, self.actions) if self.choose is None else self.choose(seen, rng)
        answer = self.answers[seen.own_trial % len(self.answers)]
        return {"choice": choice, "reward": float(choice == answer)}


def trial_task(task: Any, trials: int, seed: int = 0, *, name: str = "") -> TaskTrials:
    """Draw trials of a task; each is a pure function of the seed and its number.

    Parameters
    ----------
    task : object with ``seed(seed)``, ``new_trial()``, ``ob``, ``gt`` and ``dt``
        As in neurogym: after ``new_trial()``, ``ob`` (bin, unit) are the observations of the
        trial, ``gt`` (bin,) the right action at each time, and ``dt`` is the bin in ms.
    trials : int
    seed : int, default 0
    name : str, optional
        Name in recordings and messages; by default that of the class.

    Raises
    ------
    DeclarationError
        If the task has another interface, or a trial does not fit.
    """
    task = getattr(task, "unwrapped", task)
    owner = f"task {name or type(task).__name__}"
    for what in ("seed", "new_trial", "dt"):
        if not hasattr(task, what):
            raise DeclarationError(f"{owner}: has no {what}; give an object with neurogym's interface")
    require_count(owner, trials=trials)
    require_count(owner, minimum=0, seed=seed)
    drawn = [_drawn(owner, task, seed, trial) for trial in range(trials)]
    answers = np.array([right[-1] for _, right in drawn])
    count = getattr(getattr(task, "action_space", None), "n", None)
    whole = answers.ndim == 1 and answers.dtype.kind in "iu"
    actions = int(count if count is not None else answers.max() + 1) if whole else None
    return TaskTrials(
        name or type(task).__name__,
        tuple(shown for shown, _ in drawn),
        answers,
        tuple(_decision(right) for _, right in drawn),
        float(task.dt),
        actions,
    )


def _drawn(owner: str, task: Any, seed: int, trial: int) -> tuple[np.ndarray, np.ndarray]:
    """Observations (bin, unit) and right answers (bin, ...) of one trial."""
    task.seed(int(np.random.SeedSequence([seed, trial]).generate_state(1)[0] >> 1))
    task.new_trial()
    missing = [what for what in ("ob", "gt") if not hasattr(task, what)]
    if missing:
        raise DeclarationError(f"{owner}: has no {missing[0]} after new_trial(), as neurogym's tasks have")
    shown, right = np.array(task.ob, dtype=np.float64), np.array(task.gt)
    if shown.ndim != 2 or len(right) != len(shown) or not len(shown):
        raise DeclarationError(
            f"{owner}, trial {trial}: ob must have shape (bin, unit), and gt one entry a bin. Got "
            f"{shown.shape} and {right.shape}"
        )
    return shown, right


def _decision(right: np.ndarray) -> int:
    """First bin of the stretch at the end through which the right answer stays the same."""
    other = np.flatnonzero((right != right[-1]).reshape(len(right), -1).any(axis=1))
    return int(other[-1]) + 1 if len(other) else 0
