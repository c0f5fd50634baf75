"""Stimuli in a model's field of view: placed by visual angle as on a screen, cut only where that is asked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cortex_sim.data import StimulusSet
from cortex_sim.errors import DataError

RNG = np.random.default_rng(0)


def on_screen(picture, degrees, model_degrees):
    """A picture pasted into the middle of a grey screen, one pixel at a time; sides even, so no halves."""
    height, width = picture.shape[:2]
    rows, columns = (round(side * model_degrees / degrees) for side in (height, width))
    screen = np.full((rows, columns, 3), 128, np.uint8)
    for y, x in np.ndindex(rows, columns):
        from_y, from_x = y - rows // 2 + height // 2, x - columns // 2 + width // 2
        if 0 <= from_y < height and 0 <= from_x < width:
            screen[y, x] = picture[from_y, from_x]
    return screen


@pytest.mark.parametrize("degrees, model_degrees", [(4, 8), (8, 4), (6, 9), (8, 8), (5, 3), (2, 8)])
def test_placed_as_on_a_screen(degrees, model_degrees):
    pictures = RNG.integers(0, 256, (3, 30, 30, 3), dtype=np.uint8)
    fitted = StimulusSet(pictures).fit_to((3, 12, 12), degrees=degrees, model_degrees=model_degrees)
    for picture, shown in zip(pictures, fitted.x, strict=True):
        screen = Image.fromarray(on_screen(picture, degrees, model_degrees))
        expected = np.asarray(screen.resize((12, 12), Image.Resampling.BICUBIC)).transpose(2, 0, 1)
        np.testing.assert_array_equal(shown, expected)
    assert fitted.attributes == {"stimuli_degrees": degrees, "model_degrees": model_degrees}
    assert fitted.provenance["stimuli_degrees"] == degrees


@given(st.integers(1, 20), st.integers(1, 20), st.sampled_from([(7, 7), (4, 8), (9, 3)]))
def test_a_crop_is_the_largest_centred_part_of_that_ratio(height, width, wanted):
    """Of every size: its ratio is the model's to a pixel, one side is whole, and the margins are equal."""
    rows, columns = wanted
    picture = np.arange(height * width, dtype=np.float32).reshape(1, 1, height, width)
    largest = min(height / rows, width / columns)
    size = (round(largest * rows), round(largest * columns))
    stimuli = StimulusSet(picture)
    if min(size) < 1:
        with pytest.raises(DataError, match="less than one pixel would be shown"):
            stimuli.fit_to((1, *wanted), crop="centre")
        return
    fitted = stimuli.fit_to((1, *wanted), crop="centre")
    top, left = -((size[0] - height) // 2), -((size[1] - width) // 2)
    for margin, rest in ((top, height - size[0] - top), (left, width - size[1] - left)):
        assert margin >= 0 and abs(margin - rest) <= 1
    part = picture[0, 0, top : top + size[0], left : left + size[1]]
    assert part.shape == size and (size[0] == height or size[1] == width)
    expected = np.asarray(Image.fromarray(part).resize((columns, rows), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(fitted.x[0, 0], expected)
    assert fitted.attributes == {}


def test_the_same_shape_is_left_as_it_is_unless_an_angle_asks_for_more():
    stimuli = StimulusSet(RNG.integers(0, 256, (2, 1, 8, 8), dtype=np.uint8))
    for how in ({}, {"crop": "centre"}, {"degrees": 8}, {"degrees": 5, "model_degrees": 5}):
        same = stimuli.fit_to((1, 8, 8), **how)
        assert same.changes == () and same.pixels is stimuli.pixels
    assert stimuli.fit_to((1, 8, 8), model_degrees=4).changes == ()
    small = stimuli.fit_to((1, 8, 8), degrees=2)
    np.testing.assert_array_equal(small.x[:, :, [0, -1]], 128)
    assert small.changes == (
        "8 x 8 centred in 32 x 32, surrounded by 128: 2 degrees of visual angle in a field of view of 8",
        "resized from 32 x 32 to 8 x 8 (bicubic, antialiased)",
    )


def test_what_has_no_known_range_is_surrounded_by_zeros():
    stimuli = StimulusSet(RNG.normal(size=(2, 1, 8, 8)) + 5)
    shown = stimuli.fit_to((1, 16, 16), degrees=4)
    np.testing.assert_array_equal(shown.x[:, :, 4:12, 4:12], stimuli.x)
    assert not shown.x[:, :, :4].any() and "surrounded by zeros" in shown.changes[0]


def test_cut_pictures_keep_their_ratio_and_their_angle():
    """A landscape shown larger than its crop: what the crop left out comes back before grey does."""
    picture = RNG.integers(0, 256, (1, 20, 60), dtype=np.uint8)
    plain = StimulusSet(picture).fit_to((1, 20, 20), crop="centre")
    np.testing.assert_array_equal(plain.x[0], picture[:, :, 20:40])
    assert plain.changes == ("cut to the central 20 x 20 of 20 x 60",)
    wide = StimulusSet(picture).fit_to((1, 40, 40), crop="centre", degrees=4, model_degrees=8)
    np.testing.assert_array_equal(wide.x[0, 0, 10:30], picture[0, :, 10:50])
    assert (wide.x[0, 0, :10] == 128).all() and (wide.x[0, 0, 30:] == 128).all()


BAD = {
    "another ratio": ({"shape": (1, 8, 8)}, r"would be distorted .* crop=.centre. \(--crop centre\)"),
    "another crop": ({"shape": (1, 6, 10), "crop": "left"}, 'crop must be "centre".*left'),
    "no angle": ({"shape": (1, 6, 10), "degrees": 0}, "degrees must be a visual angle above 0"),
    "no number": ({"shape": (1, 6, 10), "degrees": "8"}, "degrees must be a visual angle"),
    "no field": ({"shape": (1, 6, 10), "degrees": 8, "model_degrees": -1}, "model_degrees must be"),
    "too small": ({"shape": (1, 6, 10), "degrees": 1, "model_degrees": 8}, "less than one pixel would be"),
    "too large": ({"shape": (1, 6, 10), "degrees": 300, "model_degrees": 8}, "less than one pixel would"),
    "flat, cut": ({"shape": 60, "crop": "centre"}, "crop and degrees are for pictures"),
    "flat, angle": ({"shape": 60, "degrees": 4}, "crop and degrees are for pictures"),
}


@pytest.mark.parametrize("case", BAD)
def test_refuses(case):
    how, message = BAD[case]
    with pytest.raises(DataError, match=message):
        StimulusSet(np.zeros((3, 6, 10))).fit_to(**how)
