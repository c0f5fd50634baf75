"""What `same_numbers.py` measures of the code that is imported, part by part: names and their arrays."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

SMALLER = {"gait_imagenet": {"classes": 20}}
TRAINING = {
    "gait_tower": "gait_prop",
    "conv4": "gait_prop",
    "gait_cifar_deep": "gait_prop",
    "digits_mlp": "gait_prop",
}
PRESENTATIONS = 3


def stimuli(net, count: int, seed: int = 5, dtype=np.float32):
    """Random stimuli and labels that fit a network."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, *net.populations[net.stimulated[0]].shape)).astype(dtype)
    return x, rng.integers(net.populations[net.objective_at].size, size=count) if net.objective_at else None


def rules() -> Iterator[tuple[str, object]]:
    """Updates of every rule on every model."""
    import cortex_sim as cs
    from cortex_sim.rules.base import WORDS

    folder = Path(cs.__file__).parent.parent / "models"
    for model in sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")):
        settings = SMALLER.get(model, {})
        for word in sorted(WORDS):
            for precision in ("64",) if model != "gait_imagenet" else ("32",):
                name = f"updates/{model}/{word}/{precision}"
                try:
                    net = cs.model(model, **settings).with_rule(word)
                    built = cs.torch.build(net, seed=1, precision=precision)
                    x, y = stimuli(net, PRESENTATIONS)
                    yield name, built.updates(x, y, biases=True)
                    yield f"credits{name[7:]}", built.credits(x, y)
                    if word == "backprop":
                        yield f"backprop{name[7:]}", built.backprop_updates(x, y, biases=True)
                        yield f"predict{name[7:]}", {"top": built.predict(x)}
                    if precision == "64" and model in ("digits_mlp", "conv4", "tdca_cnn"):
                        single = cs.torch.build(net, seed=1)
                        yield name.replace("/64", "/32"), single.updates(x, y, biases=True)
                except cs.CortexSimError as exception:
                    yield f"{name}/{type(exception).__name__}", {}


def training(models: tuple[str, ...] = tuple(TRAINING)) -> Iterator[tuple[str, object]]:
    """Weights, buffers and optimiser after 20 steps."""
    import cortex_sim as cs
    from cortex_sim.backends.torch.training import Trainer

    for model in models:
        net = cs.model(model).with_rule(TRAINING[model])
        built = cs.torch.build(net, seed=2)
        x, y = stimuli(net, 40)
        source = built.stimulus_tensor(x), built.target_tensor(y)
        trainer = Trainer(built, *source, 4, 8, {"name": "Adam", "lr": 1e-4})
        for _ in range(4):
            trainer.train_epoch()
        assert built.steps_done == 20
        yield f"training/{model}/model", built.state_dict()
        state = trainer.optimiser.state_dict()["state"]
        flat = {f"{i}/{k}": v for i, values in state.items() for k, v in values.items()}
        yield f"training/{model}/optimiser", flat


def networks():
    """Small networks of every kind, by name."""
    import cortex_sim as cs

    def dense(word):
        net = cs.Network("dense")
        for name, size in (("retina", 7), ("V1", 6), ("V2", 5), ("IT", 3)):
            net.population(name, size, activation="tanh" if name.startswith("V") else "linear")
        net.bottom_up("retina", "V1", plasticity="backprop")
        net.bottom_up("V1", "V2", plasticity="backprop")
        net.bottom_up("V2", "IT", plasticity="backprop")
        net.objective("IT", "cross_entropy")
        return net.with_rule(word)

    def maps(word):
        net = cs.Network("maps")
        net.population("retina", shape=(2, 7, 7))
        net.population("V1", shape=(3, 4, 4), activation="leaky_relu")
        net.population("V2", shape=(3, 4, 4), activation="leaky_relu")
        net.population("IT", 4)
        net.bottom_up("retina", "V1", cs.Conv2d(3, 2, 1), plasticity="backprop")
        net.bottom_up("V1", "V2", cs.Conv2d(3, 1, 1), plasticity="backprop")
        net.bottom_up("V2", "IT", plasticity="backprop")
        net.objective("IT", "squared_error")
        return net.with_rule(word)

    def skip(word):
        net = cs.Network("skip")
        for name, size in (("retina", 6), ("V1", 6), ("V2", 6), ("IT", 3)):
            net.population(name, size, activation="tanh" if name.startswith("V") else "linear")
        net.bottom_up("retina", "V1", plasticity="backprop")
        net.bottom_up("V1", "V2", plasticity="backprop")
        net.bottom_up("retina", "V2", cs.Identity())
        net.bottom_up("V1", "IT", plasticity="backprop")
        net.bottom_up("V2", "IT", plasticity="backprop")
        net.objective("IT", "cross_entropy")
        return net.with_rule(word)

    def unsupervised(rule, lateral=False):
        net = cs.Network("unsupervised")
        net.population("retina", 6)
        net.population("V1", 4, activation="linear", bias=False)
        net.bottom_up("retina", "V1", plasticity=rule)
        if lateral:
            net.lateral("V1", plasticity=cs.Decorrelation())
        return net

    words = ("backprop", "feedback_alignment", "sign_symmetric", "kolen_pollack", "weight_mirror")
    words += ("direct_feedback_alignment", "gait_prop", "gait_prop_learned", "error_diffusion")
    found = {f"dense {word}": dense(word) for word in (*words, "tdca")}
    found |= {f"maps {word}": maps(word) for word in words[:-2]}
    found |= {f"skip {word}": skip(word) for word in ("backprop", "gait_prop", "feedback_alignment")}
    rules = {
        "oja": cs.Oja(),
        "bcm": cs.Bcm(tau_ms=50),
        "hebbian": cs.Hebbian(),
        "covariance": cs.Covariance(),
    }
    found |= {f"local {name}": unsupervised(rule) for name, rule in rules.items()}
    return found | {"local lateral": unsupervised(cs.Oja(), lateral=True)}


def protocols() -> Iterator[tuple[str, object]]:
    """Recordings: settle, learn, spontaneous activity if used; cut, scaled, silenced, delayed, noisy."""
    import cortex_sim as cs

    for name, net in networks().items():
        supervised = net.objective_at is not None
        rng = np.random.default_rng(6)
        shown = {"retina": rng.normal(size=(4, *net.populations["retina"].shape))}
        goals = {"IT": rng.integers(3, size=4)} if supervised else {}
        dreaming = [p for p in net.top_downs if getattr(p.plasticity, "spontaneous", False)]
        supervising = {p.name: 2.0 for p in net.projections.values() if p.plasticity and p not in dreaming}
        phases = [
            cs.Phase("settle", 20, drive=shown),
            cs.Phase("learn", 10, drive=shown, nudge=goals, plasticity=supervising),
        ]
        if dreaming:
            below = dreaming[0].post
            etas = {p.name: 2.0 for p in dreaming if p.post == below}
            phases.append(cs.Phase("dream", 5, spontaneous=[below], plasticity=etas))
        record = cs.Record(("rate", "drive", "credit"), phase="learn", weights=True)
        for batch in (1, 2):
            script = cs.Protocol(*phases, batch=batch, record=record)
            runs = {"equilibrium": lambda net=net: session_of(cs, net)}
            runs["batched"] = lambda net=net: cs.brian2.build(net, seed=3, engine="batched", dt_ms=1.0)
            if batch == 1:
                runs["synapses"] = lambda net=net: cs.brian2.build(net, seed=3, engine="synapses", dt_ms=1.0)
            for engine, build in runs.items():
                label = f"protocol/{name}/{engine}/{batch}"
                try:
                    recording = build().run(script)
                except cs.CortexSimError as exception:
                    yield f"{label}/{type(exception).__name__}", {}
                    continue
                yield label, recorded(recording)
    yield from interventions(cs)


def recorded(recording):
    """Numeric variables of a recording; of weights, the snapshots after trials."""
    found = {v: a.values for v, a in recording.data_vars.items() if a.dtype.kind == "f"}
    after = len(recording["presentation"])
    return {v: a[-after:] if v.startswith("weight:") else a for v, a in found.items()}


def session_of(cs, net):
    """The quasi-static session."""
    from cortex_sim.backends.torch.quasi_static import QuasiStatic

    return QuasiStatic(net, 3)


def interventions(
    cs, engines: tuple[str, ...] = ("batched", "synapses", "equilibrium")
) -> Iterator[tuple[str, object]]:
    """Manipulations in a phase, besides inputs and nudges."""
    net = networks()["dense gait_prop"]
    rng = np.random.default_rng(7)
    shown = {"retina": rng.normal(size=(3, 7)), "V2": 0.1}
    goals = {"IT": rng.integers(3, size=3)}
    phase = {"drive": shown, "nudge": goals, "plasticity": {"retina->V1": 1.0, "V1->V2": 1.0}}
    settled = {
        "cut": {"cut": ["IT->V2"], "drive": {**shown, "V2": 0.1}},
        "scaled": {"scale": {"V2->V1": 0.5, "V1->V2": 0.9}, "strength": 0.7},
        "silenced": {"silence": ["V1"]},
        "no error": {"silence_error": ["IT->V2"]},
    }
    timed = {"delayed and noisy": {"delay_ms": {"V1->V2": 2.0}, "noise": {"V2->V1": 0.1}}}
    for label, extra in {**settled, **timed}.items():
        script = cs.Protocol(
            cs.Phase("learn", 20, **{**phase, **extra}), record=cs.Record(("rate", "credit"), weights=True)
        )
        for engine in engines if label in settled else engines[:-1]:
            timed_session = engine != "equilibrium"
            session = (
                cs.brian2.build(net, seed=3, engine=engine, dt_ms=1.0)
                if timed_session
                else session_of(cs, net)
            )
            recording = session.run(script)
            yield f"protocol/{label}/{engine}", recorded(recording)


def evolving() -> Iterator[tuple[str, object]]:
    """The outer loop of tdca_digits after 5 updates."""
    import yaml
    from safetensors.numpy import load_file

    import cortex_sim

    home = Path(cortex_sim.__file__).parent.parent
    settings = yaml.safe_load((home / "protocols/tdca/tdca_digits.yaml").read_text())
    settings |= {"iterations": 5, "testing": {"data": ["digits"], "steps": [30]}}
    with tempfile.TemporaryDirectory() as place:
        config = Path(place) / "five.yaml"
        config.write_text(yaml.safe_dump(settings))
        command = [sys.executable, "-m", "cortex_sim", "evolve", str(config), "--out", f"{place}/run"]
        subprocess.run(
            command, check=True, capture_output=True, cwd=place, env={**os.environ, "PYTHONPATH": str(home)}
        )
        for path in sorted(Path(place, "run").glob("*.safetensors")):
            yield f"evolve/{path.stem}", load_file(path)


def texts() -> Iterator[tuple[str, object]]:
    """Printed tables and YAML, as bytes."""
    import cortex_sim as cs

    for name in ("gait_tower", "conv4", "digits_mlp", "gait_cifar_deep", "tdca_mlp"):
        net = cs.model(name)
        for kind, text in (("print", str(net)), ("yaml", net.to_yaml())):
            yield f"text/{name}/{kind}", {"bytes": np.frombuffer(text.encode(), dtype=np.uint8)}


def few() -> Iterator[tuple[str, object]]:
    """What the test suite checks: small networks under every rule, 20 training steps, some protocols."""
    import cortex_sim as cs

    for name, net in networks().items():
        x, y = stimuli(net, PRESENTATIONS, dtype=np.float64)
        yield f"updates/{name}", cs.torch.build(net, seed=1, precision="64").updates(x, y, biases=True)
    yield from training(("digits_mlp",))
    yield from interventions(cs, ("batched", "equilibrium"))
    yield from evolving()
