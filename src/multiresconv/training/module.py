"""The Lightning module: one training step and one validation, reproducible from the seed and the step number."""

import math
import sys
import time
from datetime import timedelta
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim import AdamW
from torch.utils.data import DataLoader

from multiresconv.data import LengthBuckets, TokenBuckets
from multiresconv.models import init_from
from multiresconv.tasks import Outcome, Task
from multiresconv.training.checkpoint import Checkpoint, check_optimizer, load_optimizer, load_weights
from multiresconv.training.early_end import EarlyEnd
from multiresconv.training.finite import NO_VALUE, NonFiniteError, check_finite
from multiresconv.training.options import OptimizerOptions, TrainerOptions
from multiresconv.training.progress import Progress
from multiresconv.training.recorder import Recorder
from multiresconv.training.schedule import learning_rate
from multiresconv.training.state import Best, RunState
from multiresconv.training.stopping import Stopped, StopRequest


class TrainingModule(pl.LightningModule):
    """Trains `task`, from the step of the checkpoint `resumed` if it is given.

    The rows, the random numbers and the learning rate of a step depend on (seed, step) alone. A run can therefore
    resume within an epoch: Lightning starts afresh and gets only the remaining batches. No state of a sampler, a
    scheduler or a random number generator needs to be saved.
    """

    # with a tiny validation set, a process may get no rows
    allow_zero_length_dataloader_with_multiple_devices = True

    def __init__(
        self,
        task: Task,
        optimizer: OptimizerOptions,
        options: TrainerOptions,
        *,
        seed: int,
        recorder: Recorder,
        stop: StopRequest,
        progress: Progress,
        resumed: Checkpoint | None = None,
        time_limit: timedelta | None = None,
        fitted: Best | None = None,
    ) -> None:
        super().__init__()
        self.early_end = EarlyEnd(time_limit, options.patience)
        self.task, self.optimizer_options, self.options, self.seed = task, optimizer, options, seed
        self.recorder, self.stop, self.progress, self.resumed = recorder, stop, progress, resumed
        if not 0 <= seed < 2**63:
            raise ValueError(f"seed: expected 0 to 2^63 - 1, got {seed}")
        torch.manual_seed(seed)
        self.network = task.build()
        if resumed is None and task.model.init is not None:
            said = init_from(self.network, task.model.init)
            if progress.enabled:
                print(f"{task.model.init}: {said}", file=sys.stderr)
        self.scores = task.scores()
        self.state = RunState(best=fitted)
        if resumed is not None:
            dtype = torch.float64 if options.precision == "64-true" else torch.float32
            load_weights(self.network, resumed, recorder.last_name, dtype)
            check_optimizer(self._optimizer(), resumed, recorder.last_name)  # now: before anything is written
            self.state = resumed.state
        self.early_end.seconds = self.state.seconds

    # Data

    def prepare_data(self) -> None:
        self.task.prepare(may_generate=self.state.step == 0)

    def setup(self, stage: str) -> None:
        self.train_rows, self.val_rows = self.task.open("train"), self.task.open("val")
        world_size = self.trainer.world_size
        if len(self.val_rows) < world_size:
            raise ValueError(f"val: expected a row for each of {world_size} processes, got {len(self.val_rows)}")
        self.steps_per_epoch = len(self._train_batches())
        self.total_steps = self.steps_per_epoch * self.epochs
        self.log_every = self.options.log_every or min(50, max(1, self.total_steps // 50))
        self._check_position()

    def _check_position(self) -> None:
        """Raise ValueError if the position of a resumed run does not fit the number of batches."""
        state, last = self.state, self.recorder.last_name
        ended_within = self.early_end.time_is_over and state.trained_epochs == state.step // self.steps_per_epoch + 1
        whole = state.trained_epochs == state.step // self.steps_per_epoch
        if state.step > self.total_steps or not (whole or ended_within):
            raise ValueError(
                f"{last}: step {state.step} after {state.trained_epochs} whole epochs does not fit this run: an epoch "
                f"has {self.steps_per_epoch} steps, the run {self.total_steps}"
            )

    def train_dataloader(self) -> DataLoader[Any]:
        """Return a loader of this epoch's remaining batches; Lightning calls this before every epoch."""
        batches = self._train_batches()
        batches.epoch, batches.start = divmod(self.state.step, self.steps_per_epoch)
        self.rows_of_batch = list(batches)
        sizes = [len(batch) for batch in batches.batches()]  # over all processes
        self.rows_done = batches.epoch * sum(sizes) + sum(sizes[: batches.start])
        self.total_rows = self.epochs * sum(sizes)
        return DataLoader(self.train_rows, batch_sampler=self.rows_of_batch, collate_fn=self.task.collate)

    def val_dataloader(self) -> DataLoader[Any]:
        rank, world_size = self.trainer.global_rank, self.trainer.world_size
        batches = LengthBuckets(
            self.val_rows.lengths, self.options.eval_batch_size, shuffle=False, rank=rank, world_size=world_size
        )
        return DataLoader(self.val_rows, batch_sampler=batches, collate_fn=self.task.collate)

    def _train_batches(self) -> LengthBuckets | TokenBuckets:
        lengths, o = self.train_rows.lengths, self.options
        share: dict[str, Any] = {
            "seed": self.seed,
            "rank": self.trainer.global_rank,
            "world_size": self.trainer.world_size,
        }
        if o.batch_size is not None:
            return LengthBuckets(lengths, o.batch_size, pool=o.length_pool, **share)
        assert o.batch_tokens is not None  # `TrainerOptions.settled` checks that one of the two is set
        return TokenBuckets(lengths, o.batch_tokens, **share)

    # Training

    def configure_optimizers(self) -> AdamW:
        optimizer = self._optimizer()
        if self.resumed is not None:
            load_optimizer(optimizer, self.resumed, self.recorder.last_name)
        return optimizer

    def _optimizer(self) -> AdamW:
        o = self.optimizer_options
        return AdamW(self.network.parameters(), lr=o.lr, weight_decay=o.weight_decay, fused=True)

    def on_fit_start(self) -> None:
        if self.trainer.world_size > 1:
            steps = torch.tensor([self.state.step, -self.state.step], device=self.device)
            dist.all_reduce(steps, dist.ReduceOp.MAX)
            if steps.sum() != 0:
                raise ValueError(f"resume: expected {self.recorder.last_name} to be the same file for every process")
            best = [self.state.best]  # only the first process has fitted a model at once
            dist.broadcast_object_list(best)
            self.state.best = best[0]
        if self.trainer.is_global_zero:
            self.recorder.start(self.state)

    def on_train_start(self) -> None:
        self.saved_at = self.clock = time.monotonic()
        self.progress.start(self.state, self.steps_per_epoch, self.rows_done, self.total_rows, self.early_end)
        if self.state.step == 0:
            self._save_last()  # so that the run can be resumed from the very beginning

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        entropy = np.random.SeedSequence((self.seed, self.state.step, self.global_rank))
        torch.manual_seed(int(entropy.generate_state(1, np.uint64)[0] >> 1))
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = self.lr

    def configure_gradient_clipping(self, *_: Any, **__: Any) -> None:
        # not by Lightning, which refuses to clip with a fused optimizer in bfloat16
        if self.optimizer_options.clip is not None:
            clip_grad_norm_(self.network.parameters(), self.optimizer_options.clip)

    @property
    def lr(self) -> float:
        o = self.optimizer_options
        warmup_steps = o.warmup_epochs * self.steps_per_epoch
        return learning_rate(
            self.state.step,
            peak=o.lr,
            warmup_steps=warmup_steps,
            total_steps=self.total_steps,
            time_used=self.early_end.time_used,
        )

    @property
    def epochs(self) -> int:
        assert self.options.epochs is not None  # `TrainerOptions.settled` checks it
        return self.options.epochs

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        outcome = self.task.run(self.network, batch)
        losses = outcome.losses.detach()
        self.has_hits = outcome.hits is not None
        hits = 0.0 if outcome.hits is None else outcome.hits.double().sum()
        seconds = self.state.seconds if self.global_rank == 0 else 0.0
        mine = [losses.double().sum(), hits, len(losses), self.stop.wanted(), seconds]
        sums = torch.stack([torch.as_tensor(x, dtype=torch.float64, device=self.device) for x in mine])
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(sums)  # so that all processes see the same loss and stop at the same step
        self.loss_sum, self.hits, self.rows, self.stopping, self.early_end.seconds = sums.tolist()
        if not math.isfinite(self.loss_sum):
            raise NonFiniteError(self._describe_non_finite(outcome, batch_idx))
        # DDP averages the gradients of the processes; with this factor the average is that of the mean over all rows
        return outcome.losses.sum() * (self.trainer.world_size / self.rows)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        state, lr = self.state, self.lr
        state.step += 1
        state.awaits_validation = state.step % self.steps_per_epoch == 0
        state.loss_sum += self.loss_sum
        state.hits += self.hits
        state.rows += int(self.rows)
        state.interval_seconds += self.tick()
        accuracy = self.hits / self.rows if self.has_hits else None
        self.progress.step(int(self.rows), self.loss_sum / self.rows, accuracy)
        if state.step % self.log_every == 0:
            self._log_interval(lr)
        every = self.options.checkpoint_steps
        old = time.monotonic() - self.saved_at >= self.options.checkpoint_seconds
        if self.stopping or old or (every is not None and state.step % every == 0):
            self._save_last()
        if self.stopping:
            raise Stopped(self.state.step, self.stop.exit_code)
        if self.early_end.time_is_over:
            state.awaits_validation = True
            self.trainer.should_stop = True  # Lightning validates now, also within an epoch, and ends

    def _log_interval(self, lr: float) -> None:
        state = self.state
        self._write_line(
            {
                "kind": "train",
                "step": state.step,
                "epoch": math.ceil(state.step / self.steps_per_epoch),
                "loss": state.loss_sum / state.rows,
                **({"accuracy": state.hits / state.rows} if self.has_hits else {}),
                "lr": lr,
                "samples_per_second": round(state.rows / max(state.interval_seconds, 1e-9), 2),
                "seconds": round(state.seconds, 3),
            }
        )
        state.loss_sum, state.hits, state.rows, state.interval_seconds = 0.0, 0.0, 0, 0.0

    def _describe_non_finite(self, outcome: Outcome, batch_idx: int) -> str:
        step, bad = self.state.step, ~torch.isfinite(outcome.losses)
        rows = [row for row, is_bad in zip(self.rows_of_batch[batch_idx], bad.tolist(), strict=True) if is_bad]
        shown = ", ".join(map(str, rows[:10])) + (f" and {len(rows) - 10} more" if len(rows) > 10 else "")
        return (
            f"the loss is not finite at step {step + 1}, epoch {step // self.steps_per_epoch + 1}, "
            f"batch {step % self.steps_per_epoch + 1} of {self.steps_per_epoch}, "
            f"{'rows ' + shown if rows else 'in the share of another process'} of the training data; the step was not "
            f"taken, {self.recorder.last_name} is from before; try a smaller --optimizer.lr"
        )

    # Validation

    def on_validation_start(self) -> None:
        check_finite(self.network, self.state.step, self.recorder.last_name)
        self.clock = time.monotonic()
        self.scores.reset()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.scores.update(self.task.run(self.network, batch), batch)

    def on_validation_batch_end(self, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        # with several processes, none may stop alone: the stop waits for the next training step
        if self.trainer.world_size == 1 and self.stop.wanted():
            self.tick()
            self._save_last()
            raise Stopped(self.state.step, self.stop.exit_code)

    def on_validation_epoch_end(self) -> None:
        scores = {name: value.cpu() for name, value in self.scores.compute().items()}
        state, score = self.state, float(scores[self.task.monitor])
        if math.isnan(score) and math.isfinite(float(scores["loss"])):
            raise ValueError(NO_VALUE.format(self.task.monitor))
        if not (math.isfinite(score) and math.isfinite(float(scores["loss"]))):
            raise NonFiniteError(
                f"the validation loss is not finite after step {state.step}; {self.recorder.best_name} and "
                f"{self.recorder.last_name} are from before; try a smaller --optimizer.lr"
            )
        self.tick()
        state.validated_epochs += 1
        state.awaits_validation = False
        state.last_score = score
        found, maximize = Best(state.step, state.validated_epochs, score, scores), self.task.maximize
        is_best = state.best is None or found.rank(maximize=maximize) > state.best.rank(maximize=maximize)
        if is_best:
            state.best = found
        numbers = {name: value.item() for name, value in scores.items() if value.ndim == 0}
        position = {"kind": "val", "step": state.step, "epoch": state.validated_epochs}
        self._write_line({**position, **numbers, "best": is_best, "seconds": round(state.seconds, 3)})
        self.progress.validated(state.validated_epochs, numbers, score, is_best)
        if is_best and self.trainer.is_global_zero:
            self.recorder.save_best(self.network, self.trainer.optimizers[0], state)
        self._save_last()
        if self.early_end.is_reached(state):
            self.trainer.should_stop = True

    # Records and time

    def _write_line(self, line: dict[str, Any]) -> None:
        if self.trainer.is_global_zero:
            self.recorder.write_line(line)

    def _save_last(self) -> None:
        check_finite(self.network, self.state.step, self.recorder.last_name)
        if self.trainer.is_global_zero:
            self.recorder.save_last(self.network, self.trainer.optimizers[0], self.state)
        self.saved_at = time.monotonic()

    def tick(self) -> float:
        """Add the seconds since the last call to the run's total; return them."""
        now = time.monotonic()
        passed, self.clock = now - self.clock, now
        self.state.seconds += passed
        return passed
