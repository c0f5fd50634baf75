"""cortex-sim: simulate how cortex assigns credit, from plasticity protocols to deep networks.

Declaring a network imports neither torch nor brian2; ``cs.torch`` loads its backend when asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from cortex_sim.activations import LeakyRelu, Linear, Logistic, Relu, Softplus, Tanh
from cortex_sim.connectors import Conv2d, Dense, Identity
from cortex_sim.credit.feedback import Diffusion
from cortex_sim.errors import BuildError, CortexSimError, DataError, DeclarationError, RunError
from cortex_sim.feedback import (
    Given,
    Inverse,
    LowRank,
    Modulo,
    Neuromodulator,
    Random,
    SignSymmetric,
    Transpose,
)
from cortex_sim.initialisers import He, Orthogonal, Xavier
from cortex_sim.library import model
from cortex_sim.network import Network
from cortex_sim.objectives import CrossEntropy, SquaredError
from cortex_sim.population import Population
from cortex_sim.projection import Projection
from cortex_sim.protocol.experiment import Arm, Experiment
from cortex_sim.protocol.inputs import Noise, Nudge, Stimuli, TimeSeries
from cortex_sim.protocol.phase import Phase
from cortex_sim.protocol.protocol import Protocol
from cortex_sim.protocol.record import Record
from cortex_sim.registry import register
from cortex_sim.regularisers import Decay, HardOrthogonality, Orthogonality
from cortex_sim.rules import (
    Backprop,
    Bcm,
    Covariance,
    Decorrelation,
    DifferenceTargetProp,
    DirectFeedbackAlignment,
    ErrorDiffusion,
    FeedbackAlignment,
    GaitProp,
    GlobalNeuromodulator,
    Hebbian,
    InverseLearning,
    KolenPollack,
    LowRankFeedback,
    Oja,
    SynapticScaling,
    TargetProp,
    Tdca,
    ThreeFactor,
    WeightMirror,
)
from cortex_sim.rules.base import Global, PerPost, PerPre, PerSynapse, TopDown, Word, register_word

__version__ = "0.1.0"

_ROOMS = {
    "brian2": "cortex_sim.backends.brian2",
    "recording": "cortex_sim.recording",
    "torch": "cortex_sim.backends.torch",
    "data": "cortex_sim.data",
    "viz": "cortex_sim.viz",
}

__all__ = [
    "Arm",
    "Backprop",
    "Bcm",
    "BuildError",
    "Conv2d",
    "Covariance",
    "CortexSimError",
    "CrossEntropy",
    "DataError",
    "Decay",
    "DeclarationError",
    "Decorrelation",
    "Dense",
    "DifferenceTargetProp",
    "Diffusion",
    "DirectFeedbackAlignment",
    "ErrorDiffusion",
    "Experiment",
    "FeedbackAlignment",
    "GaitProp",
    "Given",
    "Global",
    "GlobalNeuromodulator",
    "HardOrthogonality",
    "He",
    "Hebbian",
    "Identity",
    "Inverse",
    "InverseLearning",
    "KolenPollack",
    "LeakyRelu",
    "Linear",
    "Logistic",
    "LowRank",
    "LowRankFeedback",
    "Modulo",
    "Network",
    "Neuromodulator",
    "Noise",
    "Nudge",
    "Oja",
    "Orthogonal",
    "Orthogonality",
    "PerPost",
    "PerPre",
    "PerSynapse",
    "Phase",
    "Population",
    "Projection",
    "Protocol",
    "Random",
    "Record",
    "Relu",
    "RunError",
    "SignSymmetric",
    "Softplus",
    "SquaredError",
    "Stimuli",
    "SynapticScaling",
    "Tanh",
    "TargetProp",
    "Tdca",
    "TimeSeries",
    "ThreeFactor",
    "TopDown",
    "Transpose",
    "WeightMirror",
    "Word",
    "Xavier",
    "brian2",
    "data",
    "model",
    "recording",
    "register",
    "register_word",
    "torch",
    "viz",
]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(_ROOMS[name])
    raise AttributeError(f"module 'cortex_sim' has no attribute {name!r}")
