"""What training added to the shipped credit networks, under the same rates and schedule.

    python benchmarks/pretrained.py        # about 10 s; embedded digits, which none of them was trained on

24 inner runs of 196-64-10 on digits resized to 14x14, labels permuted. This is the table of
cortex_sim/credit/pretrained/README.md.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from cortex_sim.credit import shipped as shipping
from cortex_sim.tdca.evolving.reading import from_file
from cortex_sim.tdca.inner.cohort import layout, start
from cortex_sim.tdca.inner.evaluation import run_to_end, tested
from cortex_sim.tdca.tasks.settings import tasks_from

STEPS, RUNS = (20, 30, 100, 300), 24


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    tasks = tasks_from({"kind": "images", "sources": ["digits"], "side": 14})
    print(f"| name | {' | '.join(f'{n} steps' for n in STEPS)} |\n|{'---|' * (len(STEPS) + 1)}")
    for name in shipping.shipped():
        trained = shipping.credit_network(name, 10)
        settings = from_file(Path(shipping.__file__).parent / "pretrained" / f"{name}.yaml")
        rule, step, body = settings.inner_rule(), settings.inner_step(), settings.body()
        rates = {k: np.array(v) for k, v in trained.about["step"].items()}
        starts = (start(rule, step, 0, body), start(rule, step, 1, body), trained.parameters)
        phis = [layout(rule, step, body).joined({**parameters, **rates}) for parameters in starts]
        cells = []
        for n in STEPS:
            runs = [run_to_end(body, rule, step, phi, tasks, n, seeds=RUNS) for phi in phis]
            *before, after = (100 * float(np.mean(tested(*each)["accuracy"])) for each in runs)
            cells.append(f"{after:.1f} ({before[0]:.1f}, {before[1]:.1f})")
        print(f"| `{name}` | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
