"""Preprocessing stated by reference: that of a run, of a data set, or none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cortex_sim.errors import CortexSimError, DataError
from cortex_sim.network import Network
from cortex_sim.preprocessing import Held, Preprocessing, by_source
from cortex_sim.runs.directory import CHECKPOINT, RUN
from cortex_sim.sources import FORM, only_source
from cortex_sim.state import load

NONE = "none"


def preprocessing_like(like: Any, net: Network) -> tuple[Preprocessing, str]:
    """The preprocessing, and the name of its origin.

    Parameters
    ----------
    like : str, path, ImageSet or Preprocessing
        A run directory, checkpoint or state file: its preprocessing. A data set's name, file or folder, or
        an image set: mean and sd of its training part, as `train` would measure them. "none": nothing is
        changed.
    net : Network
        The network that is presented with the stimuli.

    Raises
    ------
    DataError
        If there is no such run or data set, or its preprocessing is for stimuli of another shape.
    """
    name = source_of(net)
    shape = net.populations[name].shape
    if like == NONE:
        return Preprocessing(shape), NONE
    if isinstance(like, Preprocessing):
        return _of_shape(like, shape, name, "preprocessing"), "given"
    try:
        if isinstance(like, (str, Path)) and _is_run(Path(like)):
            return _of_shape(_of_run(Path(like)), shape, name, str(like)), str(like)
        images = _images(like)
        return images.fit_to(shape, name).preprocessing(), images.name
    except CortexSimError as exception:
        raise DataError(f"like {like}: {exception}") from None


def source_of(net: Network) -> str:
    """Population that a stimulus set drives.

    Raises
    ------
    DataError
        If the network has several sources.
    """
    way_out = f"record them by cs.torch.build(net, state=...).respond({FORM}), or with a protocol"
    return only_source(net, "respond: a stimulus set shows one stimulus a presentation", way_out, DataError)


def of_the_source(net: Network, held: Held | None) -> Preprocessing | None:
    """Preprocessing of the one source that a stimulus set drives."""
    return by_source(net, held).get(source_of(net))


def _is_run(path: Path) -> bool:
    return any((path / file).is_file() for file in (CHECKPOINT, RUN)) or path.suffix == ".safetensors"


def _of_run(path: Path) -> Preprocessing:
    checkpoint = path / CHECKPOINT if path.is_dir() else path
    state = load(checkpoint)
    kept = of_the_source(state.network, state.preprocessing)
    if kept is not None:
        return kept
    from cortex_sim.training.shown import preprocessing_of

    return preprocessing_of(checkpoint, state.network)


def _images(like: Any) -> Any:
    from cortex_sim import data

    return like if isinstance(like, data.ImageSet) else data.load(like)


def _of_shape(shown: Preprocessing, shape: tuple[int, ...], population: str, source: str) -> Preprocessing:
    if shown.shape != shape:
        raise DataError(
            f"{source}: is for stimuli of shape {shown.shape}, but population {population} takes {shape}; "
            "give a run or data of that shape"
        )
    return shown
