"""Sizes of recordings that tests write as NWB, what a file holds, and why one is refused."""

import h5py
import pytest

from cortex_sim.errors import DataError
from cortex_sim.recording.nwb_out import write_nwb

PRESENTATIONS, BINS = 11, 4
SHAPES = {"retina": (5,), "V1": (2, 2, 3), "IT": (3,)}  # V1 is wider than there are presentations


def content(path):
    """Every data set and attribute of a file by its path."""
    found = {}

    def note(name, item):
        found[name, "attributes"] = {key: str(value) for key, value in item.attrs.items()}
        if isinstance(item, h5py.Dataset) and item.dtype != h5py.ref_dtype:
            found[name] = item[()].tobytes() if item.dtype.kind != "O" else str(item[()].tolist())

    with h5py.File(path, "r") as file:
        file.visititems(note)
    return found


def refused(recording, path, **settings):
    """The line of the error; nothing new is left beside the file, which is unchanged."""
    before = {p.name: p.read_bytes() for p in path.parent.iterdir() if p.is_file()}
    with pytest.raises(DataError) as raised:
        write_nwb(recording, path, **settings)
    assert {p.name: p.read_bytes() for p in path.parent.iterdir() if p.is_file()} == before
    assert "\n" not in str(raised.value)
    return str(raised.value)


def inspected(path):
    from nwbinspector import Importance, inspect_nwbfile

    messages = list(inspect_nwbfile(nwbfile_path=str(path)))
    serious = [m for m in messages if m.importance != Importance.BEST_PRACTICE_SUGGESTION]
    return [m.message for m in serious], {m.check_function_name for m in messages if m not in serious}


def intervals_of(path):
    with h5py.File(path, "r") as file:
        return list(file["intervals"])
