"""Which rule made this trajectory? Identify a learning rule from statistics recorded while it learns.

After Nayebi, Srivastava, Ganguli & Yamins (2020), arXiv 2010.11765, with rules that differ only in how credit
arrives: same initial weights, same batches in the same order, same learning rates, same decay.

Prediction: statistics of activity, weights and credit over training identify the rule on architectures that
the classifier has never seen, well above chance and above what the learning curve alone allows; with few
units, noise, or activity alone, less well. GAIT-prop and backpropagation are confused where weights stay near
orthogonal, because there the two rules are the same. Controls: before learning, activity and weights must
be at chance, and so must permuted rules.
"""

import argparse
import json
import logging
from pathlib import Path

from cortex_sim import recording
from cortex_sim.runs.files import write_text
from cortex_sim.runs.sweep import as_csv
from cortex_sim.trajectories.ablations import QUICK, THOROUGH, Effort, Row
from cortex_sim.trajectories.answers import answers
from cortex_sim.trajectories.classify import held_out
from cortex_sim.trajectories.design import SMALL, STUDY, Design
from cortex_sim.trajectories.drawing import figure
from cortex_sim.trajectories.evidence import Evidence
from cortex_sim.trajectories.study import study

NAME = "rule_from_trajectory"
RUN_BY = f"python protocols/{NAME}.py"


def main(
    design: Design = STUDY, folder: Path = Path("runs"), processes: int = 1, effort: Effort = THOROUGH
) -> list[Row]:
    """Train and record what is not done yet, classify, and write the tidy file, the tables and the figure."""
    from cortex_sim.viz.panels import finished

    folder.mkdir(parents=True, exist_ok=True)
    trajectories = study(design, folder / NAME, processes)
    recording.save(trajectories, folder / f"{NAME}.nc")
    diverged = json.loads(trajectories.attrs["diverged"])
    print(f"{trajectories.sizes['run']} runs; diverged and left out: {', '.join(diverged) or 'none'}")

    outcome = held_out(trajectories, Evidence().features(trajectories), **effort.forest)
    for one, other, share in outcome.confused_pairs()[:6]:
        print(f"{one} and {other}: taken for each other in {100 * share:.0f} % of their runs")
    for architecture, share in outcome.by_group().items():
        print(f"{architecture}, held out: {share:.3f} of its runs are right")
    rows = []
    for row in answers(trajectories, folder / NAME / "answers", effort):
        rows.append(row)
        print(f"{row.question:28} {row.evidence:32} {row.setting:36} {row.classifier:14}", end="")
        print(f"{row.accuracy:.3f} [{row.low:.3f}, {row.high:.3f}]", flush=True)
    write_text(folder / f"{NAME}.csv", as_csv([row.as_dict() for row in rows]))
    write_text(folder / f"{NAME}_confusion.csv", as_csv(outcome.confusion_rows()))
    finished(figure(trajectories, outcome, rows), folder / f"{NAME}.png")
    print(f"{folder / NAME}.nc, .csv, _confusion.csv, .png")
    return rows


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--small", action="store_true", help="a minute: too few runs to conclude anything")
    options.add_argument("--data", default="digits", help="digits, or mnist with $CORTEX_SIM_DATA")
    options.add_argument("--out", type=Path, default=Path("runs"), help="folder; what it holds is continued")
    options.add_argument("--jobs", type=int, default=1, help="runs in parallel")
    given = options.parse_args()
    logging.getLogger("cortex_sim").setLevel(logging.ERROR)  # divergence is reported in one line a run
    chosen, effort = (SMALL, QUICK) if given.small else (STUDY, THOROUGH)
    main(chosen.replace(data=given.data), given.out, given.jobs, effort)
