"""Which rule looks like cortex?
=============================

Networks under six rules against macaque V4 and macaque and human IT; what such data can tell apart.

Question and prediction
-----------------------

Do networks trained by different learning rules respond differently enough to stimuli that recordings from
macaque V4 and from macaque and human IT could say which rule is closer? Prediction: a rule whose credit
equals backpropagation's (GAIT-prop) gives backpropagation's responses, and so its scores; feedback
alignment and TDCA, whose credit does not, stay nearer to the untrained network. **Controls**: the untrained
network, pixels, a bank of Gabor filters, shifted and permuted stimuli, and backpropagation stopped after
one epoch, which is as accurate as the others after four. **Recovery**: recordings simulated from every
model, as noisy as the real ones, say whether such data could tell the models apart at all.

What is modelled, and what is not
---------------------------------

.. csv-table::
   :delim: |

   networks | "``conv4`` (V1, V2, V4, IT: four convolutions); ``gait_cifar_deep`` (six hidden
   populations, of which V1, V3 and CIT are compared); ``vgg_like`` (six convolutions behind batch
   normalisers, of which the pooled fields of V1, V2 and V4 are compared); ``gait_cifar_deep`` once more under
   layered TDCA"
   rules | ":doc:`backpropagation </rules/backprop>`, without and with the orthogonality that GAIT-prop
   needs (``backprop_hard``); :doc:`GAIT-prop </rules/gait_prop>`;
   :doc:`feedback alignment </rules/feedback_alignment>`; :doc:`Kolen–Pollack </rules/kolen_pollack>`;
   :doc:`TDCA </rules/tdca>` with a shipped credit network, in its broadcast form, and in its layered form
   beside backpropagation with the same :doc:`decorrelated reading </decorrelation>`"
   training | "10 000 images of CIFAR-10 (as lossy JPEG), 4 epochs (``conv4``) or 6; 20 000 with crops and
   flips, 5 epochs (``vgg_like``, under four arms); three seeds; learning rates chosen on 2 000 images held
   out of the training set, never on test images or on neural data"
   normalisers | "statistics fixed as at evaluation: those of training, and mean 0 and variance 1 where
   untrained"
   stimuli | through each run's own preprocessing, at the training resolution (32×32)
   recordings | "RDMs of macaque IT (one, 674 neurons) and human IT (4 subjects, 2 sessions) for 92 objects
   (Kriegeskorte et al. 2008); macaque V4, session 210325 (640 images, single repeats) and 201025 (1 200
   images, means over repeats) (Cowley et al. 2023)"
   metrics | ":doc:`RSA </metrics/rsa>` (1 − r, ρ_a); :doc:`ridge </metrics/predictivity>` with random
   folds; r² over reliability where there are repeats (210325), median r where there are none (201025)"
   best population | chosen on other stimuli than it is scored on, for every model alike

Not modelled: eye position, the animals' tasks, recurrence, natural image statistics at the resolution that
the animals saw. Networks trained on ImageNet predict V4 far better than any of these; the question here is
not how well, but whether rules differ.

Run it
------

.. code-block:: none

   python benchmarks/which_rule.py --data-dir FOLDER    # trains 60 networks, then compares
   python benchmarks/which_rule_seeds.py --data-dir FOLDER
   python benchmarks/which_rule_page.py                 # tables and figures of the results

The first takes 5 hours of one thread for training and 5 for comparisons, on a machine that is busy with other
work. It and the second continue where they were stopped. A later network joins by a study file in
``benchmarks/studies/`` and a line in the protocol.

Result
------

.. image:: /figures/which_rule_conv4_macaque_v4_210325.png
   :alt: Scores of every population of the convolutional network with macaque V4, session 210325

Scores with intervals for all networks and recordings, recovery, and what is claimed:
:doc:`results </results-which-rule>`.
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
    "vgg_like": ("vgg_like", ("V1 pooled", "V2 pooled", "V4 pooled")),
    "gait_cifar_deep_layered": ("cortex_deep_layered", ("V1", "V3", "CIT")),
}
#: Arms of networks that were not trained under every rule.
ARMS = {
    "vgg_like": ("backprop", "backprop_hard", "gait_prop", "feedback_alignment"),
    "gait_cifar_deep_layered": ("backprop", "backprop_decorrelated", "tdca_layered"),
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
    rules = ARMS.get(network, RULES)
    given = [f"{rule}={run}" for rule in rules for run in run_directories(runs, study, rule)]
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
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
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
