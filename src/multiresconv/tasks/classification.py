"""Loss of a task in which every row has one class."""

import torch.nn.functional as F
from torch import Tensor

from multiresconv.tasks.task import Outcome


def classify(logits: Tensor, labels: Tensor) -> Outcome:
    """Cross entropy and hits of logits (n, C) with labels (n,), in float32 whatever the precision of the network."""
    logits = logits.float()
    losses = F.cross_entropy(logits, labels, reduction="none")
    return Outcome(losses, (logits.argmax(1) == labels).float(), logits)
