"""``cortex-sim demo``: one network, five rules, real digits, also in time; a minute of CPU at most."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cortex_sim.cli import app
from cortex_sim.commands.output import Json, Threads, print_json, print_table
from cortex_sim.errors import RunError

if TYPE_CHECKING:
    from cortex_sim.viz.demonstration import CreditInTime

RULES = ("backprop", "feedback_alignment", "gait_prop", "gait_prop_learned", "tdca")
IN_TIME = {  # how credit arrives, and the projection that is cut
    "gait_prop": ("GAIT-prop: credit relaxes to the inverse", "IT->V1"),
    "tdca": ("TDCA: a credit network sends it, D diffuses it", "TDCA V1->V1"),
}


@app.command(epilog="Example: cortex-sim demo --out runs/demo")
def demo(
    out: Annotated[Path | None, typer.Option(help="New directory; by default the next runs/demo-N.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of weights, data order and noise.", min=0)] = 0,
    threads: Threads = 1,
    as_json: Json = False,
) -> int:
    """Train one declared network on handwritten digits by five rules and compare them."""
    from cortex_sim.runs.directory import stands_at
    from cortex_sim.runs.log import JSONL
    from cortex_sim.training.run import train
    from cortex_sim.training.settings import resolve
    from cortex_sim.viz.curves import read_lines
    from cortex_sim.viz.demonstration import demonstration

    folder = next_folder(Path("runs")) if out is None else out
    if stands_at(folder):
        raise RunError(f"--out {folder}: already exists; give a new directory")
    folder.mkdir(parents=True, exist_ok=True)
    results: dict[str, dict[str, Any]] = {}
    for rule in RULES:
        typer.echo(f"digits_mlp learns by {rule} ...", err=True)
        settings = resolve("digits_mlp", flags={"rule": rule, "seed": seed, "threads": threads})
        results[rule] = train(settings, folder / rule)
    curves = {rule: read_lines(folder / rule / JSONL) for rule in RULES}
    picture = folder / "demo.png"
    typer.echo("the same networks in time ...", err=True)
    credit = {rule: in_time(folder / rule, rule, seed) for rule in IN_TIME}
    demonstration(curves, "retina->V1", credit, picture)
    if as_json:
        print_json({"out": str(folder), "figure": str(picture), "rules": results})
        return 0
    projections = list(results["backprop"]["angle_to_bp_deg"])
    columns = ("rule", "test accuracy", *(f"angle {name} (deg)" for name in projections), "seconds")
    rows = [
        (
            rule,
            f"{r['test_accuracy']:.1%}",
            *(r["angle_to_bp_deg"][n] for n in projections),
            r["seconds"],
        )
        for rule, r in results.items()
    ]
    print_table("digits_mlp on handwritten digits: angle of each update to backpropagation's", columns, rows)
    typer.echo("tdca uses the step size of its outer loop, the others use Adam: compare angles, not speed")
    typer.echo(f"figure: {picture}\nruns: {folder}")
    return 0


def in_time(run: Path, rule: str, seed: int) -> CreditInTime:
    """Credit of V1 in a trained network: an image, a wrong label with it, and the top-down projection cut."""
    import numpy as np

    import cortex_sim as cs
    from cortex_sim.viz.demonstration import CreditInTime

    says, cut = IN_TIME[rule]
    shown = {"retina": cs.Stimuli("digits", split="test", count=1, seed=seed)}
    wrong = (cs.data.load("digits").y_test[:1] + 1) % 10
    nudge = {"IT": np.asarray(wrong)}
    protocol = cs.Protocol(
        cs.Phase("image", duration_ms=20, drive=shown),
        cs.Phase("label", duration_ms=120, drive=shown, nudge=nudge),
        cs.Phase("projection cut", duration_ms=30, drive=shown, nudge=nudge, cut=[cut]),
        record=cs.Record(["credit"], populations=["V1"], every_ms=1),
    )
    settled = protocol.replace(record=cs.Record(["credit"], populations=["V1"], phase="label"))
    state = cs.load(run)
    recording, equilibrium = (
        backend.run(cs.Experiment(state.network, {rule: one}, start=state), seed=seed, progress=False)
        for backend, one in ((cs.brian2, protocol), (cs.torch, settled))
    )
    return CreditInTime(recording, equilibrium, "label", "V1", says)


def next_folder(parent: Path) -> Path:
    """The first of parent/demo-1, demo-2, … that does not exist."""
    number = 1
    while (parent / f"demo-{number}").exists():
        number += 1
    return parent / f"demo-{number}"
