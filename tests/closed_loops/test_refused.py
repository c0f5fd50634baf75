"""What closed loops refuse: object, wrong, right and way out in one sentence, before work where possible."""

import re

import numpy as np
import pytest
from closed_loops import chooser, observer, staircase_protocol
from known_session import KnownSession

import cortex_sim as cs
from cortex_sim.backends import registry
from cortex_sim.errors import BuildError, DeclarationError, RunError
from cortex_sim.protocol.planning import plan
from cortex_sim.recording.fingerprint import fingerprint


def follow(seen, state, rng):
    return {"level": state["level"]}


def loop(function=follow, **settings):
    settings = {"reads": ["V1"], "phase": "look", "state": {"level": 0.5}} | settings
    return cs.ClosedLoop(function, **settings)


def look(drive, name="look", **settings):
    return cs.Phase(name, 20, drive={"retina": drive}, **settings)


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"function": 3}, "ClosedLoop: function must be a function(seen, state, rng). Got 3"),
        ({"function": lambda seen, state: {}, "name": "f"}, "its function must take (seen, state"),
        ({"function": lambda seen, state, rng: {}}, "a function called '<lambda>' gives the loop no name"),
        ({"name": "a:b"}, "closed loop a:b: its name must have no colon"),
        ({"name": "weight"}, "closed loop weight: its name must"),
        ({"name": "a/b"}, "a/b"),
        ({"reads": []}, 'closed loop follow: reads is empty; name populations whose rates it sees, ["V1"]'),
        ({"reads": None}, "closed loop follow: reads must be a list of names"),
        ({"phase": 2}, "closed loop follow: phase must be the name of a phase. Got 2"),
        ({"average": "yes"}, "closed loop follow: average"),
        ({"state": 0.5}, 'state must be a mapping of names to numbers or arrays, such as {"level"'),
        ({"state": {}}, "closed loop follow: state must be a mapping"),
        ({"state": {"a b": 1}}, "a name in its state must be one word of letters, digits and _. Got 'a b'"),
        ({"state": {"a": "high"}}, "follow: a must be a number or an array of numbers. Got 'high'"),
        ({"state": {"a": [[1], [1, 2]]}}, "closed loop follow: a must be a number or an array of numbers"),
        ({"state": {"a": np.nan}}, "closed loop follow: a holds NaN or infinity; give finite numbers"),
        ({"averages": True}, "unknown setting of ClosedLoop 'averages' (did you mean 'average'?)"),
    ],
)  # fmt: skip
def test_declared_wrongly(settings, said):
    with pytest.raises(DeclarationError, match=re.escape(said)):
        loop(**settings)


def test_unknown_variables():
    with pytest.raises(
        DeclarationError, match="unknown variable of closed loop follow 'levle' .did you mean"
    ):
        loop()["levle"]
    late = loop(state=lambda rng: {"level": rng.uniform()})["levle"]
    with pytest.raises(
        DeclarationError, match="unknown variable of closed loop follow 'levle' .did you mean"
    ):
        plan(cs.Protocol(look(late)), observer(), 0)


def failing(rng):
    return {"level": 1 / 0}


@pytest.mark.parametrize(
    "settings, drive, said",
    [
        ({"phase": "lok"}, "level", "unknown phase of closed loop follow 'lok' (did you mean 'look'?)"),
        ({"reads": ["V2"]}, "level", "unknown population that closed loop follow reads 'V2'"),
        ({"state": {"level": [1.0, 2.0]}}, "level", "closed loop follow: level has shape (2,), but acts as "
         "drive of retina in phase look; give one number, or shape (3,)"),
        ({"state": {"level": np.zeros((4, 3))}}, "level", "level has shape (4, 3), but acts as drive"),
        ({"state": {"level": []}}, "level", "level is a list, which may grow, and cannot act as drive in"),
        ({"state": failing}, "level", "follow: its state failed, ZeroDivisionError: division by zero ("),
        ({"state": lambda rng: 3}, "level", "closed loop follow: state must be a mapping"),
    ],
)  # fmt: skip
def test_does_not_fit(settings, drive, said):
    with pytest.raises(DeclarationError, match=re.escape(said)):
        plan(cs.Protocol(look(loop(**settings)[drive])), observer(), 0)


def test_protocols_that_cannot_close_it():
    value = loop()["level"]
    other = loop(state={"level": 1.0})["level"]
    for make, said in (
        (lambda: cs.Protocol(look(value), batch=4), "trials cannot run 4 side by side; leave batch out"),
        (
            lambda: cs.Protocol(look(0.5), probe=cs.Protocol(look(value))),
            "closed loop follow acts in the probe",
        ),
        (lambda: cs.Protocol(look(value), look(other, "b")), "two loops have this name; give one of them"),
        (
            lambda: cs.Protocol(look(value), look(value, "b")),
            "level acts in phase look and again in b, but changes in between, at the end of look; use",
        ),
        (lambda: look(0.5, delay_ms={"retina->V1": value}), "delay_ms"),
        (lambda: cs.Phase("look", value), "duration_ms of a closed loop needs its longest value in ms"),
    ):
        with pytest.raises(DeclarationError, match=re.escape(said)):
            make()
    assert cs.Protocol(look(value)) == cs.Protocol(look(loop()["level"]))
    assert cs.Protocol(look(value)) != cs.Protocol(look(other))


def test_modulators_goals_and_scales_that_do_not_fit():
    net = chooser()
    net.objective("action", cs.CrossEntropy())
    for phase, said in (
        (
            look(0.5, modulator=loop()["level"]),
            "level acts as modulator, but no rule of network observer has a mod",
        ),
        (look(0.5, scale={"retina->V1": loop(state={"level": [1.0]})["level"]}), "give one number"),
    ):
        with pytest.raises(DeclarationError, match=re.escape(said)):
            plan(cs.Protocol(phase), observer(), 0)
    for state, said in (
        (
            0.5,
            "has shape (), but acts as goal of action in phase look; give shape (2,), or a whole number",
        ),
        (2, "before the first trial it is 2; labels must be from 0 to 1"),
        ([0.5, 0.4], "its values are not probabilities (0 or more, with sum 1), which CrossEntropy"),
    ):
        goal = loop(state={"level": state}, reads=["action"])["level"]
        with pytest.raises(DeclarationError, match=re.escape(said)):
            plan(cs.Protocol(cs.Phase("look", 20, nudge={"action": goal})), net, 0)


def returning(value):
    return lambda seen, state, rng: value if seen.trial == 1 else {}


@pytest.mark.parametrize(
    "value, said",
    [
        (None, "its function must return a mapping of state variables to new values. Got None"),
        ({"levle": 1}, "unknown variable, closed loop f, trial 1, 'levle' (did you mean 'level'?)"),
        ({"level": np.zeros(3)}, "level must have the shape of its first value, (). Got (3,)"),
        ({"level": np.nan}, "level holds NaN or infinity; give finite numbers"),
        ({"level": "high"}, "level must be a number or an array of numbers. Got 'high'"),
        (
            {"count": 1.5},
            "count started as a whole number and must stay one; start at 0.0 for fractions. Got 1.5",
        ),
        ({"past": np.zeros((3, 4))}, "past must have the shape of its first value, (…, 2). Got (3, 4)"),
    ],
)
def test_returned_wrongly(value, said):
    f = loop(
        returning(value), name="f", state={"level": 0.5, "count": 0, "past": np.zeros((0, 2))}, reads=["V1"]
    )
    protocol = cs.Protocol(look(f["level"]), trials=3)
    for backend in (cs.brian2, cs.torch):
        with pytest.raises(RunError, match=re.escape(said)) as caught:
            backend.run(cs.Experiment(observer(), {"one": protocol}), progress=False)
        assert "closed loop f, trial 1" in str(caught.value)


def test_a_function_that_fails_is_named_with_its_line():
    def breaks(seen, state, rng):
        return {"level": seen["V2"]}

    def divides(seen, state, rng):
        return {"level": 1 / state["level"]}

    for function, said in (
        (breaks, "closed loop breaks, trial 0: unknown population that this closed loop reads 'V2'"),
        (divides, "closed loop divides, trial 0: its function failed, ZeroDivisionError"),
    ):
        closed = loop(function, state={"level": 0.0})
        with pytest.raises(RunError, match=said):
            cs.brian2.build(observer()).run(cs.Protocol(look(closed["level"])), progress=False)
    with pytest.raises(RunError, match=r"test_refused.py, line \d+"):
        cs.brian2.build(observer()).run(cs.Protocol(look(closed["level"])), progress=False)


def test_yaml_holds_no_code():
    def inner(seen, state, rng):
        return {}

    protocol = cs.Protocol(look(loop(inner)["level"]))
    said = (
        "closed loop inner: YAML holds a function by its name, and this one is not defined at the top of a "
        "module; define it there, or write the experiment as a Python file that defines"
    )
    with pytest.raises(DeclarationError, match=said):
        protocol.to_yaml()
    with pytest.raises(DeclarationError, match=said):
        cs.Experiment(observer(), {"one": protocol}).to_yaml()
    text = "phases: [{name: look, duration: 20 ms, drive: {retina: {closed_loop: own.py:follow}}}]\n"
    with pytest.raises(DeclarationError, match="drive: a closed loop needs variable"):
        cs.Protocol.from_yaml(text)


def test_other_backends_and_compiled_programs_refuse(monkeypatch):
    made = cs.Experiment(observer(), {"one": staircase_protocol(trials=2)})
    monkeypatch.setitem(registry._BACKENDS, "own", lambda net, seed, conditions: KnownSession(net, seed))
    from cortex_sim.experiments.running import run

    with pytest.raises(
        RunError, match="closed loop staircase: KnownSession does not close loops; use backend"
    ):
        run(made, "own")
    with pytest.raises((RunError, BuildError), match="closed loop staircase: a C.. program runs as a whole"):
        sim = cs.brian2.build(observer(), engine="synapses", target="cpp_standalone")
        sim.run(staircase_protocol(trials=2), progress=False)


def test_arms_whose_loops_differ_in_shape_cannot_share_a_recording():
    one = cs.Protocol(look(loop()["level"]))
    other = cs.Protocol(look(loop(state={"level": np.zeros(3)})["level"]))
    with pytest.raises(
        RunError, match="cannot share a recording: follow:level of their closed loops has shape"
    ):
        cs.torch.run(cs.Experiment(observer(), {"one": one, "other": other}), progress=False)


# -- resuming with other code -----------------------------------------------------------------------------

SOURCE = """
LIMIT = 0.5
def helper(x):
    return x * 2
def make(step):
    def follow(seen, state, rng, gain=1.0):
        '''Documented.'''
        return {"level": helper(state["level"]) + step * gain + LIMIT}
    return follow
"""


def made_of(text, step=0.1):
    scope = {}
    exec(text, scope)
    return fingerprint(loop(scope["make"](step)))


def test_other_code_is_another_fingerprint_and_other_comments_are_not():
    plain = made_of(SOURCE)
    assert made_of(SOURCE) == plain
    assert made_of("\n# further down\n" + SOURCE.replace("return x * 2", "return x * 2  # twice")) == plain
    for old, new in (("* 2", "* 3"), ("0.5", "0.6"), ("gain=1.0", "gain=2.0"), ("+ step", "- step")):
        assert made_of(SOURCE.replace(old, new)) != plain, new
    assert made_of(SOURCE, step=0.2) != plain
