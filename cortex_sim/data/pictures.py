"""PNG and JPEG pictures, decoded by Pillow into one array; errors name the bad picture."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cortex_sim.data.limits import Progress, require_room
from cortex_sim.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

EIGHT_BIT = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"}
GREY = {"1", "L", "LA"}
PALETTE = {"P", "PA"}
ORIENTATION = 0x0112  # the EXIF tag
LYING = {5, 6, 7, 8}  # its values that exchange width and height
REPORT_EVERY = 1000


@dataclass(frozen=True)
class Picture:
    """A picture not yet read: its name in errors, and how to open its bytes."""

    name: str
    open: Callable[[], IO[bytes]]


def decode(
    source: str,
    pictures: Sequence[Picture],
    formats: Sequence[str],
    *,
    grey: bool = False,
    max_bytes: int,
    progress: Progress | None = None,
) -> NDArray[np.uint8]:
    """Return all pictures as (picture, channel, y, x): grey if all are or ``grey`` is True, else RGB.

    Headers are read first, so that a picture of another size is named before the long work, and
    the array is allocated once. A picture whose EXIF says that it is rotated is turned upright, as in
    every viewer. Transparency is dropped, not blended.
    """
    layout = layout_of(source, pictures, formats, grey)
    require_room(source, "pictures", layout.shape, max_bytes)
    decoded = np.empty(layout.shape, np.uint8)
    for i, picture in enumerate(pictures):
        decoded[i] = pixels_of(source, picture, formats, layout.mode)
        done = i + 1
        if progress and (done % REPORT_EVERY == 0 or done == len(pictures)):
            progress(done, len(pictures))
    return decoded


@dataclass(frozen=True)
class Layout:
    """What all pictures of a set share: shape (picture, channel, y, x), and Pillow's mode, L or RGB."""

    shape: tuple[int, ...]
    mode: str


def layout_of(source: str, pictures: Sequence[Picture], formats: Sequence[str], grey: bool = False) -> Layout:
    """Size and mode of the pictures, from their headers where those suffice; all must have one size."""
    size, mode = _common_layout(source, pictures, formats)
    mode = "L" if grey else mode or _common_colour(source, pictures, formats)
    width, height = size
    return Layout((len(pictures), len(mode), height, width), mode)


def pixels_of(source: str, picture: Picture, formats: Sequence[str], mode: str) -> NDArray[np.uint8]:
    """One decoded picture, upright and without transparency, (channel, y, x)."""
    from PIL import ImageOps

    with _reading(source, picture, formats) as image:
        _require_eight_bits(source, picture, image)
        upright = _opaque(image)
        if image.getexif().get(ORIENTATION, 1) != 1:  # else it would only copy
            upright = ImageOps.exif_transpose(upright)
        return _channels_first(upright if upright.mode == mode else upright.convert(mode))


def _common_layout(
    source: str, pictures: Sequence[Picture], formats: Sequence[str]
) -> tuple[tuple[int, int], str | None]:
    """Size that all upright pictures share, and their mode; None where only the pixels determine it."""
    sizes: dict[tuple[int, int], str] = {}
    modes: set[str] = set()
    for picture in pictures:
        with _reading(source, picture, formats) as image:
            sizes.setdefault(_upright_size(image), picture.name)
            modes.add(image.mode)
            _require_eight_bits(source, picture, image)
        if len(sizes) > 1:
            (right, first), (wrong, other) = sizes.items()
            raise DataError(
                f"data {source}: {other} has {wrong[0]} x {wrong[1]} pixels, but {first} has "
                f"{right[0]} x {right[1]}; give all pictures one size"
            )
    return next(iter(sizes)), _common_mode(modes)


def _require_eight_bits(source: str, picture: Picture, image: Image) -> None:
    if image.mode not in EIGHT_BIT:
        raise DataError(
            f"data {source}: {picture.name} has pixels of mode {image.mode}, which Pillow "
            "would clip; save it with 8 bits per channel, as grey or RGB"
        )


def _common_mode(modes: set[str]) -> str | None:
    if modes <= GREY:
        return "L"
    return None if modes <= GREY | PALETTE else "RGB"


def _upright_size(image: Image) -> tuple[int, int]:
    width, height = image.size
    return (height, width) if image.getexif().get(ORIENTATION) in LYING else (width, height)


def _common_colour(source: str, pictures: Sequence[Picture], formats: Sequence[str]) -> str:
    """Grey if every picture is stored as grey, or in a palette of which it uses only greys; else RGB."""
    for picture in pictures:
        with _reading(source, picture, formats) as image:
            if image.mode not in GREY and not (image.mode in PALETTE and _uses_greys_alone(image)):
                return "RGB"
    return "L"


def _uses_greys_alone(image: Image) -> bool:
    red, green, blue = np.moveaxis(np.asarray(_opaque(image)), 2, 0)
    return np.array_equal(red, green) and np.array_equal(green, blue)


def _opaque(image: Image) -> Image:
    """The picture without transparency; a palette is replaced by its colours."""
    return image.convert("RGB") if image.mode in PALETTE else image


def _channels_first(image: Image) -> NDArray[Any]:
    pixels = np.asarray(image)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


@contextmanager
def _reading(source: str, picture: Picture, formats: Sequence[str]) -> Iterator[Image]:
    """Open a picture; any exception until it is closed becomes an error that names it."""
    from PIL import Image

    try:
        with picture.open() as stream, warnings.catch_warnings():
            # Pillow only warns from 89 million pixels on, and refuses at twice that
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(stream, formats=list(formats)) as image:
                yield image
    except DataError:
        raise
    except Exception as exception:  # a damaged picture may raise anything, from SyntaxError to zlib's
        raise DataError(
            f"data {source}: {picture.name} cannot be read as {' or '.join(formats)} ({exception}); "
            "replace it or leave it out"
        ) from exception
