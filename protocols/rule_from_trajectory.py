"""Which rule made this trajectory?
================================

Statistics recorded while a network learns identify its rule on unseen architectures; GAIT-prop is sometimes
taken for backpropagation.

Question and prediction
-----------------------

Can a learning rule be identified from what is recorded while a network learns? Nayebi, Srivastava, Ganguli
& Yamins (2020, arXiv 2010.11765) trained classifiers on aggregate statistics of weights, activations and
layer-wise activity changes of 1,056 networks, and found that they separate SGD with momentum, Adam,
feedback alignment and information alignment, also on architectures that the classifier had not seen;
activations withstood noise and undersampling better than weights. Here the optimiser is the same for all
rules, and what differs is how credit arrives. Prediction: the rule is identified on new architectures well
above chance and above what the learning curve alone allows; less well with few units, with noise, and from
activity alone; GAIT-prop and backpropagation are confused, because they are the same rule on orthogonal
weights. **Controls**: activity and weights before learning, permuted rules (both must be at chance), the
learning curve alone, runs compared at the same accuracy.

What is modelled, and what is not
---------------------------------

.. csv-table::
   :delim: |

   rules (8) | ":doc:`backpropagation </rules/backprop>`, :doc:`GAIT-prop </rules/gait_prop>` (limit form,
   damping 1e-3, ``rescale=True``), :doc:`sign-symmetric </rules/sign_symmetric>`,
   :doc:`weight mirror </rules/weight_mirror>`, :doc:`Kolen–Pollack </rules/kolen_pollack>`,
   :doc:`feedback alignment </rules/feedback_alignment>`,
   :doc:`direct feedback alignment </rules/direct_feedback_alignment>`, :doc:`TDCA </rules/tdca>` (landed
   form, with the shipped credit network ``tdca_mnist``)"
   architectures (6) | "leaky ReLU 64-64-64 and 160-160-160-160 (orthogonal start), 128-96-64 (He); tanh
   80-80-80-80-80 and 128-96-72-54 (orthogonal), 96-72-54 (normal)"
   seeds, rates | 3 seeds; learning rates 0.015, 0.03, 0.06, all of them for every rule
   training | digits 8×8, 512 updates of plain SGD, batch 32, decay 1e-4 on every weight under every rule
   snapshots (11) | after 0, 1, 2, 4, …, 512 updates; responses and credit to the same 64 test stimuli

All rules start from the same weights, and see the same batches in the same order. Random feedback has the
size of the weights that it replaces: at its default size credit is several times larger than under
backpropagation, and its size alone would identify the rule.

**Populations.** Networks differ in depth, so three populations are compared: the first hidden one, the
middle one (the lower of two), and the last. All are measured, none interpolated; their relative depth is in
the file. The output population is left out: its rates reveal the network's accuracy, and its credit and the
changes of its weights follow the same rule in all arms.

**Statistics** (74 per population and snapshot; formulas in ``cortex_sim.trajectories.statistics``). Each
observable is a matrix (sample, unit): rates over presentations, credit over presentations, incoming weights
over inputs. Of each: mean, median, third quartile, mean and median of sizes, variance, rms, Frobenius and
spectral norm, skewness (moment and nonparametric), kurtosis, sparsity, participation ratio (absolute, and
relative to its maximum), stable rank, mean correlation between units, spread over units; and over time mean
absolute change, relative change, stable rank of the change, cosines to the previous and the first snapshot,
and of the change to the previous state; further the cosine between credit and activity, and between the
change of activity and the credit before it. The angle to backpropagation is not among them: it would
identify the rule, and nobody can measure it in a brain.

**Classifiers.** Random forest of 100 trees, and logistic regression on quantiles; settings were fixed
beforehand. Each architecture is held out in turn. Intervals are 95 %, from a bootstrap over architectures,
then seeds; with six architectures they are somewhat too narrow. Chance is 1/8.

Not modelled: spikes, other tasks, other optimisers, recurrent networks, units that drop out of a recording.
Difference target propagation was to be among the rules and is not: with its learned inverse, 15 of 18 runs
(six architectures, three rates, seed 0: ``STUDY.replace(rules=("difference_target_prop",), seeds=(0,))``)
diverged; the other three ended at .90, .72 and .10.

Run it
------

.. code-block:: none

   python protocols/rule_from_trajectory.py            # 432 runs, 25 minutes of one thread; classifiers, 10
   python protocols/rule_from_trajectory.py --small    # 24 runs, under a minute: too few to conclude anything
   python protocols/rule_from_trajectory.py --data mnist --out runs/mnist    # with $CORTEX_SIM_DATA

An interrupted study continues when it is started again. It leaves in ``--out`` (``runs``):

.. csv-table::
   :delim: |
   :header-rows: 1

   file | content
   ``rule_from_trajectory.nc`` | "``value`` (run, snapshot, population, statistic); ``measured``
   (condition, run, snapshot, population, statistic), the same with few units or noise; ``accuracy``,
   ``loss`` (run, snapshot); coordinates ``rule``, ``architecture``, ``activation``, ``seed``, ``rate``,
   ``step``, ``depth``, ``units``, ``observable``, ``scale_free``, ``observed_units``, ``snr``, ``noise``.
   No NaN; runs that diverged are listed in the attribute ``diverged``"
   ``rule_from_trajectory.csv`` | the accuracies below, one row each, with intervals
   ``rule_from_trajectory_confusion.csv`` | share of each rule's runs by answer
   ``rule_from_trajectory.png`` | the figure

The file is meant for methods that infer rules: it is read by xarray or any netCDF library. From Python, for
a design of your own:

.. code-block:: python

   from cortex_sim.trajectories.classify import held_out
   from cortex_sim.trajectories.design import SMALL
   from cortex_sim.trajectories.evidence import Evidence
   from cortex_sim.trajectories.study import study

   design = SMALL.replace(rules=("backprop", "direct_feedback_alignment"), rates=(0.06,), steps=(0, 4, 16))
   trajectories = study(design, "runs/mine", report=lambda line: None)
   print(trajectories["value"].dims)  # ('run', 'snapshot', 'population', 'statistic')
   found = held_out(trajectories, Evidence(observables=("credit",)).features(trajectories))
   print(found.rules)  # ['backprop', 'direct_feedback_alignment']
   print(found.confusion().shape)  # (2, 2)

Result
------

.. image:: /figures/rule_from_trajectory.png
   :alt: Confusion of rules, accuracy by evidence, learning curves; accuracy over units, noise and snapshots

By the first command (430 runs; 2 of weight mirror on 160-160-160-160 at the highest rate diverged).
Accuracy with architectures held out:

.. csv-table::
   :delim: |
   :header-rows: 1

   what is observed | random forest | logistic regression
   all | .949 [.903, .995] | .938 [.879, .988]
   activity alone | .694 [.544, .854] | .708 [.601, .816]
   weights alone | .598 [.435, .778] | .775 [.606, .924]
   credit alone | .931 [.870, .986] | .954 [.890, .995]
   all but weights | .938 [.877, .993] | .949 [.887, .998]
   all but credit | .703 [.551, .861] | .810 [.705, .910]
   all, scale-free statistics | .949 [.897, .995] | .977 [.951, .998]
   credit, scale-free statistics | .968 [.935, .995] | .956 [.921, .988]
   all but credit, scale-free statistics | .707 [.548, .875] | .840 [.740, .938]
   *learning curve alone (accuracy and loss)* | .501 [.350, .634] | .316 [.267, .362]

**Prediction met, with credit.** The rule of nearly every run is found on architectures that the classifier
has not seen, and not by the size of credit: statistics that do not depend on units of measurement do as
well. The strongest single statistics are of credit (spectral norm .817, cosine of its change to its
previous state .782, relative change .780), then of activity's change (.633). But credit is the observable
that nobody records today, and without it another quarter of the runs is missed.

**The learning curve alone identifies half of the runs.** Slow rules are recognised by being
slow. Run by run, all observables gain +.449 [+.345, +.568] over it, activity +.193 [+.093, +.286],
weights +.098 [−.058, +.238], which is not distinguishable from 0. Compared where each run first reaches
accuracies .3, .5, .7 and .85 (426 runs), which removes most of the speed: all .877 [.749, .979], credit
.962 [.925, .995], activity .550 [.459, .637], weights .494 [.325, .649]. Part of the information in activity
is therefore the speed of learning, and part is not. Two things are not matched: learning rates (a slow
rule at a high rate and a fast one at a low rate differ in the sizes of their steps), and the distance
between snapshots, which is larger the later a run gets there, and with it the changes from one to the next.

**Who is confused with whom** (all observables): GAIT-prop is taken for backpropagation in 15 % of its runs,
the reverse in 4 %; Kolen–Pollack and feedback alignment, which are the same rule until the feedback has
learned, in 6 and 7 %; GAIT-prop for these two in 6 and 4 %. The other rules are never mistaken. All errors
are on leaky-ReLU networks (64-64-64 .875 right, 160-160-160-160 .929, 128-96-64 .889); on tanh networks
every run is right.

**What tells GAIT-prop from backpropagation.** Asked about these two alone (chance .5): credit .880 [.731,
1], activity .778 [.630, .917], weights .593 [.500, .759]. Not as predicted, orthogonality of the initial
weights does not decide it: on tanh 80-80-80-80-80, orthogonal at the start, every run is right; on leaky
ReLU 128-96-64, not orthogonal, the pair is at chance (.500), as it is on the orthogonal 64-64-64. Where the
architectures are known and seeds are held out, .993 [.972, 1] of all runs (eight rules) are right, so the
two rules do leave different traces once weights have moved; what fails is the transfer to an unseen
architecture.

**Fewer units, noise, fewer snapshots** (random forest, trained under the same condition):

.. csv-table::
   :delim: |
   :header-rows: 1

   ""| all units | 50 | 25 | 10 | 5 | SNR 10 | SNR 1 | SNR 0.1 | Poisson-like, SNR 1 | 25 units, SNR 1
   all | .949 | .900 | .866 | .847 | .826 | .900 | .859 | .697 | .852 | .819
   activity | .694 | .677 | .640 | .537 | .482 | .684 | .565 | .407 | .513 | .542
   weights | .598 | .591 | .507 | .405 | .369 | .360 | .272 | .174 | .292 | .190
   credit | .931 | .933 | .921 | .903 | .850 | .924 | .873 | .745 | .854 | .810

.. csv-table::
   :delim: |
   :header-rows: 1

   snapshots | 1 (the last) | 2 | 3 | 5 | 11
   all | .785 | .861 | .907 | .931 | .949
   activity | .631 | .607 | .633 | .672 | .694
   weights | .434 | .430 | .536 | .557 | .598
   credit | .831 | .919 | .921 | .938 | .931

As in the paper, activity withstands noise and weights do not: at a signal-to-noise ratio of 10, weights
lose .24 and activity .01. Five units of each of three populations still give .48 from activity. Without
access to weights little is lost (.938 of .949); without credit, much (.703; .840 at best, by logistic
regression on scale-free statistics). The noise must be known: trained on exact observations and tested at a
ratio of 10, all observables fall to .731, activity to .259, and weights to chance. The noise's size is
relative to the variance of the observable itself; presumably weights suffer most because their changes from
snapshot to snapshot, which single statistics show to be informative, are far smaller than the weights.

**Controls.** Before learning, activity and weights are at chance (.125, .123); credit gives .556 [.498,
.618], because feedback is different from the start. Permuted rules: .125 [.096, .158] over 49 permutations
(p = .02, the smallest possible). Harder than a new architecture is a new activation function: trained on
tanh and tested on leaky ReLU, and the reverse, .655 [.586, .725].

What would refute it
--------------------

Accuracy on held-out architectures whose interval includes chance: not met by any observable. A gain over
the learning curve, run by run, whose interval includes 0: not met by credit, nor by activity; met by
weights under the random forest. Activity or weights before learning, or permuted rules, above chance: not
met. That the rules of a brain could be read off in this way is not shown: classifiers here know the
candidate rules, the task, the stage of learning and the noise, and fail where one of them is new.

Shapes, resumption and controls are asserted by ``tests/trajectories`` and
``tests/protocols/test_rule_from_trajectory.py`` (a part of the result: ``-m slow``).
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
        print(f"{architecture}, held out: {share:.3f} of its runs identified")
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
    options = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    options.add_argument("--small", action="store_true", help="one minute, with too few runs for conclusions")
    options.add_argument("--data", default="digits", help="digits, or mnist with $CORTEX_SIM_DATA")
    options.add_argument("--out", type=Path, default=Path("runs"), help="folder; runs in it are continued")
    options.add_argument("--jobs", type=int, default=1, help="runs in parallel")
    given = options.parse_args()
    logging.getLogger("cortex_sim").setLevel(logging.ERROR)  # divergence is reported in one line a run
    chosen, effort = (SMALL, QUICK) if given.small else (STUDY, THOROUGH)
    main(chosen.replace(data=given.data), given.out, given.jobs, effort)
