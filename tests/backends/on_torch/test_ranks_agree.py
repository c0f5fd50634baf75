"""One, two and four processes with the same whole batches end alike, under every registered rule."""

import sys

import pytest
import rank_cases
import torch
from rank_processes import ended, started

import cortex_sim as cs
from cortex_sim.backends.torch.dividing import Work, carry_out, owners
from cortex_sim.registry import find, names, to_data

# Relative to the largest number of a tensor.
BOUND = {"64": 1e-9, "32": 1e-5}
# Rounding is amplified by small steps of a target, and here 200 times by difference target propagation: in 64
# bits 2e-14, where backpropagation differs by 1e-16.
AMPLIFIED = {"gait_prop, ": 1e-5, "difference_target_prop": 1e-4}


def test_every_registered_rule_is_among_the_cases():
    found = set()
    for name in rank_cases.names(normalised=False):
        net = rank_cases.declared(name, normalised=False)
        rules = [p.plasticity for p in net.projections.values() if p.plasticity is not None]
        found |= {to_data("rule", rule)["name"] for rule in rules}
    ours = {name for name in names("rule") if find("rule", name).__module__.startswith("cortex_sim.")}
    assert sorted(ours - found) == []


@pytest.mark.parametrize("name", sorted(rank_cases.REFUSED))
def test_what_has_no_meaning_behind_a_normaliser_is_refused_by_name(name):
    (case,) = [c.values[0] for c in rank_cases.cases() if c.id == f"{name}-chain"]
    network = rank_cases.normalised(case.network)
    with pytest.raises(cs.CortexSimError, match="BatchNorm|normaliser"):
        print(rank_cases.replace(case, network=network).net)


@pytest.fixture(scope="module")
def alone():
    return rank_cases.all_ended(None)


@pytest.fixture(scope="module", params=[2, 4], ids=["two ranks", "four ranks"])
def by_rank(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    status, said = ended(started([sys.executable, rank_cases.__file__, str(folder)], request.param), 900)
    assert status == [0] * request.param, said
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(request.param)]


def bound(name, precision):
    amplified = [most for start, most in AMPLIFIED.items() if name.startswith(start)]
    return amplified[0] if amplified and (precision == "32" or "step" in name) else BOUND[precision]


@pytest.mark.slow
def test_ranks_end_where_one_process_does(by_rank, alone):
    """And all ranks hold identical numbers, bit for bit, state and feedback included."""
    wrong, unmoved = [], []
    for case, one in alone.items():
        _, name, precision = case
        if isinstance(one, str):
            assert precision == "32" and 'build with precision="64"' in one, one
            assert all(found[case] == one for found in by_rank)
            continue
        ends = [found[case]["end"] for found in by_rank]
        for key, tensor in one["end"].items():
            if not all(torch.equal(end[key], ends[0][key]) for end in ends):
                wrong.append((case, key, "differs from rank to rank"))
            off = apart(ends[0][key], tensor)
            if off > bound(name, precision):
                wrong.append((case, key, off))
        weights = [key for key in one["start"] if key.startswith("weights")]
        if all(torch.equal(one["end"][key], one["start"][key]) for key in weights):
            unmoved.append(case)
    assert not wrong and not unmoved, (wrong, unmoved)


def apart(one, other):
    """Largest difference, relative to the largest number where that is above 1."""
    if not other.numel():
        return 0.0
    return float((one.double() - other.double()).abs().max() / other.double().abs().max().clamp_min(1.0))


def test_work_is_divided_by_what_it_costs():
    assert owners([1, 8, 4, 4, 1], 2) == [0, 0, 1, 1, 1]
    assert owners([3, 2], 4) == [0, 1]
    assert owners([], 2) == []


def test_alone_all_work_is_done_here():
    done = []
    carry_out([Work(1, lambda: done.append(1), ()), Work(2, lambda: done.append(2), ())], divided=True)
    assert done == [1, 2]
