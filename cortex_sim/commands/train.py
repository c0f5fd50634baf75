"""``cortex-sim train``."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from cortex_sim.checks import counted
from cortex_sim.cli import app
from cortex_sim.commands.output import Json, Seed, print_json, print_table
from cortex_sim.errors import RunError
from cortex_sim.library import configuration


@app.command(epilog="Example: cortex-sim train gait_tower --data mnist.npz --rule gait_prop --out runs/tower")
def train(
    out: Annotated[Path, typer.Option(help="Run directory to make (or, with --resume, to continue in).")],
    model: Annotated[str | None, typer.Argument(help="Model, or path/to/file.py:function.")] = None,
    data: Annotated[str | None, typer.Option(help="Data set name, or a file or folder.")] = None,
    rule: Annotated[str | None, typer.Option(help="Rule, such as gait_prop; by default as declared.")] = None,
    credit: Annotated[
        str | None, typer.Option(help="Credit network of --rule tdca: a file, or a name.")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--start",
            "--init-from",
            help="Run or state file to start from (fine-tuning); by default weights are drawn.",
        ),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes through the training set.")] = None,
    seed: Seed = None,
    config: Annotated[
        str | None,
        typer.Option(help="Settings: a YAML file, a run.yaml, or a name that list protocols gives."),
    ] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="Change a setting, name=value; repeatable.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the last checkpoint.")] = False,
    batch_size: Annotated[int | None, typer.Option(help="Presentations in one update.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda.")] = None,
    precision: Annotated[str | None, typer.Option(help="Floating-point precision: 32, 64 or bf16.")] = None,
    threads: Annotated[int | None, typer.Option(help="Threads torch may use; default 1.", min=1)] = None,
    checkpoint_every: Annotated[int | None, typer.Option(help="Updates between checkpoints.")] = None,
    as_json: Json = False,
) -> int:
    """Train a model into a run directory; an interrupted run continues with --resume."""
    os.environ.setdefault("OMP_NUM_THREADS", str(threads or 1))
    from cortex_sim.backends.torch import distributed
    from cortex_sim.backends.torch.training import Diverged
    from cortex_sim.runs import ranks
    from cortex_sim.runs.directory import RUN
    from cortex_sim.training.run import saved_settings
    from cortex_sim.training.run import train as run
    from cortex_sim.training.settings import resolve

    flags: dict[str, Any] = {
        "data": data,
        "rule": rule,
        "credit": credit,
        "start": start,
        "epochs": epochs,
        "seed": seed,
        "batch_size": batch_size,
        "device": device,
        "precision": precision,
        "threads": threads,
        "checkpoint_every": checkpoint_every,
    }
    chosen = None if config is None else configuration(config)
    if resume:
        settings = _resumed(saved_settings(out), out, model, chosen, setting, flags)
    else:
        settings = resolve(model, config=chosen, assignments=setting, flags=flags)
    if sys.stderr.isatty():
        logging.getLogger("cortex_sim.training").setLevel(logging.INFO)  # the forecast of memory
    rank, _ = distributed.start(settings.device)
    try:
        again = distributed.anywhere(ranks.was_restarted(), settings.device)
        if not resume and distributed.from_first(lambda: again and (out / RUN).is_file()):
            resume, settings = True, _resumed(saved_settings(out), out, model, chosen, setting, flags)
        metrics = run(settings, out, resume)
    except Diverged as exception:
        if rank == 0:
            typer.echo(f"cortex-sim: {exception}", err=True)
        return 1
    finally:
        distributed.finish()
    if rank == 0:
        _report(settings.model, metrics, out, as_json)
    return 0


def _resumed(
    saved: Any,
    out: Path,
    model: str | None,
    config: Path | None,
    assignments: list[str] | None,
    flags: dict[str, Any],
) -> Any:
    """Settings requested of a resumed run: its own, overridden by those given again."""
    from cortex_sim import library
    from cortex_sim.runs.directory import CHECKPOINT
    from cortex_sim.runs.merging import merged
    from cortex_sim.training.settings import Settings, from_assignments, from_file, is_code

    given = merged(from_file(config) if config else {}, from_assignments(assignments or []))
    given |= {k: v for k, v in flags.items() if v is not None}
    if model is not None:
        given["model"] = model
    settings = Settings(**merged(saved.as_dict(), given))
    if is_code(settings.model) and settings.model == model:
        library.model(model, **settings.model_settings)  # registers user-defined rules
    elif is_code(settings.model) and not (out / CHECKPOINT).is_file():
        raise RunError(
            f"--resume {out}: has no checkpoint yet, and {settings.model} is code, which is run only when "
            f"named; give {settings.model} again"
        )
    return settings


def _more(metrics: dict[str, Any], part: str, out: Path) -> list[str]:
    """What a summary says where there are such measurements: top-5, averaged weights, the best evaluation."""
    from cortex_sim.training.keeping import AVERAGED, BEST

    found = []
    if metrics.get(f"{part}_top5_accuracy") is not None:
        found.append(f"{part} top-5 accuracy {metrics[f'{part}_top5_accuracy']:.2%}")
    if metrics.get(f"ema_{part}_loss") is not None:
        share, top5 = metrics.get(f"ema_{part}_accuracy"), metrics.get(f"ema_{part}_top5_accuracy")
        said = f"objective {metrics[f'ema_{part}_loss']:.4g}" if share is None else f"accuracy {share:.2%}"
        said += "" if top5 is None else f", top-5 {top5:.2%}"
        found.append(f"averaged weights: {part} {said} ({out / AVERAGED})")
    if metrics.get("best"):
        best = metrics["best"]
        measure = next(name for name in best if name not in ("step", "epoch"))
        value = f"{best[measure]:.2%}" if measure.endswith("accuracy") else f"{best[measure]:.4g}"
        said = f"{measure.replace('_', ' ')} {value} after {counted(best['step'], 'update')}"
        found.append(f"best evaluation: {said} ({out / BEST})")
    return found


def _report(model: str, metrics: dict[str, Any], out: Path, as_json: bool) -> None:
    if as_json:
        print_json({**metrics, "out": str(out)})
        return
    from cortex_sim.training.naming import joined

    angles = metrics["angle_to_bp_deg"] or {}
    rows = [
        (name, angles.get(name), value) for name, value in (metrics["orthogonality_deviation"] or {}).items()
    ]
    part = "validation" if "validation_loss" in metrics else "test"
    tested, train_share = metrics[f"{part}_accuracy"], metrics["train_accuracy"]
    if tested is None or train_share is None:
        quality = f"{part} objective {metrics[f'{part}_loss']:.4g}"
    else:
        quality = f"{part} accuracy {tested:.2%}, train {train_share:.2%}"
    learned_by = joined(metrics["rule"], metrics.get("regulariser") or [])
    ended = ", stopped early" if metrics.get("stopped_early") else ""
    typer.echo(
        f"{model}, {learned_by}: {quality}, {counted(metrics['steps'], 'update')}, "
        f"{metrics['seconds']:.0f} s{ended}"
    )
    for line in _more(metrics, part, out):
        typer.echo(line)
    typer.echo(f"run directory: {out}")
    for warning in metrics.get("warnings") or []:
        typer.echo(f"warning: {warning}")
    print_table(
        "last update of each projection",
        ("projection", "angle to backprop (deg)", "orthogonality deviation"),
        rows,
    )
