"""Which rule's network responds most like cortex? Networks under six rules, macaque V4 and IT, human IT.

Two architectures, four convolutions and six dense populations, are trained on the same 10 000 images
(CIFAR-10 as lossy JPEG) under backpropagation, with and without the orthogonality that GAIT-prop needs,
GAIT-prop (arXiv 2006.06438, 2102.11598), feedback alignment, Kolen-Pollack and TDCA (arXiv 2208.01416;
the broadcast form, with its shipped credit network), from three seeds. All are shown the stimuli of

- macaque V4, 1200 natural images, means over repeats, and 640 with single repeats (Cowley et al. 2023);
- RDMs of macaque and human IT for 92 objects (Kriegeskorte et al. 2008).

Prediction: credit that equals backpropagation's (GAIT-prop, Kolen-Pollack) gives its responses; feedback
alignment and TDCA, whose credit does not, stay nearer to the untrained network. Controls: the untrained
network, pixels, a Gabor bank, shifted and permuted stimuli, and backpropagation stopped where it is as
accurate as the others. Model recovery says whether such data could tell the rules apart at all.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import cortex_sim as cs
from cortex_sim.compare.folds import RandomFolds
from cortex_sim.compare.predictivity import Predictivity
from cortex_sim.compare.rsa import Rsa
from cortex_sim.report.comparing import Settings
from cortex_sim.report.entries import Entry, Showing, entries
from cortex_sim.report.metrics import Named
from cortex_sim.report.neural_side import neural_data
from cortex_sim.report.studying import Study, studied

RUN_BY = "python benchmarks/which_rule.py --data-dir ../shared/data"
RULES = ("backprop", "backprop_hard", "gait_prop", "feedback_alignment", "kolen_pollack", "tdca")
SEEDS = (0, 1, 2)
#: Networks: the study that trained them, and the populations that are compared.
NETWORKS = {
    "conv4": ("cortex_conv4", ("V1", "V2", "V4", "IT")),
    "gait_cifar_deep": ("cortex_deep", ("V1", "V3", "CIT")),
}
STOPPED_EARLY = "cortex_conv4_short"
RIDGE, RSA = Named("ridge", Predictivity(folds=RandomFolds(5))), Named("rsa", Rsa())
IT = ("objects92_it_rdms.npz:monkeyIT_674neurons", "objects92_it_rdms.npz:humanIT_subjects_sessions")
#: Recordings: arrays and metrics. RSA of 1200 images ranks 719 400 pairs for every resample: left out there.
DATA = {
    "objects92_it_rdms.npz": (IT, (RSA,)),
    "macaque_v4_210325.npz": (("macaque_v4_210325.npz",), (RIDGE, RSA)),
    "macaque_v4_201025.npz": (("macaque_v4_201025.npz",), (RIDGE,)),
}
SETTINGS = Settings(resamples=200)


def run_directories(runs: Path, study: str, rule: str) -> list[Path]:
    """Trained networks of one arm, by seed; its rate is the one that was chosen."""
    found = sorted((runs / study / "final" / rule).glob("*/seed-*/run"))
    kept = [path for path in found if (path / "metrics.json").is_file()]
    if len(kept) != len(SEEDS):
        raise SystemExit(f"{runs / study}: {len(kept)} of {len(SEEDS)} runs under {rule}; train them first")
    return kept


def accuracy(run: Path) -> float:
    """Test accuracy of a run."""
    return float(json.loads((run / "metrics.json").read_text("utf-8"))["test_accuracy"])


def models(network: str, runs: Path, showing: Showing) -> list[Entry]:
    """The network under every rule, untrained, and the two baselines."""
    study, _ = NETWORKS[network]
    given = [f"{rule}={run}" for rule in RULES for run in run_directories(runs, study, rule)]
    if network == "conv4":
        given += [f"backprop, 1 epoch={run}" for run in run_directories(runs, STOPPED_EARLY, "backprop")]
    trained = entries(given, replace(showing, untrained=False))
    first = entries(given[: len(SEEDS)], showing)[0]
    return [*trained, Entry("untrained", first.untrained), *entries(["pixels", "gabor"], showing)]


def compared(network: str, file: str, data_dir: Path, runs: Path, simulations: int, folder: Path) -> None:
    """One network and one recording: table, figures and recovery in a folder of their own."""
    keys, metrics = DATA[file]
    place = folder / network / Path(file).stem
    if (place / "report.json").is_file():
        return
    stimuli = cs.data.stimuli(data_dir / file)
    showing = Showing(stimuli, NETWORKS[network][1], cache=folder / "responses")
    data = neural_data([str(data_dir / key) for key in keys])
    study = Study(tuple(models(network, runs, showing)), data, metrics, SETTINGS, simulations)
    result = studied(study, lambda said: print(f"{network}, {said}", flush=True))
    result.write(place)
    print("\n".join(result.sentences))


def main() -> None:
    """Compare all networks with all recordings; what is done is kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--runs", type=Path, default=Path("runs/accuracy"))
    parser.add_argument("--out", type=Path, default=Path("runs/which_rule"))
    parser.add_argument("--network", action="append", choices=list(NETWORKS))
    parser.add_argument("--simulations", type=int, default=10)
    given = parser.parse_args()
    for network in given.network or NETWORKS:
        for file in DATA:
            compared(network, file, given.data_dir, given.runs, given.simulations, given.out)


if __name__ == "__main__":
    main()
