"""Plans by hand, and a quasi-static session to carry them out."""

import numpy as np
from networks import built

from cortex_sim.backends.torch.quasi_static import QuasiStatic
from cortex_sim.protocol.plan import Goal, Images, PhasePlan, Plan, Shown, Wanted
from cortex_sim.rules.base import WORDS

TARGETS = {"target_prop", "difference_target_prop"}
EVERYTHING = ("rate", "drive", "credit")


def planned(net, *phases, count=5, trials=1, **wanted):
    """A plan of trials that each show the same ``count`` presentations side by side."""
    wanted = Wanted(EVERYTHING, tuple(net.populations), **wanted)
    ran = [
        Shown(t, "trial", 1, tuple(range(t * count, (t + 1) * count)), tuple(range(count)), phases)
        for t in range(trials)
    ]
    return Plan(tuple(ran), wanted, tuple(map(str, range(count))))


def carried_out(session, plan, first=0):
    """The samples kept."""
    samples = []
    session.carry_out(plan, first, samples.append)
    return samples


def session_of(net, seed=0):
    """A session with the biases of the model that `built` makes."""
    session = QuasiStatic(net, seed)
    session.model.load_state_dict(built(net, seed).state_dict())
    return session


def labelled(net, x, y, **settings):
    """A phase that shows x and nudges the top to y."""
    goal = np.eye(net.populations[net.objective_at].size)[y]
    settings = {
        "drive": {net.stimulated[0]: Images(x.reshape(len(x), -1))},
        "nudge": {net.objective_at: Goal(goal, 1.0)},
        **settings,
    }
    return PhasePlan("learn", settings.pop("duration_ms", 1.0), **settings)


def own_rules():
    """Words of rules that have credit at equilibrium."""
    return [w for w in sorted(WORDS) if w not in TARGETS]


def moved(session, before):
    """Change of each weight and bias since the state ``before``."""
    after = session.checkpoint()
    return {n.partition(":")[2]: after[n] - before[n] for n in after if n.startswith(("weight", "bias"))}


def spontaneous(p):
    return getattr(p.plasticity, "spontaneous", False)
