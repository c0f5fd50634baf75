import numpy as np
import pytest

import cortex_sim as cs
from cortex_sim.errors import DeclarationError


def test_names_may_be_given_as_the_objects_that_have_them():
    net = cs.model("digits_mlp")
    v1, up = net.populations["V1"], net.projections["retina->V1"]
    phase = cs.Phase("p", 10, drive={v1: 1}, silence=v1, cut=[up], scale={up: 2}, plasticity=[up, up])
    assert phase.drive == {"V1": 1.0} and phase.silence == ("V1",) and phase.cut == ("retina->V1",)
    assert phase.scale == {"retina->V1": 2.0} and phase.plasticity == ("retina->V1",)


def test_one_form_for_each_setting():
    phase = cs.Phase("p", 10, spontaneous=["V1", "V2"], plasticity={"V1->V2": 1}, silence="V4/3")
    assert phase.duration_ms == 10.0 and isinstance(phase.duration_ms, float)
    assert phase.spontaneous == {"V1": 1.0, "V2": 1.0} and phase.plasticity == {"V1->V2": 1.0}
    assert phase.silence == ("V4/3",)
    assert cs.Phase("p", 10, spontaneous={"V1": 0.5}).spontaneous == {"V1": 0.5}


@pytest.mark.parametrize(
    "plasticity, plastic",
    [(True, True), (False, False), ([], False), ({}, False), ("V1->IT", True), ({"V1->IT": 0.1}, True)],
)
def test_whether_it_is_plastic(plasticity, plastic):
    assert cs.Phase("p", 1, plasticity=plasticity).plastic is plastic


def test_equality_is_by_value_arrays_included():
    def phase(value=1.0, dtype="f8", **more):
        return cs.Phase("p", 10, drive={"V1": np.array([value, 2], dtype)}, **more)

    assert phase() == phase()
    assert phase() != phase(value=3.0)
    assert phase() != phase(dtype="f4")
    assert phase() != phase(modulator=2)
    assert cs.Phase("p", 1, drive={"V1": 2.0}) != cs.Phase("p", 1, drive={"V1": np.array([2.0])})
    assert cs.TimeSeries([1, 2], 5) == cs.TimeSeries([1, 2], 5) != cs.TimeSeries([1, 3], 5)
    assert cs.Nudge([1, 2]) == cs.Nudge([1, 2]) != cs.Nudge([1, 2], strength=1)


def test_an_array_is_seen_read_only_and_not_copied():
    images = np.zeros((3, 4))
    seen = cs.Phase("p", 10, drive={"V1": images}).drive["V1"]
    assert np.shares_memory(seen, images)
    with pytest.raises(ValueError):
        seen[0, 0] = 1.0
    images[0, 0] = 1.0  # the caller's own stays writeable


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"name": ""}, "phase: name must be a non-empty string"),
        ({"duration_ms": 0}, "phase p: duration_ms must be a positive number. Got 0"),
        ({"duration_ms": "200"}, "phase p: duration_ms must be a number. Got '200'"),
        ({"drive": [1]}, "phase p: drive must be a mapping"),
        ({"drive": {3: 1}}, "phase p: drive takes names"),
        ({"drive": {"V1": None}}, "drive of V1 must be a number, an array"),
        ({"drive": {"V1": True}}, "drive of V1 must be a number. Got True"),
        ({"drive": {"V1": float("nan")}}, "drive of V1 must be a finite number. Got nan"),
        ({"drive": {"V1": [1.0, np.inf]}}, "drive of V1 holds NaN or infinity"),
        ({"drive": {"V1": []}}, "drive of V1 is an array of shape (0,)"),
        ({"drive": {"V1": ["a"]}}, "drive of V1 must be numbers"),
        ({"drive": {"V1": [[1], [1, 2]]}}, "drive of V1 must be an array of numbers"),
        ({"drive": {"V1": cs.data.load("digits")}}, "a data set of two splits; give its .x_train"),
        ({"nudge": {"IT": cs.data.load("digits")}}, "a data set of two splits; give its .y_train"),
        ({"nudge": {"IT": 3}}, "nudge of IT must be labels of shape (presentation,)"),
        ({"plasticity": 0.1}, "plasticity must be True, False, a list of projections, or a mapping"),
        ({"plasticity": {"V1->IT": -1}}, "plasticity of V1->IT must be 0 or more. Got -1"),
        ({"spontaneous": {"V1": 0}}, "spontaneous of V1 must be a positive number"),
        ({"silence": {"V1": 1}}, "silence must be a list of names"),
        ({"silence": 3}, "silence must be a list of names"),
        ({"cut": [None]}, "cut takes names"),
        ({"delay_ms": {"IT->V1": -1}}, "delay_ms of IT->V1 must be 0 or more"),
        ({"noise": {"IT->V1": -1}}, "noise of IT->V1 must be 0 or more"),
        ({"scale": {"IT->V1": "2"}}, "scale of IT->V1 must be a number"),
        ({"modulator": None}, "modulator must be a number"),
        ({"strength": np.inf}, "strength must be a finite number. Got inf"),
        ({"spontaneous": ["V1"], "silence": ["V1"]}, "V1 cannot be both spontaneously active and silent"),
    ],
)
def test_what_is_no_phase_is_refused(settings, message):
    with pytest.raises(cs.DeclarationError) as refusal:
        cs.Phase(**{"name": "p", "duration_ms": 10, **settings})
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: cs.TimeSeries([1.0], 0), "TimeSeries: bin_ms must be a positive number"),
        (lambda: cs.TimeSeries("abc", 1), "TimeSeries: values must be numbers"),
        (lambda: cs.Noise(-1), "Noise: sd must be 0 or more"),
        (lambda: cs.Noise(1, hold_ms=0), "Noise: hold_ms must be a positive number"),
        (lambda: cs.Nudge(None), "Nudge: goal must be labels"),
        (lambda: cs.Nudge([1], strength="x"), "Nudge: strength must be a number"),
        (lambda: cs.Stimuli("digits", "trian"), "did you mean 'train'?"),
        (lambda: cs.Stimuli(3), "Stimuli: data must be a name"),
        (lambda: cs.Stimuli("digits", count=0), "Stimuli: count must be a whole number of at least 1"),
        (lambda: cs.Stimuli("digits", count=1501).images, "count must be at most 1500"),
        (lambda: cs.Record(["rates"]), "did you mean 'rate'?"),
        (lambda: cs.Record([]), "variables is empty"),
        (lambda: cs.Record(populations=[]), "populations is empty"),
        (lambda: cs.Record(every_ms=0), "every_ms must be a positive number"),
        (lambda: cs.Record(every_ms=1, phase="p"), "give only one of the two"),
        (lambda: cs.Record(phase=3), "phase must be the name of a phase"),
        (lambda: cs.Record(weights_every=0), "weights_every must be a whole number"),
    ],
)
def test_parts_are_checked_too(make, message):
    with pytest.raises(cs.DeclarationError) as refusal:
        make()
    assert message in str(refusal.value)


def test_stimuli_are_drawn_by_their_seed_and_labels_go_along():
    digits = cs.data.load("digits")
    drawn, other = cs.Stimuli("digits", count=40), cs.Stimuli("digits", count=40, seed=1)
    assert drawn.images.shape == (40, 64) and not np.array_equal(drawn.images, other.images)
    np.testing.assert_array_equal(drawn.images, cs.Stimuli("digits", count=40).images)
    for image, label in zip(drawn.images, drawn.labels, strict=True):
        place = np.flatnonzero((digits.x_train == image).all(axis=1))
        assert len(place) and label in digits.y_train[place]
    np.testing.assert_array_equal(cs.Stimuli("digits", "test").labels, digits.y_test)
    standard = cs.Stimuli("digits", standardise=True).images
    np.testing.assert_array_equal(standard, digits.standardised().x_train)


def test_8_bit_drives_are_grey_levels_as_everywhere_else():
    levels = np.array([[0, 51, 255]], np.uint8)
    phase = cs.Phase("p", 10, drive={"retina": levels, "V1": cs.TimeSeries(levels[0], bin_ms=5)})
    np.testing.assert_allclose(phase.drive["retina"], [[0, 0.2, 1]], rtol=1e-6)
    np.testing.assert_allclose(phase.drive["V1"].values, [0, 0.2, 1], rtol=1e-6)
    labels = np.array([1, 7], np.uint8)
    np.testing.assert_array_equal(cs.Phase("p", 10, nudge={"IT": labels}).nudge["IT"], labels)


def test_masked_values_are_refused():
    values = np.ma.masked_greater(np.arange(4.0), 2)
    for given in ({"drive": {"retina": values}}, {"nudge": {"V1": values}}):
        with pytest.raises(DeclarationError, match=r"masked values.*values.filled"):
            cs.Phase("show", 20, **given)
    whole = np.ma.masked_array(np.arange(4.0), mask=False)
    assert cs.Phase("show", 20, drive={"retina": whole}).drive["retina"].sum() == 6


def test_a_file_that_changed_is_read_again(tmp_path, monkeypatch):
    def write(folder, value):
        folder.mkdir(exist_ok=True)
        arrays = {f"x_{part}": np.full((3, 4), value, np.float32) for part in ("train", "test")}
        np.savez(folder / "own.npz", y_train=[0, 1, 0], y_test=[0, 1, 0], **arrays)

    for number, folder in enumerate(["one", "one", "two"]):  # written again; another of the same name
        write(tmp_path / folder, number)
        monkeypatch.chdir(tmp_path / folder)
        assert (cs.Stimuli("own.npz").images == number).all()
