"""One thread for torch: where other programs share the processors, more of them wait for each other."""

from __future__ import annotations

import os

import torch

os.environ.setdefault("OMP_NUM_THREADS", "1")  # of the programs that tests start
torch.set_num_threads(1)
