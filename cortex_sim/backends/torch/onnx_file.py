"""A settled network as an ONNX file: the top population's rates, for other programs to run."""

from __future__ import annotations

import logging
import warnings
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from cortex_sim.backends.torch.core import Core
from cortex_sim.backends.torch.modes import looking
from cortex_sim.backends.torch.presentations import Presentations
from cortex_sim.backends.torch.steps import loops_alone
from cortex_sim.checks import listed, require_path
from cortex_sim.errors import RunError
from cortex_sim.runs.files import whole
from cortex_sim.sources import only_source

_NEEDS = ("onnx", "onnxscript")


class _TopRates(nn.Module):
    """The top's rates for any number of presentations; nothing is counted or checked."""

    def __init__(self, model: Core, source: str) -> None:
        super().__init__()
        self.model, self.source = model, source

    def forward(self, x: Tensor) -> Tensor:
        """Rates (presentation, unit), from stimuli (presentation, *shape)."""
        return self.model.top_rates(Presentations({self.source: x}))


@torch.no_grad()
def to_onnx(model: Core, path: str | Path) -> None:
    """Write the network as an ONNX file that maps stimuli (presentation, *shape) to the top's rates.

    The file holds weights, biases and normalisers, with running statistics fixed, but no feedback, rules or
    preprocessing: give it preprocessed stimuli, see ``model.preprocessing``. Its input has the name of the
    source and its output that of the top population; it takes any number of presentations.

    Parameters
    ----------
    model : Model
    path : path
        Usually ``NAME.onnx``.

    Raises
    ------
    RunError
        If a package is missing (``pip install 'cortex-sim[onnx]'``), or the network has loops or is unrolled.
    """
    file = require_path("cs.torch.to_onnx", path, RunError)
    source = only_source(model.net, "cs.torch.to_onnx takes one source", "export another network")
    for block in model.blocks:
        if loops_alone(block):
            raise RunError(
                f"network {model.net.name}: {listed(step.name for step in block)} settle in a loop by "
                "iteration, which an ONNX file cannot hold; export a feed-forward network"
            )
    if model.unrolled is not None:
        raise RunError(
            f"network {model.net.name}: is unrolled in time, which an ONNX file cannot hold; build it "
            "without settling, at equilibrium"
        )
    missing = [name for name in _NEEDS if find_spec(name) is None]
    if missing:
        raise RunError(f"cs.torch.to_onnx: needs {listed(missing)}; pip install 'cortex-sim[onnx]'")
    x = torch.zeros(2, *model.net.populations[source].shape, dtype=model.compute, device=model.device)
    quiet = logging.getLogger("torch.onnx")
    level = quiet.level
    quiet.setLevel(logging.ERROR)
    try:
        with looking(model), warnings.catch_warnings(), whole(file) as part:
            warnings.simplefilter("ignore")  # torch warns of its own future changes
            torch.onnx.export(
                _TopRates(model, source),
                (x,),
                part,
                dynamo=True,
                external_data=False,
                verbose=False,
                dynamic_shapes=({0: torch.export.Dim("presentation")},),
                input_names=[source],
                output_names=[model.top],
            )
    finally:
        quiet.setLevel(level)
