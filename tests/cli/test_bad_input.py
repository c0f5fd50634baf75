"""Bad input of every kind: status 2, one line that names what is wrong, nothing written or lost."""

import json
import os
import struct

import numpy as np
import pytest

TRAIN = "train net.py:small --out new --data ok.npz --batch-size 8 --epochs 1"

NAMES = {
    "command": ("trian", "No such command"),
    "kind": ("list modles", "did you mean 'models'?", "known: activations, augmentations, connectors"),
    "model": ("train digit_mlp --out new", "did you mean 'digits_mlp'?", "gait_tower"),
    "shown model": ("show nope", "known: conv4"),
    "rule": (f"{TRAIN} --rule gait", "did you mean 'gait_prop'?", "target_prop"),
    "shown rule": ("show digits_mlp --rule nope", "known: backprop"),
    "data": (f"{TRAIN} --data digit", "did you mean 'digits'?"),
    "setting": (f"{TRAIN} --set epoch=3", "did you mean 'epochs'?", "hold_out"),
    "rate alone": (f"{TRAIN} --set lr=0.1", "did you mean optimiser.lr?"),
    "spelled elsewhere": (f"{TRAIN} --set optimizer.lr=0.1", "did you mean optimiser?"),
    "damping alone": (f"{TRAIN} --set damping=0.1", "did you mean feedback.damping?"),
    "smoothing": (f"{TRAIN} --set objective.label_smoothing=0.1", "objective.name=cross_entropy"),
    "file alone": ("train net.py --out new", "name the function that makes the network", "net.py:"),
    "no file": ("train nope.py --out new", "no file nope.py; give path/to/file.py:function"),
    "optimiser": (f"{TRAIN} --set optimiser.name=Adm", "did you mean 'Adam'?", "RMSprop"),
    "optimiser's": (f"{TRAIN} --set optimiser.nope=1", "unknown setting 'nope'", "betas"),
    "schedule": (f"{TRAIN} --set schedule.name=Nope", "known: ConstantLR", "StepLR"),
    "schedule's": (f"{TRAIN} --set schedule.nope=1", "known: anneal_strategy", "pct_start"),
    "rule's": (f"{TRAIN} --rule gait_prop --set rule_settings.gama=1", "did you mean 'gamma'?"),
    "feedback's": (f"{TRAIN} --rule gait_prop --set feedback.nope=1", "known: auxiliary, damping"),
    "model's": (f"{TRAIN} --set model_settings.nope=1", "'nope'; known: hidden"),
    "regulariser": (f"{TRAIN} --set regulariser=[nope]", "known: decay, hard_orthogonality"),
    "regulariser's": (f"{TRAIN} --set regulariser=[{{name:decay}}]", "regulariser"),
    "objective": (f"{TRAIN} --set objective.name=nope", "known: cross_entropy, "),
    "precision": (f"{TRAIN} --precision 16", "known: 32, 64, bf16"),
    "device": (f"{TRAIN} --device tpu", "device 'tpu' cannot be used here", "cpu"),
    "benchmark": ("bench nope", "known: brian2, data, gait-step, memory, scaling, tdca, throughput"),
    "benchmark's network": ("bench memory --network nope", "unknown network of memory 'nope'", "conv4"),
    "benchmark's option": ("bench scaling --published", "takes no --published", "use throughput"),
    "benchmark's batch": ("bench gait-step --batch 2", "takes no --batch", "memory, throughput"),
    "not published": (
        "bench throughput --published --network conv4",
        "no published algorithm is configured for conv4",
        "gait_cifar_deep, gait_imagenet",
    ),
}
VALUES = {
    "no epoch": (f"{TRAIN} --epochs 0", "epochs must be at least 1"),
    "part of an epoch": (
        "train digits_mlp --out new --set epochs=1.5",
        "epochs must be a whole number. Got 1.5",
    ),
    "true": (f"{TRAIN} --set seed=true", "seed must be a whole number. Got True"),
    "text": (f"{TRAIN} --epochs many", "--epochs"),
    "no batch": (f"{TRAIN} --batch-size 0", "batch_size must be at least 1"),
    "rate": (f"{TRAIN} --set optimiser.lr=-1", "Invalid learning rate: -1"),
    "rate nan": (f"{TRAIN} --set optimiser.lr=.nan", "Invalid learning rate: nan"),
    "rate text": (f"{TRAIN} --set optimiser.lr=big", "optimiser Adam: lr must be a number", "Got 'big'"),
    "betas": (f"{TRAIN} --set optimiser.betas=[0.9]", "optimiser Adam"),
    "needs a closure": (f"{TRAIN} --set optimiser.name=LBFGS", "unknown optimiser 'LBFGS'"),
    "schedule's need": (f"{TRAIN} --set schedule.name=StepLR", "step_size"),
    "schedule's length": (f"{TRAIN} --set schedule.total_steps=2", "but the run at 6"),
    "too few updates": (f"{TRAIN} --batch-size 10", "this training makes (5)", "schedule=null"),
    "hold out": (f"{TRAIN} --set hold_out=48", "hold_out's n must be a whole number from 1 to 47"),
    "hold out less": (f"{TRAIN} --set hold_out=-1", "hold_out must be at least 0"),
    "threads": (f"{TRAIN} --threads 0", "--threads"),
    "seed": (f"{TRAIN} --seed -1", "--seed"),
    "checkpoint": (f"{TRAIN} --checkpoint-every -1", "checkpoint_every must be at least 0"),
    "rule's": (f"{TRAIN} --rule gait_prop --set rule_settings.form=last", 'must be "limit" or "finite"'),
    "float64": (f"{TRAIN} --rule gait_prop --set rule_settings.form=finite", "--precision 64"),
    "no name": (f"{TRAIN} --set epochs", "give name=value"),
    "no value": (f"{TRAIN} --set =3", "give name=value"),
    "no YAML": (f"{TRAIN} --set optimiser=[", "--set optimiser=[: not YAML"),
    "not settings": (f"{TRAIN} --set optimiser=3", "optimiser must be settings"),
    "not settings inside": (f"{TRAIN} --set model_settings=3", "model_settings must be settings"),
    "two places": (f"{TRAIN} --set optimiser=3 --set optimiser.lr=1", "optimiser was set to 3"),
    "hidden": (f"{TRAIN} --set model_settings.hidden=2.5", "population V2"),
    "nothing to train": ("train --out new", "give a model"),
    "arm's model": (
        "train --config arms/gait_tower_backprop_plain --out new",
        "expects 784",
    ),
    "no directory": ("train digits_mlp", "Missing option '--out'"),
    "presentations": ("respond done --out new.nc --count 0", "--count"),
}
PLACES = {
    "out is a folder": ("train digits_mlp --out done", "--out done: already exists"),
    "out is a file": ("train digits_mlp --out ok.npz", "--out ok.npz: already exists"),
    "out below a file": (f"{TRAIN} --out ok.npz/new", "ok.npz/new: cannot be written (Not a directory)"),
    "demo's out": ("demo --out done", "--out done: already exists"),
    "demo below a file": ("demo --out ok.npz/new", "ok.npz/new: Not a directory"),
    "recording": ("respond done --out ok.npz", "--out ok.npz: already exists"),
    "report": ("report done --out ok.npz", "--out ok.npz: already exists", "--replace"),
    "report nowhere": ("report done --out nowhere/new.html", "no folder nowhere"),
    "report of nothing": ("report nope", "nope: no such file or folder"),
    "report of a file": ("report done ok.npz", "ok.npz: is not a recording", "compare --out"),
    "report of a folder": ("report .", "holds no run itself but 1 below it", "done"),
    "recording nowhere": ("respond done --out nowhere/new.nc", "no folder nowhere"),
    "drawing nowhere": ("show digits_mlp --draw nowhere/new.png", "drawing nowhere/new.png"),
    "drawing's kind": ("show digits_mlp --draw new.txt", "drawing new.txt"),
    "nothing to resume": ("train --resume --out new", "new: holds no run"),
    "nothing in it": ("train --resume --out .", "holds no run"),
    "resume a file": ("train --resume --out ok.npz", "ok.npz: holds no run"),
    "no such run": ("respond nope --out new.nc", "state nope: no such file"),
    "no checkpoint": ("respond ok.npz --out new.nc", "state ok.npz: damaged"),
    "no configuration": (f"{TRAIN} --config nope.yaml", "configuration nope.yaml: cannot be read"),
    "configuration": (f"{TRAIN} --config ok.npz", "configuration ok.npz"),
}
MODELS = {
    "wrong_shape": "weights have shape (20, 3)",
    "cycle": "closes the cycle V2 -> V1 -> V2",
    "duplicate": "population V1: the name is taken",
    "unknown": "V3",
    "no_top_down": "no top-down projection brings credit to V1",
    "wrong_partner": "Inverse(of='retina->V1') belongs to a top-down projection from V1 to retina",
    "no_objective": "objective",
    "too_many_units": "auxiliary=False",
    "rank_deficient": "V1->IT",
    "nothing_plastic": "nothing to train",
    "raises": "net.py:raises: ZeroDivisionError: division by zero (net.py, line",
    "leaves": "net.py:leaves: SystemExit: 0",
    "returns_none": "must return a Network. Got None",
    "needs": "missing 1 required positional argument: 'size'",
    "nope": "net.py has no function 'nope'",
}


def cases(table):
    rows = [(line, said) for line, *said in table.values()]
    return pytest.mark.parametrize("line, said", rows, ids=list(table))


@cases(NAMES)
def test_unknown_name(line, said, refused):
    refused(line, *said)


@cases(VALUES)
def test_wrong_value(line, said, refused):
    refused(line, *said)


@cases(PLACES)
def test_wrong_place(line, said, refused):
    refused(line, *said)


@pytest.mark.parametrize("name, said", MODELS.items(), ids=list(MODELS))
def test_broken_model(name, said, refused):
    refused(f"train net.py:{name} --out new --data ok.npz --batch-size 8 --set schedule=null", said)


@pytest.mark.parametrize("rule", ["target_prop", "difference_target_prop"])
def test_target_rules_need_an_inverse(rule, refused):
    refused(f"train net.py:relu --rule {rule} --out new --data ok.npz", "population V1", "Relu")


def test_finite_form_needs_an_inverse(refused):
    finite = "--rule gait_prop --set rule_settings.form=finite --precision 64"
    refused(f"train net.py:relu {finite} --out new --data ok.npz", "population V1", "Relu")


@pytest.mark.parametrize(
    "text, said",
    [
        ("def broken(:", "SyntaxError"),
        ("import no_such_module", "no_such_module"),
        ("raise SystemExit(0)", "SystemExit"),
        (b"\xff\xfe", "bad.py"),
    ],
    ids=["syntax", "import", "leaves", "bytes"],
)
def test_broken_model_file(text, said, here, refused):
    (here / "bad.py").write_bytes(text if isinstance(text, bytes) else text.encode())
    refused("show bad.py:broken", "bad.py:broken", said)
    refused("train bad.py:broken --out new", "bad.py:broken", said)


def test_missing_model_file(refused):
    refused("show nope.py:small", "no file nope.py; give path/to/file.py:function")


# -- data -----------------------------------------------------------------------------------------


def spoilt(arrays, **over):
    return {name: value for name, value in (arrays | over).items() if value is not None}


def holding(arrays, name, value):
    changed = arrays[name].copy()
    changed.flat[3] = value
    return {name: changed}


DATA = {
    "array missing": (lambda a: {"y_test": None}, "y_test"),
    "wrong shape": (lambda a: {"x_train": np.zeros((48, 3)), "x_test": np.zeros((17, 3))}, "retina"),
    "shapes differ": (lambda a: {"x_test": np.zeros((17, 3, 5), np.float32)}, "x_test"),
    "five axes": (lambda a: {"x_train": np.zeros((48, 1, 4, 5, 1))}, "x_train"),
    "no presentations": (lambda a: {"x_test": a["x_test"][:0], "y_test": a["y_test"][:0]}, "x_test"),
    "too few labels": (lambda a: {"y_train": a["y_train"][1:]}, "y_train has 47 labels"),
    "label out of range": (lambda a: holding(a, "y_train", 3), "4 classes"),
    "unseen test label": (lambda a: holding(a, "y_test", 7), "y_test holds the label 7"),
    "negative label": (lambda a: holding(a, "y_train", -1), "y_train holds the label -1"),
    "huge label": (lambda a: holding(a, "y_train", 2**40), "y_train"),
    "labels not whole": (lambda a: {"y_train": a["y_train"] + 0.5}, "y_train"),
    "NaN": (lambda a: holding(a, "x_train", np.nan), "x_train holds NaN or infinite"),
    "infinite": (lambda a: holding(a, "x_test", np.inf), "x_test holds NaN or infinite"),
    "text": (lambda a: {"x_train": a["x_train"].astype(str)}, "x_train"),
    "pickled": (lambda a: {"x_train": np.array([[{}]] * 48, object)}, "x_train"),
}


@pytest.mark.parametrize("spoil, said", DATA.values(), ids=list(DATA))
def test_bad_data(spoil, said, arrays, here, refused):
    np.savez(here / "bad.npz", **spoilt(arrays, **spoil(arrays)))
    refused(f"{TRAIN} --data bad.npz", "bad", said)


def test_damaged_data(here, refused):
    whole = (here / "ok.npz").read_bytes()
    for name, content in {"cut": whole[:-400], "empty": b"", "noise": os.urandom(99)}.items():
        (here / f"{name}.npz").write_bytes(content)
        refused(f"{TRAIN} --data {name}.npz", f"{name}.npz")
        refused(f"respond done --data {name}.npz --out new.nc", f"{name}.npz")


def test_pickle_is_never_loaded(here, refused):
    """A pickle that would write a file when loaded, under the name of a data file."""
    import pickle

    class Bomb:
        def __reduce__(self):
            return (os.mkdir, ("new",))

    (here / "bomb.npz").write_bytes(pickle.dumps(Bomb()))
    np.savez(here / "bomb2.npz", x_train=np.array([Bomb()], object))
    refused(f"{TRAIN} --data bomb.npz", "bomb.npz")
    refused(f"{TRAIN} --data bomb2.npz", "bomb2.npz")


def test_missing_data(here, refused):
    (here / "empty").mkdir()
    for path in ("nope.npz", "nope/", "empty", "net.py"):
        refused(f"{TRAIN} --data {path}", "data", path.rstrip("/"))


# -- runs -----------------------------------------------------------------------------------------


def rewritten(path, change):
    """The checkpoint with its own metadata changed."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    own = json.loads(header["__metadata__"]["cortex_sim"])
    change(own)
    header["__metadata__"]["cortex_sim"] = json.dumps(own)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])


DAMAGE = {
    "cut": lambda p: p.write_bytes(p.read_bytes()[:-100]),
    "empty": lambda p: p.write_bytes(b""),
    "noise": lambda p: p.write_bytes(os.urandom(500)),
    "other format": lambda p: rewritten(p, lambda own: own.update(format=0)),
    "key missing": lambda p: rewritten(p, lambda own: own.pop("network")),
    "network": lambda p: rewritten(p, lambda own: own.update(network={"network": "none"})),
    "unknown rule": lambda p: rewritten(
        p, lambda own: own["network"]["projections"][0].update(plasticity={"name": "nope"})
    ),
    "other network": lambda p: rewritten(
        p, lambda own: own["network"]["populations"]["V2"].update(shape=[11])
    ),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=list(DAMAGE))
def test_damaged_checkpoint(damage, here, refused):
    (here / "done" / "metrics.json").unlink()  # as if it had been killed just before the end
    damage(here / "done" / "checkpoint.safetensors")
    refused("respond done --out new.nc", "checkpoint.safetensors")
    refused("train --resume --out done", "checkpoint.safetensors")


CHANGES = {
    "epochs": "--epochs 3",
    "rule": "--rule backprop",
    "seed": "--seed 1",
    "batch_size": "--batch-size 4",
    "precision": "--precision 64",
    "checkpoint_every": "--checkpoint-every 2",
    "data": "--data digits",
    "optimiser": "--set optimiser.lr=0.5",
    "model_settings": "--set model_settings.hidden=5",
    "hold_out": "--set hold_out=5",
}


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize("name, change", CHANGES.items(), ids=list(CHANGES))
def test_resume_with_another_setting(name, change, finished, here, refused):
    if not finished:
        (here / "done" / "metrics.json").unlink()
    refused(f"train --resume --out done {change}", f"{name} is", "in run.yaml")


def test_resume_as_another_model(refused):
    refused("train digits_mlp --resume --out done", "model is")


def test_damaged_run_yaml(here, refused):
    (here / "done" / "run.yaml").write_text("epochs: [", encoding="utf-8")
    refused("train --resume --out done", "run.yaml: not YAML")
    (here / "done" / "run.yaml").write_text("nope: 3", encoding="utf-8")
    refused("train --resume --out done", "run.yaml 'nope'")
    (here / "done" / "run.yaml").write_text("epochs: none", encoding="utf-8")
    refused("train --resume --out done", "epochs must be a whole number")


def test_damaged_metrics(here, refused):
    (here / "done" / "metrics.json").write_text("{", encoding="utf-8")
    refused("train --resume --out done", "metrics.json: damaged")


def test_code_is_run_only_when_named(here, refused):
    """run.yaml of a stranger may name a file; giving it as --config does not run that file."""
    (here / "net.py").write_text("import os\nos.mkdir('new')\n", encoding="utf-8")
    refused("train --config done/run.yaml --out other", "would run the code of")
    (here / "done" / "checkpoint.safetensors").unlink()
    (here / "done" / "metrics.json").unlink()
    refused("train --resume --out done", "is code, which is run only when named")


def test_configuration_of_the_wrong_kind(here, refused):
    for text, said in {
        "- 1": "expected settings, name: value. Got list",
        "epochs: [": "not YAML",
        "epochz: 3": "did you mean 'epochs'?",
        "rule: [backprop]": "rule must be a word",
        "optimiser: {lr: 0.1, name: 3}": "optimiser needs a name",
        "!!python/object/apply:os.mkdir [new]": "not YAML",
    }.items():
        (here / "given.yaml").write_text(text, encoding="utf-8")
        refused("train digits_mlp --config given.yaml --out new", said)


def test_configuration_with_a_model_of_the_wrong_kind(here, refused):
    (here / "given.yaml").write_text("model: 3", encoding="utf-8")
    refused("train --config given.yaml --out new", "model must be text")


def test_more_classes_than_units(here, refused):
    refused(f"{TRAIN} --data digits", "retina")
    refused("train digits_mlp --set model_settings.classes=3 --out new", "10 classes", "IT has 3")


# -- a run that goes wrong on its way ---------------------------------------------------------------


@pytest.mark.parametrize("rule", ["backprop", "gait_prop", "gait_prop_learned", "bcm"])
def test_diverging_run_keeps_its_metrics(rule, here, run):
    settings = "--set optimiser.name=SGD --set optimiser.lr=1e6 --set schedule=null --epochs 9"
    status, out, err = run(f"{TRAIN} --rule {rule} {settings}")
    assert (status, out) == (1, ""), err
    assert err.startswith("cortex-sim: training diverged at step ") and err.count("\n") == 1
    lines = (here / "new" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[0])["step"] == 0
    assert "NaN" not in "".join(lines)
    assert not (here / "new" / "metrics.json").exists()
