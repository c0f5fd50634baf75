"""What every command prints and writes; with --json, one object on the last line."""

import json

import numpy as np
import pytest
import yaml
from run_outputs import FINAL, RUN_FILES, is_png

import cortex_sim as cs
from cortex_sim import recording
from cortex_sim.credit import DenseCredit, untrained

TRAIN = "train net.py:small --data ok.npz --batch-size 8 --epochs 2"


def without(metrics, *keys):
    return {key: value for key, value in metrics.items() if key not in ("seconds", "out", *keys)}


def curve(run):
    text = (run / "metrics.jsonl").read_text(encoding="utf-8")
    return [without(json.loads(line)) for line in text.splitlines()]


# -- list and show --------------------------------------------------------------------------------


def test_list(result, run):
    found = result("list")
    parts = {"activations", "augmentations", "normalisers", "connectors", "constraints", "initialisers"}
    parts |= {"reads"}
    assert set(found) == {"models", "rules", "data", "protocols"} | parts
    assert found["activations"] == ["leaky_relu", "linear", "logistic", "relu", "softplus", "tanh"]
    assert {"decorrelation", "inverse_learning", "sanger"} <= set(found["rules"])
    assert {"dense", "conv2d", "sparse", "arbor"} <= set(found["connectors"])
    assert {"gait_tower", "gait_cifar_deep", "conv4", "digits_mlp"} <= set(found["models"])
    assert {"backprop", "gait_prop", "feedback_alignment", "bcm"} <= set(found["rules"])
    assert found["data"] == ["cifar10", "digits", "fashion_mnist", "mnist"]
    for kind, names in found.items():
        assert result(f"list {kind}") == {kind: names}
    _, out, _ = run("list models")
    assert out == f"models: {', '.join(found['models'])}\n"
    _, out, _ = run("list protocols")
    said = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert list(said) == found["protocols"]
    assert said["cut_top_down"] == "cortex-sim simulate cut_top_down --out FILE.nc"
    assert said["papers/gait_2020_tower"] == "cortex-sim train --config papers/gait_2020_tower --out DIR"
    assert said["tdca/tdca_mnist"] == "cortex-sim evolve tdca_mnist --out DIR"
    assert said["tdca_diffusion"].startswith("python benchmarks/tdca.py run diffusion")


def test_rule(run, result):
    status, out, err = run("rule gait_prop")
    assert (status, err) == (0, "") and out == f"{cs.card('gait_prop')}\n"
    assert result("rule gait_prop") == {"name": "gait_prop", **dict(cs.card("gait_prop").rows)}


def test_show(run, result, here):
    status, out, err = run("show digits_mlp --rule feedback_alignment --draw drawn.png")
    assert (status, err) == (0, "")
    assert "V1->IT" in out and "FeedbackAlignment" in out
    assert is_png(here / "drawn.png")
    assert result("show digits_mlp")["network"] == "digits_mlp"


def test_show_a_credit_network(run, refused, here):
    untrained(DenseCredit()).save(here / "ten.safetensors")
    status, out, _ = run("show digits_mlp --rule tdca --credit ten.safetensors")
    assert status == 0 and "TDCA deep->TDCA V1" in out
    refused("show digits_mlp --credit ten.safetensors", "--credit needs --rule tdca")


def test_show_yaml_can_be_read_back(run):
    import cortex_sim as cs

    _, out, _ = run("show digits_mlp --yaml")
    assert cs.Network.from_yaml(out).to_yaml() == cs.model("digits_mlp").to_yaml()


def test_every_command_has_help_with_an_example(run):
    for command in ("list", "rule", "show", "train", "respond", "report", "demo", "bench"):
        status, out, _ = run(f"{command} --help")
        assert status == 0
        assert f"Example: cortex-sim {command}" in out
        assert "--json" in out
    assert run("--help") == run("")
    status, out, err = run("")
    assert (status, err) == (0, "")
    assert out.count("\n") > 5 and "respond" in out


# -- train ----------------------------------------------------------------------------------------


def test_train(result, here):
    metrics = result(f"{TRAIN} --rule gait_prop --out new")
    assert set(metrics) >= FINAL
    assert metrics["out"] == "new"
    assert metrics["steps"] == 12
    assert 0 <= metrics["test_accuracy"] <= 1 and 0 <= metrics["train_accuracy"] <= 1
    projections = {"retina->V1", "V1->V2", "V2->IT"}
    assert set(metrics["angle_to_bp_deg"]) == projections
    assert set(metrics["orthogonality_deviation"]) == projections
    assert metrics["angle_to_bp_deg"]["V2->IT"] == pytest.approx(0, abs=1e-3)
    assert 0.1 < metrics["angle_to_bp_deg"]["retina->V1"] < 90
    assert {p.name for p in (here / "new").iterdir()} == RUN_FILES
    assert is_png(here / "new" / "learning_curves.png")
    kept = json.loads((here / "new" / "metrics.json").read_text(encoding="utf-8"))
    assert kept == {key: value for key, value in metrics.items() if key != "out"}
    assert [line["step"] for line in curve(here / "new")] == [0, 6, 12]


def test_train_under_a_credit_network(result, refused, here):
    """The file is located, kept in run.yaml, and no longer needed once there is a checkpoint."""
    (here / "credits").mkdir()
    file = here / "credits" / "three.safetensors"
    untrained(DenseCredit(outputs=3, channels=4)).save(file)
    asked = "--rule tdca --credit credits/three.safetensors --set standardise=false"
    metrics = result(f"{TRAIN} {asked} --out new")
    assert metrics["rule"] == "tdca" and metrics["steps"] == 12
    kept = yaml.safe_load((here / "new" / "run.yaml").read_text(encoding="utf-8"))
    assert kept["credit"] == str(file)
    (here / "new" / "metrics.json").unlink()
    file.unlink()
    assert without(result("train --resume --out new")) == without(metrics)


def test_a_credit_network_that_does_not_fit_is_refused(refused, here):
    untrained(DenseCredit(outputs=4)).save(here / "four.safetensors")
    refused(f"{TRAIN} --rule tdca --credit four.safetensors --out new", "4 output units", "IT has 3")
    refused(f"{TRAIN} --rule tdca --credit none.safetensors --out new", "none.safetensors", "no such file")
    refused(f"{TRAIN} --rule backprop --credit four.safetensors --out new", "takes no credit network")
    assert not (here / "new").exists()


def test_table_for_people(run):
    status, out, err = run(f"{TRAIN} --out new")
    assert (status, err) == (0, "")
    assert "test accuracy" in out and "V1->V2" in out


def test_run_yaml_repeats_the_run(result, here):
    first = result(f"{TRAIN} --rule gait_prop --seed 3 --set feedback.refresh=2 --out one")
    # the model is code, so it is named again; everything else comes from the file
    second = result("train net.py:small --config one/run.yaml --out two")
    assert without(first) == without(second)
    assert (here / "one" / "run.yaml").read_text() == (here / "two" / "run.yaml").read_text()
    assert curve(here / "one") == curve(here / "two")


def test_run_yaml_of_a_shipped_model_stands_alone(result):
    first = result("train digits_mlp --epochs 1 --rule kolen_pollack --out one")
    assert without(result("train --config one/run.yaml --out two")) == without(first)


def test_precedence(here, run):
    given = {"epochs": 1, "seed": 1, "batch_size": 6, "optimiser": {"lr": 0.1}, "threads": 1}
    (here / "given.yaml").write_text(yaml.safe_dump(given), encoding="utf-8")
    run("train net.py:small --data ok.npz --config given.yaml --set seed=2 --set epochs=2 --seed 3 --out new")
    saved = yaml.safe_load((here / "new" / "run.yaml").read_text(encoding="utf-8"))
    assert (saved["batch_size"], saved["epochs"], saved["seed"]) == (6, 2, 3)
    assert saved["optimiser"] == {"name": "Adam", "lr": 0.1}
    assert saved["environment"]["torch"]


def test_seed_decides(result):
    first, same, other = (
        without(result(f"{TRAIN} --seed {seed} --out new{number}")) for number, seed in enumerate([1, 1, 2])
    )
    assert first == same != other


def test_finished_run_prints_its_result_again(result, here):
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in here.rglob("*") if p.is_file()}
    again = result("train --resume --out done")
    kept = json.loads((here / "done" / "metrics.json").read_text(encoding="utf-8"))
    assert without(again) == without(kept)
    after = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in here.rglob("*") if p.is_file()}
    assert after == before


def test_threads_and_device_are_free_on_resume(result, here, prepared, caplog):
    (here / "done" / "metrics.json").unlink()
    assert result("train --resume --out done --threads 1 --device cpu")["steps"] == 12
    (here / "done" / "metrics.json").unlink()
    assert result(f"train {prepared}/net.py:small --resume --out done --epochs 2")["steps"] == 12
    (here / "done" / "metrics.json").unlink()
    assert result("train --resume --out done --threads 2")["steps"] == 12
    assert "another environment" in caplog.text


def test_threads_of_a_configuration_hold(here, run):
    (here / "given.yaml").write_text("threads: 2\n", encoding="utf-8")
    run(f"{TRAIN} --config given.yaml --out new")
    saved = yaml.safe_load((here / "new" / "run.yaml").read_text(encoding="utf-8"))
    assert saved["threads"] == 2


def test_rule_of_the_users_own_resumes_where_its_file_is_named(here, result, refused):
    (here / "mine.py").write_text(OWN_RULE, encoding="utf-8")
    first = result("train mine.py:tiny --data ok.npz --batch-size 8 --epochs 2 --out new")
    (here / "new" / "metrics.json").unlink()
    again = result("train mine.py:tiny --resume --out new")
    assert without(again) == without(first)


OWN_RULE = '''
from dataclasses import dataclass

import cortex_sim as cs


@cs.register("rule", "test_hebb")
@dataclass(frozen=True)
class Hebb:
    """Bounded Hebbian growth."""

    def change(self, w, r_pre, r_post):
        return r_post.T @ r_pre / len(r_pre) - w


def tiny():
    net = cs.Network("tiny")
    net.population("retina", 20)
    net.population("V1", 7, activation="tanh")
    net.population("IT", 3)
    net.bottom_up("retina", "V1", plasticity=Hebb())
    net.bottom_up("V1", "IT", plasticity="backprop")
    net.objective("IT", "cross_entropy")
    return net
'''


# -- respond --------------------------------------------------------------------------------------


def test_respond(result, here):
    said = result("respond done --out new.nc --credit")
    assert set(said) >= {"out", "dims", "populations", "seconds"}
    assert said["out"] == "new.nc"
    assert said["dims"] == {"presentation": 17, "neuroid": 20 + 60 + 7 + 3}
    assert said["populations"] == ["retina", "V1", "V2", "IT"]
    recorded = recording.load(here / "new.nc")
    assert dict(recorded.sizes) == said["dims"]
    for variable in ("rate", "drive", "credit"):
        assert recorded[variable].dims == ("presentation", "neuroid")
        assert np.isfinite(recorded[variable]).all()
        assert {"units", "long_name"} <= set(recorded[variable].attrs)
    assert set(recorded.coords) == {
        "stimulus_id",
        "repetition",
        "population",
        "neuroid_id",
        "channel",
        "row",
        "column",
    }
    v1 = recorded.isel(neuroid=recorded.population.values == "V1")
    assert v1.neuroid_id.values[17] == "V1/17"
    assert (v1.channel.values[47], v1.row.values[47], v1.column.values[47]) == (2, 1, 2)
    it = recorded.isel(neuroid=recorded.population.values == "IT")
    assert (it.channel.values == -1).all()
    assert np.abs(it.credit.values.sum(1)).max() < 1e-5  # onehot − softmax sums to 0
    retina = recorded.isel(neuroid=recorded.population.values == "retina")
    assert not retina.credit.values.any()
    for name in ("network", "rule", "seed", "cortex_sim_version"):
        assert name in recorded.attrs
    assert recorded.attrs["network"] == "small"


def test_respond_shows_what_training_tested(result, here, arrays):
    """The recorded top population classifies as metrics.json says: same data, same standardising."""
    result("respond done --out new.nc")
    recorded = recording.load(here / "new.nc")
    top = recorded.rate.values[:, recorded.population.values == "IT"]
    kept = json.loads((here / "done" / "metrics.json").read_text(encoding="utf-8"))
    assert (top.argmax(1) == arrays["y_test"]).mean() == pytest.approx(kept["test_accuracy"])
    assert "credit" not in recorded


def test_respond_to_other_data_and_fewer(result, here, arrays):
    np.savez(here / "other.npz", **(arrays | {"x_test": arrays["x_test"][::-1]}))
    assert result("respond done --data other.npz --count 5 --out a.nc")["dims"]["presentation"] == 5
    result("respond done/checkpoint.safetensors --out b.nc")
    ours, theirs = recording.load(here / "a.nc").rate, recording.load(here / "b.nc").rate
    np.testing.assert_allclose(ours.values, theirs.values[::-1][:5], atol=1e-6)


def test_respond_shows_other_data_through_the_runs_own_preprocessing(result, here, arrays):
    """Half the contrast and another brightness reach the first population as they are."""
    train, test = arrays["x_train"] * 0.5 + 3, arrays["x_test"] * 0.5 + 3
    np.savez(here / "faint.npz", **(arrays | {"x_train": train, "x_test": test}))
    result("respond done --out a.nc")
    result("respond done --data faint.npz --out b.nc")
    result("respond done/checkpoint.safetensors --data faint.npz --out c.nc")
    plain, faint, again = (
        recording.select(recording.load(here / f"{name}.nc"), population="retina").rate.values
        for name in "abc"
    )
    sd, mean = arrays["x_train"].std(dtype=float), arrays["x_train"].mean(dtype=float)
    np.testing.assert_allclose(faint, plain / 2 + (3 - mean / 2) / sd, atol=1e-5)
    np.testing.assert_array_equal(again, faint)


def test_respond_to_a_state_file_shows_what_the_run_shows(result, refused, here):
    cs.save(cs.torch.load(here / "done"), here / "kept.safetensors")
    result("respond done --out a.nc")
    result("respond kept.safetensors --data ok.npz --out b.nc")
    ours, theirs = (recording.load(here / f"{name}.nc") for name in "ab")
    np.testing.assert_array_equal(theirs.rate, ours.rate)
    assert theirs.attrs["updates"] == ours.attrs["updates"] > 0
    refused("respond kept.safetensors --out c.nc", "holds no run")


def test_respond_to_a_run_that_held_out_shows_the_test_set(result, here, arrays):
    result(f"{TRAIN} --set hold_out=6 --set standardise=false --out new")
    result("respond new --out a.nc")
    retina = recording.select(recording.load(here / "a.nc"), population="retina").rate.values
    np.testing.assert_array_equal(retina, arrays["x_test"].reshape(17, 20))


def test_respond_to_stimuli_without_labels(result, refused, here, arrays):
    """Some populations and variables, ids and descriptors from the file; nothing stands for labels."""
    x = np.repeat(np.repeat(arrays["x_test"], 2, axis=1), 2, axis=2)
    np.savez(here / "shown.npz", images=x, category=np.array(["cat"] * 17))
    asked = "respond done --stimuli shown.npz --population IT --population V2 --variable rate"
    said = result(f"{asked} --count 5 --out new.nc")
    assert said["dims"] == {"presentation": 5, "neuroid": 10} and said["populations"] == ["V2", "IT"]
    recorded = recording.load(here / "new.nc")
    assert set(recorded.data_vars) == {"rate"} and set(recorded.category.values) == {"cat"}
    assert "resized from 8 x 10 to 4 x 5" in recorded.attrs["stimuli_changed"]
    refused(f"{asked} --credit --out other.nc", "credit needs labels")
    refused(f"{asked} --data ok.npz --out other.nc", "not both")
    refused("respond done --stimuli shown.npz --population V9 --out other.nc", "V9")
    refused("respond done --stimuli none.npz --out other.nc", "none.npz: no such file")


def test_respond_to_a_part_of_the_data(result, refused, here, arrays):
    assert result("respond done --split train --out new.nc")["dims"]["presentation"] == 48
    refused("respond done --split validation --out other.nc", "has no part 'validation'", "hold_out")
    refused("respond done --split tests --out other.nc", "did you mean 'test'?")
