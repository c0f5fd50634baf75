"""Small folders of pictures for tests of streaming."""

from __future__ import annotations

import numpy as np
from PIL import Image

from cortex_sim.data.streamed.sharding import planned, write_shards

CLASSES = ("a", "a-b", "b.c")  # whose order as paths and as texts differs


def painted(folder, per_part=(("train", 6), ("val", 3)), seed=0, least=20, most=40):
    """Pictures of many sizes, colour and grey, PNG and JPEG, in three classes; returns the folder."""
    rng = np.random.default_rng(seed)
    for part, count in per_part:
        for name in CLASSES:
            (folder / part / name).mkdir(parents=True)
            for i in range(count):
                size = (*rng.integers(least, most, 2), 3)
                image = Image.fromarray(rng.integers(0, 256, size, dtype=np.uint8))
                image = image.convert("L") if i == 2 else image
                image.save(folder / part / name / f"p.{i}.{'jpg' if i % 2 else 'PNG'}", quality=95)
    return folder


def sharded(folder, out, size=4):
    """Shards of a folder, so many pictures in each; returns their folder."""
    out.mkdir()
    write_shards(planned(folder, size), out, lambda count, shard: None)
    return out
