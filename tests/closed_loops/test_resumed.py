"""A closed loop that is interrupted and resumed ends with the same bytes: its state is in the checkpoint."""

import killing
import numpy as np
import pytest
from closed_loops import chooser, observer, reward_protocol, staircase_protocol

import cortex_sim as cs
from cortex_sim.protocol import loop_running
from cortex_sim.recording import recorder


class Ended(Exception):
    """The end of a program in the middle of a trial."""


@pytest.fixture
def ends(monkeypatch):
    """Ends the program where a trial calls its loop; a chunk is written after every trial."""
    monkeypatch.setattr(recorder, "CHUNK_SECONDS", -1.0)
    call, at = loop_running.Loops.call, {"trial": None}

    def ending(self, phase, rates, means):
        if self.called(phase) and self._shown.trials[0] == at["trial"]:
            raise Ended
        call(self, phase, rates, means)

    monkeypatch.setattr(loop_running.Loops, "call", ending)
    return at


@pytest.mark.parametrize(
    "backend, engine", [("brian2", "batched"), ("brian2", "synapses"), ("torch", "batched")]
)
@pytest.mark.parametrize("net, protocol", [(observer, staircase_protocol), (chooser, reward_protocol)])
def test_resumed_it_ends_as_the_same_bytes(net, protocol, backend, engine, ends, tmp_path):
    shown = protocol(trials=5).replace(reset=False)
    made = cs.Experiment(net(), {"one": shown, "again": shown.replace(trials=2)}, engine=engine)
    run = getattr(cs, backend).run
    run(made, 3, out=tmp_path / "whole.nc", progress=False).close()
    for number, trial in enumerate((1, 3, None)):
        ends["trial"] = trial
        try:
            run(made, 3, out=tmp_path / "a.nc", resume=number > 0, progress=False).close()
        except Ended:
            assert trial is not None
    assert (tmp_path / "a.nc").read_bytes() == (tmp_path / "whole.nc").read_bytes()


def sequence():
    """The same staircase in two protocols, with one in between that does not have it."""
    first = staircase_protocol(trials=3)
    rest = cs.Protocol(cs.Phase("look", 20, drive={"retina": 0.1}), trials=2)
    return cs.Sequence(first, rest, first.replace(trials=4))


def test_a_sequence_is_resumed_within_its_loop(ends, tmp_path):
    made = cs.Experiment(observer(), {"one": sequence()})
    with cs.torch.run(made, 3, out=tmp_path / "whole.nc", progress=False) as recording:
        level = recording["staircase:level"].values
    alone = cs.torch.run(cs.Experiment(observer(), {"one": staircase_protocol(trials=3)}), 3, progress=False)
    np.testing.assert_array_equal(level[:3], alone["staircase:level"])
    assert np.isnan(level[3:5]).all() and level[5] != 1.2  # it goes on where the first protocol left it
    for number, trial in enumerate((1, 6, None)):
        ends["trial"] = trial
        try:
            cs.torch.run(made, 3, out=tmp_path / "a.nc", resume=number > 0, progress=False).close()
        except Ended:
            assert trial is not None
    assert (tmp_path / "a.nc").read_bytes() == (tmp_path / "whole.nc").read_bytes()


def test_a_session_goes_on_from_its_checkpoint():
    from cortex_sim.protocol.planning import plan

    made = plan(staircase_protocol(trials=8), observer(), 3)
    for build in (cs.brian2.build, cs.torch.QuasiStatic if hasattr(cs.torch, "QuasiStatic") else None):
        if build is None:
            from cortex_sim.backends.torch.quasi_static import QuasiStatic as build
        whole, kept = [], {}
        session = build(observer(), seed=3)

        def keep(sample, session=session, whole=whole, kept=kept):
            whole.append(sample.loops["staircase:level"])
            kept[len(whole)] = session.checkpoint()

        session.carry_out(made, 0, keep)
        other, later = build(observer(), seed=3), []
        other.restore(kept[5])
        other.carry_out(made, 5, lambda sample, later=later: later.append(sample.loops["staircase:level"]))
        np.testing.assert_array_equal(later, whole[5:])
        bare = {name: values for name, values in kept[5].items() if not name.startswith("loop:")}
        other.restore(bare)
        with pytest.raises(cs.RunError, match="lacks 'loop:staircase:level', the state of a closed loop"):
            other.carry_out(made, 5, lambda sample: None)


def test_resume_with_another_function_is_refused(ends, tmp_path):
    def first(seen, state, rng):
        return {"level": state["level"] + 0.1}

    def second(seen, state, rng):
        return {"level": state["level"] + 0.2}

    def made(function):
        loop = cs.ClosedLoop(function, reads=["V1"], phase="look", state={"level": 0.5}, name="own")
        look = cs.Phase("look", 20, drive={"retina": loop["level"]})
        return cs.Experiment(observer(), {"one": cs.Protocol(look, trials=4)})

    ends["trial"] = 2
    with pytest.raises(Ended):
        cs.torch.run(made(first), out=tmp_path / "a.nc", progress=False)
    with pytest.raises(cs.RunError, match="was made with protocols"):
        cs.torch.run(made(second), out=tmp_path / "a.nc", resume=True, progress=False)


PROGRAM = """
import sys
import closed_loops
import cortex_sim as cs

arms = {
    "staircase": cs.Arm(closed_loops.staircase_protocol(trials=40).replace(reset=False, interval_ms=10)),
}
arms["reward"] = cs.Arm(closed_loops.staircase_protocol(True, trials=60))
experiment = cs.Experiment(closed_loops.observer(), arms, noise=0.05, engine=sys.argv[2])
cs.brian2.run(experiment, 3, out=sys.argv[1], resume="--resume" in sys.argv, progress=False).close()
"""


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["batched", "synapses"])
def test_killed_twenty_times_at_any_moment(engine, tmp_path):
    killing.require_survival(PROGRAM, tmp_path, engine, kills=10, seed=len(engine))  # of each engine
