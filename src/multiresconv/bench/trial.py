"""One training step in a process of its own: what memory it takes, and whether it is possible at all.

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

# With glibc: a tensor of more bytes goes back to the system when it is freed, so that it is seen when it is taken
# again, and what a step leaves behind in pieces too small for the next tensor does not count as memory that it takes.
_MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(1 << 16)}


def try_out(name: str, length: int, setting: Setting, timeout: float) -> int | None:
    """Run this file; returns peak bytes beyond layer, moments of AdamW, x and the output's gradient.

    None where a system does not tell.

    Raises:
        TimeoutError: it is not done after `timeout` seconds, in which it starts and takes two steps.
        RuntimeError: it failed; says how.
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
    step()  # compiles, loads libraries, makes the moments of AdamW
    release()  # so that memory of this library that is used again is seen, too
    print(json.dumps(peak_extra_memory(step, device)))


if __name__ == "__main__":
    main(*sys.argv[1:])
