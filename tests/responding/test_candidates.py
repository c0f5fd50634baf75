"""What may be presented with stimuli: runs, files, objects, and models by name; the preprocessing of each."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import cortex_sim as cs
from cortex_sim.errors import CortexSimError, DataError, DeclarationError, RunError
from cortex_sim.preprocessing import Preprocessing
from cortex_sim.responding import Candidate, candidate, respond_to
from cortex_sim.state import tensors_of


def same(one: Candidate, other: Candidate) -> bool:
    ours, theirs = tensors_of(one.state), tensors_of(other.state)
    return ours.keys() == theirs.keys() and all(np.array_equal(ours[n], theirs[n]) for n in ours)


def test_a_run_its_checkpoint_a_saved_file_and_a_model_respond_alike(run, images, tmp_path):
    model = cs.torch.load(run)
    cs.save(model, tmp_path / "kept.safetensors")
    expected = cs.torch.load(run).respond(images.standardised().x_test).rate.values
    simulation = cs.brian2.build(model.net, state=run)
    for given in (
        run,
        str(run),
        run / "checkpoint.safetensors",
        tmp_path / "kept.safetensors",
        model,
        model.state(),
        simulation,
    ):
        found = candidate(given)
        assert found.trained and found.preprocessing == images.preprocessing() and found.like == ""
        np.testing.assert_allclose(respond_to(found, images).rate.values, expected, atol=1e-5)
    assert candidate(run).run == run and candidate(run).name == "done" and candidate(run).seed == 3
    assert candidate(tmp_path / "kept.safetensors").run is None


def test_an_untrained_model_has_the_weights_that_training_starts_from(run, images):
    named = candidate(f"{run.parent}/net.py:small", seed=3, like=run)
    control = candidate(run).untrained()
    assert not named.trained and not control.trained and control.name == "done, untrained"
    assert same(named, control) and not same(named, candidate(run))
    assert not same(named, candidate(run).untrained(seed=4))
    assert named.preprocessing == control.preprocessing == images.preprocessing()
    built = cs.torch.build(named.net, 3).respond(images.standardised().x_test)
    np.testing.assert_allclose(respond_to(named, images).rate.values, built.rate.values, atol=1e-6)


def test_a_rule_of_an_untrained_model_is_the_one_asked_for(images):
    net = cs.model("digits_mlp")
    found = candidate("digits_mlp", rule="feedback_alignment", like="digits")
    assert found.net == net.with_rule("feedback_alignment") and found.net != candidate(net, like="digits").net


@pytest.mark.parametrize("how", ["run", "checkpoint", "data", "set", "given", "none"])
def test_a_stated_preprocessing_and_where_it_comes_from(how, run, images):
    net = candidate(run).net
    given, told = {
        "run": (str(run), str(run)),
        "checkpoint": (run / "checkpoint.safetensors", str(run / "checkpoint.safetensors")),
        "data": (f"{run.parent}/painted.npz", "painted"),
        "set": (images, "painted"),
        "given": (images.preprocessing(), "given"),
        "none": ("none", "none"),
    }[how]
    found = candidate(net, like=given)
    expected = Preprocessing((3, 6, 6)) if how == "none" else images.preprocessing()
    assert (found.preprocessing, found.like) == (expected, told)
    assert respond_to(found, images, populations=["IT"]).attrs["preprocessing_like"] == told


def test_a_run_that_kept_no_preprocessing_is_measured_on_its_own_data(run, images, tmp_path):
    """As those of earlier versions; a file without a run must have it stated."""
    state = cs.load(run)
    shutil.copytree(run, tmp_path / "old")
    (tmp_path / "old" / "checkpoint.safetensors").unlink()
    replace(state, preprocessing=None).save(tmp_path / "old" / "checkpoint.safetensors")
    assert candidate(tmp_path / "old").preprocessing == images.preprocessing()
    replace(state, preprocessing=None).save(tmp_path / "alone.safetensors")
    with pytest.raises(DataError, match="alone: holds no preprocessing; give that of its training: --like"):
        candidate(tmp_path / "alone.safetensors")
    assert candidate(tmp_path / "alone.safetensors", like=run).preprocessing == images.preprocessing()
    assert candidate(replace(state, preprocessing=None), like="none").preprocessing == Preprocessing(
        (3, 6, 6)
    )


REFUSED = {
    "unstated": ({"model": "digits_mlp"}, DataError, "untrained, so it has no preprocessing; .* --like none"),
    "no such data": (
        {"model": "digits_mlp", "like": "digit"},
        DataError,
        "like digit: .*did you mean 'digits'",
    ),
    "other data": ({"model": "conv4", "like": "digits"}, DataError, "like digits: .*64.*retina expects 3072"),
    "other run": (
        {"model": "conv4", "like": "RUN"},
        DataError,
        r"for stimuli of shape \(3, 6, 6\), but .*32",
    ),
    "other numbers": ({"model": "conv4", "like": Preprocessing((1, 8, 8))}, DataError, "of that shape"),
    "rule of a run": ({"model": "RUN", "rule": "backprop"}, DeclarationError, "its own weights; .*--rule"),
    "seed of a run": ({"model": "RUN", "seed": 1}, DeclarationError, "has its own weights; leave out --seed"),
    "like of a run": (
        {"model": "RUN", "like": "none"},
        DeclarationError,
        "has its own preprocessing; .*--like",
    ),
    "no such model": (
        {"model": "conv5"},
        RunError,
        r"state conv5: no such file .*\(did you mean 'conv4'\?\)",
    ),
    "no function": ({"model": "net.py"}, DeclarationError, "model net.py: "),
    "no state": ({"model": 7}, RunError, "give a model, a simulation, a state"),
    "no rule": ({"model": "conv4", "rule": "hebb", "like": "none"}, CortexSimError, "hebbian"),
    "no seed": ({"model": "conv4", "seed": -1, "like": "none"}, DeclarationError, "at least 0"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_in_one_line(case, run):
    given, kind, message = REFUSED[case]
    given = {name: str(run) if value == "RUN" else value for name, value in given.items()}
    with pytest.raises(kind, match=message) as it:
        candidate(**given)
    assert "\n" not in str(it.value)


def test_a_recording_is_sent_to_where_it_is_read(run, images, tmp_path):
    respond_to(run, images, out=tmp_path / "r.nc").close()
    with pytest.raises(DataError, match=r"r.nc: is a recording, so its responses are there already"):
        candidate(tmp_path / "r.nc")


def test_a_name_that_is_a_model_and_a_folder_is_refused(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(run, "conv4")
    with pytest.raises(
        RunError, match="conv4: is the name both of a model and of a file or folder here; give"
    ):
        candidate("conv4", like="none")
    assert candidate("./conv4").name == candidate(Path("conv4")).name == "conv4"


@pytest.mark.parametrize("batch", [0, 2.5, "3"])
def test_a_batch_is_a_whole_number(batch, run, images):
    with pytest.raises(DataError, match="respond: batch must be at least 1, a whole number"):
        respond_to(run, images, batch=batch)
