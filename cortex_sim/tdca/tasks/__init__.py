"""Tasks of inner runs: image sets, random functions and teacher networks, drawn from a distribution.

`tasks_from` reads settings; a distribution's ``draw`` gives a `TaskBatch`, one task for every inner run.
"""

from cortex_sim.tdca.tasks.batch import PARTS, Distribution, Fixed, TaskBatch
from cortex_sim.tdca.tasks.function_tasks import FunctionTasks
from cortex_sim.tdca.tasks.image_tasks import ImageTasks
from cortex_sim.tdca.tasks.regression import SmoothFunctions
from cortex_sim.tdca.tasks.settings import tasks_from
from cortex_sim.tdca.tasks.sources import ImageSource, image_source, load_source
from cortex_sim.tdca.tasks.teacher import Teachers

__all__ = [
    "PARTS",
    "Distribution",
    "Fixed",
    "FunctionTasks",
    "ImageSource",
    "ImageTasks",
    "SmoothFunctions",
    "TaskBatch",
    "Teachers",
    "image_source",
    "load_source",
    "tasks_from",
]
