"""All learners on one GPU, in one command: `python -m benchmarks.gpu [--json gpu.json]`; `--dry` proves it on a CPU.

It makes its own data and takes random weights: nothing is fetched. Each part has its share of `--minutes`.
  encode      images per second of SAM's image encoder: `SamPredictor.set_image` in a loop, and the driver's own
              batches in fp32, bf16, and bf16 compiled
  cached      training steps per second of SAM on kept embeddings, and the GPU memory that they take, by batch
  yolo-world  seconds of an epoch beside ultralytics' own trainer
  train       images per second of classifier and VAE: loader, step, both
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from segment_anything import SamPredictor
from torch.utils.data import default_collate

from benchmarks.timing import environment
from benchmarks.train import measure
from finetune.engine.config import parse_config
from finetune.engine.datasets import read_rgb
from finetune.engine.devices import pick_device, seed_all
from finetune.engine.splits import SplitConfig, open_examples
from finetune.sam.data import PromptedImages, Task, read_instances
from finetune.sam.embeddings import Encoder, embed_images, open_cache, read_padded
from finetune.sam.learner import SamConfig
from finetune.sam.models import build_sam, encode
from finetune.sam.module import SamModule
from toolkit import write_product
from toolkit.errors import ToolkitError

Row = dict[str, Any]
PARTS = ("encode", "cached", "yolo-world", "train")
SHARES = {"encode": 0.3, "cached": 0.2, "yolo-world": 0.3, "train": 0.2}


class Place:
    """Where it runs, on what, and how long a part may take."""

    def __init__(self, told: argparse.Namespace, folder: Path) -> None:
        self.dry, self.folder = told.dry, folder
        self.device = pick_device("cpu" if told.dry else "cuda")
        self.model, self.size = ("tiny", 256) if told.dry else (told.model, 1024)
        self.minutes = told.minutes
        self.root = write_product(folder / "product", image_size=self.size, per_class=4, train_good=24)
        found = read_instances(open_examples(self.root, SplitConfig(strategy="native")).examples, self.root)
        self.images = [image for image in found if image.instances and image.path][: 8 if told.dry else 28]

    def seconds(self, part: str) -> float:
        """What a part may take."""
        return 2.0 if self.dry else 60 * self.minutes * SHARES[part]

    def wait(self) -> None:
        """Until the GPU has done what it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def rate(self, task: Callable[[], int], seconds: float) -> float:
        """What a task does in a second; it says how much it did each time."""
        task()
        self.wait()
        done, started = 0, time.perf_counter()
        while not done or time.perf_counter() - started < seconds:
            done += task()
            self.wait()
        return done / (time.perf_counter() - started)


def encode_rows(place: Place) -> Iterator[Row]:
    """Images per second of SAM's encoder; reading and scaling of images is not part of it."""
    seed_all(0)
    sam = build_sam(place.model, place.size).to(place.device)
    slice_of = place.seconds("encode") / 8
    pictures = [read_rgb(image.path, place.size) for image in place.images[:4] if image.path]
    predictor, turn = SamPredictor(sam), itertools.count()

    def one() -> int:
        predictor.set_image(pictures[next(turn) % len(pictures)])
        return 1

    base = place.rate(one, slice_of)
    yield {"what": "SamPredictor.set_image, one by one", "batch": 1, "images/s": base, "times": 1.0}
    items = [read_padded(image.path, place.size) for image in place.images if image.path]
    for name, halved, compiled, batch in (
        ("fp32", False, False, 1),
        ("fp32", False, False, 4),
        ("bf16", True, False, 1),
        ("bf16", True, False, 4),
        ("bf16", True, False, 8),
        ("bf16, compiled", True, True, 4),
    ):
        if compiled and place.dry:
            continue
        module: Any = torch.compile(sam.image_encoder) if compiled else sam.image_encoder
        both = default_collate((items * batch)[:batch])
        images, sizes = both["image"].to(place.device), both["size"].to(place.device)

        def several(
            module: Any = module, images: Any = images, sizes: Any = sizes, halved: bool = halved, batch: int = batch
        ) -> int:
            with torch.no_grad(), torch.autocast(place.device.type, torch.bfloat16, enabled=halved):
                encode(module, images, sizes)
            return batch

        found = place.rate(several, slice_of)
        yield {"what": f"encode, {name}", "batch": batch, "images/s": found, "times": found / base}


def cached_rows(place: Place) -> Iterator[Row]:
    """Steps per second on kept embeddings, four prompts an image and two corrective clicks each."""
    seed_all(0)
    sam = build_sam(place.model, place.size).to(place.device)
    encoder = Encoder(sam.image_encoder.eval(), place.device, place.size, batch=4)
    cache = open_cache(place.folder / "cache", encoder)
    started = time.perf_counter()
    digests, _ = embed_images([image.path for image in place.images if image.path], encoder, cache)
    spent = time.perf_counter() - started
    yield {"what": "embed, files to cache", "batch": 4, "images/s": len(digests) / spent}
    sizes = (1, 4) if place.dry else (1, 4, 16, 32)
    for batch in sizes:
        config = parse_config(SamConfig, {"model": place.model, "batch_size": batch})
        module = SamModule(sam, config).to(place.device).train()
        module.log = lambda *_, **__: None  # type: ignore[method-assign]  # there is no trainer to log to
        trained = [one for one in module.parameters() if one.requires_grad]
        optimiser = torch.optim.AdamW(trained, 1e-4)
        data = PromptedImages(place.images, Task(place.size, config.prompts_per_image), digests, cache)
        items = default_collate([data[0, number % len(data)] for number in range(batch)])
        moved = {name: value.to(place.device) for name, value in items.items()}
        if place.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(place.device)

        def step(module: Any = module, moved: Any = moved, optimiser: Any = optimiser) -> int:
            with torch.autocast(place.device.type, torch.bfloat16, enabled=place.device.type == "cuda"):
                loss = module.training_step(moved)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            return 1

        found = place.rate(step, place.seconds("cached") / len(sizes) / 2)
        taken = torch.cuda.max_memory_allocated(place.device) / 2**30 if place.device.type == "cuda" else None
        yield {"what": "cached step", "batch": batch, "steps/s": found, "images/s": found * batch, "GiB": taken}


def yolo_rows(place: Place) -> Iterator[Row]:
    """An epoch of the driver and of ultralytics' own trainer, the same data, weights and text features."""
    from benchmarks.yolo_world import beside_stock, settings

    small = {"model": "yolov8n-worldv2.yaml", "image_size": 64, "batch_size": 4, "epochs": 3, "device": "cpu"}
    large = {"model": "yolov8s-worldv2.yaml", "image_size": 640, "batch_size": 16, "epochs": 8, "device": "cuda:0"}
    config = settings(**(small if place.dry else {**large, "workers": 8}))
    found = beside_stock(place.root, config, place.folder / "yolo", rounds=0 if place.dry else 2)
    for name, seconds in (("driver", found.driver), ("WorldTrainer", found.stock)):
        yield {"what": f"an epoch, {name}", "batch": config.batch_size, "seconds": seconds}
    yield {"what": "ratio of the two, median of pairs", "times": found.ratio}
    yield {"what": "largest difference of a loss", "times": found.apart}


def train_rows(place: Place) -> Iterator[Row]:
    """Images per second of the learners that share the trainer."""
    cases: list[tuple[str, str, dict[str, Any]]] = [
        ("classifier, resnet18", "classifier", {}),
        ("classifier, convnext_tiny", "classifier", {"backbone": "convnext_tiny"}),
        ("longtail, resnet18", "longtail", {"longtail": {"imbalance": 4}}),
        ("vae, bands", "vae", {}),
        ("vae, pixel", "vae", {"model": "pixel"}),
    ]
    small = {"image_size": 64, "batch_size": 4} if place.dry else {"batch_size": 32}
    for number, (name, learner, settings) in enumerate(cases):
        told = {"device": str(place.device), "workers": 0 if place.dry else 8, **small, **settings}
        share = place.seconds("train") / len(cases) / 4
        try:
            found = measure(learner, place.root, told, place.folder / f"run{number}", place.device, share)
        except ToolkitError as error:
            yield {"what": f"{name}: {error}"}
            continue
        rates = {"loader/s": found.loader, "images/s": found.step, "both/s": found.both}
        yield {"what": f"{name}, {found.image_size} px", "batch": found.batch_size, **rates}


ROWS: dict[str, Callable[[Place], Iterator[Row]]] = {
    "encode": encode_rows,
    "cached": cached_rows,
    "yolo-world": yolo_rows,
    "train": train_rows,
}


def show(part: str, rows: list[Row]) -> None:
    """A Markdown table."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    print(f"\n| {part} | {' | '.join(names[1:])} |\n|{'---|' * len(names)}")
    for row in rows:
        cells = [row.get(name) for name in names]
        print("| " + " | ".join(_said(cell) for cell in cells) + " |", flush=True)


def _said(cell: Any) -> str:
    if cell is None:
        return ""
    return (
        f"{cell:.3g}"
        if isinstance(cell, float) and cell < 100
        else f"{cell:.0f}"
        if isinstance(cell, float)
        else str(cell)
    )


@contextmanager
def _explained(part: str, rows: list[Row]) -> Iterator[None]:
    """One part that fails, for want of memory perhaps, does not take the others with it."""
    try:
        yield
    except (RuntimeError, ToolkitError) as error:
        rows.append({"what": f"failed: {str(error).splitlines()[0][:200]}"})


def main() -> None:
    """Print a table for each part, and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--model", default="vit_b", help="of SAM")
    parser.add_argument("--minutes", type=float, default=6.0, help="for all parts; compiling comes on top")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--dry", action="store_true", help="small, on the CPU, to see that it runs")
    told = parser.parse_args()
    found: dict[str, list[Row]] = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Place(told, Path(folder))
        card = torch.cuda.get_device_name(place.device) if place.device.type == "cuda" else "CPU, dry"
        print(environment("torch", "torchvision", "lightning", "ultralytics", "segment-anything"))
        print(f"{card}, SAM {place.model} at {place.size} px", flush=True)
        for part in told.parts.split(","):
            rows = found.setdefault(part, [])
            with _explained(part, rows):
                for row in ROWS[part](place):
                    rows.append(row)
            show(part, rows)
    if told.json:
        about = {"device": card, "torch": torch.__version__, "model": place.model, "parts": found}
        told.json.write_text(json.dumps(about, indent=2) + "\n")


if __name__ == "__main__":
    main()
