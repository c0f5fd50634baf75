"""Tables of ``docs/results-reinforcement.md`` from the results of ``benchmarks/reinforcement.py``."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from scipy import stats

from cortex_sim.tdca.studies.jobs import Folders, Result

SEEDS = (3, 4, 5, 6, 7)
SAID = {
    "tdca": "credit network",
    "layered": "credit network, gain not trained",
    "tdca_observing": "credit network that reads the observation",
    "tdca_observing_scrambled": "credit network that reads the observation, scrambled worlds",
    "tdca_decorrelated": "credit network, decorrelation",
    "backprop": "REINFORCE, backpropagation",
    "backprop_of_trained_top": "backpropagation of a trained top",
    "backprop_decorrelated": "REINFORCE, backpropagation, decorrelation",
    "backprop_scrambled": "REINFORCE, backpropagation, scrambled worlds",
    "tdca_adding": "credit network that adds, longer outer loop",
    "backprop_adding": "REINFORCE, backpropagation, longer outer loop",
    "backprop_of_trained_top_adding": "backpropagation of a trained top that adds",
    "dfa": "REINFORCE, direct feedback alignment",
    "readout_only": "REINFORCE, readout of random hidden units",
    "ars_linear": "augmented random search, linear policy",
    "ars_mlp": "augmented random search, 32 tanh units",
    "ppo": "PPO, stable-baselines3, equal steps",
}
TITLES = {
    "match_to_sample": "Delayed match-to-sample",
    "context_choice": "Context-dependent choice",
    "card_sorting": "Card sorting by a cued rule",
    "cartpole": "CartPole",
    "pendulum": "Pendulum",
    "acrobot": "Acrobot",
    "mountain_car": "MountainCar",
}
SETTINGS = ("D", "R", "E")
RIVALS = ("backprop", "backprop_of_trained_top", "dfa", "readout_only")
RIVALS = (
    *RIVALS,
    "backprop_adding",
    "tdca_adding",
    "layered",
    "tdca_observing",
    "ars_linear",
    "ars_mlp",
    "ppo",
)
#: Other pairs of the table of differences.
PAIRS = (
    ("tdca_adding", "backprop_adding"),
    ("tdca_adding", "backprop_of_trained_top_adding"),
    ("tdca_observing_scrambled", "backprop_scrambled"),
)
NOT_YET = "not run yet"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _head(*cells: str) -> list[str]:
    return [_row(*cells), "|" + "---|" * len(cells)]


def results(folders: Folders, environment: str, arm: str) -> dict[int, Result]:
    """Results of an arm by outer seed."""
    found = {seed: folders.kept(f"{environment}_{arm}-{seed}") for seed in SEEDS}
    return {seed: result for seed, result in found.items() if result is not None}


def by_seed(folders: Folders, environment: str, arm: str, label: str, what: str) -> dict[int, list[float]]:
    """Values of inner runs by outer seed: ``what`` is mean, after, solved or steps."""
    return {
        seed: result["per_life"][label][what]
        for seed, result in results(folders, environment, arm).items()
        if what in result["per_life"].get(label, {})
    }


def _number(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.0f}"


def _spread(values: dict[int, list[float]], percent: bool = False) -> str:
    if not values:
        return "–"
    flat = np.concatenate(list(values.values())) * (100 if percent else 1)
    if percent:
        return f"{flat.mean():.0f} %"
    return f"{_number(float(flat.mean()))} ± {_number(float(flat.std()))}"


def difference(
    folders: Folders, environment: str, ours: str, theirs: str, label: str, what: str = "mean"
) -> tuple[float, float, float, int] | None:
    """Mean difference, its 95 % t interval over outer seeds, and their number; None without two seeds."""
    first = by_seed(folders, environment, ours, label, what)
    label = label if theirs != ours else label.split(":")[0]
    second = by_seed(folders, environment, theirs, label, what)
    return _interval([float(np.mean(first[s]) - np.mean(second[s])) for s in first if s in second])


def _interval(found: Sequence[float]) -> tuple[float, float, float, int] | None:
    if len(found) < 2:
        return None
    mean, half = float(np.mean(found)), float(stats.sem(found) * stats.t.ppf(0.975, len(found) - 1))
    return mean, mean - half, mean + half, len(found)


def _shown(found: tuple[float, float, float, int] | None) -> str:
    if found is None:
        return "–"
    digits = 2 if max(abs(v) for v in found[:3]) < 10 else 0
    return f"{found[0]:+.{digits}f} [{found[1]:+.{digits}f}, {found[2]:+.{digits}f}]"


def environment_table(folders: Folders, environment: str) -> list[str]:
    """Returns of every arm that was run, and its controls."""
    lines = _head(
        "rule",
        *(f"return, {s}" for s in SETTINGS),
        *(f"solved, {s}" for s in SETTINGS),
        "silent, D / E",
        "hidden credit shuffled, D / E",
        "read as a policy, D / E",
        "outer seeds × inner runs",
        "episodes",
        "steps, D",
    )
    for arm, said in SAID.items():
        found = results(folders, environment, arm)
        if not found:
            continue

        def control(how: str, what: str = "mean", arm: str = arm) -> str:
            values = [by_seed(folders, environment, arm, f"{s}:{how}", what) for s in ("D", "E")]
            means = [_number(float(np.mean(np.concatenate(list(v.values()))))) if v else "" for v in values]
            return " / ".join(means) if all(means) else "–"

        runs = len(next(iter(by_seed(folders, environment, arm, "D", "mean").values())))
        steps = np.mean(np.concatenate(list(by_seed(folders, environment, arm, "D", "steps").values())))
        lines.append(
            _row(
                said,
                *(_spread(by_seed(folders, environment, arm, s, "mean")) for s in SETTINGS),
                *(_spread(by_seed(folders, environment, arm, s, "solved"), True) for s in SETTINGS),
                control("silent"),
                control("units"),
                control("policy", "after"),
                f"{len(found)} × {runs}",
                "–" if arm == "ppo" else str(_episodes(environment)),
                f"{steps:.0f}",
            )
        )
    return lines


def _episodes(environment: str) -> int:
    from cortex_sim.tdca.evolving.reading import configured

    practice = configured(f"reinforcement_{environment}").practised()
    return practice.updates * practice.episodes


def differences(folders: Folders) -> list[str]:
    """The credit network minus its rivals, and minus itself without hidden credit."""
    lines = _head("environment", "of", "minus", *SETTINGS, "outer seeds")
    for environment, title in TITLES.items():
        for rival in RIVALS:
            found = [difference(folders, environment, "tdca", rival, s) for s in SETTINGS]
            lines += _line(title, SAID[rival], found)
        for how in ("silent", "units"):
            found = [
                _interval(
                    [
                        float(np.mean(whole) - np.mean(spoiled[seed]))
                        for seed, whole in by_seed(folders, environment, "tdca", s, "mean").items()
                        if seed in (spoiled := by_seed(folders, environment, "tdca", f"{s}:{how}", "mean"))
                    ]
                )
                for s in SETTINGS
            ]
            said = {"silent": "itself, hidden credit silent", "units": "itself, hidden credit shuffled"}
            lines += _line(title, said[how], found)
        for ours, theirs in PAIRS:
            found = [difference(folders, environment, ours, theirs, s) for s in SETTINGS]
            lines += _line(title, SAID[theirs], found, SAID[ours])
    return lines


def _line(
    title: str, said: str, found: list[tuple[float, float, float, int] | None], ours: str = SAID["tdca"]
) -> list[str]:
    if all(f is None for f in found):
        return []
    return [_row(title, ours, said, *map(_shown, found), str(max(f[3] for f in found if f is not None)))]


def asked(folders: Folders) -> list[str]:
    """Criteria set before the runs, and outcomes."""
    lines = _head("criterion", "measured", "met")
    above = _above(folders, "tdca", "backprop")
    lines.append(
        _row(
            "return above REINFORCE by backpropagation in D and E, on three tasks",
            ", ".join(above) or "none",
            _met(len(above) >= 3),
        )
    )
    worse = []
    for environment in TITLES:
        found = [
            _interval([float(np.mean(whole[s]) - np.mean(spoiled[s])) for s in whole if s in spoiled])
            for letter in ("D", "E")
            for whole, spoiled in [
                (
                    by_seed(folders, environment, "tdca", letter, "mean"),
                    by_seed(folders, environment, "tdca", f"{letter}:silent", "mean"),
                )
            ]
        ]
        if all(f is not None and f[1] > 0 and f[3] >= 3 for f in found):
            worse.append(TITLES[environment])
    both = [t for t in worse if t in above]
    lines.append(
        _row(
            "on one of them clearly worse with silent hidden credit",
            f"worse: {', '.join(worse) or 'none'}",
            _met(bool(both)),
        )
    )
    for letter, least in (("D", 95), ("E", 55)):
        values = by_seed(folders, "cartpole", "tdca", letter, "solved")
        mean = 100 * float(np.mean(np.concatenate(list(values.values())))) if values else float("nan")
        lines.append(
            _row(
                f"CartPole solved in {letter}, at least {least} %",
                f"{mean:.0f} %" if values else NOT_YET,
                _met(mean >= least) if values else "–",
            )
        )
    read = by_seed(folders, "cartpole", "tdca", "D:policy", "after")
    mean = float(np.mean(np.concatenate(list(read.values())))) if read else float("nan")
    lines.append(
        _row(
            "aim: read as a policy below 100 on CartPole, D",
            _number(mean) if read else NOT_YET,
            _met(mean < 100) if read else "–",
        )
    )
    rival = difference(folders, "cartpole", "tdca", "ars_mlp", "D")
    lines.append(
        _row(
            "aim: above the MLP of augmented random search, D",
            _shown(rival),
            _met(rival[1] > 0) if rival else "–",
        )
    )
    return lines


def _above(folders: Folders, ours: str, theirs: str) -> list[str]:
    """Tasks in which one arm's return is above another's, in D and in E, over at least three outer seeds."""
    return [
        title
        for environment, title in TITLES.items()
        if all(
            (found := difference(folders, environment, ours, theirs, letter)) is not None
            and found[1] > 0
            and found[3] >= 3
            for letter in ("D", "E")
        )
    ]


def _met(true: bool) -> str:
    return "yes" if true else "**no**"


def tables(folders: Folders) -> dict[str, list[str]]:
    """Every table by name."""
    found = {"asked": asked(folders), "differences": differences(folders)}
    return found | {name: environment_table(folders, name) for name in TITLES if _was_run(folders, name)}


def _was_run(folders: Folders, environment: str) -> bool:
    return any(results(folders, environment, arm) for arm in SAID)


def page(text: str, folders: Folders) -> str:
    """The page with every table between its marks written again."""
    for name, lines in tables(folders).items():
        marks = re.compile(rf"(<!-- table {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
        body = "\n".join(lines)
        text = marks.sub(lambda m, body=body: f"{m[1]}\n{body}\n\n{m[2]}", text)
    return text


def figure(folders: Folders, environment: str) -> object | None:
    """Learning curves in D and E of every arm that was run; None without any."""
    from matplotlib.figure import Figure

    curves = {arm: _curves(folders, environment, arm) for arm in SAID if "scrambled" not in arm}
    curves = {arm: found for arm, found in curves.items() if found}
    if not curves:
        return None
    drawn = Figure(figsize=(9.0, 4.4), layout="constrained")
    panels = drawn.subplots(1, 2, sharey=True)
    for axes, letter in zip(panels, ("D", "E"), strict=True):
        for number, (arm, found) in enumerate(curves.items()):
            mean = np.mean([row[letter]["curve"] for row in found], axis=0)
            style = "-" if number < 10 else "--"  # there are ten colours
            axes.plot(
                range(1, len(mean) + 1), mean, style, color=f"C{number % 10}", linewidth=1.4, label=SAID[arm]
            )
        axes.set(title=f"{TITLES[environment]}, {letter}", xlabel="update of an inner run")
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("mean return")
    drawn.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=7)
    return drawn


def _curves(folders: Folders, environment: str, arm: str) -> list[Result]:
    """Inner runs of an arm by outer seed, where their learning curves were kept (PPO has none)."""
    found = [result["per_life"] for result in results(folders, environment, arm).values()]
    return [rows for rows in found if "curve" in rows["D"]]
