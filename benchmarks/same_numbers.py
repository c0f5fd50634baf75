"""Whether a change of the code changed a number: measures a commit, and compares two.

    python benchmarks/same_numbers.py measure before.npz           # with the code that is imported
    python benchmarks/same_numbers.py compare before.npz after.npz
    python benchmarks/same_numbers.py commits HEAD~3 HEAD          # both, in separate worktrees
    python benchmarks/same_numbers.py golden                       # renews what the test suite holds

Measured are the updates, credits and backpropagation's updates of every rule word on every model, in both
precisions; four models and their optimisers after 20 training steps; protocols of each kind on both
engines and at equilibrium; and an outer loop after 5 updates. All are equal bit for bit, or within the
tolerances below; `compare` prints the deviations.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

Arrays = dict[str, np.ndarray]
LARGE, KEPT = 20_000, 4_000  # arrays above this size are sampled, by this many entries
SINGLE, DOUBLE, TRAINED = 1e-6, 1e-12, 1e-4  # relative: float32, float64, float32 after 20 steps
SMALLER = {"gait_imagenet": {"classes": 20}}
TRAINING = {
    "gait_tower": "gait_prop",
    "conv4": "gait_prop",
    "gait_cifar_deep": "gait_prop",
    "digits_mlp": "gait_prop",
}
PRESENTATIONS = 3
GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "golden" / "numbers.json"


def kept(array) -> Arrays:
    """A whole array, or a sample of it; always with a number that depends on every bit."""
    values = np.ascontiguousarray(array)
    digest = int.from_bytes(hashlib.sha256(values.tobytes()).digest()[:6], "big")
    flat = values.ravel()
    sample = flat if flat.size <= LARGE else flat[:: flat.size // KEPT | 1]
    return {"values": sample, "bits": np.array(digest)}


def stimuli(net, count: int, seed: int = 5):
    """Random stimuli and labels that fit a network."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, *net.populations[net.stimulated[0]].shape)).astype(np.float32)
    return x, rng.integers(net.populations[net.objective_at].size, size=count)


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
                yield label, {v: a.values for v, a in recording.data_vars.items() if a.dtype.kind == "f"}
    yield from interventions(cs)


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
            named = {v: a.values for v, a in recording.data_vars.items() if a.dtype.kind == "f"}
            yield f"protocol/{label}/{engine}", named


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


def measure(path: Path, only: list[str]) -> None:
    """Everything into one file."""
    import torch

    torch.set_num_threads(1)
    parts = {"text": texts, "updates": rules, "training": training, "protocol": protocols, "evolve": evolving}
    found: Arrays = {}
    for part, run in parts.items():
        if only and part not in only:
            continue
        for name, arrays in run():
            print(name, file=sys.stderr)
            found[f"{name}/:there"] = np.array(1)
            for key, values in arrays.items():
                plain = values.detach().cpu() if isinstance(values, torch.Tensor) else values
                for what, array in kept(np.asarray(plain)).items():
                    found[f"{name}/{key}:{what}"] = array
    np.savez_compressed(path, **found)


def tolerance(name: str, dtype) -> float:
    """Tolerated difference of two values of one name, relative to the array's norm."""
    if dtype == np.float64:
        return DOUBLE
    return TRAINED if name.startswith(("training/", "evolve/")) else SINGLE


def compare(before: Path, after: Path) -> int:
    """Print differences; returns the number of arrays beyond tolerance or missing on one side."""
    a, b = np.load(before), np.load(after)
    wrong = sorted(set(a.files) ^ set(b.files))
    for name in wrong:
        print(f"only in {'the first' if name in a.files else 'the second'}: {name}")
    groups: dict[str, list[float]] = {}
    for name in a.files:
        if name not in b.files or not name.endswith(":values"):
            continue
        bits = name.replace(":values", ":bits")
        far = 0.0 if a[bits] == b[bits] else max(deviation(a[name], b[name]), np.finfo(float).tiny)
        groups.setdefault("/".join(name.split("/")[:2]), []).append(far)
        if far > tolerance(name, a[name].dtype):
            wrong.append(name)
            print(f"beyond tolerance: {name}: {far:.2e}")
    for group, far in groups.items():
        same = sum(one == 0 for one in far)
        print(f"{group:55s} {len(far):5d} arrays, {same:5d} bit for bit, largest deviation {max(far):.1e}")
    print(f"{len(wrong)} beyond tolerance or missing")
    return len(wrong)


def few() -> Iterator[tuple[str, object]]:
    """What the test suite holds: small networks under every rule, 20 training steps, some protocols."""
    import cortex_sim as cs

    for name, net in networks().items():
        x, y = rng_stimuli(net)
        yield f"updates/{name}", cs.torch.build(net, seed=1, precision="64").updates(x, y, biases=True)
    yield from training(("digits_mlp",))
    yield from interventions(cs, ("batched", "equilibrium"))
    yield from evolving()


def rng_stimuli(net):
    """Random stimuli, and labels where the network has an objective."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(PRESENTATIONS, *net.populations[net.stimulated[0]].shape))
    return x, rng.integers(3, size=PRESENTATIONS) if net.objective_at else None


def summary(array) -> list[float]:
    """Norm of an array, and its sums under three fixed patterns of signs, over the root of its size."""
    flat = np.asarray(array, dtype=np.float64).ravel()
    signs = np.random.default_rng(flat.size).choice([-1.0, 1.0], size=(3, flat.size))
    return [float(np.linalg.norm(flat)), *(float(s) for s in signs @ flat / max(1, flat.size) ** 0.5)]


def summaries(parts: Iterator[tuple[str, object]]) -> dict[str, list[float]]:
    """Every array that is no counter, by name."""
    found = {}
    for name, arrays in parts:
        for key, values in arrays.items():
            plain = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
            if plain.dtype.kind == "f" and plain.size:
                found[f"{name}/{key}"] = summary(plain)
    return found


def golden(path: Path) -> None:
    """Write what the test suite holds, with what made it."""
    import torch

    torch.set_num_threads(1)
    made = {
        "command": "python benchmarks/same_numbers.py golden",
        "versions": {"numpy": np.__version__, "torch": torch.__version__.split("+")[0]},
        "date": datetime.now(UTC).date().isoformat(),
        "reason": "a change of structure must not change a number; see tests/golden/test_numbers.py",
    }
    path.write_text(json.dumps({**made, "summaries": summaries(few())}, indent=1) + "\n", "utf-8")


def deviation(a: np.ndarray, b: np.ndarray) -> float:
    """‖a − b‖/‖a‖; infinite where shapes differ, or if only one has NaN."""
    if a.shape != b.shape or (np.isnan(a) != np.isnan(b)).any():
        return float("inf")
    a, b = np.nan_to_num(a.astype(np.float64)), np.nan_to_num(b.astype(np.float64))
    size = float(np.linalg.norm(a))
    return float(np.linalg.norm(a - b)) / size if size else float(np.linalg.norm(b))


def commits(before: str, after: str) -> int:
    """Measure two commits, each in its own worktree, and compare them."""
    home = Path(__file__).resolve().parent.parent
    with tempfile.TemporaryDirectory() as place:
        files = []
        for commit in (before, after):
            tree, found = Path(place) / commit.replace("/", "_"), Path(place) / f"{len(files)}.npz"
            subprocess.run(["git", "worktree", "add", "--detach", str(tree), commit], cwd=home, check=True)
            try:
                command = [sys.executable, __file__, "measure", str(found)]
                subprocess.run(command, cwd=tree, env={**os.environ, "PYTHONPATH": str(tree)}, check=True)
            finally:
                subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=home, check=True)
            files.append(found)
        return compare(*files)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("measure")
    one.add_argument("file", type=Path)
    one.add_argument("--only", nargs="*", default=[])
    two = commands.add_parser("compare")
    two.add_argument("before", type=Path)
    two.add_argument("after", type=Path)
    both = commands.add_parser("commits")
    both.add_argument("before")
    both.add_argument("after", nargs="?", default="HEAD")
    kept = commands.add_parser("golden")
    kept.add_argument("file", type=Path, nargs="?", default=GOLDEN)
    given = parser.parse_args(arguments)
    if given.command == "golden":
        golden(given.file)
        return 0
    if given.command == "measure":
        measure(given.file, given.only)
        return 0
    found = compare if given.command == "compare" else commits
    return int(found(given.before, given.after) > 0)


if __name__ == "__main__":
    sys.exit(main())
