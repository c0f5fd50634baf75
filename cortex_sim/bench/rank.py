"""Entry point of one of several processes of `cortex_sim.bench.scaling`, started by torchrun."""

import json
import os
import sys

from cortex_sim.bench.scaling import rank_row

if __name__ == "__main__":
    found = rank_row(**{("name" if k == "network" else k): v for k, v in json.loads(sys.argv[1]).items()})
    if os.environ["RANK"] == "0":
        print(json.dumps(found), flush=True)
