"""What enters is checked and converted once; what is derived from it does not cheat."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_sim.augmentation.chain import Chain
from cortex_sim.data import arrays as arrays_module
from cortex_sim.data.augmented import Augmented
from cortex_sim.data.images import image_set
from cortex_sim.data.pixels import Held
from cortex_sim.errors import DataError


@st.composite
def sets(draw):
    """Sets of flat stimuli or images, of any scale and offset, with labels that occur."""
    shape = draw(st.sampled_from([(5,), (64,), (1, 3, 5), (3, 7, 2)]))
    n_train, n_test = draw(st.integers(2, 40)), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale, offset = draw(st.sampled_from([(1, 0), (1e-3, 2), (50, -7), (1e4, 1e4)]))
    x = rng.normal(offset, scale, (n_train + n_test, *shape))
    y = rng.integers(0, 3, n_train + n_test)
    y[0] = 2
    return image_set("noise", x[:n_train], y[:n_train], x[n_train:], y[n_train:])


def test_uint8_becomes_float32_between_0_and_1(arrays):
    got = image_set("tiny", **arrays)
    assert (got.x_train.dtype, got.y_train.dtype) == (np.float32, np.int64)
    assert got.stimulus_shape == (1, 5, 7)
    assert got.classes == ("0", "1", "2") and got.n_classes == 3
    for i, y, x in np.ndindex(11, 5, 7):
        assert got.x_train[i, 0, y, x] == np.float32(int(arrays["x_train"][i, y, x]) / 255)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", ["uint8", "float64"])
def test_last_channel_axis_comes_first(channels, dtype):
    x = np.arange(2 * 5 * 7 * channels).reshape(2, 5, 7, channels).astype(dtype)
    got = image_set("tiny", x, [0, 1], x, [1, 0]).x_test
    scale = 255 if dtype == "uint8" else 1
    assert got.shape == (2, channels, 5, 7) and got.flags.c_contiguous
    for i, y, column, c in np.ndindex(x.shape):
        assert got[i, c, y, column] == np.float32(x[i, y, column, c] / scale)


def test_channels_first_and_flat_stay_and_float32_is_not_copied():
    for shape in [(2, 3, 5, 7), (2, 64)]:
        x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        assert np.shares_memory(image_set("tiny", x, [0, 1], x, [1, 0]).x_train, x)


def test_channels_come_first_where_both_readings_are_possible():
    x = np.arange(2 * 3 * 5 * 1.0).reshape(2, 3, 5, 1)
    np.testing.assert_array_equal(image_set("tiny", x, [0, 1], x, [1, 0]).x_train, x)


def test_set_cannot_be_changed(arrays):
    with pytest.raises(FrozenInstanceError):
        image_set("tiny", **arrays).name = "other"


def spoilt(array, at, value):
    array = array.astype(float) if value != value or abs(value) == np.inf else array.copy()
    array[at] = value
    return array


ALONE = "x_train is float64 and x_test is uint8"
BROKEN = {  # what is done to the arrays: what the error must say
    "no presentations": (lambda a: {"x_train": a["x_train"][:0]}, "x_train holds no presentations"),
    "fewer labels": (lambda a: {"y_train": a["y_train"][:-1]}, "10 labels, but x_train has 11"),
    "more labels": (
        lambda a: {"y_test": np.zeros(3, int)},
        "y_test has 3 labels, but x_test has 2",
    ),
    "shapes differ": (lambda a: {"x_test": a["x_test"][:, :4]}, r"x_test of \(1, 4, 7\)"),
    "one scaled": (lambda a: {"x_train": a["x_train"] / 255}, ALONE),
    "nan": (
        lambda a: {"x_train": spoilt(a["x_train"], (4, 1, 2), np.nan), "x_test": a["x_test"] * 1.0},
        "x_train holds NaN or infinite values .* first in presentation 4",
    ),
    "inf": (
        lambda a: {"x_train": a["x_train"] * 1.0, "x_test": spoilt(a["x_test"], (1, 0, 0), np.inf)},
        "x_test holds NaN or infinite values .* first in presentation 1",
    ),
    "too large for float32": (
        lambda a: {"x_train": a["x_train"] * 1e300, "x_test": a["x_test"] * 1.0},
        "x_train holds NaN or infinite",
    ),
    "negative label": (
        lambda a: {"y_train": spoilt(a["y_train"], 6, -1)},
        "y_train holds the label -1 in presentation 6, negative",
    ),
    "label never trained": (
        lambda a: {"y_test": np.array([0, 3])},
        "y_test holds the label 3 in presentation 1, out of range; there are 0 to 2",
    ),
    "label without a class": (
        lambda a: {"classes": ["cat", "dog"]},
        "y_train holds the label 2 in presentation 2, out of range; there are 0 to 1",
    ),
    "no classes": (lambda a: {"classes": np.array([], "U3")}, "there are no classes"),
    "classes of numbers": (lambda a: {"classes": np.ones(3)}, "classes has dtype float64"),
    "a billion classes": (
        lambda a: {"y_train": spoilt(a["y_train"], 0, 10**9)},
        "label 1000000000",
    ),
    "uint64 label": (
        lambda a: {"y_train": np.full(11, 2**64 - 1, np.uint64)},
        "label 18446744073709551615 in presentation 0, too large",
    ),
    "float labels": (lambda a: {"y_train": a["y_train"] / 2}, "y_train has dtype float64"),
    "text labels": (
        lambda a: {"y_test": np.array(["a", "b"])},
        r"y_test has dtype <U1; .*classes, y_test = numpy.unique\(texts, return_inverse=True\)",
    ),
    "a single presentation": (
        lambda a: {"x_test": a["x_test"][0, 0]},
        r"x_test has shape \(7,\).* given as x\[None\]",
    ),
    "one-hot labels": (lambda a: {"y_test": np.eye(2, 3, dtype=int)}, r"y_test has shape \(2, 3\)"),
    "objects": (lambda a: {"x_train": a["x_train"].astype(object)}, "x_train has dtype object"),
    "complex": (lambda a: {"x_train": a["x_train"] * 1j}, "x_train has dtype complex128"),
    "ragged": (lambda a: {"x_train": [[1, 2], [3]]}, "x_train is not an array"),
    "no axes": (lambda a: {"x_train": np.uint8(3)}, r"x_train has shape \(\)"),
    "four channels": (lambda a: {"x_train": np.zeros((11, 5, 7, 4), "u1")}, r"\(11, 5, 7, 4\)"),
    "no values": (lambda a: {"x_train": np.zeros((11, 0), "u1")}, r"\(11, 0\) holds no values"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_refuses(case, arrays):
    change, message = BROKEN[case]
    with pytest.raises(DataError, match=f"^data tiny.npz: .*{message}"):
        image_set("tiny", **{**arrays, **change(arrays)}, source="tiny.npz")


@settings(deadline=None)
@given(sets())
def test_standardised_training_set_has_mean_0_and_sd_1(images):
    x = images.standardised().x_train.astype(float)
    axes = (0, 2, 3) if x.ndim == 4 else None
    np.testing.assert_allclose(x.mean(axes), 0, atol=1e-5)
    np.testing.assert_allclose(x.std(axes), 1, atol=1e-5)


@settings(deadline=None)
@given(sets())
def test_standardised_uses_nothing_of_the_test_set(images):
    other = replace(images, x_test=images.x_test * 3 + 100)
    np.testing.assert_array_equal(other.standardised().x_train, images.standardised().x_train)


@settings(deadline=None)
@given(sets())
def test_standardised_test_set_follows_the_training_set(images):
    got = images.standardised().x_test
    train, test = images.x_train.astype(float), images.x_test.astype(float)
    if train.ndim == 2:
        np.testing.assert_allclose(got, (test - train.mean()) / train.std(), rtol=1e-4, atol=1e-5)
        return
    for c in range(train.shape[1]):
        expected = (test[:, c] - train[:, c].mean()) / train[:, c].std()
        np.testing.assert_allclose(got[:, c], expected, rtol=1e-4, atol=1e-5)


def test_standardised_is_the_same_in_blocks(arrays, monkeypatch):
    whole = image_set("tiny", **arrays).standardised()
    monkeypatch.setattr(arrays_module, "BLOCK_VALUES", 80)  # two presentations at a time
    split = image_set("tiny", **arrays).standardised()
    np.testing.assert_allclose(split.x_train, whole.x_train, rtol=1e-6)
    assert len(list(arrays_module.blocks(whole.x_train))) == 6


def test_nan_in_a_later_block_is_found(arrays, monkeypatch):
    monkeypatch.setattr(arrays_module, "BLOCK_VALUES", 80)
    x = spoilt(arrays["x_train"], (9, 0, 0), np.nan)
    with pytest.raises(DataError, match="first in presentation 9"):
        image_set("tiny", **{**arrays, "x_train": x, "x_test": arrays["x_test"] * 1.0})


def test_constant_channel_becomes_0(monkeypatch):
    monkeypatch.setattr(arrays_module, "BLOCK_VALUES", 600)  # the mean sums blocks, so it rounds
    x = np.random.default_rng(0).random((997, 3, 2, 2))
    x[:, 1] = 0.1
    got = image_set("tiny", x, [0] * 997, x, [0] * 997).standardised()
    np.testing.assert_allclose(got.x_train[:, 1], 0, atol=1e-6)
    assert got.x_train[:, 0].std() > 0.9


def test_standardised_leaves_the_original_alone(arrays):
    images = image_set("tiny", **arrays)
    before = images.x_train.copy()
    images.standardised()
    np.testing.assert_array_equal(images.x_train, before)


@settings(deadline=None)
@given(st.data(), st.integers(2, 60), st.integers(0, 2**40))
def test_hold_out_splits_the_training_set(data, presentations, seed):
    n = data.draw(st.integers(1, presentations - 1))
    x = np.stack([np.arange(presentations)] * 2, axis=1).astype(float)  # each knows its number
    images = image_set("ids", x, np.arange(presentations), -x[:1] - 1, [0])
    got, again = images.hold_out(n, seed), images.hold_out(n, seed)
    assert got.parts == ("train", "validation", "test")
    train, test = got.x_train[:, 0], got.x_validation[:, 0]
    assert len(test) == n
    assert sorted([*train, *test]) == list(range(presentations))  # disjoint, complete, no test data
    np.testing.assert_array_equal(got.y_train, train)
    np.testing.assert_array_equal(got.y_validation, test)
    np.testing.assert_array_equal(again.x_test, got.x_test)
    np.testing.assert_array_equal(train, np.sort(train))
    assert got.classes == images.classes


def test_hold_out_depends_on_the_seed_and_says_so_in_the_name():
    x = np.arange(200.0).reshape(100, 2)
    images = image_set("ids", x, [0] * 100, x, [0] * 100)
    assert (images.hold_out(50, 0).x_validation != images.hold_out(50, 1).x_validation).any()
    assert images.hold_out(50).name == "ids, 50 held out"


@pytest.mark.parametrize("n", [0, -1, 11, 12, 2.0, True, None])
def test_hold_out_refuses_impossible_numbers(n, arrays):
    with pytest.raises(DataError, match="hold_out's n must be a whole number from 1 to 10. Got"):
        image_set("tiny", **arrays).hold_out(n, seed=0)


@pytest.mark.parametrize("seed", [-1, None, 0.5])
def test_hold_out_refuses_what_is_no_seed(seed, arrays):
    with pytest.raises(DataError, match="hold_out's seed"):
        image_set("tiny", **arrays).hold_out(3, seed=seed)


def test_hold_out_refuses_a_single_presentation():
    images = image_set("one", np.zeros((1, 2)), [0], np.zeros((1, 2)), [0])
    with pytest.raises(DataError, match="too few"):
        images.hold_out(1)


@pytest.mark.parametrize("shape", [35, (35,), [5, 7], (1, 5, 7), (5, 7, 1), np.int64(35)])
def test_fit_to_keeps_the_order_of_values(shape, arrays):
    images = image_set("tiny", **arrays)
    got = images.fit_to(shape)
    assert np.shares_memory(got.x_train, images.x_train)
    np.testing.assert_array_equal(got.x_test.ravel(), images.x_test.ravel())
    assert got.stimulus_shape == (tuple(shape) if isinstance(shape, (list, tuple)) else (35,))


def test_fit_to_names_data_and_population(arrays):
    message = (
        r"data tiny has 35 \(1, 5, 7\) values per presentation, but population retina expects 64; "
        r"give the population shape \(1, 5, 7\)"
    )
    with pytest.raises(DataError, match=message):
        image_set("tiny", **arrays).fit_to((64,), "retina")


def test_fit_to_refuses_to_scramble_axes():
    x = np.zeros((2, 3, 5, 5))
    images = image_set("tiny", x, [0, 1], x, [0, 1])
    with pytest.raises(DataError, match="would scramble every image"):
        images.fit_to((5, 5, 3))


@pytest.mark.parametrize("shape", [0, -35, (5, -7), ("5", 7), (5.0, 7)])
def test_fit_to_refuses_what_is_no_shape(shape, arrays):
    with pytest.raises(DataError, match="each size of population input must be a whole number"):
        image_set("tiny", **arrays).fit_to(shape)


def test_hold_out_leaves_the_test_set_where_it_is(arrays):
    """Held-back training presentations are the validation part, never what is called test."""
    images = image_set("tiny", **arrays)
    held = images.hold_out(4).standardised().fit_to(35)
    shown = images.hold_out(4).preprocessing()
    np.testing.assert_array_equal(held.x_test, shown.apply(images.x_test).reshape(-1, 35))
    np.testing.assert_array_equal(held.y_test, images.y_test)
    assert held.x_validation.shape == (4, 35) and "4 to validate" in repr(held)
    with pytest.raises(DataError, match="already has a validation part"):
        held.hold_out(1)


def test_preprocessing_is_that_of_the_training_set_and_keeps_a_change_of_contrast(arrays):
    images = image_set("tiny", **arrays)
    shown = images.preprocessing()
    np.testing.assert_array_equal(shown.apply(images.x_test), images.standardised().x_test)
    faint = shown.apply(images.x_test * 0.5)
    expected = images.standardised().x_test * 0.5 - 0.5 * shown.mean[0] / shown.sd[0]
    np.testing.assert_allclose(faint, expected, atol=1e-6)


@pytest.mark.parametrize("shape", [(4, 4, 4), (1, 4, 16)])
def test_pictures_do_not_become_others_of_the_same_size(shape):
    x = np.zeros((2, 1, 8, 8), np.float32)
    images = image_set("square", x, [0, 1], x, [0, 1])
    for fit in (images.fit_to, images.part("test").fit_to):
        with pytest.raises(DataError, match=r"other axes|expects \(4, 4, 4\)|distorted"):
            fit(shape)
    assert images.fit_to(64).fit_to(shape).stimulus_shape == shape  # of flat stimuli no axes are known
    with pytest.raises(DataError, match="after augmentation pictures have shape"):
        Augmented("square", Held(x), images.y_train, Chain(), shape)
