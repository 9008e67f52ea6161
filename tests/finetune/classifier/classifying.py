"""A tiny classifier, also as a program of its own that can be killed or be one of several processes.

python -m tests.finetune.classifier.classifying train DATA RUN STEP   is killed before that step
python -m tests.finetune.classifier.classifying share DATA HOME       trains on two processes in HOME/runs
python -m tests.finetune.classifier.classifying evaluate RUN FILE     writes the figures that all processes found
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch

from finetune import training
from finetune.classifier.config import ClassifierConfig
from finetune.classifier.learner import evaluate, train
from finetune.classifier.module import ClassifierModule
from finetune.engine.config import parse_config
from finetune.engine.runs import open_run

__all__ = ["TINY", "WHOLE", "config"]

TINY: dict[str, Any] = {
    "backbone": "squeezenet1_1",
    "weights": "none",
    "image_size": 32,
    "epochs": 2,
    "batch_size": 16,
    "device": "cpu",
    "plots": False,
    "split": {"strategy": "uniform"},
}
WHOLE: dict[str, Any] = {"split": {"strategy": "stratified"}, "backbone": "shufflenet_v2_x0_5"}
"""Changes with which batch statistics count and an odd number of images is tested."""


def config(**changes: Any) -> ClassifierConfig:
    return parse_config(ClassifierConfig, {**TINY, **changes})


def main() -> None:
    task, first, second = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    torch.set_num_threads(1)
    if task == "train":
        step, taken = int(sys.argv[4]), ClassifierModule.training_step

        def killed(self: ClassifierModule, batch: dict[str, Any]) -> torch.Tensor:
            if self.global_step == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return taken(self, batch)

        ClassifierModule.training_step = killed  # type: ignore[method-assign]
        train(first, config(**WHOLE), second)
        return
    if task == "share":
        os.chdir(second)
        training.train("classifier", first, config=config(split={"strategy": "stratified"}, devices=2, strategy="ddp"))
        return
    torch.distributed.init_process_group("gloo")
    found = evaluate(open_run(first))
    second.with_suffix(f".{torch.distributed.get_rank()}").write_text(json.dumps(found))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
