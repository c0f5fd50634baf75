"""Data sets by name: looked for where the docs say, and an answer that helps where they are not."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from cortex_sim import data
from cortex_sim.data import named
from cortex_sim.errors import DataError


@pytest.fixture(autouse=True)
def nothing_here(monkeypatch, tmp_path):
    """No data folder, and none of Debian's, unless a test makes one."""
    monkeypatch.delenv(named.VARIABLE, raising=False)
    fashion = named.Named(
        named.NAMED["fashion_mnist"].read,
        "fashion-mnist",
        named.NAMED["fashion_mnist"].get,
        (tmp_path / "debian" / "fashion-mnist",),
    )
    monkeypatch.setitem(named.NAMED, "fashion_mnist", fashion)


@pytest.fixture
def mnist(tmp_path, arrays):
    """A folder with a tiny mnist.npz."""
    folder = tmp_path / "data"
    folder.mkdir()
    np.savez(folder / "mnist.npz", **arrays)
    return folder


def colours(folder, n=12):
    """A tiny cifar10_jpegbytes.npz whose image i is (10 i, 200, 0), every third one a test image."""
    files = []
    for i in range(n):
        stream = io.BytesIO()
        Image.new("RGB", (8, 8), (10 * i, 200, 0)).save(stream, "JPEG", quality=95)
        files.append(stream.getvalue())
    np.savez(
        folder / "cifar10_jpegbytes.npz",
        jpeg=np.frombuffer(b"".join(files), np.uint8),
        offset=np.cumsum([0, *map(len, files)]),
        label=np.arange(n),
        is_test=np.arange(n) % 3 == 0,
    )


def test_the_names():
    assert list(named.NAMED) == data.names() == ["cifar10", "digits", "fashion_mnist", "mnist"]


def test_found_in_the_argument_before_the_variable(mnist, tmp_path, monkeypatch):
    assert named.find("mnist") is None
    assert named.find("mnist", tmp_path) is None
    assert named.find("mnist", mnist) == named.find("mnist", str(mnist)) == mnist / "mnist.npz"
    monkeypatch.setenv(named.VARIABLE, str(mnist))
    assert named.find("mnist") == mnist / "mnist.npz"
    assert named.find("mnist", tmp_path) is None


def test_an_empty_variable_is_none(mnist, monkeypatch):
    monkeypatch.chdir(mnist)
    monkeypatch.setenv(named.VARIABLE, "")
    assert named.find("mnist") is None


def test_fashion_lies_in_the_data_folder_or_where_debian_puts_it(tmp_path):
    assert named.find("fashion_mnist", tmp_path) is None
    for folder in ("debian", "mine"):
        (tmp_path / folder / "fashion-mnist").mkdir(parents=True)
        assert named.find("fashion_mnist", tmp_path / "mine") == tmp_path / folder / "fashion-mnist"
    assert named.find("fashion_mnist") == tmp_path / "debian" / "fashion-mnist"


def test_digits_are_always_there(tmp_path):
    assert named.find("digits", tmp_path).exists()
    np.testing.assert_array_equal(named.load_named("digits").x_test, data.digits().x_test)


def test_load_knows_the_names(mnist, arrays, monkeypatch):
    monkeypatch.setenv(named.VARIABLE, str(mnist))
    images = data.load("mnist")
    assert images.name == "mnist"
    np.testing.assert_array_equal(images.y_train, arrays["y_train"])


def test_it_is_called_by_its_name_not_its_file(tmp_path):
    colours(tmp_path)
    assert named.load_named("cifar10", tmp_path).name == "cifar10"


def test_limit_keeps_part_of_each_part_in_order(tmp_path):
    colours(tmp_path)
    small = named.load_named("cifar10", tmp_path, limit=3)
    larger = named.load_named("cifar10", tmp_path, limit=5)
    assert len(small.y_train) == 3 and len(larger.y_train) == 5
    assert len(small.y_test) == 3 and len(larger.y_test) == 4  # there are no more
    assert set(small.y_train) < set(larger.y_train) and (np.diff(larger.y_train) > 0).all()
    assert (larger.y_train % 3 > 0).all() and (larger.y_test % 3 == 0).all()
    np.testing.assert_allclose(larger.x_train[:, 0].mean((1, 2)) * 255, 10 * larger.y_train, atol=3)


def test_limit_is_the_same_for_every_form(tmp_path):
    x, y = np.zeros((8, 8, 8), np.uint8), np.arange(12)
    train, test = y[y % 3 > 0], y[y % 3 == 0]
    np.savez(tmp_path / "mnist.npz", x_train=x, y_train=train, x_test=x[:4], y_test=test)
    colours(tmp_path)
    arrays, jpeg = (named.load_named(name, tmp_path, limit=3) for name in ("mnist", "cifar10"))
    np.testing.assert_array_equal(arrays.y_train, jpeg.y_train)
    np.testing.assert_array_equal(arrays.y_test, jpeg.y_test)


def test_a_limit_of_all_changes_nothing(tmp_path):
    colours(tmp_path)
    all_of_it, limited = (named.load_named("cifar10", tmp_path, limit=limit) for limit in (None, 1000))
    np.testing.assert_array_equal(all_of_it.x_train, limited.x_train)
    np.testing.assert_array_equal(all_of_it.y_test, limited.y_test)


def test_grey_is_the_luminance(tmp_path):
    colours(tmp_path)
    colour, grey = (named.load_named("cifar10", tmp_path, grey=grey) for grey in (False, True))
    assert grey.stimulus_shape == (1, 8, 8)
    luma = np.tensordot([0.299, 0.587, 0.114], colour.x_train, (0, 1))  # ITU-R BT.601
    np.testing.assert_allclose(grey.x_train[:, 0], luma, atol=1 / 255)


@pytest.mark.parametrize(
    ("name", "file", "way_out"),
    [
        ("mnist", "mnist.npz", "x_train, y_train"),
        ("cifar10", "cifar10_jpegbytes.npz", "jpeg, offset"),
        ("fashion_mnist", "fashion-mnist", "dataset-fashion-mnist"),
    ],
)
def test_missing_names_file_place_and_remedy(name, file, way_out, tmp_path):
    with pytest.raises(DataError) as caught:
        named.load_named(name, tmp_path)
    for part in (f"data {name}: no {file}", str(tmp_path / file), way_out, "$CORTEX_SIM_DATA"):
        assert part in str(caught.value)
    with pytest.raises(DataError, match=f"no {file}"):
        data.load(name)


def test_missing_without_a_folder_says_so():
    with pytest.raises(DataError, match="no folder is given"):
        named.load_named("mnist")


@pytest.mark.parametrize("call", [named.find, named.load_named])
def test_unknown_name(call):
    with pytest.raises(DataError, match=r"unknown data 'mnits' \(did you mean 'mnist'\?\)"):
        call("mnits")


@pytest.mark.parametrize("limit", [0, -1, 1.5, True])
def test_refuses_what_is_no_limit(limit):
    with pytest.raises(DataError, match="data digits: limit must be a whole number from 1"):
        named.load_named("digits", limit=limit)
