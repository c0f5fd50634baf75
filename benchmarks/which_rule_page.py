"""Tables and figures of docs/results-which-rule.md, from the results of the comparison.

    python benchmarks/which_rule_page.py                         # from runs/which_rule, and into the page
    python benchmarks/which_rule_page.py --only-page             # from the results that are kept

Results are kept in ``benchmarks/results/which_rule/NETWORK-DATA.json``, figures in ``docs/figures``.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "benchmarks" / "results"
RESULTS = KEPT / "which_rule"
FIGURES = ROOT / "docs" / "figures"
PAGE = ROOT / "docs" / "results-which-rule.md"
#: Network: the studies that trained it, and their arms as the comparison names them.
TRAINED = {
    "conv4": ("cortex_conv4", "cortex_conv4_short"),
    "gait_cifar_deep": ("cortex_deep",),
    "vgg_like": ("vgg_like",),
    "gait_cifar_deep_layered": ("cortex_deep_layered",),
}
SHORT = {
    "monkeyIT_674neurons": "monkey IT",
    "humanIT_subjects_sessions": "human IT",
    "macaque_v4_210325": "V4 210325",
    "macaque_v4_201025": "V4 201025",
}
FIELDS = (
    "recording", "population", "data", "metric", "score", "ci_low", "ci_high", "ceiling", "reliability",
    "control_shifted", "control_permuted", "permuted_sd", "units", "stimuli", "seeds",
)  # fmt: skip


def keep(runs: Path) -> None:
    """Copy reports, without what no table reads, and the figures."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    for report in sorted(runs.glob("*/*/report.json")):
        network, data = report.parent.parent.name, report.parent.name
        found = json.loads(report.read_text("utf-8"))
        found["scores"] = [{key: one[key] for key in FIELDS} for one in found["scores"]]
        text = json.dumps(found, indent=1) + "\n"
        (RESULTS / f"{network}-{data}.json").write_text(text, encoding="utf-8")
        shutil.copy(report.parent / "scores.png", FIGURES / f"which_rule_{network}_{data}.png")
        for drawn in report.parent.glob("recovery-*.png"):
            shutil.copy(drawn, FIGURES / f"which_rule_{network}_{drawn.name}")


def reports(network: str) -> Iterator[dict[str, Any]]:
    """What is kept of one network."""
    for path in sorted(RESULTS.glob(f"{network}-*.json")):
        yield json.loads(path.read_text("utf-8"))


def accuracies(network: str) -> dict[str, list[float]]:
    """Test accuracy of each trained model, %, by seed."""
    found: dict[str, list[float]] = {}
    for study in TRAINED[network]:
        results = json.loads((KEPT / f"{study}.json").read_text("utf-8"))
        for key, metrics in results.items():
            if key.startswith("final/"):
                arm = key.split("/")[1] + (", 1 epoch" if study.endswith("short") else "")
                found.setdefault(arm, []).append(100 * metrics["test_accuracy"])
    return found


def scores(network: str) -> str:
    """The score of each model's population, chosen on other stimuli, for each recording and metric."""
    reached, columns, rows = accuracies(network), [], {}
    for report in reports(network):
        for one in report["comparisons"]:
            columns.append((one["data"], one["metric"]))
            for best in one["best"]:
                rows.setdefault(best["recording"], {})[columns[-1]] = best
    heads = [f"{SHORT[data]}, {metric}" for data, metric in columns]
    lines = [f"| model | test accuracy (%) | {' | '.join(heads)} |", "|---|---|" + "---|" * len(heads)]
    for model, cells in rows.items():
        known = reached.get(model)
        accuracy = "–" if not known else f"{statistics.mean(known):.1f} ± {statistics.stdev(known):.1f}"
        lines.append(f"| {model} | {accuracy} | {' | '.join(_cell(cells[column]) for column in columns)} |")
    lines.append(f"| *ceiling* | | {' | '.join(_ceiling(network, column) for column in columns)} |")
    shifted = [_of_all(network, column, "control_shifted") for column in columns]
    permuted = [_of_all(network, column, "control_permuted") for column in columns]
    lines += [f"| *shifted stimuli* | | {' | '.join(shifted)} |"]
    return "\n".join([*lines, f"| *permuted stimuli* | | {' | '.join(permuted)} |"])


def _cell(best: dict[str, Any]) -> str:
    return f"{best['score']:.3f} ({best['ci_low']:.3f} to {best['ci_high']:.3f}) {best['population']}"


def _ceiling(network: str, column: tuple[str, str]) -> str:
    """What the best possible model could score."""
    found = _of_all(network, column, "ceiling")
    if column[1] == "rsa" or found == "unknown":
        return found
    return f"1 (of r: {found})"  # with a ceiling, ridge scores are r squared over reliability


def _of_all(network: str, column: tuple[str, str], what: str) -> str:
    """The range over models and populations."""
    rows = [one for report in reports(network) for one in report["scores"]]
    of = [one[what] for one in rows if (one["data"], one["metric"]) == column and one[what] is not None]
    if not of:
        return "unknown"
    low, high = f"{min(of):.3f}", f"{max(of):.3f}"
    return low if low == high else f"{low} to {high}"


def recovery(network: str) -> str:
    """How often the model that a recording was simulated from had the best score."""
    lines = ["| recording | metric | recovered | winner named | verdict |", "|---|---|---|---|---|"]
    for report in reports(network):
        for one in report["recovery"]:
            share = "–" if one["accuracy"] is None else f"{one['accuracy']:.0%}"
            said = one["said"][0].split(": ", 1)[1]
            lines.append(
                f"| {SHORT[one['data']]} | {one['metric']} | {share} | {one['winner'] or 'none'} | {said} |"
            )
    return "\n".join(lines)


def differences(network: str) -> str:
    """Pairs of models that differ after correction, or, where these are the majority, those that do not."""
    lines = ["| recording | metric | differ (Holm) | which |", "|---|---|---|---|"]
    for report in reports(network):
        for one in report["comparisons"]:
            found: dict[bool, list[str]] = {True: [], False: []}
            for pair in one["differences"]:
                found[pair["p_adjusted"] < 0.05].append(_pair(pair))
            apart, alike, of = found[True], found[False], len(one["differences"])
            said = "; ".join(apart) or "none"
            if len(apart) > len(alike):
                said = "all but " + "; ".join(alike)
            lines.append(f"| {SHORT[one['data']]} | {one['metric']} | {len(apart)} of {of} | {said} |")
    return "\n".join(lines)


def _pair(pair: dict[str, Any]) -> str:
    high, low = pair["first"], pair["second"]
    if pair["difference"] < 0:
        high, low = low, high
    return f"{high} – {low} ({abs(pair['difference']):.3f})"


def alike(network: str) -> str:
    """RDM similarity: above the diagonal across seeds, below it for the same seed, on it within a rule."""
    found = json.loads((RESULTS / f"seeds-{network}.json").read_text("utf-8"))
    names = list(found)
    lines = [f"| | {' | '.join(names)} |", "|---|" + "---|" * len(names)]
    for row, first in enumerate(names):
        cells = [
            f"{found[first][second]['same seed' if column < row else 'other seeds']:.2f}"
            for column, second in enumerate(names)
        ]
        lines.append(f"| {first} | {' | '.join(cells)} |")
    return "\n".join(lines)


TABLES = {"scores": scores, "recovery": recovery, "differences": differences, "alike": alike}


def page(text: str) -> str:
    """The page with each table between its two markers."""

    def filled(match: re.Match[str]) -> str:
        what, network = match.groups()
        return f"<!-- {what} {network} -->\n\n{TABLES[what](network)}\n\n<!-- end {what} {network} -->"

    return re.sub(
        r"<!-- (scores|recovery|differences|alike) (\w+) -->.*?<!-- end \1 \2 -->", filled, text, flags=re.S
    )


def main() -> None:
    """Keep the results, and write the page's tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "which_rule")
    parser.add_argument("--only-page", action="store_true")
    given = parser.parse_args()
    if not given.only_page:
        keep(given.runs)
    PAGE.write_text(page(PAGE.read_text("utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
