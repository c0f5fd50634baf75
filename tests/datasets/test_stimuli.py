"""Stimuli with ids: what is known of each travels with it, and nothing is scrambled on the way."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from cortex_sim import data
from cortex_sim.data import Source, StimulusSet
from cortex_sim.errors import DataError
from cortex_sim.preprocessing import Preprocessing

RNG = np.random.default_rng(0)


@pytest.fixture
def pictures():
    x = RNG.integers(0, 256, (5, 3, 11, 7), dtype=np.uint8)
    return StimulusSet(x, list("abcde"), ["dog", "cat", "dog", "ox", "cat"], {"size_deg": np.arange(5.0)})


def test_everything_travels_with_its_stimulus(pictures):
    for some in (pictures.take([3, 1]), pictures[[3, 1]], pictures[3:0:-2]):
        assert some.ids == ("d", "b") and some.classes == ("cat", "dog", "ox")
        assert some.labels.tolist() == [2, 0] and some.descriptors["size_deg"].tolist() == [3, 1]
        np.testing.assert_array_equal(some.x, pictures.x[[3, 1]])


def test_a_batch_is_float32_from_0_to_1_in_the_bits_of_an_image_set(pictures):
    x, y = pictures.batch(np.array([4, 0]))
    assert x.dtype == np.float32 and pictures.x.dtype == np.uint8 and y.tolist() == [0, 1]
    images = data.image_set("same", pictures.x, pictures.labels, pictures.x, pictures.labels)
    np.testing.assert_array_equal(x, images.x_train[[4, 0]])
    np.testing.assert_array_equal(images.part("test").batch(np.array([4, 0]))[0], x)
    assert isinstance(pictures, Source) and isinstance(images.part("train"), Source)


def test_a_batch_is_shown_through_a_preprocessing(pictures):
    shown = Preprocessing((3, 11, 7), (0.1, 0.2, 0.3), (1, 2, 3))
    x, _ = pictures.shown_through(shown).batch(np.array([1]))
    np.testing.assert_array_equal(x, shown.apply(pictures.batch(np.array([1]))[0]))
    with pytest.raises(DataError, match=r"use fit_to\(1, 8, 8\) first"):
        pictures.shown_through(Preprocessing((1, 8, 8)))


def test_channels_last_comes_first_and_axes_in_another_order_are_refused(pictures):
    last = StimulusSet(pictures.x.transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(last.x, pictures.x)
    with pytest.raises(DataError, match="same axes in another order, which would scramble every image"):
        pictures.fit_to((11, 7, 3), "retina")
    np.testing.assert_array_equal(pictures.fit_to(231).x, pictures.x.reshape(5, -1))


def test_fitting_resizes_as_pillow_does_and_says_so(pictures):
    square = StimulusSet(RNG.integers(0, 256, (2, 3, 12, 12), dtype=np.uint8))
    small = square.fit_to((3, 4, 4), "retina")
    assert small.changes == ("resized from 12 x 12 to 4 x 4 (bicubic, antialiased)",)
    for i in range(2):
        image = Image.fromarray(square.x[i].transpose(1, 2, 0))
        expected = np.asarray(image.resize((4, 4), Image.Resampling.BICUBIC)).transpose(2, 0, 1)
        np.testing.assert_array_equal(small.x[i], expected)
    with pytest.raises(DataError, match="11 x 7 .* would be distorted to fit population retina with 4 x 4"):
        pictures.fit_to((3, 4, 4), "retina")


def test_fitting_changes_channels_and_says_so(pictures):
    grey = pictures.fit_to((1, 11, 7))
    weights = np.array([0.299, 0.587, 0.114])[:, None, None]
    np.testing.assert_allclose(grey.x[:, 0], (pictures.x * weights).sum(1), atol=0.51)
    again = grey.fit_to((3, 11, 7))
    assert again.changes == ("colour to luminance (ITU-R 601)", "grey to three equal channels")
    assert (again.x == grey.x).all()


X = np.zeros((3, 4))
BROKEN = {
    "ids twice": ({"ids": ["a", "b", "a"]}, "the id 'a' occurs more than once"),
    "too few ids": ({"ids": ["a"]}, "1 ids for 3 stimuli"),
    "one text as ids": ({"ids": "abc"}, "ids must be a list of texts"),
    "labels": ({"labels": [0, 1]}, "2 labels, but x has 3"),
    "label without class": (
        {"labels": [0, 1, 2], "classes": ["a", "b"]},
        "the label 2 has no name in classes",
    ),
    "text without class": (
        {"labels": ["a", "b", "c"], "classes": ["a", "b"]},
        "labels c are not among the classes",
    ),
    "descriptor": ({"descriptors": {"age": [1, 2]}}, r"descriptor age has shape \(2,\)"),
    "reserved": ({"descriptors": {"rate": [1, 2, 3]}}, "every recording has its own rate"),
    "not finite": ({"x": np.full((3, 4), np.nan)}, "NaN or infinite values"),
    "no stimuli": ({"x": np.zeros((0, 4))}, "holds no presentations"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_refuses(case):
    change, message = BROKEN[case]
    with pytest.raises(DataError, match=message):
        StimulusSet(**{"x": X, **change})


@pytest.mark.parametrize("wrong", [[3], [-4], [], [0.5]])
def test_numbers_that_are_not_there_are_refused(wrong):
    with pytest.raises(DataError, match="give numbers from 0 to 2"):
        StimulusSet(X).take(wrong)


def test_reads_arrays(tmp_path):
    x = RNG.integers(0, 256, (4, 6, 5), dtype=np.uint8)
    np.save(tmp_path / "a.npy", x)
    np.testing.assert_array_equal(data.stimuli(tmp_path / "a.npy").x[:, 0], x)
    np.savez(tmp_path / "b.npz", images=x, other=x[:, 0], category=np.array(list("abcd")), rdm=np.zeros(6))
    read = data.stimuli(tmp_path / "b.npz")
    assert read.name == "b" and dict(read.descriptors).keys() == {"category"}
    other = data.stimuli(f"{tmp_path}/b.npz:other")
    assert other.stimulus_shape == (5,) and other.descriptors["category"].tolist() == list("abcd")
    np.savez(tmp_path / "c.npz", one=x, stimulus_id=np.array([7, 5, 3, 1]), labels=np.array([1, 0, 1, 0]))
    with pytest.raises(DataError, match=r"which array holds stimuli\? Give .*c.npz:ARRAY"):
        data.stimuli(tmp_path / "c.npz")
    read = data.stimuli(f"{tmp_path}/c.npz:one")
    assert read.ids == ("7", "5", "3", "1") and read.labels.tolist() == [1, 0, 1, 0]


def test_reads_jpeg_bytes_without_labels(tmp_path):
    files = []
    for level in (0, 128, 255):
        file = io.BytesIO()
        Image.new("L", (8, 8), level).save(file, "JPEG")
        files.append(file.getvalue())
    jpeg, offset = np.frombuffer(b"".join(files), np.uint8), np.cumsum([0, *map(len, files)])
    np.savez(tmp_path / "j.npz", jpeg=jpeg, offset=offset, response_mean=np.zeros((3, 2)))
    read = data.stimuli(tmp_path / "j.npz")
    assert read.x[:, 0, 3, 3].tolist() == [0, 128, 255] and read.labels is None and not read.descriptors
    np.savez(tmp_path / "j.npz", jpeg=jpeg, offset=offset[::-1])
    with pytest.raises(DataError, match="offset goes from"):
        data.stimuli(tmp_path / "j.npz")


def test_reads_folders(tmp_path):
    (tmp_path / "near").mkdir()
    Image.new("L", (8, 6), 200).save(tmp_path / "near" / "b.png")
    Image.new("L", (8, 6), 10).save(tmp_path / "a.png")
    (tmp_path / ".hidden").write_text("left by a desktop")
    read = data.stimuli(tmp_path)
    assert read.ids == ("a.png", "near/b.png") and read.descriptors["folder"].tolist() == ["", "near"]
    assert read.stimulus_shape == (1, 6, 8) and read.x[:, 0, 0, 0].tolist() == [10, 200]
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(DataError, match="notes.txt is not a .png or .jpg file"):
        data.stimuli(tmp_path)


def test_what_cannot_be_read_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.npy").write_bytes(b"nothing")
    np.save(tmp_path / "o.npy", np.array([{}]), allow_pickle=True)
    (tmp_path / "a.txt").write_text("")
    for name, message in {
        "empty": "holds no pictures",
        "a.npy": "not a readable .npy array",
        "o.npy": "not a readable .npy array",
        "a.txt": "not in an accepted form",
        "nowhere": "no such file or folder",
        "nowhere.npz:x": "no such file or folder",
    }.items():
        with pytest.raises(DataError, match=message):
            data.stimuli(tmp_path / name)


@pytest.mark.parametrize(
    "file, count, side", [("macaque_v4_201025", 1200, 112), ("objects92_it_rdms", 92, 175)]
)
def test_real_stimuli_without_labels(real, file, count, side):
    read = data.stimuli(real(f"{file}.npz"))
    assert len(read) == count and read.stimulus_shape == (3, side, side) and read.labels is None
    assert read[:3].fit_to((3, 32, 32)).changes[0].startswith(f"resized from {side} x {side} to 32 x 32")
