"""Run the studies of reinforcement learning by a credit network; continues where it stopped.

    python benchmarks/reinforcement.py plan                     # what is done, what is not
    python benchmarks/reinforcement.py run                      # all that is not done, most important first
    python benchmarks/reinforcement.py run cartpole             # one environment
    python benchmarks/reinforcement.py page                     # writes docs/results-reinforcement.md
    python benchmarks/reinforcement.py figures                  # draws docs/figures/reinforcement_*.png

Each job is an outer loop of one thread in ``runs/reinforcement/NAME-SEED/run``, or augmented random search;
results, with every inner run, are kept in ``benchmarks/results/reinforcement/NAME-SEED.json`` with the
fingerprint of their configuration: if that has changed, the job is done again. The command may run several
times at once: each takes work that no other has taken.
"""

from __future__ import annotations

import argparse
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

import reinforcement_page
from reinforcement_search import SearchJob

from cortex_sim.tdca.evolving.reading import configured
from cortex_sim.tdca.reinforcement.named import environment as environment_of
from cortex_sim.tdca.studies.jobs import Folders, Job, Work, is_done, work

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "results-reinforcement.md"
CHOICES = ("match_to_sample", "context_choice", "card_sorting")
ENVIRONMENTS = (*CHOICES, "cartpole", "pendulum", "acrobot", "mountain_car")
ADDING = ("match_to_sample", "context_choice", "cartpole")  # also with the form that adds
_ADDING = "_adding"
SEEDS = (3, 4, 5, 6, 7)  # settings were chosen with others


@cache
def _shipped(name: str) -> Any:
    """A configuration, read once."""
    return configured(name)


def config_of(environment: str, arm: str) -> str:
    """Name of an arm's configuration; arms of the form that adds have others, with longer outer loops."""
    return f"reinforcement_{environment}{_ADDING if arm.endswith(_ADDING) else ''}"


@cache
def arms(environment: str) -> dict[str, dict[str, Any]]:
    """Overrides of an environment's configuration, by arm."""
    env = environment_of(environment)
    network = _shipped(config_of(environment, "")).rule["credit_network"]
    reads = {**network, "context": {**network["context"], "observation": env.observations}}
    reading = {"rule": {"name": "layered_of_trained_top", "credit_network": reads}}
    decorrelated = {
        "model_settings": {"hidden": [32], "activation": "tanh", "reads": {"name": "decorrelated"}}
    }
    silent = {"testing": {"controls": ["silent"]}}
    scrambled = {"practice": {"scrambled": True}}
    backprop = {"rule": {"name": "backprop"}, **silent}
    adding = {}
    if environment in ADDING:
        added = _shipped(config_of(environment, _ADDING)).rule["credit_network"]
        top = {"rule": {"name": "backprop_of_trained_top", "credit_network": added}, **silent}
        adding = {f"tdca{_ADDING}": {}, f"backprop{_ADDING}": backprop}
        adding[f"backprop_of_trained_top{_ADDING}"] = top
    return adding | {
        "tdca": {},
        "backprop": backprop,
        "backprop_of_trained_top": {
            "rule": {"name": "backprop_of_trained_top", "credit_network": network},
            **silent,
        },
        "readout_only": {"rule": {"name": "readout_only"}, "testing": {"controls": []}},
        "layered": {
            "rule": {"name": "layered", "credit_network": {"name": "layered", "mirror": 320}},
            **silent,
        },
        "dfa": {"rule": {"name": "direct_feedback_alignment"}, **silent},
        "tdca_observing": reading,
        "tdca_observing_scrambled": {**reading, **scrambled},
        "backprop_scrambled": {**backprop, **scrambled},
        "tdca_decorrelated": {**decorrelated, **silent},
        "backprop_decorrelated": {**backprop, **decorrelated},
    }


def job(environment: str, arm: str, seed: int) -> Job:
    """One outer loop; an arm is tested as its configuration says, except for its controls."""
    name = config_of(environment, arm)
    overrides = dict(arms(environment)[arm])
    if "testing" in overrides:
        overrides["testing"] = {**_shipped(name).testing, **overrides["testing"]}
    return Job(f"{environment}_{arm}", name, seed, overrides)


OTHERS = (
    "backprop_of_trained_top",
    f"tdca{_ADDING}",
    f"backprop{_ADDING}",
    f"backprop_of_trained_top{_ADDING}",
    "readout_only",
    "layered",
    "dfa",
    "tdca_observing",
    "tdca_observing_scrambled",
    "backprop_scrambled",
    "tdca_decorrelated",
    "backprop_decorrelated",
)


def jobs(environments: list[str]) -> list[Work]:
    """All of them, most important first: two arms of each environment, then searches, then the others."""
    order = ENVIRONMENTS
    found: list[Work] = [job(e, a, s) for e in order for s in SEEDS for a in ("tdca", "backprop")]
    found += [SearchJob(e, h, s) for e in order for h in (0, 32) for s in SEEDS]
    found += [job(e, a, s) for a in OTHERS for e in order for s in SEEDS if a in arms(e)]
    return [one for one in found if not environments or one.key.startswith(tuple(environments))]


def folders() -> Folders:
    """Folders of runs and results."""
    return Folders(ROOT / "runs" / "reinforcement", ROOT / "benchmarks" / "results" / "reinforcement")


def say(text: str) -> None:
    """Print one line immediately."""
    print(text, flush=True)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["plan", "run", "page", "figures"])
    parser.add_argument("environment", nargs="*", help=", ".join(ENVIRONMENTS))
    parser.add_argument("--jobs", type=int, default=1, help="outer loops in parallel")
    given = parser.parse_args()
    unknown = [name for name in given.environment if name not in ENVIRONMENTS]
    if unknown:
        parser.error(f"no environment {unknown[0]!r}; known: {', '.join(ENVIRONMENTS)}")
    places = folders()
    wanted = jobs(given.environment)
    if given.what == "plan":
        for one in wanted:
            say(f"{'done' if is_done(one, places) else 'open':6}{one.key}")
    elif given.what == "run":
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        failed = work(wanted, places, say, given.jobs)
        if failed:
            sys.exit(f"failed: {', '.join(failed)}")
    elif given.what == "page":
        PAGE.write_text(reinforcement_page.page(PAGE.read_text("utf-8"), places), "utf-8")
    else:
        draw(places)


def draw(places: Folders) -> None:
    """Learning curves of every environment, with few colours, which keeps the files small."""
    from io import BytesIO

    from PIL import Image

    for name in ENVIRONMENTS:
        figure = reinforcement_page.figure(places, name)
        if figure is not None:
            drawn = BytesIO()
            figure.savefig(drawn, format="png", dpi=110)
            path = ROOT / "docs" / "figures" / f"reinforcement_{name}.png"
            Image.open(drawn).convert("RGB").quantize(96).save(path, optimize=True)
            say(str(path.relative_to(ROOT)))


if __name__ == "__main__":
    main()
