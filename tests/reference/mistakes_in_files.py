"""Mistakes in files: where a recording goes, tables, YAML, states, data sets, figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mistaken_parameters import experiment, local, network, phase
from mistakes import Mistake
from mistakes_in_runs import LEARN, SHOW, built, made, run, sweep

import cortex_sim as cs


def _written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def _taken(folder: Path) -> Path:
    return _written(folder, "taken.nc", "")


def _recorded(folder: Path, **settings: Any) -> Path:
    path = folder / "recorded.nc"
    if not path.exists():
        run(out=path, **settings).close()
    return path


FILES: dict[str, tuple[Callable[[Path], Any], str, str]] = {
    "out in no folder": (lambda f: run(out=f / "none" / "a.nc"), "a.nc", "none"),
    "out that exists": (lambda f: run(out=_taken(f)), "taken.nc", "already exists"),
    "out as text": (lambda f: run(out=f / "a.csv"), "a.csv", "a.csv"),
    "out as Excel": (lambda f: run(out=f / "a.xlsx"), "a.xlsx", "a.xlsx"),
    "out as a number": (lambda f: run(out=3), "out", "3"),
    "out as a folder": (lambda f: run(out=f), "", "already exists"),
    "resume without out": (lambda f: run(resume=True), "resume", "out"),
    "resume of nothing": (lambda f: run(out=f / "new.nc", resume=True), "new.nc", "nothing to resume"),
    "resume with another seed": (
        lambda f: run(out=_recorded(f), seed=4, resume=True),
        "recorded.nc",
        "seed",
    ),
    "resume with another protocol": (
        lambda f: run(made(protocol=SHOW.replace(trials=3)), out=_recorded(f), resume=True),
        "recorded.nc",
        "protocols",
    ),
    "a table that is missing": (lambda f: cs.TrialTable(f / "trials.csv"), "trial table", "trials.csv"),
    "a table that is empty": (lambda f: cs.TrialTable(_written(f, "e.csv", "")), "trial table", "empty"),
    "a table with a short row": (
        lambda f: cs.TrialTable(_written(f, "s.csv", "a,b\n1,2\n3\n")),
        "trial table",
        "line 3",
    ),
    "a table with a gap": (lambda f: cs.TrialTable(_written(f, "g.csv", "a\n1\n\nx\n")), "column a", "x"),
    "a table with NaN": (lambda f: cs.TrialTable(_written(f, "n.csv", "a\n1\nnan\n")), "column a", "nan"),
    "a table with a name twice": (
        lambda f: cs.TrialTable(_written(f, "t.csv", "a,a\n1,2\n")),
        "trial table",
        "'a'",
    ),
    "a table with NaN from pandas": (
        lambda f: cs.TrialTable(pd.DataFrame({"a": [1.0, np.nan]})),
        "column a",
        "nan",
    ),
    "a table of a number": (lambda f: cs.TrialTable(3), "trial table", "3"),
    "a table of unequal columns": (lambda f: cs.TrialTable({"a": [1], "b": [1, 2]}), "trial table", "b 2"),
    "a table that is an image": (
        lambda f: cs.TrialTable(_binary(f, "i.csv")),
        "trial table",
        "i.csv",
    ),
    "an experiment file that is missing": (
        lambda f: cs.Experiment.from_yaml(f / "e.yaml"),
        "e.yaml",
        "e.yaml",
    ),
    "an experiment file that is no YAML": (
        lambda f: cs.Experiment.from_yaml(_written(f, "b.yaml", "a: [1")),
        "b.yaml",
        "line",
    ),
    "an experiment file with a wrong key": (
        lambda f: cs.Experiment.from_yaml(_written(f, "k.yaml", "network: {model: digits_mlp}\narm: {}\n")),
        "experiment",
        "arm",
    ),
    "a protocol file with a wrong key": (
        lambda f: cs.Protocol.from_yaml("phases: [{name: p, duration: 10 ms, drives: {}}]"),
        "phase",
        "drives",
    ),
    "a protocol file with a time in no unit": (
        lambda f: cs.Protocol.from_yaml("phases: [{name: p, duration: 10 hours}]"),
        "duration",
        "10 hours",
    ),
    "a network file that is missing": (lambda f: cs.Network.from_yaml(f / "n.yaml"), "n.yaml", "n.yaml"),
    "a start that is missing": (
        lambda f: cs.Experiment(network(), {"a": SHOW}, start=f / "s.safetensors"),
        "s.safetensors",
        "s.safetensors",
    ),
    "a start that is damaged": (
        lambda f: cs.Experiment(network(), {"a": SHOW}, start=_written(f, "d.safetensors", "no")),
        "d.safetensors",
        "d.safetensors",
    ),
    "a start of another network": (
        lambda f: cs.Experiment(network(), {"a": SHOW}, start=cs.brian2.build(local())),
        "network small",
        "IT",
    ),
    "a start that is a number": (
        lambda f: cs.Experiment(network(), {"a": SHOW}, start=3),
        "state",
        "3",
    ),
    "stimuli that are missing": (
        lambda f: experiment(phase(drive={"retina": cs.Stimuli("digitz")})),
        "data",
        "digitz",
    ),
    "stimuli from a missing folder": (
        lambda f: experiment(phase(drive={"retina": cs.Stimuli(str(f / "images"))})),
        "data",
        "images",
    ),
    "stimuli of another size": (
        lambda f: experiment(phase(drive={"retina": cs.Stimuli("digits", count=2)})),
        "drive of retina",
        "64",
    ),
    "a sweep's folder that exists": (lambda f: sweep(out=f), "", "already"),
    "a sweep to be resumed without a folder": (lambda f: sweep(resume=True), "sweep", "out"),
    "a sweep of a missing protocol": (lambda f: sweep("cut_top_dwn"), "protocol", "cut_top_dwn"),
    "a sweep of a missing file": (lambda f: sweep(str(f / "own.py")), "own.py", "own.py"),
    "a sweep of a file without a function": (
        lambda f: sweep(str(_written(f, "own.py", "x = 1\n"))),
        "own.py",
        "experiment",
    ),
    "a recording that is missing": (lambda f: cs.recording.load(f / "r.nc"), "r.nc", "r.nc"),
    "a recording that is none": (lambda f: cs.recording.load(_written(f, "x.nc", "no")), "x.nc", "x.nc"),
    "weights of a missing projection": (
        lambda f: cs.recording.weights_of(run(made(local, LEARN)), "retina->V2", "a"),
        "projection",
        "retina->V2",
    ),
    "a figure in no folder": (lambda f: SHOW.draw(f / "none" / "a.png"), "a.png", "none"),
    "a figure of another format": (lambda f: SHOW.draw(f / "a.doc"), "a.doc", "doc"),
    "a state in no folder": (lambda f: cs.save(built(), f / "none" / "s"), "s", "none"),
}


def _binary(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_bytes(bytes(range(256)))
    return path


def cases(folder: Path) -> Iterator[Mistake]:
    """All of them, with files in ``folder``."""
    for called, (of_file, about, wrong) in FILES.items():
        yield Mistake("files", called, partial(of_file, folder), about, wrong)
