"""Tasks: each names its data, model, loss and scores; knows nothing of how training is run."""

from multiresconv.tasks.listops import ListOps, ListOpsData, ListOpsModel
from multiresconv.tasks.task import Outcome, Task

__all__ = ["ListOps", "ListOpsData", "ListOpsModel", "Outcome", "Task"]
