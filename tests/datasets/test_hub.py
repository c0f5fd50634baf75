"""Parquet files in the hub's layout show what a folder shows; without the package the way out is named."""

import io
import os
import subprocess
import sys

import pytest
from PIL import Image

from cortex_sim import data
from cortex_sim.errors import DataError


def encoded(level):
    file = io.BytesIO()
    Image.new("RGB", (9, 7), (level, 0, 255 - level)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def parquet(tmp_path):
    """Six and three rows, one of them no picture."""
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed (extra hub)")
    pytest.importorskip("datasets", reason="datasets is not installed (extra hub)")
    from pyarrow import parquet

    folder = tmp_path / "rows"
    folder.mkdir()
    for part, count in (("train", 6), ("test", 3)):
        rows = [{"bytes": encoded(40 * i), "path": f"{i}.png"} for i in range(count)]
        if part == "train":
            rows[2]["bytes"] = b"junk"
        table = pyarrow.table({"image": rows, "label": [i % 2 for i in range(count)]})
        parquet.write_table(table, folder / f"{part}-00000-of-00001.parquet")
    return folder


SHOWN = """
import sys
import numpy as np
from cortex_sim import data

assert data.is_streamed(sys.argv[1], (3, 4, 4))
found = data.streamed_set(sys.argv[1]).fit_to((3, 4, 4))
source = found.shown("train")
x, y = source.batch(np.array([5, 2, 0]))
print(found, np.rint(x[:, 0, 2, 2] * 255).astype(int).tolist(), y.tolist(), list(source.unreadable.reasons))
"""


def test_rows_are_presentations(parquet, tmp_path):
    """In a process of its own, whose cache is a new folder; the third row is replaced by the fifth."""
    env = {**os.environ, "HF_HOME": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1"}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        [sys.executable, "-c", SHOWN, str(parquet)], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == (
        "StreamedSet('rows': 6 to train, 3 to test, shown as (3, 4, 4), 2 classes) [200, 160, 0] [1, 0, 0] "
        "['train/2']"
    )


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert data.is_streamed("hub:someone/pictures", (3, 4, 4))
    with pytest.raises(DataError, match=r"needs the package datasets .*pip install 'cortex-sim\[hub\]'"):
        data.streamed_set("hub:someone/pictures")


class Table:
    """As little of a `datasets.Dataset` as is read."""

    def __init__(self, columns):
        self.column_names = columns


@pytest.mark.parametrize(
    "tables, said",
    [
        ({"train": Table(["image", "label"])}, "needs train and one of validation or test, has train"),
        (dict.fromkeys(("train", "test"), Table(["text", "label"])), "needs a column image or img"),
    ],
)
def test_unsuitable_sets_are_refused(tables, said, monkeypatch):
    from types import SimpleNamespace

    fake = SimpleNamespace(load_dataset=lambda name: tables)
    monkeypatch.setitem(sys.modules, "datasets", fake)
    with pytest.raises(DataError, match=said):
        data.streamed_set("hub:someone/pictures")


def test_what_cannot_be_had_is_named(monkeypatch):
    from types import SimpleNamespace

    def offline(name):
        raise ConnectionError("Couldn't reach the hub\nand more")

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=offline))
    with pytest.raises(DataError, match=r"by datasets \(Couldn't reach the hub\); give hub:"):
        data.streamed_set("hub:someone/pictures")
