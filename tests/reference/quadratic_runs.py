"""Lives whose gradients are known: x ← a x + φ from x = 0, loss Σ (x − goal)^power / power at every step.

Their state carries φ from window to window, so that a window's loss depends on all of a life's φ.
"""

import numpy as np
import torch

from cortex_sim.tdca.outer import Window


def reached(leak, steps, start=0):
    """s_t with x_t = s_t φ, for t = start + 1 … start + steps: the geometric sums, one at a time."""
    sums, s = [], 0.0
    for _ in range(start + steps):
        s = leak * s + 1.0
        sums.append(s)
    return np.array(sums[start:])


def smoothed_gradient(phi, s, power, sigma, goal, spread):
    """∂/∂φ E[mean_t Σ (s_t (φ + σε) − goal)^power / power] for goals ~ N(goal, spread²), by hand."""
    u = s[:, None] * phi - goal
    variance = (s[:, None] * sigma) ** 2 + spread**2
    slope = u if power == 2 else u**3 + 3 * u * variance  # moments of a normal deviate around u
    return (s[:, None] * slope).mean(0)


class QuadraticRuns:
    """Lives of ``windows`` windows of ``steps`` steps each; float64 throughout."""

    def __init__(self, count, parameters=3, *, windows=3, steps=4, twins=False, power=2, seed=0, spread=0.3):
        self.count, self.parameters = count, parameters
        self.windows, self.steps, self.power, self.spread = windows, steps, power, spread
        self.leak, self.clip, self.mean_goal = 0.7, 1e6, 1.5
        self.copies = 2 if twins else 1
        self.generator = torch.Generator().manual_seed(seed)
        self.x = torch.zeros(count, parameters, dtype=torch.float64)
        self.goal = torch.zeros_like(self.x)
        self.age = torch.full((count,), windows)
        self.saw = []  # (φ's shape, whether it or the mode asks for gradients)

    def due(self):
        return self.age >= self.windows

    def unroll(self, phi):
        self.saw.append((tuple(phi.shape), phi.requires_grad, torch.is_grad_enabled()))
        begins = self.due()
        shape = (self.count // self.copies, self.parameters)
        goals = self.mean_goal + self.spread * torch.randn(
            shape, generator=self.generator, dtype=torch.float64
        )
        self.goal = torch.where(begins[:, None], goals.repeat_interleave(self.copies, 0), self.goal)
        x = torch.where(begins[:, None], torch.zeros_like(self.x), self.x)
        self.age = torch.where(begins, 0, self.age) + 1
        total, contained = 0.0, 0
        for _ in range(self.steps):
            x = self.leak * x + phi
            loss = ((x - self.goal) ** self.power).sum(1) / self.power
            contained += int((~(loss <= self.clip)).sum())
            total = total + torch.nan_to_num(loss, nan=self.clip).clamp(max=self.clip)
        self.x = x.detach()
        return Window(total / self.steps, begins, contained)

    def state(self):
        own = {"x": self.x, "goal": self.goal, "age": self.age}
        return {name: t.clone() for name, t in own.items()} | {"generator": self.generator.get_state()}

    def restore(self, state):
        self.x, self.goal, self.age = (state[name].clone() for name in ("x", "goal", "age"))
        self.generator.set_state(state["generator"])


class QuadraticFitness:
    """Fitness ½ ‖φ − goal − task‖², one task for all members of a call."""

    def __init__(self, parameters=3):
        self.parameters, self.contained = parameters, 0

    def fitness(self, phi, generator):
        task = 0.01 * torch.randn(self.parameters, generator=generator, dtype=phi.dtype)
        self.contained += 1
        return 0.5 * ((phi - 1.5 - task) ** 2).sum(1)
