"""Workers: however many there are, and whichever is lost, they do what one process does."""

from functools import partial

import pytest
import torch
from pool_here import PoolHere

from cortex_sim.errors import RunError
from cortex_sim.registry import names
from cortex_sim.tdca.evolving.settings import OuterSettings
from cortex_sim.tdca.functions.settings import FunctionSettings
from cortex_sim.tdca.reinforcement.settings import ReinforcementSettings
from cortex_sim.tdca.workers.crew import Crew
from cortex_sim.tdca.workers.splitting import joined, parts, split
from cortex_sim.tdca.workers.spreading import Workers, spread

TDCA = {"name": "tdca", "credit_network": {"name": "dense", "outputs": 3, "channels": 2, "hidden": 3}}
SHARES = {"name": "decorrelated", "mixing": 0.6, "centring": 0.8, "every": 2}
LAYERED = {
    "model_settings": {"inputs": 5, "hidden": [7], "classes": 3, "reads": SHARES},
    "rule": {"name": "layered", "credit_network": {"name": "layered", "mirror": 9}},
}
FITNESS = {"members": 6, "sigma": 0.1}


def presentations(searcher, **more):
    small = {
        "model_settings": {"inputs": 5, "hidden": [7], "classes": 3},
        "rule": TDCA,
        "tasks": {"kind": "teacher", "widths": [5, 4, 3]},
        "span": {"shortest": 2, "longest": 8, "window": 2, "batch": 4, "validation": 6},
        "lives": 6,
    }
    return OuterSettings(**{**small, "searcher": searcher, **more})


def digits(searcher):
    model = {"inputs": 16, "hidden": [7]}
    tasks = {"kind": "images", "sources": ["digits"], "side": 4, "project": True}
    return presentations(searcher, model_settings=model, tasks=tasks, rule={"name": "backprop"})


def functions(searcher):
    return FunctionSettings(
        families=["sphere", "himmelblau"], dimensions=[2, 4], tasks=1, evaluations=20, searcher=searcher
    )


def reinforcement(searcher):
    actions = {"name": "actions", "observation": 8}
    dense = {"name": "dense", "outputs": 2, "channels": 1, "hidden": 5, "context": actions}
    return ReinforcementSettings(
        task="context_choice",
        model_settings={"hidden": [6], "activation": "tanh"},
        practice={"updates": 6, "episodes": 6, "window": 2, "scrambled": True, "setting": "R"},
        rule={"name": "layered_of_trained_top", "credit_network": dense},
        searcher=searcher,
        inner_runs=6,
    )


CASES = {
    "meta_gradient": presentations({"name": "meta_gradient"}),
    "meta_gradient apart": presentations({"name": "meta_gradient", "apart": True}),
    "meta_gradient taking turns": presentations(
        {"name": "meta_gradient"}, also=[{"hidden": [11]}, {"hidden": [5, 3], "activation": "tanh"}]
    ),
    "meta_gradient frozen": presentations({"name": "meta_gradient"}, frozen=True),
    "meta_gradient layered": presentations({"name": "meta_gradient"}, **LAYERED),
    "meta_gradient policies": reinforcement({"name": "meta_gradient", "rate": 0.02}),
    "nres": presentations({"name": "nres", "rate": 0.01}),
    "nres digits": digits({"name": "nres"}),
    "nres policies": reinforcement({"name": "nres", "rate": 0.02}),
    "pgpe": presentations({"name": "pgpe", **FITNESS}),
    "pgpe functions": functions({"name": "pgpe", **FITNESS}),
    "snes": presentations({"name": "snes", **FITNESS}),
    "cma_es": presentations({"name": "cma_es", **FITNESS}),
}
STEPS = 4


def some(*fast):
    """All cases; those that are not named here only where slow tests run."""
    return [pytest.param(name, marks=[] if name in fast else pytest.mark.slow) for name in CASES]


class Run:
    """A search with so many workers."""

    def __init__(self, settings, workers, lost_at=(), early=True):
        self.pool = None
        given, centre = settings.problem(None)
        crew = Workers(workers)
        crew.check(settings, given)
        self._context = spread(crew, settings, None, given, partial(self._start, lost_at, early))
        work = self._context.__enter__()
        self.crew = work.crew
        generator = torch.Generator().manual_seed(3)
        self.search = settings.search().begin(work.problem, centre, 20, generator)

    def _start(self, lost_at, early, *given):
        self.pool = PoolHere(*given, lost_at, early)
        return self.pool

    def steps(self, count=STEPS):
        measured = [self.search.step() for _ in range(count)]
        return torch.tensor([list(m.values()) for m in measured], dtype=torch.float64)

    def end(self):
        self._context.__exit__(None, None, None)
        return self


def equal(one, other):
    assert one.keys() == other.keys()
    return all(torch.equal(one[name], other[name]) for name in one)


def close(one, other):
    assert one.keys() == other.keys()
    for name in one:
        if one[name].dtype.is_floating_point:
            torch.testing.assert_close(one[name], other[name], rtol=1e-6, atol=1e-6, msg=name)
        else:
            assert torch.equal(one[name], other[name]), name


def test_every_searcher_is_tested_here():
    assert {name.split()[0] for name in CASES} == set(names("searcher"))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("workers", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_workers_do_what_one_process_does(case, workers):
    alone, shared = Run(CASES[case], 1), Run(CASES[case], workers)
    torch.testing.assert_close(shared.steps(), alone.steps(), rtol=1e-6, atol=1e-6)
    close(shared.search.state(), alone.search.state())
    assert shared.end().pool.closed and shared.crew.lost == 0
    assert all(count > 0 for count in shared.pool.done) and len(shared.pool.done) == workers


@pytest.mark.parametrize("case", some("meta_gradient", "nres", "pgpe functions"))
@pytest.mark.parametrize("early", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_lost_worker_costs_nothing_but_time(case, early):
    undisturbed, disturbed = Run(CASES[case], 2), Run(CASES[case], 2, {3, 5, 9}, early)
    expected, got = undisturbed.steps(), disturbed.steps()
    assert disturbed.crew.lost >= 2 and disturbed.pool.replaced
    assert torch.equal(got, expected)
    assert equal(disturbed.search.state(), undisturbed.search.state())


def test_a_worker_lost_between_loss_and_gradient_runs_all_windows_again():
    undisturbed, disturbed = Run(CASES["meta_gradient"], 2), Run(CASES["meta_gradient"], 2, {9})
    assert torch.equal(disturbed.steps(3), undisturbed.steps(3))
    assert disturbed.pool.methods[9] == "gradient" and disturbed.pool.replaced == [1]
    assert equal(disturbed.search.state(), undisturbed.search.state())


@pytest.mark.parametrize("case", some("meta_gradient taking turns", "nres policies", "snes"))
def test_a_run_goes_on_with_another_number_of_workers(case):
    alone, shared = Run(CASES[case], 1), Run(CASES[case], 2)
    shared.steps(2)
    saved = {name: tensor.clone() for name, tensor in shared.search.state().items()}
    expected = shared.steps(3)
    again, more = Run(CASES[case], 2), Run(CASES[case], 3, {4, 7})
    for run in (alone, again, more):
        run.search.restore({name: tensor.clone() for name, tensor in saved.items()})
    assert equal(alone.search.state(), saved)
    assert torch.equal(again.steps(3), expected)
    torch.testing.assert_close(more.steps(3), expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(alone.steps(3), expected, rtol=1e-6, atol=1e-6)
    assert more.crew.lost
    close(more.search.state(), alone.search.state())


def test_what_a_worker_is_sent_is_small():
    """Of perturbed inner runs: the centre, a generator's state and flags; and losses and flags come back."""
    sent = []

    class Watched(PoolHere):
        def send(self, rank, method, *given):
            sent.append((method, given))
            return super().send(rank, method, *given)

    settings = CASES["nres"]
    given, centre = settings.problem(None)
    with spread(Workers(2), settings, None, given, Watched) as work:
        search = settings.search().begin(work.problem, centre, 20, torch.Generator().manual_seed(3))
        for _ in range(3):
            search.step()
    moves = [move for method, (moves, *_) in sent if method == "advance" for move in moves]
    assert len(moves) == 6
    assert all(m.phi.shape == centre.shape and len(m.due) == 6 and m.drawn_with is not None for m in moves)


def test_a_request_that_costs_every_worker_is_given_up():
    run = Run(CASES["snes"], 2, {0, 2, 3})
    with pytest.raises(RunError, match=r"^worker 0: lost 3 times at the same request \(outcomes\)"):
        run.steps(1)


def test_what_a_worker_refuses_is_said_as_it_was():
    run = Run(presentations({"name": "meta_gradient"}, rule={"name": "backprop"}, frozen=True), 2)
    for worker in run.pool.workers:
        worker._whole = refuse
    with pytest.raises(RunError, match="^no such data$"):
        run.steps(1)


def refuse():
    raise RunError("no such data")


@pytest.mark.parametrize(
    "settings, workers, what, most",
    [
        (CASES["meta_gradient"], 7, "inner runs", 6),
        (CASES["nres"], 4, "pairs of inner runs", 3),
        (CASES["pgpe"], 7, "members of a generation", 6),
    ],
)
def test_more_workers_than_there_is_to_share_are_refused(settings, workers, what, most):
    said = f"--workers {workers}: exceeds the number of {what} to share, {most}; give at most {most}"
    with pytest.raises(RunError, match=f"^{said}$"):
        Run(settings, workers)


@pytest.mark.parametrize("name, lacks", [("snes", "outcomes"), ("meta_gradient", "share")])
def test_a_problem_that_cannot_be_split_is_refused(name, lacks):
    class Whole:
        count = 6

    with pytest.raises(
        RunError, match=f"^--workers 2: Whole cannot be split, because it has no method {lacks}"
    ):
        Workers(2).check(CASES[name], Whole())
    Workers(1).check(CASES[name], Whole())


@pytest.mark.parametrize("count, workers, together", [(7, 3, 1), (12, 5, 2), (4, 4, 1), (6, 3, 2), (5, 1, 1)])
def test_parts_are_even_and_leave_nothing_out(count, workers, together):
    shares = parts(count, workers, together)
    assert [i for share in shares for i in range(share.start, share.stop)] == list(range(count))
    sizes = [(share.stop - share.start) // together for share in shares]
    assert len(shares) == workers and max(sizes) - min(sizes) <= 1 and min(sizes) >= 1
    assert all(share.start % together == 0 for share in shares)


def test_fewer_members_than_workers_leave_some_idle():
    """As a searcher of one's own may ask, which does not say how many it has."""
    settings = CASES["snes"]
    given, centre = settings.problem(None)
    phi, drawn = centre + 0.1 * torch.randn(2, len(centre)), [torch.Generator().manual_seed(3) for _ in "ab"]
    with spread(Workers(3), settings, None, given, PoolHere) as work:
        shared = work.problem.fitness(phi, drawn[0])
    torch.testing.assert_close(shared, given.fitness(phi, drawn[1]), rtol=1e-6, atol=1e-6)


def test_a_split_state_joins_to_itself():
    state = {"w": torch.randn(7, 3), "count": torch.randn(2, 7), "taken": torch.tensor(5)}
    axes = {"w": 0, "count": 1, "taken": None}
    states = split(state, axes, parts(7, 3))
    assert [len(s["w"]) for s in states] == [2, 2, 3] and states[0]["count"].shape == (2, 2)
    assert equal(joined(states, axes), state)


def test_crew_asks_no_more_workers_than_there_are_calls():
    pool = PoolHere(CASES["snes"], None, Workers(3))
    assert [host.process for host in Crew(pool).ask([("host",)] * 2, lambda rank: ())]
    assert pool.methods == ["host", "host"]
