"""Plasticity rules: one file per rule, its equation at the top; importing a file registers the rule."""

from cortex_sim.rules import sign_symmetric as _sign_symmetric  # noqa: F401
from cortex_sim.rules.backprop import Backprop
from cortex_sim.rules.bcm import Bcm
from cortex_sim.rules.covariance import Covariance
from cortex_sim.rules.decorrelation import Decorrelation
from cortex_sim.rules.difference_target_prop import DifferenceTargetProp
from cortex_sim.rules.direct_feedback_alignment import DirectFeedbackAlignment
from cortex_sim.rules.e_prop import EProp
from cortex_sim.rules.error_diffusion import ErrorDiffusion
from cortex_sim.rules.feedback_alignment import FeedbackAlignment
from cortex_sim.rules.gait_prop import GaitProp
from cortex_sim.rules.global_neuromodulator import GlobalNeuromodulator
from cortex_sim.rules.hebbian import Hebbian
from cortex_sim.rules.inverse_learning import InverseLearning
from cortex_sim.rules.kolen_pollack import KolenPollack
from cortex_sim.rules.low_rank_feedback import LowRankFeedback
from cortex_sim.rules.oja import Oja
from cortex_sim.rules.plastic_diffusion import PlasticDiffusion
from cortex_sim.rules.sanger import Sanger
from cortex_sim.rules.synaptic_scaling import SynapticScaling
from cortex_sim.rules.target_prop import TargetProp
from cortex_sim.rules.tdca import Tdca
from cortex_sim.rules.three_factor import ThreeFactor
from cortex_sim.rules.weight_mirror import WeightMirror

__all__ = [
    "Backprop",
    "Bcm",
    "Covariance",
    "Decorrelation",
    "DifferenceTargetProp",
    "DirectFeedbackAlignment",
    "EProp",
    "ErrorDiffusion",
    "FeedbackAlignment",
    "GaitProp",
    "GlobalNeuromodulator",
    "Hebbian",
    "InverseLearning",
    "KolenPollack",
    "LowRankFeedback",
    "Oja",
    "PlasticDiffusion",
    "Sanger",
    "SynapticScaling",
    "TargetProp",
    "Tdca",
    "ThreeFactor",
    "WeightMirror",
]
