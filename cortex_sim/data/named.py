"""Data sets by name: where each is looked for, and how to get a missing one."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from cortex_sim.checks import look_up
from cortex_sim.data.arrays import whole_number
from cortex_sim.data.digits import digits
from cortex_sim.data.idx import read_idx
from cortex_sim.data.images import ImageSet
from cortex_sim.data.jpeg_bytes import read_jpeg_bytes
from cortex_sim.data.limits import MAX_BYTES, Progress, chosen
from cortex_sim.data.npz import read_npz
from cortex_sim.errors import DataError

VARIABLE = "CORTEX_SIM_DATA"
DEBIAN = Path("/usr/share/datasets")  # where Debian's dataset-* packages put their files


@dataclass(frozen=True)
class Options:
    """How much of a data set to read, and how."""

    limit: int | None
    grey: bool
    max_bytes: int
    progress: Progress | None


@dataclass(frozen=True)
class Named:
    """One data set: its file or folder in the data folder, its reader, and how to get it.

    Parameters
    ----------
    read : callable
        Makes an `ImageSet` from the path found and `Options`.
    file : str, optional
        Name inside the data folder; None where the set is inside a package.
    get : str
        What to do if it is missing.
    elsewhere : tuple of Path
        Further paths to try after the data folder.
    """

    read: Callable[[Path, Options], ImageSet]
    file: str | None = None
    get: str = ""
    elsewhere: tuple[Path, ...] = ()


def _npz(path: Path, options: Options) -> ImageSet:
    images = read_npz(path, max_bytes=options.max_bytes, progress=options.progress)
    return _limited(images, options.limit)


def _idx(path: Path, options: Options) -> ImageSet:
    images = read_idx(path, max_bytes=options.max_bytes, progress=options.progress)
    return _limited(images, options.limit)


def _jpeg(path: Path, options: Options) -> ImageSet:
    return read_jpeg_bytes(
        path,
        limit=options.limit,
        grey=options.grey,
        max_bytes=options.max_bytes,
        progress=options.progress,
    )


NAMED: dict[str, Named] = {
    "cifar10": Named(
        _jpeg,
        "cifar10_jpegbytes.npz",
        "make an .npz file with jpeg, offset, label and is_test of the 60000 images (docs/data.md)",
    ),
    "digits": Named(lambda _, options: _limited(digits(), options.limit)),
    "fashion_mnist": Named(
        _idx,
        "fashion-mnist",
        "install Debian's package dataset-fashion-mnist, or put its four IDX files into a folder of that "
        "name",
        (DEBIAN / "fashion-mnist",),
    ),
    "mnist": Named(
        _npz,
        "mnist.npz",
        "make an .npz file with x_train, y_train, x_test and y_test of MNIST's four IDX files (docs/data.md)",
    ),
}


def find(name: str, data_dir: str | Path | None = None) -> Path | None:
    """Path of the named data set; None if it is absent. Nothing is read.

    Parameters
    ----------
    name : str
        One of `NAMED`.
    data_dir : str or Path, optional
        Folder to look in; without it, the one that $CORTEX_SIM_DATA names.

    Examples
    --------
    >>> find("mnist", "nowhere") is None
    True
    """
    named = look_up("data", name, NAMED, DataError, exact=True)
    if named.file is None:  # inside scikit-learn, which every installation has
        sklearn = find_spec("sklearn")
        return Path(sklearn.origin).parent if sklearn and sklearn.origin else None
    return next((place for place in _places(named, data_dir) if place.exists()), None)


def load_named(
    name: str,
    data_dir: str | Path | None = None,
    *,
    limit: int | None = None,
    grey: bool = False,
    max_bytes: int = MAX_BYTES,
    progress: Progress | None = None,
) -> ImageSet:
    """Return the named data set.

    Parameters
    ----------
    name : str
        One of `NAMED`; also the name of what is returned.
    data_dir : str or Path, optional
        Folder to look in; without it, the one that $CORTEX_SIM_DATA names.
    limit : int, optional
        Presentations kept from each of the training and test sets: the first of a fixed shuffle,
        so that a smaller limit keeps a subset of what a larger one keeps. JPEG files left out are not
        decoded, which saves most of the time.
    grey : bool, default False
        Whether JPEG files are decoded directly to grey: a third of the memory.
    max_bytes : int, default 8 GiB
        Refuse files that would take more memory as float32.
    progress : callable, optional
        Called from time to time with (parts done, parts in all).

    Raises
    ------
    DataError
        If it is missing; the message names the file, the paths tried, and how to get it.
    """
    named = look_up("data", name, NAMED, DataError, exact=True)
    if limit is not None:
        limit = whole_number(name, "limit", limit, 1, 2**62)
    path = find(name, data_dir)
    if path is None:
        raise DataError(_missing(name, named, data_dir))
    return replace(named.read(path, Options(limit, grey, max_bytes, progress)), name=name)


def _places(named: Named, data_dir: str | Path | None) -> list[Path]:
    folder = data_dir if data_dir is not None else os.environ.get(VARIABLE) or None
    inside = [Path(os.path.expanduser(folder)) / named.file] if folder is not None and named.file else []
    return [*inside, *named.elsewhere]


def _missing(name: str, named: Named, data_dir: str | Path | None) -> str:
    places = " or ".join(str(place) for place in _places(named, data_dir)) or "no folder is given"
    return (
        f"data {name}: no {named.file} (looked for: {places}); {named.get}, "
        f"and name the folder that holds it as data_dir (--data-dir) or in ${VARIABLE}"
    )


def _limited(images: ImageSet, limit: int | None) -> ImageSet:
    if limit is None:
        return images
    train, test = chosen(len(images.x_train), limit), chosen(len(images.x_test), limit)
    return replace(
        images,
        x_train=images.x_train[train],
        y_train=images.y_train[train],
        x_test=images.x_test[test],
        y_test=images.y_test[test],
    )
