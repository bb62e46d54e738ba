"""Options of a run that are common to all tasks, named as on the command line and in config.yaml."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from math import inf
from typing import Any, Literal

_MOST = 2**31 - 1  # of a number of epochs, rows or steps


@dataclass(frozen=True)
class OptimizerOptions:
    """AdamW with linear warm-up and cosine decay to 0, per step; defaults of the paper's ListOps.

    Args:
        lr: peak learning rate.
        weight_decay: weight decay of AdamW.
        warmup_epochs: epochs over which the learning rate rises linearly.
        clip: clip the gradient norm of all weights together to this value; null never clips.
    """

    lr: float = 3e-3
    weight_decay: float = 0.03
    warmup_epochs: float = 1.0
    clip: float | None = None

    def __post_init__(self) -> None:
        _check(0 < self.lr < inf, "optimizer.lr", "a finite number above 0", self.lr)
        for name in ("weight_decay", "warmup_epochs"):
            value = getattr(self, name)
            _check(0 <= value < inf, f"optimizer.{name}", "a finite number of at least 0", value)
        _check(self.clip is None or self.clip > 0, "optimizer.clip", "null or a number above 0", self.clip)


@dataclass(frozen=True)
class TrainerOptions:
    """Options of the training loop: duration, batches, devices, logging and checkpoints.

    Args:
        epochs: passes over the training data; null leaves the choice to the task, which knows the amount of data.
        batch_size: rows of a training step over all processes together; null if batch_tokens is set, or to leave the
            choice to the task.
        batch_tokens: instead of batch_size, the largest number of time steps of a training step, including padding,
            over all processes together. A batch has rows of similar length, many short ones or few long ones.
        length_pool: with batch_size, number of training batches that are sorted by length together. 50 keeps padding
            small. 1 makes plain random batches, which batch norm needs if lengths differ much, since it learns from the
            statistics of a batch.
        eval_batch_size: rows of a validation batch, over all processes together.
        precision: precision of the network; the loss is always computed in 32 bits.
        accelerator: auto uses a GPU if there is one.
        devices: processes on this machine, one per GPU or CPU share; auto uses every GPU, or the processes that
            torchrun started.
        num_nodes: number of machines; ignored under torchrun.
        log_every: steps between two training lines of metrics.jsonl; null means 50, or fewer in a run of fewer than
            2,500 steps, so that its curves have 50 points.
        checkpoint_seconds: save a checkpoint when the last one is this old.
        checkpoint_steps: also save a checkpoint every so many steps.
        patience: end the run after so many epochs without a better validation; null trains all epochs.
        logger: also log to a CSV file, to TensorBoard or to Weights & Biases, through Lightning; files go to the run.
    """

    epochs: int | None = 100
    batch_size: int | None = 50
    batch_tokens: int | None = None
    length_pool: int = 1
    eval_batch_size: int = 50
    precision: Literal["32-true", "bf16-mixed", "64-true"] = "32-true"
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: int | Literal["auto"] = "auto"
    num_nodes: int = 1
    log_every: int | None = None
    checkpoint_seconds: float = 60.0
    checkpoint_steps: int | None = None
    patience: int | None = None
    logger: Literal["csv", "tensorboard", "wandb"] | None = None

    def __post_init__(self) -> None:
        for name in ("length_pool", "eval_batch_size", "num_nodes"):
            _check(getattr(self, name) >= 1, f"trainer.{name}", "at least 1", getattr(self, name))
            _check(getattr(self, name) <= _MOST, f"trainer.{name}", f"at most {_MOST:,}", getattr(self, name))
        for name in ("epochs", "batch_size", "batch_tokens", "log_every", "checkpoint_steps", "patience"):
            value = getattr(self, name)
            _check(value is None or value >= 1, f"trainer.{name}", "null or at least 1", value)
            _check(value is None or value <= _MOST, f"trainer.{name}", f"at most {_MOST:,}", value)
        size, tokens = self.batch_size, self.batch_tokens
        _check(size is None or tokens is None, "trainer.batch_size", f"null with batch_tokens {tokens}", size)
        _check(self.devices == "auto" or self.devices >= 1, "trainer.devices", "auto or at least 1", self.devices)
        _check(self.devices == "auto" or self.devices <= 64, "trainer.devices", "at most 64", self.devices)
        _check(self.checkpoint_seconds >= 0, "trainer.checkpoint_seconds", "at least 0", self.checkpoint_seconds)

    def settled(self, chosen: Mapping[str, Any]) -> "TrainerOptions":
        """Return the options with the `epochs` and `batch_size` of `chosen` where they were left open.

        Raises:
            ValueError: an option is open, and `chosen` does not have it.
        """
        open_options = [name for name in ("epochs", "batch_size") if getattr(self, name) is None]
        if self.batch_tokens is not None and "batch_size" in open_options:
            open_options.remove("batch_size")
        for name in open_options:
            _check(name in chosen, f"trainer.{name}", "a number; this task chooses none", None)
        return replace(self, **{name: chosen[name] for name in open_options})


# A resumed run may change these options: on one device, none of them changes the run's numbers.
CHANGEABLE_ON_RESUME = frozenset(
    f"trainer.{field.name}"
    for field in fields(TrainerOptions)
    if field.name in ("accelerator", "devices", "num_nodes", "checkpoint_seconds", "checkpoint_steps", "logger")
)


def check_seed(seed: int) -> None:
    """Raise ValueError unless PyTorch and NumPy both take the seed."""
    _check(0 <= seed < 2**63, "seed", "0 to 2^63 - 1", seed)


def _check(ok: bool, name: str, expected: str, seen: Any) -> None:
    if not ok:
        raise ValueError(f"{name}: expected {expected}, got {seen}")
