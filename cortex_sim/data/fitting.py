"""Pictures brought to the shape of the population that they drive: field of view, channels, size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cortex_sim.augmentation.placing import placed
from cortex_sim.augmentation.resizing import each_resized
from cortex_sim.data.axes import keeps_order, same_axes_in_another_order
from cortex_sim.errors import DataError

LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R 601, as used by Pillow and JPEG
GREY = 128
_MOST_PIXELS = 2**26  # of a field of view, in pixels of the stimuli

Shape = tuple[int, ...]


def background_of(dtype: np.dtype[Any]) -> int:
    """Mid-grey for 8-bit pictures; 0 for other values, whose range is not known."""
    return GREY if dtype == np.uint8 else 0


class Step(Protocol):
    """One change made to every stimulus; its repr states it in full, since fingerprints are made from it."""

    def shape(self, have: Shape) -> Shape:
        """Shape of a stimulus after the step."""

    def __call__(self, x: NDArray[Any]) -> NDArray[Any]:
        """Stimuli (n, *stimulus), changed; of the same dtype."""


@dataclass(frozen=True)
class Reshaped:
    """The same values in the same order."""

    to: Shape

    def shape(self, have: Shape) -> Shape:
        """The declared shape."""
        return self.to

    def __call__(self, x: NDArray[Any]) -> NDArray[Any]:
        """A view."""
        return x.reshape(-1, *self.to)


@dataclass(frozen=True)
class Placed:
    """Pictures centred in a field of view of (rows, columns): cut at its edge, or surrounded."""

    rows: int
    columns: int
    background: int

    def shape(self, have: Shape) -> Shape:
        """(channel, rows, columns)."""
        return have[0], self.rows, self.columns

    def __call__(self, x: NDArray[Any]) -> NDArray[Any]:
        """A copy."""
        return placed(x, self.rows, self.columns, self.background)


@dataclass(frozen=True)
class Luminance:
    """One channel from three."""

    def shape(self, have: Shape) -> Shape:
        """(1, y, x)."""
        return 1, *have[1:]

    def __call__(self, x: NDArray[Any]) -> NDArray[Any]:
        """Rounded for 8-bit pictures."""
        grey = np.empty((len(x), 1, *x.shape[2:]), x.dtype)
        for i, picture in enumerate(x):
            level = np.tensordot(LUMINANCE, picture.astype(np.float32), axes=1)
            grey[i, 0] = np.rint(level) if x.dtype == np.uint8 else level
        return grey


@dataclass(frozen=True)
class Resized:
    """Pillow's bicubic filter, which is antialiased."""

    rows: int
    columns: int

    def shape(self, have: Shape) -> Shape:
        """(channel, rows, columns)."""
        return have[0], self.rows, self.columns

    def __call__(self, x: NDArray[Any]) -> NDArray[Any]:
        """Each picture separately."""
        return each_resized(x, self.rows, self.columns, "BICUBIC")


@dataclass(frozen=True)
class Tripled:
    """Three equal channels from one."""

    def shape(self, have: Shape) -> Shape:
        """(3, y, x)."""
        return 3, *have[1:]

    def __call__(self, x: NDArray[Any]) -> NDArray[Any]:
        """The channel three times."""
        return np.repeat(x, 3, axis=1)


@dataclass(frozen=True)
class View:
    """How much of the model's field of view the stimuli fill, and whether they may be cut.

    Parameters
    ----------
    crop : {None, "centre"}
        Whether pictures of another aspect ratio are cut to the model's, about their centre.
    degrees : float, optional
        Visual angle that the stimuli subtend; that of their shorter side if they are cropped. None: it is
        unknown, and they fill the model's field of view.
    model_degrees : float, default 8.0
        Visual angle of the model's field of view. Where it is larger, stimuli are surrounded by grey;
        where it is smaller, their centre is shown.

    Raises
    ------
    DataError
        If ``crop`` is something else, or an angle is not above 0 and up to 360 degrees.
    """

    crop: str | None = None
    degrees: float | None = None
    model_degrees: float = 8.0

    def __post_init__(self) -> None:
        if self.crop not in (None, "centre", "center"):
            raise DataError(f'stimuli: crop must be "centre", or None to refuse to cut. Got {self.crop!r}')
        for name in ("degrees", "model_degrees"):
            value = getattr(self, name)
            number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
            if not ((name == "degrees" and value is None) or (number and 0 < value <= 360)):
                raise DataError(
                    f"stimuli: {name} must be a visual angle above 0 and up to 360 degrees. Got {value!r}"
                )

    @property
    def angles(self) -> dict[str, float]:
        """The angles, as recordings store them; empty if that of the stimuli is unknown."""
        if self.degrees is None:
            return {}
        return {"stimuli_degrees": float(self.degrees), "model_degrees": float(self.model_degrees)}


def fit(
    source: str, have: Shape, wanted: Shape, population: str, view: View, background: int
) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    """The steps that bring stimuli to the required shape, and what they change, in words.

    Parameters
    ----------
    source, population : str
        Names of the stimuli and of the population that they drive, for errors.
    have, wanted : tuple of int
        Shape of one stimulus, and of the population.
    view : View
    background : int
        Value that surrounds pictures in a larger field of view: `background_of` their type.

    Raises
    ------
    DataError
        If that would scramble or distort them; the message says what would be accepted.
    """
    pictures = len(have) == len(wanted) == 3 and wanted[0] in (1, 3) and have[0] in (1, 3)
    if pictures and (have != wanted or view.degrees is not None):
        return _as_pictures(source, have, wanted, population, view, background)
    if view.degrees is not None or (view.crop and not pictures):
        raise DataError(
            f"stimuli {source}: crop and degrees are for pictures of 1 or 3 channels and a population "
            f"(channel, row, column), but each stimulus has shape {have}, and population {population} has "
            f"{wanted}; leave crop and degrees out"
        )
    if have == wanted:
        return (), ()
    if keeps_order(have, wanted):
        return (Reshaped(wanted),), ()
    moved = same_axes_in_another_order(have, wanted)
    order = ", the same axes in another order, which would scramble every image" if moved else ""
    raise DataError(
        f"stimuli {source}: each has shape {have}, population {population} expects {wanted}{order}; give "
        "stimuli of that shape, or pictures of 1 or 3 channels to a population (channel, row, column)"
    )


def _as_pictures(
    source: str, have: Shape, wanted: Shape, population: str, view: View, background: int
) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    steps: list[Step] = []
    changes: list[str] = []
    size = _field(source, have[1:], wanted[1:], population, view)
    if size != have[1:]:
        steps.append(Placed(*size, background))
        changes.append(_placing(have[1:], size, view, background))
    if (have[0], wanted[0]) == (3, 1):
        steps.append(Luminance())
        changes.append("colour to luminance (ITU-R 601)")
    if size != wanted[1:]:
        steps.append(Resized(*wanted[1:]))
        changes.append(f"resized from {_by(size)} to {_by(wanted[1:])} (bicubic, antialiased)")
    if (have[0], wanted[0]) == (1, 3):
        steps.append(Tripled())
        changes.append("grey to three equal channels")
    return tuple(steps), tuple(changes)


def _field(source: str, have: Shape, wanted: Shape, population: str, view: View) -> tuple[int, int]:
    """Rows and columns of the model's field of view, in pixels of the stimuli."""
    height, width = have
    rows, columns = wanted
    if height * columns == width * rows:
        part = (height, width)
    elif view.crop:
        part = (min(height, round(width * rows / columns)), min(width, round(height * columns / rows)))
    else:
        raise DataError(
            f"stimuli {source}: pictures of {height} x {width} (height x width) would be distorted to fit "
            f"population {population} with {rows} x {columns}; crop them to that aspect ratio first, or use "
            f'crop="centre" (--crop centre)'
        )
    share = 1.0 if view.degrees is None else view.model_degrees / view.degrees
    field = (round(part[0] * share), round(part[1] * share))
    if min(field) < 1 or math.prod(field) > _MOST_PIXELS or min(wanted) < share:
        angles = "" if view.degrees is None else f" at {view.degrees:g} of {view.model_degrees:g} degrees"
        raise DataError(
            f"stimuli {source}: pictures of {_by(have)}{angles} do not fit population {population} of "
            f"{_by(wanted)}: less than one pixel would be shown, too few units would show them, or the field "
            "of view would be too large; check angles and crop"
        )
    return field


def _placing(have: Shape, size: Shape, view: View, background: int) -> str:
    """What placing does, in words."""
    if all(field <= side for field, side in zip(size, have, strict=True)):
        done = f"cut to the central {_by(size)} of {_by(have)}"
    else:
        done = f"{_by(have)} centred in {_by(size)}, surrounded by {background or 'zeros'}"
    if view.degrees is None:
        return done
    return f"{done}: {view.degrees:g} degrees of visual angle in a field of view of {view.model_degrees:g}"


def _by(size: Shape) -> str:
    return f"{size[0]} x {size[1]}"
