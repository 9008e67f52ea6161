"""Images per second of each learner, and how near its data loader is to keeping the training step fed.

Run: python -m benchmarks.train [ROOT] [--device auto] [--workers 0] [--image-size N] [--batch-size N] [--seconds 5]

Loader and step are the learner's own, as its `train` hands them to the trainer. For each learner:
  first    images per second of the loader in the first epoch, when files are decoded
  loader   the same in later epochs, when decoded images are in memory
  step     forward, loss, backward and optimiser on one batch over and over
  both     the loader feeding the step
  fed      both / step: 100 % if the step never waits
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from lightning import LightningModule

from benchmarks.timing import environment
from finetune.engine.config import parse_config
from finetune.engine.devices import pick_device
from finetune.learners import find_learner
from toolkit import write_product
from toolkit.errors import ToolkitError

LEARNERS = {
    "classifier": ("finetune.classifier.learner", {"weights": "none"}),
    "longtail": ("finetune.longtail.module", {"weights": "none"}),
    "vae": ("finetune.vae.learner", {"weights": "none"}),
}
"""Name -> where it calls the trainer, and settings."""


class _Captured(Exception):  # noqa: N818 - it is no error
    def __init__(self, module: LightningModule, loader: Any) -> None:
        super().__init__()
        self.module, self.loader = module, loader


def main() -> None:
    """Print a row for each learner."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", nargs="?", type=Path, help="dataset root; without it the embedded product at 256 px")
    parser.add_argument("--learners", default=",".join(LEARNERS))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--image-size", type=int)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    arguments = parser.parse_args()
    device = pick_device(arguments.device)
    told = {"device": arguments.device, "workers": arguments.workers}
    told |= {"image_size": arguments.image_size} if arguments.image_size else {}
    told |= {"batch_size": arguments.batch_size} if arguments.batch_size else {}
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    print(f"{environment('torch', 'torchvision', 'lightning')}, {device} ({name}), {arguments.workers} workers")
    print(f"{'learner':<12}{'size':>6}{'batch':>7}{'first':>9}{'loader':>9}{'step':>9}{'both':>9}{'fed':>8}   images/s")
    with tempfile.TemporaryDirectory() as folder:
        root = arguments.root or write_product(Path(folder, "product"), image_size=256, per_class=10, train_good=128)
        for learner in arguments.learners.split(","):
            try:
                row = str(measure(learner, root, told, Path(folder, learner), device, arguments.seconds))
            except ToolkitError as error:
                row = f"cannot be measured: {error}"
            print(f"{learner:<12}{row}", flush=True)


@dataclass(frozen=True)
class Rates:
    """Images per second of a learner, as the module says, and the settings that count."""

    image_size: int
    batch_size: int
    first: float
    loader: float
    step: float
    both: float

    def __str__(self) -> str:
        rates = "".join(f"{rate:>9.0f}" for rate in (self.first, self.loader, self.step, self.both))
        return f"{self.image_size:>6}{self.batch_size:>7}{rates}{100 * self.both / self.step:>6.0f} %"


def measure(learner: str, root: Path, told: dict[str, Any], out: Path, device: torch.device, seconds: float) -> Rates:
    """Measure a learner on a dataset, each rate for so many seconds.

    Raises:
        ToolkitError: the data or the settings do not suit it.
    """
    place, settings = LEARNERS[learner]
    found = find_learner(learner)
    config: Any = parse_config(found.config, {**settings, **told})
    module, loader = _capture(lambda: found.train(root, config, out, False, None), place)
    module = module.to(device).train()
    optimiser = torch.optim.AdamW([one for one in module.parameters() if one.requires_grad], config.lr)

    def step(batch: dict[str, Any]) -> None:
        moved = {name: value.to(device, non_blocking=True) for name, value in batch.items()}
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = module.training_step(moved)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*self\.log.*")  # there is no trainer to log to
        first = _rate(loader, lambda batch: None, device)
        once = next(iter(loader))
        for _ in range(2):
            step(once)
        alone = _rate(_epochs(loader), lambda batch: None, device, seconds)
        stepping = _rate(itertools.repeat(once), step, device, seconds)
        both = _rate(_epochs(loader), step, device, seconds)
    return Rates(config.image_size, config.batch_size, first, alone, stepping, both)


def _capture(train: Callable[[], Any], place: str) -> tuple[LightningModule, Any]:
    """What a learner hands to the trainer."""

    def fit(module: LightningModule, loader: Any, *_: Any, **__: Any) -> None:
        raise _Captured(module, loader)

    with patch.object(import_module(place), "fit", fit):
        try:
            train()
        except _Captured as captured:
            return captured.module, captured.loader
    raise RuntimeError(f"{place} did not call the trainer")


def _epochs(loader: Any) -> Iterator[Any]:
    for epoch in itertools.count(1):
        loader.sampler.set_epoch(epoch)
        yield from loader


def _rate(
    batches: Iterable[Any], use: Callable[[Any], None], device: torch.device, seconds: float = float("inf")
) -> float:
    """Images per second, until the batches end or the time is up."""
    images, started = 0, time.perf_counter()
    for batch in batches:
        use(batch)
        images += len(batch["index"])
        if time.perf_counter() - started > seconds:
            break
    if device.type == "cuda":
        torch.cuda.synchronize()
    return images / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
