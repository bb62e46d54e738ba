"""One thread per test process: tests run side by side, and small convolutions on many threads only wait for each other."""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # for the processes that tests start

import torch

torch.set_num_threads(1)
