"""From an image set to flat grey stimuli: sizes, colours, parts and scale."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cortex_sim.data import digits, image_set, named
from cortex_sim.errors import DataError, DeclarationError
from cortex_sim.tdca.tasks import image_source, load_source


def made(shape, n=(24, 8), classes=2, seed=0):
    """An image set of noise with classes in turn."""
    rng = np.random.default_rng(seed)
    x_train, x_test = (rng.random((count, *shape), dtype=np.float32) for count in n)
    return image_set("noise", x_train, np.arange(n[0]) % classes, x_test, np.arange(n[1]) % classes)


def standardised(images, source):
    """Float64 images (presentation, y, x), training images first, less one mean and over one sd."""
    train = images[: len(source.part)][(source.part == 0).numpy()]
    return ((images - train.mean()) / train.std()).reshape(len(images), -1)


def test_28_to_14_is_the_mean_of_four_pixels():
    images = made((28, 28))
    source = image_source(images, 14)
    x = np.concatenate([images.x_train, images.x_test])[:, 0].astype(float)
    pooled = (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4
    np.testing.assert_allclose(source.x.numpy(), standardised(pooled, source), atol=1e-5)


def test_32_to_14_is_the_mean_of_every_pixel_it_touches():
    images = made((32, 32))
    source = image_source(images, 14)
    x = np.concatenate([images.x_train, images.x_test])[:, 0].astype(float)
    ranges = [(int(np.floor(i * 32 / 14)), int(np.ceil((i + 1) * 32 / 14))) for i in range(14)]
    pooled = np.array([[[im[a:b, c:d].mean() for c, d in ranges] for a, b in ranges] for im in x])
    np.testing.assert_allclose(source.x.numpy(), standardised(pooled, source), atol=1e-5)


def test_8_to_14_is_bilinear():
    images = made((8, 8))
    source = image_source(images, 14)
    x = np.concatenate([images.x_train, images.x_test])[:, 0].astype(float)
    at = np.clip((np.arange(14) + 0.5) * 8 / 14 - 0.5, 0, 7)
    low = np.floor(at).astype(int)
    weight = np.zeros((14, 8))
    for i in range(14):
        weight[i, low[i]] += 1 - (at[i] - low[i])
        weight[i, min(low[i] + 1, 7)] += at[i] - low[i]
    np.testing.assert_allclose(source.x.numpy(), standardised(weight @ x @ weight.T, source), atol=1e-5)


def test_colours_become_luminance():
    images = made((3, 8, 8))
    source = image_source(images, 8)
    x = np.concatenate([images.x_train, images.x_test]).astype(float)
    luma = 0.299 * x[:, 0] + 0.587 * x[:, 1] + 0.114 * x[:, 2]
    np.testing.assert_allclose(source.x.numpy(), standardised(luma, source), atol=1e-5)


def test_flat_squares_are_images():
    flat, square = made((64,)), made((8, 8))
    assert torch.equal(image_source(flat, 4).x, image_source(square, 4).x)
    with pytest.raises(DataError, match="data noise: 63 values per presentation do not form a square image"):
        image_source(made((63,)))


def test_blocks_do_not_show(monkeypatch):
    images = made((8, 8))
    whole = image_source(images, 4).x
    monkeypatch.setattr("cortex_sim.tdca.tasks.sources.BLOCK", 5)
    assert torch.equal(image_source(images, 4).x, whole)


def test_scale_is_of_the_training_part_alone():
    images = made((8, 8))
    source = image_source(images, 8, validation=6)
    train = source.x[source.part == 0].double()
    assert train.mean() == pytest.approx(0, abs=1e-5) and train.std() == pytest.approx(1, abs=1e-3)
    images.x_test[:] = 1e6
    assert torch.equal(image_source(images, 8, validation=6).x[source.part == 0], source.x[source.part == 0])


def test_parts_are_fixed_and_the_test_set_is_the_datas_own():
    images = made((8, 8), n=(60, 10))
    source = image_source(images, 8)
    assert torch.bincount(source.part).tolist() == [50, 10, 10]  # a sixth for validation
    assert (source.part[60:] == 2).all() and (source.part[:60] < 2).all()
    assert torch.equal(source.part, image_source(made((8, 8), n=(60, 10), seed=1), 4).part)
    more = image_source(images, 8, validation=20)
    held, held_of_more = ((s.part == 1).nonzero()[:, 0].tolist() for s in (source, more))
    assert len(held_of_more) == 20 and set(held) < set(held_of_more)
    assert held != list(range(50, 60))
    assert source.y.tolist() == [*(np.arange(60) % 2), *(np.arange(10) % 2)]


def test_at_most_5000_are_held_back():
    images = image_set(
        "long", np.zeros((40_000, 1), "f4"), np.arange(40_000) % 2, np.zeros((2, 1), "f4"), [0, 1]
    )
    source = image_source(images, 1)
    assert torch.bincount(source.part).tolist() == [35_000, 5_000, 2]
    assert not source.x.any()  # constant images become 0, not NaN


def test_every_class_is_in_every_part():
    images = image_set("rare", np.zeros((12, 4), "f4"), [0] * 11 + [1], np.zeros((2, 4), "f4"), [0, 1])
    with pytest.raises(
        DataError, match="data rare: class 1 has no presentation in its (train|validation) part"
    ):
        image_source(images, 2)


@pytest.mark.parametrize("wrong", [{"side": 0}, {"validation": 0}, {"validation": 1.5}])
def test_refuses_wrong_numbers(wrong):
    with pytest.raises(DeclarationError, match="image_source: "):
        image_source(made((8, 8)), **wrong)


def test_validation_leaves_some():
    with pytest.raises(DataError, match="validation=24 leaves none of the 24 training presentations"):
        image_source(made((8, 8)), validation=24)


def test_load_source_by_name_or_path(tmp_path):
    by_name = load_source("digits", side=8)
    assert torch.equal(by_name.x, image_source(digits(), 8).x) and by_name.name == "digits"
    np.savez(
        tmp_path / "mine.npz", **{k: getattr(digits(), k) for k in ("x_train", "y_train", "x_test", "y_test")}
    )
    assert torch.equal(load_source(str(tmp_path / "mine.npz"), side=8).x, by_name.x)
    assert torch.bincount(load_source("digits", side=8, limit=200).part).tolist() == [167, 33, 200]
    with pytest.raises(DataError, match="limit=5 is only for sets with a name"):
        load_source(str(tmp_path / "mine.npz"), limit=5)


def test_real_cifar10_is_decoded_in_part(real):
    folder = real("cifar10_jpegbytes.npz").parent
    source = load_source("cifar10", folder, limit=600)
    assert source.x.shape == (1200, 196) and source.classes == 10
    assert torch.bincount(source.part).tolist() == [500, 100, 600]
    colour = image_source(named.load_named("cifar10", folder, limit=600))
    torch.testing.assert_close(source.x, colour.x, atol=0.02, rtol=0)
