"""``python -m cortex_sim``."""

import sys

from cortex_sim.cli import main

sys.exit(main())
