"""Find out whether a change of the code changed a number: measure a commit, and compare two.

    python benchmarks/same_numbers.py measure before.npz           # with the code that is imported
    python benchmarks/same_numbers.py compare before.npz after.npz
    python benchmarks/same_numbers.py commits HEAD~3 HEAD          # both, in separate worktrees
    python benchmarks/same_numbers.py golden                       # renews what the test suite checks

Measured are the updates, credits and backpropagation's updates of every rule word on every model, in both
precisions; four models and their optimisers after 20 training steps; protocols of each kind on both
engines and at equilibrium; and an outer loop after 5 updates. All are equal bit for bit, or within the
tolerances below; `compare` prints the deviations.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from measured_numbers import evolving, few, protocols, rules, texts, training

Arrays = dict[str, np.ndarray]
LARGE, KEPT = 20_000, 4_000  # arrays above this size are sampled, by this many entries
SINGLE, DOUBLE, TRAINED = 1e-6, 1e-12, 1e-4  # relative: float32, float64, float32 after 20 steps
GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "golden" / "numbers.json"


def kept(array) -> Arrays:
    """A whole array, or a sample of a large one, with a checksum that depends on every bit."""
    values = np.ascontiguousarray(array)
    digest = int.from_bytes(hashlib.sha256(values.tobytes()).digest()[:6], "big")
    flat = values.ravel()
    sample = flat if flat.size <= LARGE else flat[:: flat.size // KEPT | 1]
    return {"values": sample, "bits": np.array(digest)}


def measure(path: Path, only: list[str]) -> None:
    """Everything into one file."""
    import torch

    torch.set_num_threads(1)
    parts = {"text": texts, "updates": rules, "training": training, "protocol": protocols, "evolve": evolving}
    found: Arrays = {}
    for part, run in parts.items():
        if only and part not in only:
            continue
        for name, arrays in run():
            print(name, file=sys.stderr)
            found[f"{name}/:there"] = np.array(1)
            for key, values in arrays.items():
                plain = values.detach().cpu() if isinstance(values, torch.Tensor) else values
                for what, array in kept(np.asarray(plain)).items():
                    found[f"{name}/{key}:{what}"] = array
    np.savez_compressed(path, **found)


def tolerance(name: str, dtype) -> float:
    """Tolerated difference of two values of one name, relative to the array's norm."""
    if dtype == np.float64:
        return DOUBLE
    return TRAINED if name.startswith(("training/", "evolve/")) else SINGLE


def compare(before: Path, after: Path) -> int:
    """Print differences; returns the number of arrays beyond tolerance or missing on one side."""
    a, b = np.load(before), np.load(after)
    wrong = sorted(set(a.files) ^ set(b.files))
    for name in wrong:
        print(f"only in {'the first' if name in a.files else 'the second'}: {name}")
    groups: dict[str, list[float]] = {}
    for name in a.files:
        if name not in b.files or not name.endswith(":values"):
            continue
        bits = name.replace(":values", ":bits")
        far = 0.0 if a[bits] == b[bits] else max(deviation(a[name], b[name]), np.finfo(float).tiny)
        groups.setdefault("/".join(name.split("/")[:2]), []).append(far)
        if far > tolerance(name, a[name].dtype):
            wrong.append(name)
            print(f"beyond tolerance: {name}: {far:.2e}")
    for group, far in groups.items():
        same = sum(one == 0 for one in far)
        print(f"{group:55s} {len(far):5d} arrays, {same:5d} bit for bit, largest deviation {max(far):.1e}")
    print(f"{len(wrong)} beyond tolerance or missing")
    return len(wrong)


def summary(array) -> list[float]:
    """Norm of an array, and its sums under three fixed patterns of signs, over the root of its size."""
    flat = np.asarray(array, dtype=np.float64).ravel()
    signs = np.random.default_rng(flat.size).choice([-1.0, 1.0], size=(3, flat.size))
    return [float(np.linalg.norm(flat)), *(float(s) for s in signs @ flat / max(1, flat.size) ** 0.5)]


def summaries(parts: Iterator[tuple[str, object]]) -> dict[str, list[float]]:
    """Summary of every array that is not a counter, by name."""
    found = {}
    for name, arrays in parts:
        for key, values in arrays.items():
            plain = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
            if plain.dtype.kind == "f" and plain.size:
                found[f"{name}/{key}"] = summary(plain)
    return found


def golden(path: Path) -> None:
    """Write the numbers that the test suite checks, with the command and versions that made them."""
    import torch

    torch.set_num_threads(1)
    made = {
        "command": "python benchmarks/same_numbers.py golden",
        "versions": {"numpy": np.__version__, "torch": torch.__version__.split("+")[0]},
        "date": datetime.now(UTC).date().isoformat(),
        "reason": "a change of structure must not change a number; see tests/golden/test_numbers.py",
    }
    path.write_text(json.dumps({**made, "summaries": summaries(few())}, indent=1) + "\n", "utf-8")


def deviation(a: np.ndarray, b: np.ndarray) -> float:
    """‖a − b‖/‖a‖; infinite where shapes differ, or if only one has NaN."""
    if a.shape != b.shape or (np.isnan(a) != np.isnan(b)).any():
        return float("inf")
    a, b = np.nan_to_num(a.astype(np.float64)), np.nan_to_num(b.astype(np.float64))
    size = float(np.linalg.norm(a))
    return float(np.linalg.norm(a - b)) / size if size else float(np.linalg.norm(b))


def commits(before: str, after: str) -> int:
    """Measure two commits, each in its own worktree, and compare them."""
    home = Path(__file__).resolve().parent.parent
    with tempfile.TemporaryDirectory() as place:
        files = []
        for commit in (before, after):
            tree, found = Path(place) / commit.replace("/", "_"), Path(place) / f"{len(files)}.npz"
            subprocess.run(["git", "worktree", "add", "--detach", str(tree), commit], cwd=home, check=True)
            try:
                command = [sys.executable, __file__, "measure", str(found)]
                subprocess.run(command, cwd=tree, env={**os.environ, "PYTHONPATH": str(tree)}, check=True)
            finally:
                subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=home, check=True)
            files.append(found)
        return compare(*files)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("measure")
    one.add_argument("file", type=Path)
    one.add_argument("--only", nargs="*", default=[])
    two = commands.add_parser("compare")
    two.add_argument("before", type=Path)
    two.add_argument("after", type=Path)
    both = commands.add_parser("commits")
    both.add_argument("before")
    both.add_argument("after", nargs="?", default="HEAD")
    kept = commands.add_parser("golden")
    kept.add_argument("file", type=Path, nargs="?", default=GOLDEN)
    given = parser.parse_args(arguments)
    if given.command == "golden":
        golden(given.file)
        return 0
    if given.command == "measure":
        measure(given.file, given.only)
        return 0
    found = compare if given.command == "compare" else commits
    return int(found(given.before, given.after) > 0)


if __name__ == "__main__":
    sys.exit(main())
