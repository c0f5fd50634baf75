"""A subset of a data set's presentations, where a rate must be chosen cheaply."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import cortex_sim as cs

TEST = 1000  # a data set needs a test part; where rates are only chosen, it is not used


def of(data: Path, count: int, into: Path, test: int = TEST) -> Path:
    """An .npz file with ``count`` training presentations of a data set, drawn with seed 0; written once.

    Parameters
    ----------
    data : Path
        The whole data set, in any form that `cortex_sim.data.load` reads.
    count : int
        Training presentations kept.
    into : Path
        Folder of the file.
    test : int
        Test presentations kept, the first ones.
    """
    also = "" if test == TEST else f"-{test}"
    path = into / f"{data.stem}-{count}{also}.npz"
    if path.is_file():
        return path
    whole = cs.data.load(data)
    kept = np.random.default_rng(0).permutation(len(whole.x_train))[:count]
    into.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.stem}.part.npz")
    np.savez(
        part,
        x_train=whole.x_train[kept],
        y_train=whole.y_train[kept],
        x_test=whole.x_test[:test],
        y_test=whole.y_test[:test],
    )
    part.replace(path)
    return path
