"""One thread per test process: tests run side by side, and many threads on small convolutions wait for each other."""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # for the processes that tests start

import torch

torch.set_num_threads(1)
