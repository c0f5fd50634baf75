"""What an outer loop yields: its parameters, the credit network as a file, and test results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from cortex_sim.checks import listed, require_known
from cortex_sim.credit import BroadcastCredit, LayeredCredit, TrainedCredit
from cortex_sim.credit.layered import SHARES
from cortex_sim.data.named import NAMED, find
from cortex_sim.errors import DataError, RunError
from cortex_sim.runs.files import write_tensors
from cortex_sim.tdca.evolving.kinds import Report
from cortex_sim.tdca.evolving.settings import OuterSettings, Testing
from cortex_sim.tdca.inner.altered import Altered
from cortex_sim.tdca.inner.cohort import layout
from cortex_sim.tdca.inner.evaluation import run_to_end, tested
from cortex_sim.tdca.inner.reading import declared_shares
from cortex_sim.tdca.tasks.settings import tasks_from

Cells = dict[int, dict[str, list[float]]]


def parameters_of(settings: OuterSettings, phi: Tensor) -> dict[str, np.ndarray]:
    """Outer parameters by name, float64."""
    named = layout(settings.inner_rule(), settings.inner_step(), settings.body()).split(phi)
    return {name: p.double().numpy() for name, p in named.items()}


def write_credit(settings: OuterSettings, phi: Tensor, out: Path) -> bool:
    """Write ``outer.safetensors``, and ``credit.safetensors`` where the rule has a credit network."""
    named = parameters_of(settings, phi)
    write_tensors(out / "outer.safetensors", named, {})
    network = trained_network(settings)
    if network is None:
        return False
    every = declared_shares(settings.body()) | named
    own = {name: every[name] for name in network.shapes()}
    about = {
        "trained": not settings.frozen,
        "settings": settings.as_dict(),
        "step": {name: named[name].tolist() for name in settings.inner_step().draw()},
        "shares": {name: every[name].tolist() for name in SHARES if name in every and name not in own},
    }
    TrainedCredit(network, own, about).save(out / "credit.safetensors")
    return True


def trained_network(settings: OuterSettings) -> Any:
    """The declared credit network that is trained; None for a rule without one."""
    network = getattr(settings.inner_rule(), "credit_network", None)
    if isinstance(network, (LayeredCredit, BroadcastCredit)):
        return replace(network, decorrelated=bool(declared_shares(settings.body())))
    return network


def test_tasks(settings: OuterSettings, name: str, data_dir: Path | None) -> Any:
    """Tasks of one data set, for testing: read as for training, with as many classes."""
    if settings.tasks["kind"] != "images":
        return tasks_from(settings.tasks, data_dir)
    kept = {k: settings.tasks[k] for k in _KEPT if k in settings.tasks}
    limit = settings.tasks.get("limit")
    limit = limit.get(name) if isinstance(limit, Mapping) else limit
    if limit is not None and name in NAMED:
        kept["limit"] = limit
    return tasks_from({"kind": "images", "sources": [name], **kept}, data_dir)


_KEPT = ("side", "validation", "classes", "keep_outputs", "permute_pixels", "project")


def present(settings: OuterSettings, data_dir: Path | None) -> tuple[list[str], list[str]]:
    """Data sets to test on, those present and those missing.

    Raises
    ------
    DataError
        If one is neither a name nor a file or folder.
    """
    if settings.tasks["kind"] != "images":
        return [settings.tasks["kind"]], []
    names = list(dict.fromkeys(settings.tests().data))
    here = [n for n in names if (find(n, data_dir) is not None if n in NAMED else _stands(n))]
    return here, [n for n in names if n not in here]


def _stands(path: str) -> bool:
    if not Path(path).exists():
        raise DataError(
            f"testing: data {path!r} is neither a file or folder nor a known name; names are {listed(NAMED)}"
        )
    return True


def check(settings: OuterSettings, data_dir: Path | None) -> None:
    """Check that `outcome` can run, before the outer loop starts.

    Raises
    ------
    CortexSimError
        If a data set, network or control cannot be tested, or no data set is present.
    """
    tests, rule, first = settings.tests(), settings.inner_rule(), settings.body()
    for how in tests.controls:
        Altered(rule, how)
    for suffix, other in tests.widths.items():
        body = settings.body(**other)
        if (body.inputs, body.outputs) != (first.inputs, first.outputs):
            raise RunError(
                f"testing: network {suffix!r} has {body.inputs} inputs and {body.outputs} outputs, but the "
                f"trained one {first.inputs} and {first.outputs}; give both the same numbers"
            )
        rule.fixed(body, np.random.default_rng(0))
    here, missing = present(settings, data_dir)
    if not here:
        raise DataError(
            f"testing: no data set is present of {listed(missing)}; give one that is, such as digits"
        )
    for name in tests.elsewhere:
        require_known("data set in elsewhere", name, dict.fromkeys([*tests.data, *here]), RunError)


def outcome(settings: OuterSettings, phi: Tensor, data_dir: Path | None, report: Report) -> dict[str, Any]:
    """Accuracy of inner runs on every data set and network to be tested; ``per_life`` lists single runs.

    Tasks without a data set are named by their kind. Each data set is read once.
    """
    tests, rule = settings.tests(), settings.inner_rule()
    here, missing = present(settings, data_dir)
    found: dict[str, Cells] = {}
    for name in here:
        tasks = test_tasks(settings, name, data_dir)
        found[name] = _cells(settings, rule, phi, tasks, tests, {}, report, name)
        if name in (tests.elsewhere or here[:1]):
            for suffix, other in tests.widths.items():
                label = f"{name}@{suffix}"
                found[label] = _cells(settings, rule, phi, tasks, tests, other, report, label)
        if name == here[0]:
            for how in tests.controls:
                label, altered = f"{name}:{how}", Altered(rule, how)
                found[label] = _cells(settings, altered, phi, tasks, tests, {}, report, label)
    plain = {k: v for k, v in found.items() if ":" not in k}
    controls = {k.split(":")[1]: v for k, v in found.items() if ":" in k}
    what = "accuracy" if "accuracy" in next(iter(found[here[0]].values())) else "objective"
    return {
        "test_accuracy": _summary(plain, "accuracy") if what == "accuracy" else {},
        "controls": _summary(controls, what),
        "test_objective": _summary(plain, "objective"),
        "per_life": {k: {str(n): cell[what] for n, cell in v.items()} for k, v in found.items()},
        "missing": missing,
    }


def _cells(
    settings: OuterSettings,
    rule: Any,
    phi: Tensor,
    tasks: Any,
    tests: Testing,
    other: dict[str, Any],
    report: Report,
    label: str,
) -> Cells:
    body, step, batch = settings.body(**other), settings.inner_step(), settings.inner_span().batch
    cells: Cells = {}
    for steps in tests.steps:
        report(f"testing {label} after {steps} steps")
        runs = run_to_end(body, rule, step, phi, tasks, steps, seeds=tests.lives, batch=batch)
        cells[steps] = tested(*runs, part=tests.part)
    return cells


def _summary(found: dict[str, Cells], what: str) -> dict[str, dict[str, list[float]]]:
    """Mean and standard deviation over inner runs."""
    return {
        label: {str(n): [float(np.mean(c[what])), float(np.std(c[what]))] for n, c in cells.items()}
        for label, cells in found.items()
    }
