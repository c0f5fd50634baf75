"""``cortex-sim compare``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from cortex_sim.cli import app
from cortex_sim.commands.output import Json, Threads, print_json, print_table
from cortex_sim.errors import DataError, RunError

PAIR = ("metric", "models", "difference", "interval", "p, corrected")
COLUMNS = (
    "recording",
    "population",
    "data",
    "metric",
    "score",
    "interval",
    "ceiling",
    "shifted",
    "untrained",
    "n",
)


@app.command(
    epilog="Example: cortex-sim compare runs/backprop runs/gait pixels v4.npz --metric ridge --out v4"
)
def compare(
    given: Annotated[
        list[str],
        typer.Argument(
            metavar="REC... NEURAL",
            help="What to compare, each [NAME=]recording.nc, run, model's name, pixels or gabor; runs that "
            "differ only in their seed count as one. The neural data come last, FILE or FILE:KEY.",
        ),
    ],
    metric: Annotated[
        list[str] | None,
        typer.Option(
            help="rsa, ridge, pls, cka, shape, soft_matching; repeatable; ridge and rsa by default."
        ),
    ] = None,
    comparator: Annotated[
        str | None, typer.Option(help="For rsa: rho-a (default), spearman, pearson, whitened.")
    ] = None,
    measure: Annotated[
        str | None, typer.Option(help="For rsa, dissimilarity: correlation (default), euclidean, crossnobis.")
    ] = None,
    folds: Annotated[
        str | None, typer.Option(help="For ridge and pls: random (default), grouped, blocked, across_runs.")
    ] = None,
    convention: Annotated[
        str | None, typer.Option(help="How scores are divided by ceilings, by name.")
    ] = None,
    population: Annotated[list[str] | None, typer.Option(help="Population to compare; repeatable.")] = None,
    also: Annotated[list[str] | None, typer.Option(help="Further neural data; repeatable.")] = None,
    session: Annotated[str | None, typer.Option(help="Session of the neural data; all by default.")] = None,
    window_ms: Annotated[
        tuple[float, float] | None,
        typer.Option(help="Window of the neural data to average, or to compare with --over-time, in ms."),
    ] = None,
    over_time: Annotated[
        bool, typer.Option("--over-time", help="A score for each time bin of the data, or of a recording.")
    ] = False,
    bin_ms: Annotated[
        float | None, typer.Option(help="Width of time bins for --over-time, for spike times, in ms.")
    ] = None,
    model_window_ms: Annotated[
        tuple[float, float] | None, typer.Option(help="Window of the models' recordings to average, in ms.")
    ] = None,
    stimuli: Annotated[
        str | None, typer.Option(help="Stimuli presented; by default those in the file of neural data.")
    ] = None,
    crop: Annotated[str | None, typer.Option(help="centre: crop pictures of another aspect ratio.")] = None,
    degrees: Annotated[float | None, typer.Option(help="Visual angle of the stimuli, in degrees.")] = None,
    model_degrees: Annotated[
        float, typer.Option(help="Visual angle of the model's field of view, in degrees.")
    ] = 8.0,
    like: Annotated[
        str | None, typer.Option(help="Preprocessing of untrained models: a RUN's, a data set's, or none.")
    ] = None,
    controls: Annotated[
        bool,
        typer.Option("--controls/--no-controls", help="Also score shifted stimuli and untrained networks."),
    ] = True,
    level: Annotated[float, typer.Option(help="Confidence level of the intervals.")] = 0.95,
    resamples: Annotated[int, typer.Option(help="Bootstrap resamples.", min=100)] = 1000,
    pool: Annotated[
        str | None, typer.Option(help="sessions or animals: add rows that are pooled over them.")
    ] = None,
    recover: Annotated[
        bool, typer.Option("--recover", help="Simulate whether such data could tell these models apart.")
    ] = False,
    simulations: Annotated[int, typer.Option(help="Simulations from each model for --recover.", min=2)] = 20,
    out: Annotated[Path | None, typer.Option(help="New folder for table, figures and report.")] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder that keeps responses; a run's own by default.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of folds, halves and resamples.", min=0)] = 0,
    threads: Threads = 1,
    as_json: Json = False,
) -> int:
    """Compare responses with neural data: scores with ceilings, intervals and controls."""
    from threadpoolctl import threadpool_limits

    from cortex_sim.data.fitting import View
    from cortex_sim.report.comparing import Settings
    from cortex_sim.report.entries import Showing, entries, require_shown
    from cortex_sim.report.metrics import FOR_RDMS, FOR_RESPONSES, named_metrics
    from cortex_sim.report.neural_side import files_of, neural_data, own_stimuli, require_time, stimuli_of
    from cortex_sim.report.pooled import require_poolable
    from cortex_sim.report.studying import Study, studied
    from cortex_sim.report.timing import Time

    if len(given) < 2:
        raise DataError(
            "compare: give at least one recording, run or model, and last the neural data: "
            "cortex-sim compare runs/gait v4.npz"
        )
    if out is not None and out.exists():
        raise RunError(f"--out {out}: already exists; give a new folder")
    files = [given[-1], *(also or [])]
    time = Time(over_time, window_ms, model_window_ms, bin_ms)
    data = neural_data(
        files,
        window_ms=window_ms,
        session=session,
        over_time=over_time,
        bin_ms=bin_ms,
        by_animal=pool is not None,
    )
    if pool is not None:
        require_poolable(pool, data)
    if over_time:
        require_time(data, models=any(one.endswith(".nc") for one in given[:-1]))
    rdms = all(type(one).__name__ == "Dissimilarities" for one in data.values())
    metrics = named_metrics(
        metric or list(FOR_RDMS if rdms else FOR_RESPONSES),
        comparator=comparator,
        measure=measure,
        folds=folds,
        convention=convention,
    )
    showing = Showing(
        stimuli_of(stimuli, files),
        tuple(population or ()),
        like,
        View(crop, degrees, model_degrees),
        cache,
        untrained=controls,
        over_time=over_time,
        window_ms=model_window_ms,
    )
    sets = {} if stimuli is not None else own_stimuli(files_of(data, files))
    require_shown(given[:-1], list(sets))
    settings = Settings(seed, level, resamples, controls)
    with threadpool_limits(limits=threads), _said() as progress:
        gathered = entries(given[:-1], showing, progress)
        time.check(gathered, data)
        own = {
            label: tuple(entries(given[:-1], replace(showing, stimuli=one), progress))
            for label, one in sets.items()
        }
        study = Study(
            tuple(gathered), data, tuple(metrics), settings, simulations if recover else 0, pool, own
        )
        result = studied(study, progress)
        written = [] if out is None else result.write(out)
    if as_json:
        print_json({**result.as_data(), "out": None if out is None else str(out)})
    else:
        _show(result.rows, result.differences, result.sentences)
        for path in written:
            typer.echo(str(path))
    return 0


@contextmanager
def _said() -> Iterator[Callable[[str], None]]:
    """Progress on standard error where it is a terminal."""
    if not sys.stderr.isatty():
        yield lambda said: None
        return
    from rich.console import Console

    with Console(stderr=True).status("reading") as status:
        yield status.update


def _show(rows: list[dict[str, Any]], differences: list[dict[str, Any]], sentences: list[str]) -> None:
    from cortex_sim.report.studying import time_of

    timed = any(time_of(row) for row in rows)
    columns = [*COLUMNS[:4], *(["time (ms)"] if timed else []), *COLUMNS[4:]]
    table = [
        [
            row["recording"],
            row["population"],
            row["data"],
            row["metric"],
            *((time_of(row) or [""]) if timed else []),
            f"{row['score']:.3f}",
            f"{row['ci_low']:.3f} to {row['ci_high']:.3f}",
            _number(row["ceiling"]),
            _number(row["control_shifted"]),
            _number(row["control_untrained"]),
            f"{row['units']} x {row['stimuli']}",
        ]
        for row in rows
    ]
    print_table("Scores", columns, table)
    if differences:
        print_table("Differences between models", ("data", *PAIR), [_pair(one) for one in differences])
    for sentence in sentences:
        typer.echo(sentence)


def _pair(one: dict[str, Any]) -> list[object]:
    return [
        one["data"],
        one["metric"],
        f"{one['first']} - {one['second']}",
        f"{one['difference']:.3f}",
        f"{one['ci_low']:.3f} to {one['ci_high']:.3f}",
        f"{one['p_adjusted']:.3g} ({one['correction']})",
    ]


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"
