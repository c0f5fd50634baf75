"""Models without learning that every network should be compared with: pixels, and a bank of Gabor filters."""

from cortex_sim.compare.baselines.gabor import gabor, gabor_responses
from cortex_sim.compare.baselines.pixels import pixel_responses, pixels

__all__ = ["gabor", "gabor_responses", "pixel_responses", "pixels"]
