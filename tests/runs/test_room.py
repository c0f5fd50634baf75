"""What does not fit in memory or on the disk is refused before work starts, with both sizes."""

import shutil

import numpy as np
import pytest

import cortex_sim as cs
from cortex_sim.errors import BuildError, DeclarationError, RunError
from cortex_sim.experiments import running
from cortex_sim.protocol import planning
from cortex_sim.recording import session, sizes
from cortex_sim.runs import room


@pytest.fixture
def small(monkeypatch):
    """A machine with 1 MB left."""
    monkeypatch.setattr(room, "available_memory", lambda: 10**6)


def network(units=7):
    net = cs.Network("two")
    net.bottom_up(net.population("retina", units), net.population("V1", 5), plasticity="hebbian")
    return net


def experiment(**settings):
    show = cs.Phase("show", 20, drive={"retina": 1.0}, plasticity=True)
    return cs.Experiment(network(), {"one": cs.Protocol(show, **settings)})


@pytest.mark.parametrize(
    "count, said",
    [
        (17, "17 bytes"),
        (1500, "1.5 kB"),
        (2 * 10**6, "2 MB"),
        (12_345_000_000, "12.3 GB"),
        (8 * 10**15, "8,000 TB"),
    ],
)
def test_sizes_are_spelled(count, said):
    assert room.spelled(count) == said


def test_the_machine_says_what_is_left():
    left = room.available_memory()
    assert left is None or 10**6 < left < 10**14


def test_the_container_limits_it(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "_LIMIT", tmp_path / "max")
    monkeypatch.setattr(room, "_USED", tmp_path / "used")
    (tmp_path / "max").write_text("3000\n")
    (tmp_path / "used").write_text("1000\n")
    assert room.available_memory() == 2000
    (tmp_path / "max").write_text("max\n")
    assert room.available_memory() != 2000


def test_a_recording_in_memory(small):
    recorded = cs.Record(every_ms=1, weights=True)
    said = (
        r"recording: 800 presentations × 12 neuroids × 20 time bins, with 801 snapshots of 35 weights, would "
        r"take 3.68 MB of memory, but only 1 MB is available; give out='FILE.nc'"
    )
    with pytest.raises(RunError, match=said):
        cs.brian2.run(experiment(trials=800, record=recorded))
    with pytest.raises(RunError, match="would take"):
        cs.brian2.build(network()).run(experiment(trials=800, record=recorded).arms["one"].protocol)


def test_its_size_is_that_of_the_arrays():
    settings = experiment(trials=9, record=cs.Record(["rate", "drive"], weights=True, weights_every=2))
    made = cs.torch.run(settings)
    layout = session._layout(running._planned(settings, None, 0))
    assert sizes.bytes_of(layout) == sum(made[name].nbytes for name in made.data_vars) + 9 * 100


def test_a_recording_on_disk(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(sizes.shutil, "disk_usage", lambda place: usage._replace(free=1000))
    with pytest.raises(RunError, match=r"big.nc: 50 presentations × 12 neuroids would take 19.6 kB of disk"):
        cs.torch.run(experiment(trials=50), out=tmp_path / "big.nc")
    assert list(tmp_path.iterdir()) == []


def test_a_plan_of_too_many_trials():
    with pytest.raises(DeclarationError, match=r"plan of 1,000,000,000,000 presentations would take 600 TB"):
        planning.plan(experiment(trials=10**6, repeat=10**6).arms["one"].protocol, network(), 0)


def test_weights_of_too_many_synapses():
    net = cs.Network("vast")
    net.bottom_up(net.population("a", 10**7), net.population("b", 10**7))
    said = r"network vast: the weights of 1 projections \(most in a->b, \(10000000, 10000000\)\) .* 800 TB"
    for build in (cs.brian2.build, cs.torch.build):
        with pytest.raises(BuildError, match=said):
            build(net)


def test_a_batch_of_too_many_presentations(small):
    show = cs.Phase("show", 20, drive={"retina": np.zeros((400, 100))})
    with pytest.raises(BuildError, match=r"network two: a batch of 400 presentations.*use a smaller batch"):
        cs.brian2.run(cs.Experiment(network(100), {"one": cs.Protocol(show, batch=400)}))
