"""Pictures in folders named after their class."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from cortex_sim.data.image_folder import read_image_folder
from cortex_sim.errors import DataError


def paint(file, value=0, mode="RGB", size=(7, 5)):
    """A picture of one ``value`` with a black upper left corner."""
    file.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new(mode, size, value)
    image.putpixel((0, 0), 0 if mode in ("L", "I;16") else (0, 0, 0))
    image.save(file)


@pytest.fixture
def animals(tmp_path):
    folder = tmp_path / "animals"
    paint(folder / "train/dog/1.png", (255, 0, 0))
    paint(folder / "train/dog/2.PNG", (0, 255, 0))
    paint(folder / "train/cat/1.png", (0, 0, 255))
    paint(folder / "test/dog/9.png", (51, 102, 153))
    (folder / "train/cat/.hidden").write_text("left by a desktop")
    (folder / "train/cat/Thumbs.db").write_text("left by another")
    return folder


def test_reads_pictures_with_sorted_classes(animals):
    images = read_image_folder(animals)
    assert images.name == "animals" and images.classes == ("cat", "dog")
    assert images.x_train.shape == (3, 3, 5, 7)
    assert images.y_train.tolist() == [0, 1, 1] and images.y_test.tolist() == [1]
    np.testing.assert_allclose(images.x_train[:, :, 2, 3], [[0, 0, 1], [1, 0, 0], [0, 1, 0]])
    np.testing.assert_allclose(images.x_test[0, :, 2, 3], [0.2, 0.4, 0.6], rtol=1e-6)
    np.testing.assert_array_equal(images.x_test[0, :, 0, 0], 0)
    assert (images.x_test[0, :, 4, 0] > 0).all() and (images.x_test[0, :, 0, 6] > 0).all()


def test_grey_only_if_all_are_grey(tmp_path):
    for part in ("train", "test"):
        paint(tmp_path / part / "a/1.png", 51, "L")
        paint(tmp_path / part / "b/1.jpg", 51, "L")
    images = read_image_folder(tmp_path)
    assert images.stimulus_shape == (1, 5, 7)
    assert images.x_train[0, 0, 2, 3] == np.float32(0.2)
    paint(tmp_path / "test/b/2.jpeg", (1, 2, 3))
    assert read_image_folder(tmp_path).stimulus_shape == (3, 5, 7)


def no_test(folder):
    for file in (folder / "test/dog").iterdir():
        file.unlink()
    (folder / "test/dog").rmdir()
    (folder / "test").rmdir()


BROKEN = {
    "no test folder": (no_test, "has no folder test"),
    "empty class": (lambda f: (f / "train/owl").mkdir(), "class folder train/owl is empty"),
    "class never trained": (
        lambda f: paint(f / "test/owl/1.png"),
        "test has the classes owl, which train lacks; train has cat, dog",
    ),
    "no picture": (lambda f: (f / "train/cat/a.txt").write_text("x"), "train/cat/a.txt is not a .png"),
    "outside": (lambda f: paint(f / "train/stray.png"), "train/stray.png is not in a class folder"),
    "damaged": (lambda f: (f / "train/cat/b.png").write_bytes(b"x"), "train/cat/b.png cannot be"),
    "truncated": (
        lambda f: (f / "test/dog/9.png").write_bytes((f / "test/dog/9.png").read_bytes()[:60]),
        "test/dog/9.png cannot be read as PNG or JPEG",
    ),
    "disguised": (
        lambda f: Image.new("RGB", (7, 5)).save(f / "train/cat/g.png", "GIF"),
        "train/cat/g.png cannot be read as PNG or JPEG",
    ),
    "another size": (
        lambda f: paint(f / "test/dog/z.png", size=(5, 7)),
        "test/dog/z.png has 5 x 7 pixels, but train/cat/1.png has 7 x 5",
    ),
    "16 bits": (
        lambda f: paint(f / "train/dog/3.png", mode="I;16"),
        "train/dog/3.png has pixels of mode I;16",
    ),
    "a folder called picture": (
        lambda f: (f / "train/cat/nested.png").mkdir(),
        "train/cat/nested.png cannot be read",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_refuses(case, animals):
    spoil, message = BROKEN[case]
    spoil(animals)
    with pytest.raises(DataError, match=f"^data .*animals: .*{message}"):
        read_image_folder(animals)


def test_no_classes(animals):
    (animals / "train").rename(animals / "elsewhere")
    (animals / "train").mkdir()
    with pytest.raises(DataError, match="train has no folders for classes"):
        read_image_folder(animals)


def test_refuses_more_than_max_bytes(animals):
    with pytest.raises(DataError, match=r"pictures of shape \(4, 3, 5, 7\) would take"):
        read_image_folder(animals, max_bytes=4 * 4 * 3 * 5 * 7 - 1)


def test_pixel_limit_of_pillow_stays_on(animals, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 34)  # each picture has 35
    with pytest.raises(DataError, match="train/cat/1.png cannot be read .*decompression bomb"):
        read_image_folder(animals)


def test_reports_progress(animals):
    seen = []
    read_image_folder(animals, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(4, 4)]


def turned(upright, orientation):
    """How a camera stores an upright picture under each value of the EXIF tag."""
    return {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright, 1),
        7: np.rot90(upright.T, 2),
        8: np.rot90(upright, -1),
    }[orientation]


@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_pictures_stand_as_every_viewer_shows_them(tmp_path, kind):
    """The sizes that must agree are those of the upright pictures."""
    upright = np.zeros((16, 24), np.uint8)
    upright[:8], upright[:, 16:] = 255, 100
    for part in ("train", "test"):
        (tmp_path / part / "a").mkdir(parents=True)
        for orientation in range(1, 9):
            tag = Image.Exif()
            tag[0x0112] = orientation
            stored = Image.fromarray(np.ascontiguousarray(turned(upright, orientation)))
            stored.save(tmp_path / part / f"a/{orientation}.{kind}", exif=tag)
    x = read_image_folder(tmp_path).x_train
    assert x.shape == (8, 1, 16, 24)
    for orientation in range(1, 9):
        np.testing.assert_allclose(x[orientation - 1, 0], upright / 255, atol=0.02)


def test_a_picture_that_lies_has_the_size_of_the_upright_one(animals):
    tag = Image.Exif()
    tag[0x0112] = 6
    Image.new("RGB", (7, 5)).save(animals / "train/dog/3.png", exif=tag)
    with pytest.raises(DataError, match="train/dog/3.png has 5 x 7 pixels"):
        read_image_folder(animals)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P"])
def test_grey_in_whatever_mode_it_is_stored(tmp_path, mode):
    levels = np.array([[0, 255, 255], [255, 0, 0]], np.uint8)
    for part in ("train", "test"):
        (tmp_path / part / "a").mkdir(parents=True)
        Image.fromarray(levels).convert(mode).save(tmp_path / part / "a/1.png")
        Image.fromarray(levels).save(tmp_path / part / "a/2.png")
    images = read_image_folder(tmp_path)
    assert images.stimulus_shape == (1, 2, 3)
    np.testing.assert_array_equal(images.x_train[:, 0] * 255, [levels, levels])


def test_a_palette_with_colours_in_use_is_colour(tmp_path):
    for part in ("train", "test"):
        paint(tmp_path / part / "a/1.png", 51, "L")
        (tmp_path / part / "b").mkdir()
        Image.new("RGB", (7, 5), (200, 10, 10)).convert("P").save(tmp_path / part / "b/2.png")
    assert read_image_folder(tmp_path).stimulus_shape == (3, 5, 7)
