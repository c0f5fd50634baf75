"""How fast pictures are read at 224 x 224, relative to decoding alone.

Ours: read, decoded, cropped at random, resized, flipped, normalised, and handed over as a batch,
from a folder or from shards, in this process or by workers. The baseline: Pillow decodes the same files to
RGB in this process. Blocks are interleaved, and medians over blocks are compared.
"""

from __future__ import annotations

import io
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cortex_sim.augmentation import Chain, declared
from cortex_sim.backends.torch.loading import AHEAD, Ahead
from cortex_sim.data.streamed.reading import streamed_set
from cortex_sim.data.streamed.sharding import planned, write_shards
from cortex_sim.preprocessing import Preprocessing

SIZE, PICTURES, BATCH, BATCHES = 224, 256, 32, 3
WIDTH, HEIGHT, QUALITY = 500, 375, 90  # of most of ImageNet
NAMES = ("folder-0", "folder-1", "folder-2", "shards-0", "shards-1", "shards-2")
IMAGENET = Preprocessing((3, SIZE, SIZE), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def data_speed(blocks: int, names: list[str], report: Callable[[str], None]) -> list[dict[str, Any]]:
    """Seconds per picture for each reader in ``names``, such as "shards-2" (2 workers), and for decoding."""
    with tempfile.TemporaryDirectory() as temporary:
        report("making pictures")
        folder, shards = Path(temporary, "folder"), Path(temporary, "shards")
        paint(folder)
        shards.mkdir()
        write_shards(planned(folder, 100), shards, lambda count, shard: None)
        encoded = [file.read_bytes() for file in sorted(folder.glob("train/*/*.jpg"))]
        readers = {name: Reader(folder if name.startswith("folder") else shards, name) for name in names}
        seconds: dict[str, list[float]] = {name: [] for name in ("decoding", *names)}
        for block in range(blocks):
            report(f"block {block + 1} of {blocks}")
            seconds["decoding"].append(decoding(encoded, block))
            for name, reader in readers.items():
                seconds[name].append(reader.seconds())
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    base = medians["decoding"]
    return [
        {
            "network": name,
            "ratio": medians[name] / base,
            "ours_s": medians[name],
            "baseline_s": base,
            "pictures_per_s": 1 / medians[name],
            "decoded_per_s": 1 / base,
            "kilobytes": sum(map(len, encoded)) / len(encoded) / 1e3,
        }
        for name in names
    ]


class Reader:
    """One way of reading: from which folder, with how many workers."""

    def __init__(self, path: Path, name: str) -> None:
        self.workers = int(name.rpartition("-")[2])
        steps, _ = declared(["random_resized_crop", "flip"], (SIZE, SIZE))
        images = streamed_set(path).fit_to((3, SIZE, SIZE))
        self.source = images.augmented("train", Chain(steps), IMAGENET)

    def _tasks(self) -> Iterator[tuple[np.ndarray, int]]:
        for epoch in itertools.count():
            order = np.random.default_rng(epoch).permutation(PICTURES)
            yield from ((order[start : start + BATCH], epoch) for start in range(0, PICTURES, BATCH))

    def seconds(self) -> float:
        """Time per picture once workers are busy; pictures prepared while they started do not count."""
        ahead, tasks = Ahead(self.source, self.workers), self._tasks()
        ahead.expect(self._tasks())
        for _ in range(AHEAD * self.workers + 1):
            ahead.batch(*next(tasks))
        began = time.perf_counter()
        for _ in range(BATCHES * max(1, self.workers)):
            ahead.batch(*next(tasks))
        took = time.perf_counter() - began
        ahead.forget()
        return took / (BATCHES * max(1, self.workers) * BATCH)


def decoding(encoded: list[bytes], block: int) -> float:
    """Time per picture in which Pillow decodes to RGB."""
    from PIL import Image

    order = np.random.default_rng(block).permutation(len(encoded))[: BATCH * BATCHES]
    began = time.perf_counter()
    for number in order:
        with Image.open(io.BytesIO(encoded[number])) as image:
            image.convert("RGB")
    return (time.perf_counter() - began) / len(order)


def paint(folder: Path) -> None:
    """Pictures of the usual size in ImageNet, in pixels and about in bytes: random at every spatial scale."""
    from PIL import Image

    rng = np.random.default_rng(0)
    counts = {"train": PICTURES, "val": 2}
    for part, count in counts.items():
        for number in range(count):
            place = folder / part / f"class{number % 2}"
            place.mkdir(parents=True, exist_ok=True)
            x = np.zeros((HEIGHT, WIDTH, 3))
            for divided in (1, 2, 4, 16, 64):
                rows, columns = HEIGHT // divided + 1, WIDTH // divided + 1
                coarse = Image.fromarray(rng.integers(0, 256, (rows, columns, 3), dtype=np.uint8))
                fine = coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
                x += (np.asarray(fine, np.float64) - 128) * divided**0.5
            levels = np.clip(128 + 40 * x / x.std(), 0, 255).astype(np.uint8)
            Image.fromarray(levels).save(place / f"{number:04d}.jpg", quality=QUALITY)
