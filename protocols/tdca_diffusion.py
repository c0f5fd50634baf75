"""Credit diffusion: how few channels of credit suffice, how they spread, and what they save.

Credit diffusion is the paper's (arXiv 2208.01416); kernels, channels and sizes are ours. A credit network of
K channels has feedback of rank ≤ K.

Prediction: accuracy has its knee at K ≈ classes − 1 (the rank of the error's own space; arXiv 2502.20580 says
so of low-rank feedback) and K = 16 is within half a point of K = n for ten classes, while the credit
network's channel parameters fall in proportion to K. Which kernel spreads the channels matters little where
K is above the knee; a kernel as wide as several channels lowers the rank and hurts. Without f′ learning is
slower but goes on.
"""

from itertools import product
from typing import Any

from cortex_sim.tdca.studies.jobs import Job

RUN_BY = "python benchmarks/tdca.py run diffusion, then python benchmarks/tdca.py figures"
UNITS = 64
CHANNELS = (1, 2, 4, 8, 16, 32, 64)
CLASSES = (10, 2, 5)
KERNELS = ("line", "sheet", "block", "modulo", "dense")
WIDTHS = (0.25, 1.0, 2.0)  # 0.5 is the default
BUDGET: dict[str, Any] = {
    "iterations": 150,
    "testing": {
        "data": ["mnist", "fashion_mnist"],
        "steps": [100, 300, 1000],
        "widths": {},
        "elsewhere": [],
        "controls": [],
    },
}


def name_of(classes: int, channels: int, kernel: str = "ring") -> str:
    """Arm of so many classes, channels and one kernel."""
    return f"diffusion_c{classes}_k{channels}_{kernel}"


def job(name: str, classes: int = 10, channels: int = 16, **credit: Any) -> Job:
    """An outer loop of the sweep's budget."""
    return _job(name, "tdca_mnist", classes, {"credit_network": {"channels": channels, **credit}})


def _job(name: str, config: str, classes: int, rule: dict[str, Any]) -> Job:
    few: dict[str, Any] = {}
    if classes != 10:
        few = {"tasks": {"classes": classes}, "model_settings": {"classes": classes}}
        if "credit_network" in rule:
            rule = {"credit_network": {**rule["credit_network"], "outputs": classes}}
    return Job(name, config, 0, {**BUDGET, **few, **({"rule": rule} if rule else {})})


def jobs() -> dict[str, list[Job]]:
    """Channels for each number of classes, then kernels, signs, widths and the gate at K = 16."""
    found = []
    for classes in CLASSES:
        found += [job(name_of(classes, k), classes, k) for k in CHANNELS]
        found.append(job(name_of(classes, UNITS, "identity"), classes, UNITS, kernel="identity"))
        found.append(_job(f"diffusion_c{classes}_dfa", "dfa_mnist", classes, {}))
    found += [job(name_of(10, 16, kernel), kernel=kernel) for kernel in KERNELS]
    found.append(job(name_of(10, 16, "learned"), kernel={"name": "learned", "units": UNITS}))
    found.append(job(name_of(10, 16, "ring_signs"), signs=True))
    found += [
        job(name_of(10, k, f"ring_width_{width:g}"), channels=k, kernel={"name": "ring", "width": width})
        for k, width in product((16,), WIDTHS)
    ]
    found.append(job(name_of(10, 16, "ring_ungated"), gated=False))
    return {"diffusion": found}
