"""Every step against a reference that takes one picture and one pixel at a time."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from cortex_sim import DataError, DeclarationError, registry
from cortex_sim.augmentation import (
    CentreCrop,
    Chain,
    Flip,
    Normalise,
    RandomCrop,
    RandomResizedCrop,
    Resize,
    declared,
)
from cortex_sim.augmentation.draws import uniform


def pictures(n=5, channels=3, height=11, width=7, seed=0):
    return np.random.default_rng(seed).integers(1, 256, (n, channels, height, width), dtype=np.uint8)


def draws(n, count, seed=1):
    return np.random.default_rng(seed).random((n, count))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("padding, size", [(2, (11, 7)), (0, (5, 3)), (1, (13, 9)), (0, (13, 4))])
def test_random_crop_cuts_from_black_margins(dtype, padding, size):
    x = pictures().astype(dtype)
    u = draws(len(x), 2)
    found = RandomCrop(padding, size)(x, u)
    assert found.shape == (5, 3, *size) and found.dtype == dtype
    for picture, (v, h), cut in zip(x, u, found, strict=True):
        rows = max(size[0], 11 + 2 * padding)
        columns = max(size[1], 7 + 2 * padding)
        field = np.zeros((3, rows, columns), dtype)
        top, left = (rows - 11) // 2, (columns - 7) // 2
        field[:, top : top + 11, left : left + 7] = picture
        y0, x0 = int(v * (rows - size[0] + 1)), int(h * (columns - size[1] + 1))
        np.testing.assert_array_equal(cut, field[:, y0 : y0 + size[0], x0 : x0 + size[1]])


def test_random_crop_reaches_every_place_equally_often():
    x = np.repeat(pictures(1, 1, 5, 5), 9000, axis=0)
    found = RandomCrop(1, (5, 5))(x, uniform(0, 0, np.arange(9000), 0, 2))
    places, counts = np.unique(found.reshape(9000, -1), axis=0, return_counts=True)
    assert len(places) == 9
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(1000)


def test_flip_mirrors_columns_of_those_below_the_probability():
    x = pictures()
    u = np.array([[0.1], [0.3], [0.29], [0.9], [0.0]])
    found = Flip(0.3)(x, u)
    for picture, seen, (v,) in zip(x, found, u, strict=True):
        np.testing.assert_array_equal(seen, picture[:, :, ::-1] if v < 0.3 else picture)
    assert found is not x and (Flip(1.0)(Flip(1.0)(x, u), u) == x).all()


def test_random_resized_crop_is_pillows_resize_of_the_box():
    x, step = pictures(40, 3, 31, 43), RandomResizedCrop(13)
    u = draws(40, step.draws)
    boxes = step.boxes(31, 43, u)
    for picture, (top, left, rows, columns), seen in zip(x, boxes, step(x, u), strict=True):
        cut = np.moveaxis(picture, 0, 2)[top : top + rows, left : left + columns]
        expected = Image.fromarray(np.ascontiguousarray(cut)).resize((13, 13), Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(seen, np.moveaxis(np.asarray(expected), 2, 0))


def test_boxes_have_the_declared_areas_and_ratios():
    step = RandomResizedCrop(8, scale=(0.1, 0.5), ratio=(0.5, 2.0))
    u = uniform(0, 0, np.arange(20_000), 0, step.draws)
    top, left, rows, columns = step.boxes(400, 400, u).T.astype(float)
    assert (top >= 0).all() and (left >= 0).all()
    assert (top + rows <= 400).all() and (left + columns <= 400).all()
    share, ratio = rows * columns / 400**2, columns / rows
    assert 0.095 < share.min() < 0.11 and 0.48 < share.max() < 0.51
    assert 0.48 < ratio.min() < 0.52 and 1.9 < ratio.max() < 2.05
    assert abs(np.log(ratio).mean()) < 0.01  # as often wide as high
    free = (400 - rows) > 40
    assert abs((top[free] / (400 - rows[free])).mean() - 0.5) < 0.01


def test_where_no_box_fits_the_largest_central_one_of_a_permitted_ratio():
    step = RandomResizedCrop(8, scale=(1.0, 1.0), ratio=(1.0, 1.0))
    assert step.boxes(20, 50, draws(1, step.draws)).tolist() == [[0, 15, 20, 20]]
    assert step.boxes(50, 20, draws(1, step.draws)).tolist() == [[15, 0, 20, 20]]


@pytest.mark.parametrize("height, width, shape", [(11, 7, (9, 6)), (6, 6, (6, 6)), (40, 50, (6, 8))])
def test_resize_brings_the_shorter_side(height, width, shape):
    x = pictures(2, 1, height, width)
    found = Resize(6)(x, draws(2, 0))
    assert found.shape == (2, 1, *shape) == (2, *Resize(6).shape((1, height, width)))
    expected = Image.fromarray(x[1, 0]).resize(shape[::-1], Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(found[1, 0], np.asarray(expected))


def test_centre_crop_cuts_or_surrounds():
    x = pictures()
    np.testing.assert_array_equal(CentreCrop((5, 3))(x, draws(5, 0)), x[:, :, 3:8, 2:5])
    wide = CentreCrop((11, 11))(x, draws(5, 0))
    np.testing.assert_array_equal(wide[..., 2:9], x)
    assert not wide[..., :2].any() and not wide[..., 9:].any()


def test_floats_are_resized_as_floats():
    x = pictures(2).astype(np.float32) / 255
    step = RandomResizedCrop(5)
    u = draws(2, step.draws)
    np.testing.assert_allclose(step(x, u) * 255, step((x * 255).round().astype(np.uint8), u), atol=1.01)


STEPS = (RandomCrop(2, 9), RandomResizedCrop(6), Flip())


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_chain_is_a_pure_function_of_seed_epoch_and_index(count):
    x, chain = pictures(12), Chain(STEPS[:count], seed=4)
    whole = chain(x, np.arange(12), 3)
    order = np.random.default_rng(0).permutation(12)
    np.testing.assert_array_equal(chain(x[order], order, 3), whole[order])
    one_by_one = [chain(x[i : i + 1], np.array([i]), 3)[0] for i in range(12)]
    np.testing.assert_array_equal(one_by_one, whole)
    np.testing.assert_array_equal(chain(list(x), np.arange(12), 3), whole)  # as pictures of any sizes
    assert (chain(x, np.arange(12), 4) != whole).any()
    assert (Chain(STEPS[:count], seed=5)(x, np.arange(12), 3) != whole).any()
    assert chain.shape((3, 11, 7)) == whole.shape[1:]


def test_two_equal_steps_draw_different_numbers():
    x = pictures(200)
    once, twice = Chain((Flip(),))(x, np.arange(200), 0), Chain((Flip(), Flip()))(x, np.arange(200), 0)
    share = (twice != once).any((1, 2, 3)).mean()
    assert 0.35 < share < 0.65


def test_words_settings_and_objects_mean_the_same():
    words = [{"name": "random_crop", "padding": 2}, "flip"]
    steps, last = declared(words, (11, 7))
    assert steps == (RandomCrop(2, (11, 7)), Flip()) and last is None
    assert declared([RandomCrop(2), Flip()], (11, 7)) == (steps, None)
    assert declared(None, (11, 7)) == ((), None)
    steps, last = declared(
        ["resize", "centre_crop", {"name": "normalise", "mean": 0.5, "sd": 0.2}], (224, 224)
    )
    assert steps == (Resize(256), CentreCrop((224, 224)))
    assert last == Normalise((0.5,), (0.2,)) and last.preprocessing((1, 2, 2)).sd == (0.2,)


@pytest.mark.parametrize("name", sorted(set(registry.names("augmentation"))))
def test_every_step_survives_as_data(name):
    made = registry.make("augmentation", name)
    assert registry.make("augmentation", registry.to_data("augmentation", made)) == made


@pytest.mark.parametrize(
    "given, said",
    [
        (["flop"], "unknown augmentation 'flop' (did you mean 'flip'?)"),
        ([{"name": "flip", "p": 0.5}], "unknown setting of augmentation flip 'p'"),
        ([{"name": "flip", "probability": 2}], "probability must be at most 1"),
        ([{"name": "random_crop", "padding": -1}], "padding must be a whole number of at least 0"),
        ([{"name": "random_crop", "size": [3]}], "size must be one number, or (rows, columns)"),
        ([{"name": "random_resized_crop", "scale": [0.5, 0.1]}], "two numbers above 0, the smaller first"),
        ([{"name": "random_resized_crop", "scale": [0.5, 2]}], "scale must be at most 1"),
        (["normalise", "flip"], "put it last, once"),
        ([7], "augmentation must be one of"),
    ],
)
def test_wrong_declarations_are_refused(given, said):
    with pytest.raises(DeclarationError) as refused:
        declared(given, (8, 8))
    assert said in str(refused.value)


def test_in_memory_and_levels_see_the_same():
    """8-bit pixels through a table are, bit for bit, what floating-point pixels are through arithmetic."""
    from cortex_sim.preprocessing import Preprocessing, as_shown

    x = pictures(3)
    for shaped, one in [
        (x, Preprocessing((3, 11, 7), (0.1, 0.2, 0.3), (0.5, 0.25, 2.0))),
        (x.reshape(3, -1), Preprocessing((231,), (0.4,), (0.3,))),
    ]:
        floats = np.divide(shaped, np.float32(255), dtype=np.float32)
        np.testing.assert_array_equal(as_shown(shaped, one), one.apply(floats))
        with pytest.raises(DataError, match="presentations have shape"):
            as_shown(shaped[:, :2], one)
