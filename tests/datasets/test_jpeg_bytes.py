"""JPEG files end to end in an .npz file."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from cortex_sim.data.jpeg_bytes import read_jpeg_bytes
from cortex_sim.errors import DataError


def jpeg(mode="RGB", size=(24, 16), colour=0):
    """A picture whose left half is ``colour`` and whose right half is black."""
    image = Image.new(mode, size)
    image.paste(colour, (0, 0, size[0] // 2, size[1]))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def layout(pictures, label=(0, 1, 2, 0), is_test=(True, False, False, True)):
    return {
        "jpeg": np.frombuffer(b"".join(pictures), np.uint8),
        "offset": np.cumsum([0, *map(len, pictures)]),
        "label": np.array(label, np.uint8),
        "is_test": np.array(is_test),
    }


@pytest.fixture
def pictures():
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]
    return [jpeg(colour=colour) for colour in colours]


@pytest.fixture
def read(tmp_path):
    def save_then_read(arrays, **options):
        np.savez(tmp_path / "photos.npz", **arrays)
        return read_jpeg_bytes(tmp_path / "photos.npz", **options)

    return save_then_read


def test_every_picture_arrives_in_its_set_with_its_label(read, pictures):
    images = read({**layout(pictures), "classes": np.array(["red", "green", "blue"])})
    assert images.x_train.shape == (2, 3, 16, 24) and images.classes == ("red", "green", "blue")
    assert images.y_train.tolist() == [1, 2] and images.y_test.tolist() == [0, 0]
    left, right = images.x_train[..., 4], images.x_train[..., 20]
    np.testing.assert_allclose(left.mean(2), [[0, 1, 0], [0, 0, 1]], atol=0.03)
    np.testing.assert_allclose(right, 0, atol=0.03)
    np.testing.assert_allclose(images.x_test[..., 4].mean(2), [[1, 0, 0], [1, 1, 1]], atol=0.03)


def test_sets_keep_the_order_of_the_file(read, pictures):
    n = 60  # sorts that are not stable begin to mix at 17
    images = read(layout(pictures[:1] * n, label=range(n), is_test=[i % 3 == 1 for i in range(n)]))
    assert images.y_test.tolist() == [i for i in range(n) if i % 3 == 1]
    assert images.y_train.tolist() == [i for i in range(n) if i % 3 != 1]


def test_decodes_as_pillow_does(read, pictures):
    got = read(layout(pictures)).x_test[0]
    expected = np.asarray(Image.open(io.BytesIO(pictures[0])))
    for y, x, c in np.ndindex(expected.shape):
        assert got[c, y, x] == np.float32(int(expected[y, x, c]) / 255)


def test_grey_only_if_all_are_grey(read, pictures):
    grey = [jpeg("L", colour=200) for _ in range(4)]
    assert read(layout(grey)).stimulus_shape == (1, 16, 24)
    assert read(layout([*grey[:3], pictures[3]])).stimulus_shape == (3, 16, 24)


def test_reports_progress(read, pictures):
    seen = []
    read(layout(pictures), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(4, 4)]


def change(**changed):
    return lambda pictures: {**layout(pictures), **changed}


def swapped(pictures):
    arrays = layout(pictures)
    arrays["offset"][[1, 2]] = arrays["offset"][[2, 1]]
    return arrays


def beyond(pictures):
    arrays = layout(pictures)
    arrays["offset"][-1] += 1
    return arrays


def before(pictures):
    arrays = layout(pictures)
    arrays["offset"][0] = -5
    return arrays


def truncated(pictures):
    return layout([*pictures[:2], pictures[2][:300], pictures[3]])


def png(pictures):
    buffer = io.BytesIO()
    Image.new("RGB", (24, 16)).save(buffer, "PNG")
    return layout([*pictures[:3], buffer.getvalue()])


BROKEN = {
    "offset shrinks": (swapped, "offset goes from .* at image 1"),
    "offset beyond the end": (beyond, r"offset runs from 0 to \d+, but jpeg has \d+ bytes"),
    "offset negative": (before, "offset runs from -5"),
    "empty picture": (change(offset=np.array([0, 0, 1, 2, 3])), "offset goes from 0 to 0"),
    "unsigned offset shrinks": (change(offset=np.array([0, 9, 8, 9, 9], "u8")), "from 9 to 8"),
    "offset not whole": (change(offset=np.linspace(0, 9, 5)), "offset has dtype float64"),
    "no pictures": (change(offset=np.array([0])), "with n at least 1"),
    "fewer labels": (change(label=np.zeros(3, int)), r"label has .* of shape \(4,\)"),
    "is_test of numbers": (change(is_test=np.array([0, 0, 1, 1])), "is_test has dtype int64"),
    "nothing to test": (change(is_test=np.zeros(4, bool)), "is_test puts all 4 images into one"),
    "nothing to train": (change(is_test=np.ones(4, bool)), "is_test puts all 4 images into one"),
    "bytes of another dtype": (change(jpeg=np.zeros(9)), "jpeg has dtype float64"),
    "no JPEG": (change(jpeg=np.zeros(10**5, "u1")), "jpeg 1 cannot be read as JPEG"),
    "truncated": (truncated, "jpeg 2 cannot be read as JPEG"),
    "PNG": (png, "jpeg 3 cannot be read as JPEG"),
    "sizes differ": (
        lambda p: layout([*p[:3], jpeg(size=(8, 16))]),
        "jpeg 3 has 8 x 16 pixels, but jpeg 1 has 24 x 16",
    ),
    "label out of range": (change(classes=np.array(["a", "b"])), "y_train holds the label 2"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_refuses(case, read, pictures):
    spoil, message = BROKEN[case]
    with pytest.raises(DataError, match=f"^data .*photos.npz: .*{message}"):
        read(spoil(pictures))


def test_missing_array_is_named(read, pictures):
    arrays = layout(pictures)
    del arrays["is_test"]
    with pytest.raises(DataError, match="lacks is_test, holds jpeg, label, offset"):
        read(arrays)


@pytest.mark.parametrize("limit", [300, 100], ids=["warning", "error"])
def test_pixel_limit_of_pillow_stays_on(limit, read, pictures, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)  # Pillow warns at 1, refuses at 2 times
    with pytest.raises(DataError, match="jpeg 1 cannot be read .*decompression bomb"):
        read(layout(pictures))


def test_refuses_more_than_max_bytes(read, pictures):
    with pytest.raises(DataError, match=r"pictures of shape \(4, 3, 16, 24\) would take"):
        read(layout(pictures), max_bytes=4 * 4 * 3 * 16 * 24 - 1)
    assert len(read(layout(pictures), max_bytes=4 * 4 * 3 * 16 * 24).x_train) == 2


def test_exif_orientation_counts_here_too(read):
    """Stored lying, to be turned clockwise by a quarter: the left half is what stood on the right."""
    tag = Image.Exif()
    tag[0x0112] = 6
    lying = Image.new("L", (16, 24))
    lying.paste(255, (0, 12, 16, 24))  # white below: left once turned
    buffer = io.BytesIO()
    lying.save(buffer, "JPEG", quality=95, exif=tag)
    x = read(layout([jpeg("L", colour=255)] * 3 + [buffer.getvalue()])).x_test
    np.testing.assert_allclose(x[1], x[0], atol=0.05)
