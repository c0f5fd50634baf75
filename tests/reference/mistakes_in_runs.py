"""Mistakes in what a run is given: files, objects of another kind, closed loops, sweeps, trial tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from mistaken_parameters import experiment, network, phase
from mistakes import Mistake

import cortex_sim as cs

SHOW = cs.Protocol(cs.Phase("p", 10, drive={"retina": 1.0}))
LEARN = cs.Protocol(cs.Phase("p", 10, drive={"retina": 1.0}, plasticity=True), record=cs.Record(weights=True))


def made(net: Callable[[], cs.Network] = network, protocol: Any = SHOW) -> cs.Experiment:
    return cs.Experiment(net(), {"a": protocol})


def run(given: Any = None, backend: str = "brian2", **settings: Any) -> Any:
    return getattr(cs, backend).run(made() if given is None else given, progress=False, **settings)


def loop(function: Any = None, **settings: Any) -> cs.ClosedLoop:
    def follow(seen, state, rng):
        return {}

    given = {"reads": ["V1"], "phase": "p", "state": {"level": 0.5}}
    return cs.ClosedLoop(function or follow, **(given | settings))


def returning_nothing() -> None:
    """No function for a closed loop: it takes nothing."""


def returning(value: Any) -> Any:
    """A run of a closed loop whose function returns a value."""

    def follow(seen, state, rng):
        return value

    closed = loop(follow, state={"level": 0.5, "count": 1})
    return run(experiment(cs.Phase("p", 10, drive={"retina": closed["level"]}), trials=2))


def built(**settings: Any) -> Any:
    return cs.brian2.build(network(), **settings)


def sweep(given: Any = None, seeds: Any = 2, settings: Any = None, **more: Any) -> Any:
    return cs.sweep(made() if given is None else given, seeds, settings, progress=False, **more)


KINDS_OF_OBJECT: dict[str, tuple[Callable[[], Any], str, str]] = {
    "run of a protocol": (lambda: run(SHOW), "run", "Protocol"),
    "run of a network": (lambda: run(network()), "run", "Network small"),
    "run of nothing": (lambda: cs.brian2.run(None), "run", "None"),
    "torch's run of a protocol": (lambda: run(SHOW, "torch"), "run", "Protocol"),
    "a simulation runs an experiment": (lambda: built().run(made()), "run", "Experiment"),
    "a simulation runs a phase": (lambda: built().run(phase()), "run", "Phase"),
    "a simulation runs a list": (lambda: built().run([phase()]), "run", "Phase"),
    "build of a protocol": (lambda: cs.brian2.build(SHOW), "build", "Protocol"),
    "build of a name": (lambda: cs.brian2.build("digits_mlp"), "build", "digits_mlp"),
    "torch's build of a protocol": (lambda: cs.torch.build(SHOW), "build", "Protocol"),
    "experiment of a protocol": (lambda: cs.Experiment(SHOW, {"a": SHOW}), "Experiment", "Protocol"),
    "experiment of a name": (lambda: cs.Experiment("digits_mlp", {"a": SHOW}), "Experiment", "digits_mlp"),
    "arms as a list": (lambda: cs.Experiment(network(), [SHOW]), "arms", "Protocol"),
    "arms as a protocol": (lambda: cs.Experiment(network(), SHOW), "arms", "Protocol"),
    "an arm that is a phase": (lambda: cs.Experiment(network(), {"a": phase()}), "arm a", "Phase"),
    "an arm with a number as name": (lambda: cs.Experiment(network(), {1: SHOW}), "arm", "1"),
    "an arm on a protocol": (lambda: cs.Arm(SHOW, SHOW), "Arm", "Protocol"),
    "phases as a list": (lambda: cs.Protocol([phase()]), "Protocol", "Phase"),
    "phases as a mapping": (lambda: cs.Protocol({"p": 10}), "Protocol", "10"),
    "no phase": (lambda: cs.Protocol(), "Protocol", "one phase"),
    "a sequence of phases": (lambda: cs.Sequence(phase()), "Sequence", "Phase"),
    "a sequence as a list": (lambda: cs.Sequence([SHOW]), "Sequence", "Protocol"),
    "a probe that is a phase": (lambda: cs.Protocol(phase(), probe=phase()), "probe", "Phase"),
    "a probe that is a sequence": (
        lambda: cs.Protocol(phase(), probe=cs.Sequence(SHOW)),
        "probe",
        "Sequence",
    ),
    "a record that is a word": (lambda: cs.Protocol(phase(), record="rate"), "record", "rate"),
    "a record that is True": (lambda: cs.Protocol(phase(), record=True), "record", "True"),
    "drive without a population": (lambda: phase(drive=np.ones(7)), "drive", "1."),
    "drive as a word": (lambda: phase(drive={"retina": "digits"}), "drive of retina", "digits"),
    "drive as a nudge": (lambda: phase(drive={"retina": cs.Nudge([0])}), "drive of retina", "Nudge"),
    "drive as a function": (lambda: phase(drive={"retina": np.sin}), "drive of retina", "sin"),
    "drive as a population": (
        lambda: phase(drive={"retina": network().populations["V1"]}),
        "drive of retina",
        "V1",
    ),
    "drive as text in an array": (lambda: phase(drive={"retina": ["a", "b"]}), "drive of retina", "a"),
    "drive that is complex": (lambda: phase(drive={"retina": np.ones(7) + 1j}), "drive of retina", "1.+1.j"),
    "drive with rows of two lengths": (
        lambda: phase(drive={"retina": [[1], [1, 2]]}),
        "drive of retina",
        "[1, 2]",
    ),
    "drive of None": (lambda: phase(drive={"retina": None}), "drive of retina", "None"),
    "drive of nothing": (lambda: phase(drive={"retina": []}), "drive of retina", "(0,)"),
    "drives as None": (lambda: phase(drive=None), "drive", "None"),
    "nudge as noise": (lambda: phase(nudge={"V1": cs.Noise(1)}), "nudge of V1", "Noise"),
    "nudge without a population": (lambda: phase(nudge=[0, 1]), "nudge", "[0, 1]"),
    "plasticity as a rule": (lambda: phase(plasticity=cs.Oja()), "plasticity", "Oja"),
    "plasticity as a function": (lambda: phase(plasticity=np.sin), "plasticity", "sin"),
    "a loop's value in silence": (lambda: phase(silence=loop()["level"]), "silence", "follow:level"),
    "a loop's value as a duration": (
        lambda: phase(duration_ms=loop()["level"]),
        "duration_ms",
        "level",
    ),
    "a loop without its variable": (lambda: phase(drive={"retina": loop()}), "drive of retina", "ClosedLoop"),
    "a loop of a number": (lambda: loop(3), "ClosedLoop", "3"),
    "a loop of a method without arguments": (lambda: loop(returning_nothing), "returning_nothing", "()"),
    "a loop's state as a number": (lambda: loop(state=0.5), "follow", "0.5"),
    "a loop's state of words": (lambda: loop(state={"level": "high"}), "follow", "high"),
    "a loop that returns a number": (lambda: returning(3.0), "follow", "3.0"),
    "a loop that returns a word": (lambda: returning({"level": "up"}), "follow", "up"),
    "a loop that returns NaN": (lambda: returning({"level": np.nan}), "follow", "NaN"),
    "a loop that returns another variable": (lambda: returning({"levle": 1.0}), "follow", "levle"),
    "a loop that returns another shape": (lambda: returning({"level": np.ones(3)}), "follow", "(3,)"),
    "a loop that returns a fraction": (lambda: returning({"count": 1.5}), "follow", "1.5"),
    "trials of a word": (lambda: cs.PerTrial("abc"), "PerTrial", "abc"),
    "trials of a number": (lambda: cs.PerTrial(3), "PerTrial", "3"),
    "trials of nothing": (lambda: cs.PerTrial([]), "PerTrial", "empty"),
    "from a trial on, nothing": (lambda: cs.FromTrial(3), "FromTrial", "3"),
    "from a word on": (lambda: cs.FromTrial("third", 1.0), "FromTrial", "third"),
    "a sum of one": (lambda: cs.Sum([1.0]), "Sum", "1"),
    "a sum with a word": (lambda: cs.Sum([1.0], "noise"), "Sum", "noise"),
    "a seed that is a word": (lambda: run(seed="first"), "seed", "first"),
    "a negative seed": (lambda: run(seed=-1), "seed", "-1"),
    "arms of a run as a number": (lambda: run(arms=3), "arms", "3"),
    "no arms": (lambda: run(arms=[]), "arms", "a"),
    "a sweep of a protocol": (lambda: sweep(SHOW), "sweep", "Protocol"),
    "a sweep of a function that returns a protocol": (lambda: sweep(lambda seed: SHOW), "sweep", "Protocol"),
    "a sweep of a function without seed": (lambda: sweep(lambda: made()), "sweep", "seed"),
    "settings of a sweep as a list": (lambda: sweep(settings=["eta_per_s"]), "sweep", "eta_per_s"),
    "settings of a sweep without values": (lambda: sweep(settings={"eta_per_s": 0.1}), "eta_per_s", "0.1"),
    "settings of a sweep, empty": (lambda: sweep(settings={"eta_per_s": []}), "eta_per_s", "no values"),
    "settings of a sweep, misspelt": (lambda: sweep(settings={"eta_per": [0.1]}), "sweep", "eta_per"),
    "settings of a sweep, negative": (lambda: sweep(settings={"eta_per_s": [-0.1]}), "eta_per_s", "-0.1"),
    "seeds of a sweep, negative": (lambda: sweep(seeds=[-1]), "seed", "-1"),
    "seeds of a sweep, twice": (lambda: sweep(seeds=[1, 1]), "seeds", "[1, 1]"),
    "seeds of a sweep, none": (lambda: sweep(seeds=0), "seeds", "0"),
    "seeds of a sweep, a word": (lambda: sweep(seeds="three"), "seed", "t"),
    "jobs of a sweep": (lambda: sweep(jobs=0), "jobs", "0"),
    "the backend of a sweep": (lambda: sweep(backend="brain2"), "backend", "brain2"),
    "arms of a sweep": (lambda: sweep(arms=["b"]), "arm", "b"),
    "phases replaced by a phase": (lambda: SHOW.replace(phases=phase()), "phases", "Phase"),
    "drive as a table": (
        lambda: phase(drive={"retina": cs.TrialTable({"m": [1, 2]})}),
        "drive of retina",
        "TrialTable",
    ),
    "a figure of a protocol": (lambda: cs.viz.time_course(SHOW), "time_course", "Protocol"),
    "arms of a protocol": (lambda: cs.viz.compare_arms(SHOW), "compare_arms", "Protocol"),
    "weights of what has none": (lambda: built().weights_of("IT->V1"), "projection", "IT->V1"),
    "extra objects as a number": (lambda: built(extra=3), "extra", "3"),
    "equations as a number": (lambda: built(equations={"V1": 3}), "V1", "3"),
    "equations as text": (lambda: built(equations="dx/dt = -x"), "equations", "dx/dt"),
    "equations that brian2 cannot read": (
        lambda: built(equations={"V1": "x = = 1"}).run(SHOW),
        "V1",
        "x = = 1",
    ),
    "progress as a word": (lambda: cs.brian2.run(made(), progress="no"), "progress", "no"),
    "a rule to check as a class": (lambda: cs.check_rule(cs.Oja), "rule", "Oja"),
    "a path for a figure as a number": (lambda: SHOW.draw(3), "figure", "3"),
    "an environment as a number": (
        lambda: cs.tasks.environment(3, reads=["V1"], phase="p"),
        "environment",
        "int",
    ),
    "statistics of a word": (lambda: cs.over_seeds("swept"), "over_seeds", "swept"),
}

#: Calls with a setting that does not exist, or without one that is needed.
CALLS: dict[str, tuple[Callable[[], Any], str, str]] = {
    "population, activaton": (
        lambda: cs.Network("n").population("V1", 3, activaton="tanh"),
        "population",
        "activaton",
    ),
    "population, tau": (lambda: cs.Network("n").population("V1", 3, tau=20), "population", "tau"),
    "population, no name": (lambda: cs.Network("n").population(), "population", "name"),
    "bottom_up, rule": (lambda: network().bottom_up("retina", "V1", rule="oja"), "bottom_up", "rule"),
    "bottom_up, no post": (lambda: network().bottom_up("retina"), "bottom_up", "post"),
    "bottom_up, too much": (lambda: network().bottom_up("retina", "V1", "dense", "oja"), "bottom_up", "oja"),
    "recurrent, weights": (lambda: network().recurrent("V1", "V1", weights=1), "recurrent", "weights"),
    "top_down, effct": (lambda: network().top_down("IT", "V1", effct="gain"), "top_down", "effct"),
    "lateral, weight": (lambda: network().lateral("V1", weight=1), "lateral", "weight"),
    "objective, loss": (lambda: network().objective("IT", loss="x"), "objective", "loss"),
    "a network without a name": (lambda: cs.Network(), "Network", "name"),
    "a phase without a duration": (lambda: cs.Phase("p"), "Phase", "duration_ms"),
    "a phase without anything": (lambda: cs.Phase(), "Phase", "name"),
    "a time series without bins": (lambda: cs.TimeSeries([1, 2]), "TimeSeries", "bin_ms"),
    "a nudge without a goal": (lambda: cs.Nudge(), "Nudge", "goal"),
    "stimuli without a data set": (lambda: cs.Stimuli(), "Stimuli", "data"),
    "a loop without a state": (lambda: cs.ClosedLoop(len, ["V1"], "p"), "ClosedLoop", "state"),
    "an experiment without arms": (lambda: cs.Experiment(network()), "Experiment", "arms"),
    "an arm without a protocol": (lambda: cs.Arm(), "Arm", "protocol"),
    "a convolution without a kernel": (lambda: cs.Conv2d(), "Conv2d", "kernel"),
    "a convolution, kernel_size": (lambda: cs.Conv2d(kernel_size=3), "Conv2d", "kernel_size"),
    "learning rates of nothing": (lambda: cs.LearningRates(), "LearningRates", "values"),
    "an inverse of nothing": (lambda: cs.Inverse(), "Inverse", "of"),
    "a rule with two settings": (lambda: cs.Oja(1.0, 2.0), "Oja", "2.0"),
    "build, dt": (lambda: built(dt=1.0), "build", "dt"),
    "torch's build, device": (lambda: cs.torch.build(network(), devise="cpu"), "build", "devise"),
    "run, output": (lambda: run(output="x.nc"), "run", "output"),
    "run, seeds": (lambda: run(seeds=3), "run", "seeds"),
    "torch's run, outt": (lambda: run(backend="torch", outt="x.nc"), "run", "outt"),
    "a simulation's run, trials": (lambda: built().run(SHOW, trials=3), "run", "trials"),
    "sweep, seed": (lambda: cs.sweep(made(), seed=3), "sweep", "seed"),
    "sweep, nothing": (lambda: cs.sweep(), "sweep", "experiment"),
    "replace, lesions": (lambda: SHOW.replace(lesions=[]), "Protocol", "lesions"),
    "replace in a sequence": (lambda: cs.Sequence(SHOW).replace(trails=3), "Protocol", "trails"),
    "a rule to check, none": (lambda: cs.check_rule(), "check_rule", "rule"),
    "with_rule of nothing": (lambda: network().with_rule(), "with_rule", "rule"),
    "Settling, tol": (lambda: cs.torch.Settling(tol=1), "Settling", "tol"),
    "Unrolled, dt": (lambda: cs.torch.Unrolled(20, dt=1), "Unrolled", "dt"),
    "weights to overwrite, none": (lambda: built().weights.overwrite("V1->IT"), "overwrite", "values"),
    "a model, none": (lambda: cs.model(), "cs.model", "name"),
    "a model, hiddn": (lambda: cs.model("digits_mlp", hiddn=8), "digits_mlp", "hiddn"),
    "a model, misspelt": (lambda: cs.model("digit_mlp"), "model", "digit_mlp"),
}


def sizes() -> Iterator[Mistake]:
    table = {
        "settings of too few trials": (
            lambda: experiment(phase(modulator=[1.0, 1.0]), net=rewarded, trials=3),
            "modulator of phase p",
            "2",
        ),
        "settings of too many trials": (
            lambda: experiment(phase(duration_ms=[10, 20, 30, 40]), trials=3),
            "duration_ms of phase p",
            "4",
        ),
        "images of two numbers": (
            lambda: experiment(phase(drive={"retina": np.ones((2, 7)), "V1": np.ones((3, 5))})),
            "drive of retina",
            "3",
        ),
        "more digits than there are": (
            lambda: experiment(phase(drive={"retina": cs.Stimuli("digits", count=10**6)}), net=digits),
            "digits",
            "1000000",
        ),
        "a batch that continues": (lambda: cs.Protocol(phase(), reset=False, batch=4), "Protocol", "4"),
        "a batch in a closed loop": (
            lambda: cs.Protocol(phase(drive={"retina": loop()["level"]}), batch=4),
            "follow",
            "4",
        ),
        "a batch on synapses": (
            lambda: run(cs.Experiment(network(), {"a": SHOW.replace(trials=8, batch=4)}, engine="synapses")),
            "small",
            "4",
        ),
        "a recording larger than memory": (
            lambda: run(
                made(
                    protocol=cs.Protocol(phase(duration_ms=10**6), trials=2_000, record=cs.Record(every_ms=1))
                )
            ),
            "recording",
            "2,000 presentations",
        ),
    }
    for called, (make, about, wrong) in table.items():
        yield Mistake("sizes", called, make, about, wrong)


def rewarded() -> cs.Network:
    net = cs.Network("rewarded")
    net.population("retina", 7)
    net.population("V1", 5)
    net.bottom_up("retina", "V1", plasticity="three_factor")
    return net


def digits() -> cs.Network:
    return cs.model("digits_mlp", hidden=4)


def cases(folder: Path) -> Iterator[Mistake]:
    """All of them; ``folder`` is for files."""
    for kind, table in (("kinds of object", KINDS_OF_OBJECT), ("names", CALLS)):
        for called, (make, about, wrong) in table.items():
            yield Mistake(kind, called, make, about, wrong)
    yield from sizes()
