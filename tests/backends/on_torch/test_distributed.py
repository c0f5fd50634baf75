"""Two ranks end where one ends with the whole batch: torch's DistributedDataParallel over gloo."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from own_parts import Standardised
from rank_processes import ended, environment, under_torchrun
from rank_processes import started as processes
from several_sources import eyes, labels, stimuli

import cortex_sim as cs
from cortex_sim.backends.torch import distributed
from cortex_sim.backends.torch.measuring import measure
from cortex_sim.backends.torch.training import Trainer
from cortex_sim.credit import LayeredCredit, TrainedCredit
from cortex_sim.updating import Updating

HERE = Path(__file__).resolve()


def gait(word="gait_prop", hidden="tanh"):
    """Hard orthogonality every other update, feedback renewed every other update."""
    net = cs.Network("ranks")
    net.population("retina", shape=(1, 5, 5))
    net.population("V1", shape=(3, 3, 3), activation="leaky_relu")
    net.population("V2", 11, activation=hidden)
    net.population("IT", 3)
    hard = cs.HardOrthogonality(every=2)
    start = cs.Orthogonal(gain=1.4)
    net.bottom_up("retina", "V1", cs.Conv2d(3, init=start), plasticity="backprop")
    net.bottom_up("V1", "V2", cs.Dense(init=start), plasticity="backprop", regulariser=hard)
    net.bottom_up("V2", "IT", cs.Dense(init=start), plasticity="backprop", regulariser=hard)
    net.objective("IT", "cross_entropy")
    return net.with_rule("gait_prop", refresh=2) if word == "gait_prop" else net.with_rule(word)


def constrained():
    """Synapses left out, signs, row sums and learning rates of single synapses."""
    net = cs.Network("ranks")
    net.population("retina", shape=(1, 5, 5))
    net.population("V1", 7, activation="tanh")
    net.population("IT", 3)
    signs = [cs.Dale([1, 5]), cs.LearningRates(np.linspace(0, 2, 175).reshape(7, 25))]
    rows = [cs.Bounds(0, 0.5), cs.RowNorm(1.5, "subtractive")]
    net.bottom_up("retina", "V1", cs.Sparse(probability=0.7), plasticity="backprop", constraint=signs)
    net.bottom_up("V1", "IT", plasticity="backprop", constraint=rows)
    net.objective("IT", "cross_entropy")
    return net.with_rule("backprop")


def layered():
    """Under a layered credit network, which brings the step that it was trained with."""
    step = {"step_rate": [[[-1.2, -0.1], [-5.1, -0.3]]] * 2, "step_fall": [[0.3, -0.5]] * 2}
    network = LayeredCredit(mirror=10, decorrelated=True)
    return gait().with_rule("tdca", credit=TrainedCredit(network, network.draw(0), {"step": step}))


def noisy():
    """Dropout, the spontaneous activity of a rule, and a penalty estimated from probes."""
    net = cs.Network("ranks")
    net.population("retina", shape=(1, 5, 5))
    net.population("V1", shape=(3, 3, 3), activation="leaky_relu", dropout=0.4)
    net.population("IT", 3)
    net.bottom_up("retina", "V1", cs.Conv2d(3), plasticity="backprop")
    net.bottom_up("V1", "IT", plasticity="backprop", regulariser=cs.Orthogonality(0.1, probes=2))
    net.objective("IT", "cross_entropy")
    return net.with_rule("weight_mirror")


def normalised(normaliser, word="gait_prop"):
    """Maps normalised over presentations, then groups of units."""
    net = cs.Network("ranks")
    net.population("retina", shape=(1, 5, 5))
    net.population("V1", shape=(4, 3, 3), activation="leaky_relu", normaliser=normaliser)
    net.population("V2", 10, activation="tanh", normaliser=normaliser)
    net.population("V4", 8, activation="tanh", normaliser=cs.GroupNorm(2))
    net.population("IT", 3)
    net.bottom_up("retina", "V1", cs.Conv2d(3), plasticity="backprop")
    for pre, post in (("V1", "V2"), ("V2", "V4"), ("V4", "IT")):
        net.bottom_up(pre, post, plasticity="backprop")
    net.objective("IT", "cross_entropy")
    return net.with_rule(word)


REDUCED = cs.BatchNorm(reduced=True)
NETWORKS = {
    "gait_prop": gait,
    "reduced": lambda: normalised(REDUCED),
    "reduced, direct": lambda: normalised(REDUCED, "direct_feedback_alignment"),
    "direct_feedback_alignment": lambda: gait("direct_feedback_alignment"),
    "bcm": lambda: gait("bcm"),
    "constraints": constrained,
    "moving statistics": lambda: gait("backprop", Standardised("unit")),
    "decorrelated": lambda: gait("kolen_pollack").with_reads(cs.Decorrelated()),
    "inner step": layered,
    "noise": noisy,
    "several sources": lambda: eyes("gait_prop"),
    "accumulated": gait,
}
UPDATING = {"accumulated": Updating(accumulate=2, clip_norm=0.5, ema_decay=0.9)}


def data(net):
    """Of which the last batch of 8 holds 6, three for each of two ranks."""
    if len(net.sources) > 1:
        return stimuli(net, 22), torch.as_tensor(labels(net, 22))
    rng = np.random.default_rng(0)
    return torch.as_tensor(rng.normal(size=(22, 1, 5, 5))), torch.as_tensor(rng.integers(3, size=22))


def trained(word):
    """All tensors after two epochs of batches of 8, on as many ranks as there are."""
    model = cs.torch.build(NETWORKS[word](), precision="64")
    sgd = {"name": "SGD", "lr": 0.01, "momentum": 0.9}
    step, updating = sgd if model.net.step is None else None, UPDATING.get(word, Updating())
    trainer = Trainer(model, *data(model.net), 2, 8, step, updating=updating)
    losses = [trainer.train_epoch() for _ in range(2)]
    return model.state_dict() | {"losses": torch.tensor(losses, dtype=torch.float64)}


def one_batch_apart():
    """After one update of the first 8 presentations, each rank normalised by its own."""
    net = normalised(cs.BatchNorm())
    x, y = data(net)
    trainer = Trainer(cs.torch.build(net, precision="64"), x[:8], y[:8], 1, 8, {"name": "SGD", "lr": 0.01})
    trainer.update(torch.arange(8)[trainer.rank :: trainer.ranks])
    return trainer.model.state_dict()


def scores(divided):
    """Of the untrained network, on 22 presentations in batches of 4: three for each of two ranks."""
    model = cs.torch.build(gait("backprop"), precision="64")
    return str([measure(model, *data(model.net), batch=size, divided=divided) for size in (4, 22)])


def what_is_raised(work):
    """Kind and text of the error, as every rank finds it."""
    try:
        work()
    except cs.CortexSimError as exception:
        return f"{type(exception).__name__}: {exception}"
    return "nothing"


def diverging(rank):
    """Only the second rank's objective is not finite."""
    model = cs.torch.build(gait("backprop"), precision="64")
    if rank:
        model.register_forward_hook(lambda m, *_: setattr(m, "last_objective", torch.tensor(float("nan"))))
    Trainer(model, *data(model.net), 1, 8, {"name": "SGD", "lr": 0.01}).train_epoch()


def refused_by_the_first():
    def work():
        raise cs.RunError("already exists")

    distributed.on_first(work)


def buffers_of_rank(rank):
    """Feedback after wrapping a model whose seed differs from rank to rank."""
    model = cs.torch.build(gait("direct_feedback_alignment"), rank, precision="64")
    distributed.wrap(model)
    return dict(model.named_buffers())


def as_torchrun_would(folder, ranks=2):
    status, said = ended(processes([sys.executable, str(HERE), str(folder)], ranks))
    assert status == [0] * ranks, said


@pytest.fixture(scope="module")
def by_rank(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    as_torchrun_would(folder)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in (0, 1)]


@pytest.mark.parametrize("word", NETWORKS)
def test_ranks_end_with_identical_weights(by_rank, word):
    first, second = (states[word] for states in by_rank)
    assert set(first) == set(second)
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


@pytest.mark.parametrize("word", NETWORKS)
def test_ranks_end_where_one_process_does(by_rank, word):
    alone = trained(word)
    start = cs.torch.build(NETWORKS[word](), precision="64").state_dict()
    for name, tensor in by_rank[0][word].items():
        torch.testing.assert_close(tensor, alone[name], rtol=1e-6, atol=1e-9, msg=name)
        moved = name.startswith("weights") or "transfer_" in name or "normaliser" in name
        assert not moved or not torch.allclose(tensor, start[name], rtol=1e-4)


def test_ranks_normalised_each_by_itself_keep_one_mean_of_their_statistics(by_rank):
    first, second = (states["apart"] for states in by_rank)
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    net = normalised(cs.BatchNorm())
    x, y = data(net)
    kept = {}
    for rank in (0, 1):
        model = cs.torch.build(net, precision="64").train()
        model(x[rank:8:2], y[rank:8:2])
        kept[rank] = model.state().normalisers["V1"]
    for name, mean in (("mean", 0.0), ("variance", 1.0)):
        both = (kept[0][name] + kept[1][name]) / 2
        np.testing.assert_allclose(first[f"populations.V1.normaliser.{name}"], both, atol=1e-13)
        assert not np.allclose(kept[0][name], kept[1][name]) and not np.allclose(both, mean)


def test_an_objective_that_is_not_finite_on_one_rank_ends_all(by_rank):
    said = [states["diverged"] for states in by_rank]
    assert said[0] == said[1] and said[0].startswith("Diverged: training diverged at step 0")


def test_what_the_first_refuses_every_rank_refuses(by_rank):
    assert [states["refused"] for states in by_rank] == ["RunError: already exists"] * 2


def test_buffers_start_as_those_of_the_first(by_rank):
    first, second = (states["buffers"] for states in by_rank)
    own = dict(cs.torch.build(gait("direct_feedback_alignment"), 0, precision="64").named_buffers())
    other = dict(cs.torch.build(gait("direct_feedback_alignment"), 1, precision="64").named_buffers())
    for name, tensor in own.items():
        assert torch.equal(first[name], tensor) and torch.equal(second[name], tensor), name
    assert any(not torch.equal(tensor, other[name]) for name, tensor in own.items())


def test_ranks_share_an_evaluation_and_all_know_its_result(by_rank):
    """Exactly that of one process, where a rank has no batch at all too."""
    assert [states["scores"] for states in by_rank] == [scores(divided=False)] * 2


@pytest.mark.slow
@pytest.mark.parametrize("how", ["apart", "reduced"])
def test_where_one_rank_fails_none_waits_for_it(how, tmp_path):
    status, said = started([sys.executable, str(HERE), "failing", how], tmp_path)
    assert status == [0, 0], said
    found = [(tmp_path / f"{rank}.txt").read_text("utf-8") for rank in (0, 1)]
    assert found[0].startswith("Lost: another process of this run has failed or ended")
    assert found[1] == "DataError: a picture cannot be read"


class Unreadable:
    """A source that fails on the second rank, in its third batch."""

    def __init__(self, rank):
        self.rank, self.read = rank, 0

    def __len__(self):
        return 64

    def batch(self, indices, epoch=0):
        self.read += 1
        if self.rank and self.read == 3:
            raise cs.DataError("a picture cannot be read")
        rng = np.random.default_rng(0)
        return rng.normal(size=(len(indices), 1, 5, 5)), rng.integers(3, size=len(indices))


def failing(how):
    rank, _ = distributed.start("cpu")
    model = cs.torch.build(normalised(cs.BatchNorm(reduced=how == "reduced")), precision="64")
    trainer = Trainer(model, Unreadable(rank), None, 1, 8, {"name": "SGD", "lr": 0.01})
    Path(f"{rank}.txt").write_text(what_is_raised(trainer.train_epoch), encoding="utf-8")


def started(command, folder, ranks=2, seconds=300):
    """Exit status and standard error of each rank of a command."""
    return ended(processes(command, ranks, cwd=folder), seconds)


@pytest.mark.slow
def test_a_mistake_that_the_first_found_is_said_once(tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "run.yaml").write_text("", encoding="utf-8")
    words = ["train", "digits_mlp", "--out", "taken"]
    status, said = started([sys.executable, "-m", "cortex_sim", *words], tmp_path)
    assert status == [2, 2]
    assert said[0].startswith("cortex-sim: ") and "already exists" in said[0] and said[0].count("\n") == 1
    assert said[1] == ""


ONE_RANK = """
import os

import cortex_sim as cs


def net():
    if os.environ["RANK"] == "1":
        raise cs.DataError("a disk that this rank alone lacks")
    return cs.model("digits_mlp")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "model, line",
    [
        ("digits_mlp --rule gait_porp", "cortex-sim: unknown rule 'gait_porp'"),
        ("net.py:net", "cortex-sim: rank 1: a disk that this rank alone lacks"),
    ],
    ids=["on every rank", "on one"],
)
def test_torchrun_shows_a_mistake_once(model, line, tmp_path):
    (tmp_path / "net.py").write_text(ONE_RANK, encoding="utf-8")
    command = under_torchrun(["-m", "cortex_sim", "train", *model.split(), "--out", "new"], 2)
    found = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=300
    )
    assert found.returncode == 1
    said = [one for one in found.stderr.splitlines() if one.startswith("cortex-sim: ")]
    assert len([one for one in said if one.startswith(line)]) == 1, found.stderr
    assert len(said) == 1 or "another process of this run has failed" in said[-1]


@pytest.mark.slow
def test_a_rank_that_is_killed_ends_the_other_with_a_clear_message(tmp_path):
    words = "train digits_mlp --epochs 1000 --checkpoint-every 5 --out run"
    both = processes([sys.executable, "-m", "cortex_sim", *words.split()], 2, cwd=tmp_path)
    until = time.monotonic() + 300
    while not (tmp_path / "run/checkpoint.safetensors").exists():
        assert time.monotonic() < until and both[0].poll() is None
        time.sleep(0.05)
    both[1].kill()
    status, said = ended(both)
    assert status == [2, -9]
    assert "cortex-sim: another process of this run has failed or ended" in said[0], said[0]
    assert "the last checkpoint in run is whole, continue with --resume" in said[0]


@pytest.mark.slow
def test_ranks_stop_early_together(tmp_path):
    words = "digits_mlp --epochs 30 --out run --batch-size 100"
    words += " --set optimiser.lr=0.3 --set schedule=null --set hold_out=300 --set evaluate_every=4"
    words += " --set early_stopping=1 --set ema_decay=0.9 --set keep_best=true --set best_by=ema_loss"
    command = [sys.executable, "-m", "cortex_sim", "train", *words.split()]
    status, said = started(command, tmp_path, seconds=400)
    assert status == [0, 0], said
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["stopped_early"] and metrics["steps"] < 360


def test_alone_there_is_one_place_and_no_wrapper():
    model = cs.torch.build(gait())
    assert distributed.place() == (0, 1)
    assert distributed.wrap(model) is model


def test_a_batch_that_cannot_be_split_is_refused(monkeypatch):
    monkeypatch.setattr(distributed, "place", lambda: (0, 3))
    with pytest.raises(cs.RunError, match="batch size 8 cannot be split evenly over 3 ranks"):
        Trainer(cs.torch.build(gait(), precision="64"), *data(gait()), 1, 8)


@pytest.mark.parametrize("gpus, way", [(0, "--device cpu"), (1, "--nproc-per-node 1")])
def test_more_processes_than_gpus_are_refused(gpus, way, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    with pytest.raises(cs.RunError, match=rf"process 2 on this machine, which has fewer GPUs .{gpus}.*{way}"):
        distributed._take_gpu(1)


def _rank(folder):
    rank, ranks = distributed.start("cpu")
    assert ranks == 2
    found = {word: trained(word) for word in NETWORKS}
    found["diverged"] = what_is_raised(lambda: diverging(rank))
    found["refused"] = what_is_raised(refused_by_the_first)
    found["buffers"] = buffers_of_rank(rank)
    found["apart"] = one_batch_apart()
    found["scores"] = scores(divided=True)
    torch.save(found, Path(folder) / f"{rank}.pt")
    distributed.finish()


if __name__ == "__main__":
    failing(sys.argv[2]) if sys.argv[1] == "failing" else _rank(sys.argv[1])
