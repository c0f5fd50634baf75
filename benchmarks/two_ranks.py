"""Do two ranks train at 224 x 224 from pictures on disk, both busy, and does reading keep up with the step?

``python benchmarks/two_ranks.py`` paints a folder of pictures of ImageNet's size, makes shards of it, and
trains two networks from both by the command of docs/distributed.md. Loads are processor time: what one core
would need without other work.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import cortex_sim as cs
from cortex_sim.augmentation import Chain, declared
from cortex_sim.backends.torch.training import Trainer
from cortex_sim.bench.data import HEIGHT, IMAGENET, QUALITY, SIZE, WIDTH
from cortex_sim.data.streamed.reading import streamed_set

CLASSES, BATCH, EPOCHS, RATE = 4, 16, 3, 1e-3
RESNET = {"channels": [16, 32, 64, 128], "blocks": 2, "side": SIZE, "large_stem": True}
NETWORKS: dict[str, dict[str, Any]] = {"gait_imagenet": {}, "resnet_like": RESNET}
AUGMENTATION = "augmentation=[random_resized_crop,flip]"
ROOT = Path(__file__).resolve().parents[1]


def paint(folder: Path, counts: dict[str, int]) -> None:
    """Pictures whose class is a tint under noise at several spatial scales."""
    rng = np.random.default_rng(0)
    tints = rng.uniform(-60, 60, (CLASSES, 3))
    for part, count in counts.items():
        for number in range(count):
            label = number % CLASSES
            place = folder / part / f"class{label}"
            place.mkdir(parents=True, exist_ok=True)
            x = np.zeros((HEIGHT, WIDTH, 3)) + 128 + tints[label]
            for divided in (1, 4, 16):
                coarse = rng.integers(
                    0, 256, (HEIGHT // divided + 1, WIDTH // divided + 1, 3), dtype=np.uint8
                )
                fine = Image.fromarray(coarse).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
                x += (np.asarray(fine, np.float64) - 128) / 3
            levels = np.clip(x, 0, 255).astype(np.uint8)
            Image.fromarray(levels).save(place / f"{number:05d}.jpg", quality=QUALITY)


def command(network: str, settings: dict[str, Any], data: Path, out: Path, epochs: int) -> list[str]:
    """What a user types, with the settings that make the network small enough, where there are any."""
    line = ["--nproc-per-node", "2", "-m", "cortex_sim", "train", network, "--data", str(data)]
    line += ["--rule", "gait_prop", "--set", AUGMENTATION, "--set", "workers=1"]
    line += ["--batch-size", str(BATCH), "--epochs", str(epochs), "--out", str(out)]
    line += ["--set", f"optimiser.lr={RATE}"]
    for name, value in settings.items():
        line += ["--set", f"model_settings.{name}={json.dumps(value)}"]
    return [sys.executable, "-m", "torch.distributed.run", "--standalone", *line]


def trained(line: Sequence[str], out: Path) -> dict[str, Any]:
    """Losses by epoch, and the processor time of each rank with its worker."""
    began = time.perf_counter()
    place = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(line, env=place | {"OMP_NUM_THREADS": "1"}, stdout=said, stderr=said)
        busy: dict[int, float] = {}
        while process.poll() is None:
            busy |= _busy(process.pid)
            time.sleep(0.2)
        if process.returncode:
            said.seek(0)
            raise RuntimeError(said.read())
    lines = [json.loads(one) for one in (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return {
        "train_loss": [one["train_loss"] for one in lines if one["train_loss"] is not None],
        "busy_s": [busy[pid] for pid in sorted(busy)],
        "wall_s": time.perf_counter() - began,
    }


def _busy(agent: int) -> dict[int, float]:
    """Seconds of processor time of every child of a process, with those of children it has waited for."""
    found = {}
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            with suppress(OSError):
                fields = (place / "stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == agent and fields[0] != "Z":
                    found[int(place.name)] = sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
    return found


def loads(network: str, settings: dict[str, Any], data: Path, count: int = BATCH // 2) -> dict[str, float]:
    """Processor time of a picture in milliseconds: read and augmented, and in the step of one rank."""
    steps, _ = declared(["random_resized_crop", "flip"], (SIZE, SIZE))
    source = streamed_set(data).fit_to((3, SIZE, SIZE)).augmented("train", Chain(steps), IMAGENET)
    x, y = source.batch(np.arange(count))
    read = _milliseconds(lambda: source.batch(np.arange(count), 1)) / count
    model = cs.torch.build(cs.model(network, **settings).with_rule("gait_prop"), seed=0)
    trainer = Trainer(model, torch.as_tensor(x), torch.as_tensor(y), 10, count, {"name": "Adam", "lr": RATE})
    trainer.model.train()
    step = _milliseconds(lambda: trainer.update(torch.arange(count))) / count
    return {"read_ms": read, "step_ms": step}


def _milliseconds(work: Any, times: int = 3) -> float:
    """Median processor time, after a first call that does not count."""
    torch.set_num_threads(1)
    work()
    found = []
    for _ in range(times):
        began = time.process_time()
        work()
        found.append(1e3 * (time.process_time() - began))
    return float(np.median(found))


def measured(
    folder: Path, train: int, epochs: int, networks: dict[str, dict[str, Any]]
) -> list[dict[str, Any]]:
    """One row for each network and each way of keeping the pictures."""
    pictures, shards = folder / "pictures", folder / "shards"
    paint(pictures, {"train": train, "val": 2 * CLASSES})
    subprocess.run(
        [
            sys.executable,
            "-m",
            "cortex_sim",
            "shard",
            str(pictures),
            "--out",
            str(shards),
            "--shard-size",
            "50",
        ],
        check=True,
        cwd=ROOT,
    )
    rows = []
    for network, settings in networks.items():
        for data in (pictures, shards):
            out = folder / f"{network}-{data.name}"
            row = {"network": network, "data": data.name, "trained": train * epochs}
            row |= trained(command(network, settings, data, out, epochs), out)
            rows.append(row | loads(network, settings, data))
    return rows


def main() -> None:
    """Print one JSON object for each row."""
    with tempfile.TemporaryDirectory() as temporary:
        for row in measured(Path(temporary), 64, EPOCHS, NETWORKS):
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
