"""An environment with gymnasium's interface, one step a trial."""

from __future__ import annotations

from typing import Any

import numpy as np

from cortex_sim.errors import DeclarationError, RunError
from cortex_sim.protocol.closed_loop import ClosedLoop, Seen
from cortex_sim.tasks.choosing import Choose, highest, only_rates, require_choice


def environment(
    env: Any, reads: Any, phase: str, *, choose: Choose | None = None, average: bool = False, name: str = ""
) -> ClosedLoop:
    """A closed loop in which every trial is one step of an environment.

    A trial presents ``loop["observation"]``; at the end of ``phase`` rates become an action, and
    ``loop["reward"]`` is available to later phases of the same trial. After the end of an episode, the next
    trial starts another. Only the seed and the actions of the present episode are kept: a resumed recording
    repeats that episode.

    Parameters
    ----------
    env : object with ``reset(seed=...)``, ``step(action)``, ``observation_space`` and ``action_space``
        As in gymnasium. Everything random in it must follow from the seed of ``reset``.
    reads : list of populations
    phase : str
        Phase at whose end the action is chosen.
    choose : callable, optional
        ``choose(seen, rng)`` returns an action. By default the unit with the highest rate, one
        for each of the discrete actions; rates themselves where actions are continuous.
    average : bool, default False
        Whether actions are chosen from mean rates over the phase.
    name : str, default "environment"
        Name in recordings and messages.

    Returns
    -------
    ClosedLoop
        With the variables ``observation`` (unit,), one-hot where it is a whole number; ``reward`` and
        ``action`` of the trial; ``total``, the reward of the episode so far; ``ended``, 1 in its last trial;
        ``episode`` and ``step`` of the coming trial, counted from 0.

    Raises
    ------
    DeclarationError
        If the environment has another interface, or observations that are not arrays.
    """
    called = name or "environment"
    steps = Steps(called, env, choose)
    return ClosedLoop(steps, reads=reads, phase=phase, state=steps.start, average=average, name=called)


class Steps:
    """The function and first state of the loop: everything it keeps follows from the loop's state."""

    def __init__(self, name: str, env: Any, choose: Choose | None) -> None:
        self.owner = f"environment {name}"
        for what in ("reset", "step", "observation_space", "action_space"):
            if not hasattr(env, what):
                raise DeclarationError(
                    f"{self.owner}: has no {what}; give an object with gymnasium's interface, such as "
                    f'gymnasium.make("CartPole-v1"). Got {type(env).__name__}'
                )
        require_choice(self.owner, choose)
        self.env, self.choose = env, choose
        self.actions = getattr(env.action_space, "n", None)
        self._reached: Any = None  # what led to the environment's present state: seed, episode, actions

    def start(self, rng: np.random.Generator) -> dict[str, Any]:
        """State before the first trial, with the first observation of the first episode."""
        seed = int(rng.integers(2**31))
        action = np.zeros(getattr(self.env.action_space, "shape", ()))
        first = 0 if self.actions is not None else action
        return {
            "observation": self._reset(seed, 0),
            **dict.fromkeys(("reward", "total"), 0.0),
            **dict.fromkeys(("ended", "episode", "step"), 0),
            "action": first,
            "taken": np.zeros((0, *np.shape(first)), dtype=np.asarray(first).dtype),
            "seed": seed,
        }

    def __call__(self, seen: Seen, state: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
        """One step."""
        self._go_to(state)
        action = self._action(seen, rng)
        observation, reward, ended = self._step(action)
        taken = np.concatenate([state["taken"], np.asarray(action, dtype=state["taken"].dtype)[None]])
        episode, step = state["episode"], state["step"] + 1
        if ended:
            episode, step, taken = episode + 1, 0, taken[:0]
            observation = self._reset(state["seed"], episode)
        self._reached = (state["seed"], episode, taken.tobytes())
        total = reward + (0.0 if state["step"] == 0 else state["total"])
        return {
            "observation": observation,
            "reward": reward,
            "total": total,
            "ended": int(ended),
            "episode": episode,
            "step": step,
            "action": action,
            "taken": taken,
        }

    def fingerprinted(self) -> list[Any]:
        """What a resumed recording must have in common with its beginning."""
        unwrapped = getattr(self.env, "unwrapped", self.env)
        return [type(unwrapped).__qualname__, repr(getattr(self.env, "spec", None)), self.choose]

    def _go_to(self, state: dict[str, Any]) -> None:
        """Bring the environment to the loop's state, by repeating the episode's actions."""
        if self._reached == (state["seed"], state["episode"], state["taken"].tobytes()):
            return
        observation = self._reset(state["seed"], state["episode"])
        for action in state["taken"]:
            observation, _, _ = self._step(action.item() if self.actions is not None else action)
        if not np.array_equal(observation, state["observation"]):
            raise RunError(
                "with the same seed and actions the environment gives another observation, so it can neither "
                "be repeated nor resumed; draw everything random in it from the seed of reset"
            )

    def _action(self, seen: Seen, rng: np.random.Generator) -> Any:
        if self.choose is not None:
            return self.choose(seen, rng)
        if self.actions is not None:
            return highest(seen, int(self.actions)) + int(getattr(self.env.action_space, "start", 0))
        return only_rates(seen).reshape(self.env.action_space.shape).astype(np.float32)

    def _reset(self, seed: int, episode: int) -> np.ndarray:
        word = int(np.random.SeedSequence([seed, episode]).generate_state(1)[0] >> 1)
        self._reached = None
        returned = self.env.reset(seed=word)
        if not isinstance(returned, tuple) or len(returned) != 2:
            raise DeclarationError(
                f"{self.owner}: reset must return (observation, info), as in gymnasium since 0.26. "
                f"Got {type(returned).__name__}"
            )
        return self._observed(returned[0])

    def _step(self, action: Any) -> tuple[np.ndarray, float, bool]:
        returned = self.env.step(action)
        if not isinstance(returned, tuple) or len(returned) != 5:
            raise RunError(
                "step must return (observation, reward, terminated, truncated, info), as "
                f"in gymnasium since 0.26. Got {len(returned) if isinstance(returned, tuple) else returned!r}"
            )
        observation, reward, terminated, truncated, _ = returned
        return self._observed(observation), float(reward), bool(terminated or truncated)

    def _observed(self, observation: Any) -> np.ndarray:
        count = getattr(self.env.observation_space, "n", None)
        if count is not None and np.ndim(observation) == 0:
            first = int(getattr(self.env.observation_space, "start", 0))
            return np.eye(int(count))[int(observation) - first]
        if isinstance(observation, (dict, tuple)):
            raise DeclarationError(
                f"{self.owner}: an observation is a {type(observation).__name__}, but a population needs an "
                "array; wrap the environment in gymnasium.wrappers.FlattenObservation"
            )
        return np.asarray(observation, dtype=np.float64).ravel()
