"""The measurements of the speed table, length by length."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor, nn

from multiresconv.bench.cells import Cells
from multiresconv.bench.contenders import CONTENDERS, KERNEL_SIZE
from multiresconv.bench.machine import describe_machine
from multiresconv.bench.memory import available_memory
from multiresconv.bench.setting import Setting
from multiresconv.bench.streaming import BURST, burst
from multiresconv.bench.timing import take_turns
from multiresconv.bench.training_step import training_step
from multiresconv.bench.trial import try_out

# Streaming measure -> its batch size.
STREAMS = {"step": 1, "step of 16": 16}
MEASURES = ("train", "inference", *STREAMS, "memory")

# Seconds for all runs of one contender at one length.
_BUDGET = {"train": 4.0, "inference": 2.0, **dict.fromkeys(STREAMS, 1.0)}
# Seconds that a trial may take to start and compile, besides its steps.
_START = 120.0

Say = Callable[[str], None]
Layers = Mapping[str, nn.Module]


def measure(names: Sequence[str], lengths: Sequence[int], setting: Setting, say: Say) -> Iterator[dict[str, Any]]:
    """Measure everything, length by length; yield the report, ready for JSON, after each length.

    Args:
        names: names of contenders.
        lengths: sequence lengths, at least 2 each, in any order.
        setting: the settings of all cells.
        say: called with lines that report progress.
    """
    torch.set_num_threads(setting.threads)
    cells = Cells(MEASURES, names)
    report: dict[str, Any] = {
        "machine": describe_machine(setting.device),
        "versions": {package: version(package) for package in ("multiresconv", "torch", "numba", "pytorch-tcn")},
        **asdict(setting),
        "dtype": "float32",
        "kernel_size": KERNEL_SIZE,
        "lengths": [],
        "contenders": {name: describe(name) for name in names},
        "cells": cells.table,
    }
    for length in sorted(set(lengths)):
        say(f"length {length:,}")
        layers = _layers(names, length, setting, cells, say)
        for name, layer in layers.items():
            row = report["contenders"][name]
            row["parameters"][str(length)] = sum(p.numel() for p in layer.parameters())
            row["multiply_adds"][str(length)] = round(CONTENDERS[name].multiply_adds(setting.d_model, length))
        x, grad_y = (torch.randn(setting.batch_size, length, setting.d_model, device=setting.device) for _ in range(2))
        _train(layers, x, grad_y, setting, cells, say)
        _infer(layers, x, setting, cells, say)
        _stream(layers, x, setting, cells, say)
        report["lengths"].append(length)
        yield report


def describe(name: str) -> dict[str, Any]:
    row = {key: getattr(CONTENDERS[name], key) for key in ("label", "contents", "mixes_channels", "ours")}
    return {**row, "parameters": {}, "multiply_adds": {}}


def _layers(names: Sequence[str], length: int, setting: Setting, cells: Cells, say: Say) -> dict[str, nn.Module]:
    """Build the contenders whose trial succeeds at this length; the trials fill the memory cells."""
    layers = {}
    for name in names:
        say(f"  memory: {CONTENDERS[name].label}")
        why = CONTENDERS[name].missing(setting.device) or _try_out(name, length, setting, cells)
        if why is None:
            torch.manual_seed(0)
            layers[name] = CONTENDERS[name].build(setting.d_model, length).to(setting.device)
        else:
            cells.leave_out(MEASURES, name, length, why)
    return layers


def _try_out(name: str, length: int, setting: Setting, cells: Cells) -> str | None:
    """Try a training step in a separate process; return why the contender fails at this length, or None."""
    available, needed = available_memory(setting.device), cells.expected("memory", name, length)
    why = _too_long("train", name, length, setting, cells)
    if why is None and available is not None and needed is not None and needed > available:
        why = f"left out: expected to need {needed / 2**30:.0f} GiB where {available / 2**30:.0f} GiB are free"
    if why is not None:
        cells.leave_out(["train", "memory"], name, length, why)
        return None
    try:
        peak = try_out(name, length, setting, timeout=_START + 2 * setting.limit)
    except TimeoutError:
        cells.leave_out(["train", "memory"], name, length, f"left out: > {setting.limit:g} s")
        return None
    except RuntimeError as error:
        return f"failed: {error}"
    if peak is None:
        cells.leave_out(["memory"], name, length, "not measured: this system does not tell")
    else:
        cells.put("memory", name, length, {"bytes": peak})
    return None


def _train(layers: Layers, x: Tensor, grad_y: Tensor, setting: Setting, cells: Cells, say: Say) -> None:
    here = {name: layer for name, layer in layers.items() if cells.is_open("train", name, x.shape[1])}
    steps = {name: training_step(layer.train(), x, grad_y) for name, layer in here.items()}
    _take_turns("train", steps, x.shape[1], setting, cells, say)


def _infer(layers: Layers, x: Tensor, setting: Setting, cells: Cells, say: Say) -> None:
    calls = {}
    for name, layer in layers.items():
        if why := _too_long("inference", name, x.shape[1], setting, cells):
            cells.leave_out(["inference"], name, x.shape[1], why)
        else:
            calls[name] = _inference(layer.eval(), x)
    _take_turns("inference", calls, x.shape[1], setting, cells, say)


def _inference(layer: nn.Module, x: Tensor) -> Callable[[], None]:
    def run() -> None:
        with torch.inference_mode():
            layer(x)

    return run


def _stream(layers: Layers, x: Tensor, setting: Setting, cells: Cells, say: Say) -> None:
    for measure, batch in STREAMS.items():
        past = torch.randn(batch, *x.shape[1:], device=x.device)
        bursts = {}
        for name, layer in layers.items():
            contender = CONTENDERS[name]
            if contender.no_stream:
                cells.leave_out([measure], name, x.shape[1], contender.no_stream)
            elif contender.stream_batch is not None and batch > contender.stream_batch:
                why = f"-: its streaming is for a batch of {contender.stream_batch}"
                cells.leave_out([measure], name, x.shape[1], why)
            else:
                bursts[name] = burst(layer.eval(), past)
        _take_turns(measure, bursts, x.shape[1], setting, cells, say, runs=BURST)


def _take_turns(
    measure: str,
    calls: Mapping[str, Callable[[], object]],
    length: int,
    setting: Setting,
    cells: Cells,
    say: Say,
    runs: int = 1,
) -> None:
    """Time the calls, each of which does `runs` runs, and fill the cells with the times per run."""
    say(f"  {measure}")
    times = take_turns(calls, repeats=setting.repeats, budget=_BUDGET[measure], device=setting.device)
    for name, of in times.items():
        each = replace(of, median=of.median / runs, low=of.low / runs, high=of.high / runs)
        cells.put(measure, name, length, asdict(each))


def _too_long(measure: str, name: str, length: int, setting: Setting, cells: Cells) -> str | None:
    expected = cells.expected(measure, name, length)
    if expected is None or expected <= setting.limit:
        return None
    return f"left out: > {setting.limit:g} s, expected to take {expected:.0f} s"
