"""`multiresconv bench`."""

import sys
from pathlib import Path
from typing import Literal


def bench(
    lengths: list[int],
    contenders: list[str] | None = None,
    d_model: int = 128,
    batch_size: int = 1,
    threads: int | None = None,
    repeats: int = 15,
    limit: float = 60.0,
    out: Path = Path("benchmarks/results"),
    device: Literal["auto", "cpu", "cuda"] = "auto",
) -> int:
    """Measure time and memory of this library's layers and of others against length, on this machine.

    Writes layers.json, layers.md and layers.png again after each length.

    Args:
        lengths: sequence lengths.
        contenders: some of cpu, triton, block, reference, compile, fft, s4d, gru, lstm, attention, tcn; default all.
        d_model: width of every layer.
        batch_size: batch size of training step and inference.
        threads: number of PyTorch threads; default PyTorch's own choice.
        repeats: runs of each measurement; slow ones get fewer, at least 3.
        limit: seconds; measurements that are expected to take longer per run are left out.
        out: folder for the three files.
        device: where to compute.
    """
    import torch

    from multiresconv.bench.contenders import CONTENDERS
    from multiresconv.bench.markdown import markdown
    from multiresconv.bench.measure import measure
    from multiresconv.bench.picture import draw
    from multiresconv.bench.setting import Setting
    from multiresconv.devices import choose_device
    from multiresconv.figures import save_figure
    from multiresconv.files import write_json, write_text

    names = list(CONTENDERS) if contenders is None else list(dict.fromkeys(contenders))
    if unknown := [name for name in names if name not in CONTENDERS]:
        raise ValueError(f"--contenders {' '.join(unknown)}: expected some of {', '.join(CONTENDERS)}")
    threads = torch.get_num_threads() if threads is None else threads
    for option, value, least in (
        ("lengths", min(lengths), 2),
        ("d_model", d_model, 1),
        ("batch_size", batch_size, 1),
        ("threads", threads, 1),
        ("repeats", repeats, 1),
    ):
        if value < least:
            raise ValueError(f"--{option}: expected at least {least}, got {value}")
    if not limit > 0:
        raise ValueError(f"--limit: expected seconds, more than 0, got {limit:g}")
    setting = Setting(d_model, batch_size, choose_device(device).type, threads, repeats, limit)
    out.mkdir(parents=True, exist_ok=True)
    text = ""
    for report in measure(names, lengths, setting, say=lambda line: print(line, file=sys.stderr, flush=True)):
        text = markdown(report)
        write_json(out / "layers.json", report)
        write_text(out / "layers.md", text)
        save_figure(draw(report), out / "layers.png")
    print(text)
    return 0
