"""The real files, where they are present."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from cortex_sim import data
from cortex_sim.errors import DataError


def test_mnist(real):
    path = real("mnist.npz")
    images = data.load(path)
    assert images.x_train.shape == (60000, 1, 28, 28) and images.x_test.shape == (10000, 1, 28, 28)
    assert images.n_classes == 10
    assert np.bincount(images.y_test).tolist() == [  # counts of the MNIST database
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009
    ]  # fmt: skip
    # the mean and sd that MNIST scripts subtract and divide by
    assert images.x_train.mean(dtype=float) == pytest.approx(0.1307, abs=5e-5)
    assert images.x_train.std(dtype=float) == pytest.approx(0.3081, abs=5e-5)
    with pytest.raises(DataError, match=r"data mnist has 784 \(1, 28, 28\) values per presentation"):
        images.fit_to(64, "retina")


@pytest.mark.slow
def test_cifar10_as_jpeg(real):
    path = real("cifar10_jpegbytes.npz")
    images = data.load(path)
    assert images.x_train.shape == (50000, 3, 32, 32) and images.x_test.shape == (10000, 3, 32, 32)
    assert images.classes[0] == "airplane" and images.classes[9] == "truck"
    assert (np.bincount(images.y_train) == 5000).all() and (np.bincount(images.y_test) == 1000).all()
    with np.load(path, allow_pickle=False) as z:
        tests = np.flatnonzero(z["is_test"])
        i, offset = tests[123], z["offset"]
        file = io.BytesIO(z["jpeg"][offset[i] : offset[i + 1]].tobytes())
        assert images.y_test[123] == z["label"][i]
    pixels = np.asarray(Image.open(file)).transpose(2, 0, 1)
    np.testing.assert_array_equal(images.x_test[123], pixels / np.float32(255))


def test_recordings_are_not_image_sets(real):
    with pytest.raises(DataError, match="lacks is_test, label, holds jpeg, offset, response_mean"):
        data.load(real("macaque_v4_201025.npz"))


def test_fashion_mnist_by_name():
    if data.named.find("fashion_mnist") is None:
        pytest.skip("no Fashion-MNIST; install Debian's package dataset-fashion-mnist")
    images = data.load("fashion_mnist")
    assert images.name == "fashion_mnist" and images.x_train.shape == (60000, 1, 28, 28)
    assert (np.bincount(images.y_train) == 6000).all() and (np.bincount(images.y_test) == 1000).all()
