"""cortex-sim: simulate how cortex assigns credit, from plasticity protocols to deep networks.

Declaring a network imports neither torch nor brian2; ``cs.torch`` and ``cs.brian2``
import them on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cortex_sim.activation_checks import check_activation
from cortex_sim.activations import LeakyRelu, Linear, Logistic, Relu, Softplus, Tanh
from cortex_sim.augmentation import CentreCrop, Flip, Normalise, RandomCrop, RandomResizedCrop, Resize
from cortex_sim.backends.registry import register_backend
from cortex_sim.calling import known_arguments
from cortex_sim.cards import Card, card
from cortex_sim.connectors import Dense, Identity, Unweighted
from cortex_sim.constraints import Bounds, Dale, LearningRates, RowNorm
from cortex_sim.convolution import Conv2d
from cortex_sim.credit.feedback import Diffused, Diffusion
from cortex_sim.default_settings import Defaults, defaults, with_defaults
from cortex_sim.errors import BuildError, CortexSimError, DataError, DeclarationError, RunError
from cortex_sim.experiments.experiment import Arm, Experiment
from cortex_sim.feedback import (
    Given,
    Inverse,
    LowRank,
    Mirrored,
    Modulo,
    Neuromodulator,
    Random,
    SignSymmetric,
    Transpose,
)
from cortex_sim.initialisers import He, Orthogonal, Uniform, Xavier
from cortex_sim.library import model
from cortex_sim.network import Network
from cortex_sim.normalisers import BatchNorm, GroupNorm, LayerNorm
from cortex_sim.objectives import CrossEntropy, SquaredError
from cortex_sim.pooling import AveragePool2d, GlobalAveragePool2d, MaxPool2d
from cortex_sim.population import Population
from cortex_sim.presynaptic import Decorrelated
from cortex_sim.projection import Projection
from cortex_sim.protocol.closed_loop import ClosedLoop
from cortex_sim.protocol.inputs import Noise, Nudge, Stimuli, Sum, TimeSeries
from cortex_sim.protocol.per_trial import FromTrial, PerTrial
from cortex_sim.protocol.phase import Phase
from cortex_sim.protocol.protocol import Protocol
from cortex_sim.protocol.record import Record
from cortex_sim.protocol.sequence import Sequence
from cortex_sim.protocol.trial_tables import TrialTable
from cortex_sim.registry import register
from cortex_sim.regularisers import Decay, HardOrthogonality, Orthogonality
from cortex_sim.rules import (
    Backprop,
    Bcm,
    Covariance,
    Decorrelation,
    DifferenceTargetProp,
    DirectFeedbackAlignment,
    EProp,
    ErrorDiffusion,
    FeedbackAlignment,
    GaitProp,
    GlobalNeuromodulator,
    Hebbian,
    InverseLearning,
    KolenPollack,
    LowRankFeedback,
    Oja,
    PlasticDiffusion,
    Sanger,
    SynapticScaling,
    TargetProp,
    Tdca,
    ThreeFactor,
    WeightMirror,
)
from cortex_sim.rules.base import Global, PerPost, PerPre, PerSynapse, TopDown, Word, register_word
from cortex_sim.rules.contract import check_rule
from cortex_sim.sparse_connectors import Arbor, Sparse
from cortex_sim.state import State, load, save

if TYPE_CHECKING:
    from cortex_sim import brian2, compare, data, neural, operators, recording, report, responding, torch, viz

__version__ = "0.1.0"

#: Loaded on first use: each imports a simulator or a drawing library.
_ROOMS = (
    "brian2",
    "compare",
    "data",
    "neural",
    "operators",
    "recording",
    "report",
    "responding",
    "tasks",
    "torch",
    "viz",
)

__all__ = [
    "Arbor",
    "Arm",
    "AveragePool2d",
    "Backprop",
    "BatchNorm",
    "Bcm",
    "Bounds",
    "BuildError",
    "Card",
    "CentreCrop",
    "ClosedLoop",
    "Conv2d",
    "Covariance",
    "CortexSimError",
    "CrossEntropy",
    "Dale",
    "DataError",
    "Decay",
    "DeclarationError",
    "Decorrelated",
    "Decorrelation",
    "Defaults",
    "Dense",
    "DifferenceTargetProp",
    "Diffused",
    "Diffusion",
    "DirectFeedbackAlignment",
    "EProp",
    "ErrorDiffusion",
    "Experiment",
    "FeedbackAlignment",
    "Flip",
    "FromTrial",
    "GaitProp",
    "Given",
    "Global",
    "GlobalAveragePool2d",
    "GlobalNeuromodulator",
    "GroupNorm",
    "HardOrthogonality",
    "He",
    "Hebbian",
    "Identity",
    "Inverse",
    "InverseLearning",
    "KolenPollack",
    "LayerNorm",
    "LeakyRelu",
    "LearningRates",
    "Linear",
    "Logistic",
    "LowRank",
    "LowRankFeedback",
    "MaxPool2d",
    "Mirrored",
    "Modulo",
    "Network",
    "Neuromodulator",
    "Noise",
    "Normalise",
    "Nudge",
    "Oja",
    "Orthogonal",
    "Orthogonality",
    "PerPost",
    "PerPre",
    "PerSynapse",
    "PerTrial",
    "Phase",
    "PlasticDiffusion",
    "Population",
    "Projection",
    "Protocol",
    "Random",
    "RandomCrop",
    "RandomResizedCrop",
    "Record",
    "Relu",
    "Resize",
    "RowNorm",
    "RunError",
    "Sanger",
    "Sequence",
    "SignSymmetric",
    "Softplus",
    "Sparse",
    "SquaredError",
    "State",
    "Stimuli",
    "Sum",
    "SynapticScaling",
    "Tanh",
    "TargetProp",
    "Tdca",
    "TimeSeries",
    "ThreeFactor",
    "TopDown",
    "Transpose",
    "TrialTable",
    "Uniform",
    "Unweighted",
    "WeightMirror",
    "Word",
    "Xavier",
    "brian2",
    "card",
    "check_activation",
    "check_rule",
    "compare",
    "data",
    "defaults",
    "load",
    "model",
    "neural",
    "operators",
    "over_seeds",
    "recording",
    "register",
    "register_backend",
    "register_word",
    "report",
    "responding",
    "save",
    "sweep",
    "tasks",
    "torch",
    "viz",
    "with_defaults",
]


@known_arguments("cs.sweep")
def sweep(experiment: Any, seeds: Any = 5, settings: Any = None, **more: Any) -> Any:
    """Run an experiment with many seeds and settings; see `cortex_sim.experiments.sweeping.sweep`."""
    from cortex_sim.experiments.sweeping import sweep as run

    return run(experiment, seeds, settings, **more)


@known_arguments("cs.over_seeds")
def over_seeds(sweep: Any, statistic: str | None = None, **more: Any) -> Any:
    """Mean, spread and paired tests; see `cortex_sim.experiments.seed_statistics.over_seeds`."""
    from cortex_sim.experiments.seed_statistics import over_seeds as run

    return run(sweep, statistic, **more)


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"cortex_sim.{name}")
    raise AttributeError(f"module 'cortex_sim' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
