"""One training step in a separate process: measures its memory and whether it works at all.

python -m multiresconv.bench.trial CONTENDER LENGTH D_MODEL BATCH_SIZE DEVICE THREADS
"""

import json
import os
import subprocess
import sys

import torch

from multiresconv.bench.contenders import CONTENDERS
from multiresconv.bench.memory import peak_extra_memory
from multiresconv.bench.setting import Setting
from multiresconv.bench.training_step import training_step
from multiresconv.ops.cpu.buffers import release

# Makes glibc return tensors of more bytes to the system when they are freed. Their reuse then counts again, and
# leftover fragments that are too small for the next tensor do not count.
_MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(1 << 16)}


def try_out(name: str, length: int, setting: Setting, timeout: float) -> int | None:
    """Run this file in a new process, which takes two training steps.

    Returns:
        Peak bytes beyond layer, AdamW moments, x and the output's gradient; None if the system does not report them.

    Raises:
        TimeoutError: the process has not finished after `timeout` seconds.
        RuntimeError: the process failed; the message says how.
    """
    options = [length, setting.d_model, setting.batch_size, setting.device, setting.threads]
    command = [sys.executable, "-m", "multiresconv.bench.trial", name, *map(str, options)]
    try:
        done = subprocess.run(command, env={**os.environ, **_MALLOC}, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"{name}, length {length}: not done after {timeout:g} s") from None
    if done.returncode < 0:
        raise RuntimeError(f"ended by signal {-done.returncode}, as of a system that is out of memory")
    if done.returncode:
        raise RuntimeError((done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1])
    return json.loads(done.stdout.splitlines()[-1])


def main(name: str, *options: str) -> None:
    length, d_model, batch_size = map(int, options[:3])
    device = options[3]
    torch.set_num_threads(int(options[4]))
    torch.manual_seed(0)
    layer = CONTENDERS[name].build(d_model, length).to(device)
    x, grad_y = (torch.randn(batch_size, length, d_model, device=device) for _ in range(2))
    step = training_step(layer, x, grad_y)
    step()  # compiles, loads libraries, creates the moments of AdamW
    release()  # so that memory that this library reuses counts too
    print(json.dumps(peak_extra_memory(step, device)))


if __name__ == "__main__":
    main(*sys.argv[1:])
