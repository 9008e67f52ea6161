"""What keeping embeddings is worth, and what a small SAM learns: `python -m benchmarks.sam [--parts speed,defaults]`.

speed   An epoch of training on kept embeddings against one that encodes its images again, the same images, prompts and
        steps, in turn: vit_b with random weights at 1024 px on `--images` images, for 1, 4 and 16 prompts an image and
        a single click or box each, and for the driver's own settings.
fit     The small SAM on 14 defect images of the embedded product, at 64 px and scaled by four so that its masks are of
        the images' own resolution: IoU on those very images, tuned and untuned, after the last epoch. It says that all
        that lies between data and masks works, not how well new images do. It is trained on boxes alone.
unseen  The same on many more images, and on the driver's own test subset, which the model never saw.
defaults  `train sam DATA --set model=tiny --set instances=merge:8`, and nothing else, on what `defectkit synth` writes,
        70 images with defects. "unseen" are the test images of its split, which it neither learnt from nor chose its
        epoch by; "seen" are as many of those that it learnt from.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import default_collate

from benchmarks.timing import alternate, environment, ratio
from finetune.engine.config import parse_config
from finetune.engine.devices import pick_device, seed_all
from finetune.engine.runs import read_metrics
from finetune.engine.splits import SplitConfig, open_as_told, open_examples
from finetune.sam.data import PromptedImages, Task, choose_images, read_instances
from finetune.sam.embeddings import Encoder, embed_images, open_cache
from finetune.sam.evaluation import evaluate_images
from finetune.sam.learner import SamConfig, load_segmenter, train
from finetune.sam.metrics import PROMPTS
from finetune.sam.models import build_sam
from finetune.sam.module import SamModule
from finetune.sam.predictor import Segmenter
from toolkit import write_product
from toolkit.geometry.labels import LabelledImage

SMALL = {
    "model": "tiny",
    "image_size": 256,
    "train_prompt_encoder": True,
    "refinement_steps": 0,
    "box_share": 1.0,
    "lr": 2e-3,
    "prompts_per_image": 1,
}
_CELL = 16  # pixels of an image that a cell of the masks covers there, of `defaults`
_SEEN = 15  # images that were learnt from, of `defaults`
PER_CLASS = (
    3  # of the data that `fit` trains on: the third image of each class is for choosing an epoch, which is unused
)


def labelled(root: Path, **options: Any) -> list[LabelledImage]:
    """Images of a product that show instances."""
    examples = open_examples(root, SplitConfig(strategy="native")).examples
    return [image for image in read_instances(examples, root, **options) if image.instances]


def speed(told: argparse.Namespace, folder: Path) -> None:
    """Print seconds of an epoch, kept and encoded again."""
    size, device = told.image_size, pick_device(told.device)
    root = write_product(folder, image_size=256 if told.model == "tiny" else 1024, per_class=1, train_good=0)
    images = labelled(root, instances="image")[: told.images]
    seed_all(0)
    sam = build_sam(told.model, size)
    encoder = Encoder(sam.image_encoder.to(device).eval(), device, size)
    cache = open_cache(folder / "cache", encoder)
    started = time.perf_counter()
    digests, _ = embed_images([image.path for image in images if image.path], encoder, cache)
    print(f"embedding {len(images)} images once: {time.perf_counter() - started:.1f} s", flush=True)
    print(f"{'prompts':<22}{'encoded again':>16}{'kept':>10}{'times':>9}", flush=True)
    cases = [(f"{number}, one round", number, 0) for number in told.prompts]
    cases.append(("4, three rounds", 4, 2))
    for name, prompts, rounds in cases:
        tasks = {}
        for kind, store in (("again", None), ("kept", cache)):
            told_config = {
                "model": told.model,
                "refinement_steps": rounds,
                "cache": "none" if store is None else "auto",
            }
            module = SamModule(sam, parse_config(SamConfig, told_config)).to(device).train()
            data = PromptedImages(images, Task(size, prompts), digests, store)
            tasks[kind] = epoch(module, data, device)
        seconds = alternate(tasks, told.rounds)
        again, kept = (sum(seconds[kind]) / told.rounds for kind in ("again", "kept"))
        print(f"{name:<22}{again:>14.2f} s{kept:>8.2f} s{ratio(seconds, 'again', 'kept'):>9.1f}", flush=True)


def epoch(module: SamModule, data: PromptedImages, device: torch.device) -> Callable[[], None]:
    """An epoch of steps of one image, as the trainer takes them."""
    trained = [one for one in module.parameters() if one.requires_grad]
    optimiser, numbers = torch.optim.AdamW(trained, 1e-4), itertools.count()
    module.log = lambda *_, **__: None  # type: ignore[method-assign]  # there is no trainer to log to

    def run() -> None:
        number = next(numbers)
        for place in range(len(data)):
            batch = default_collate([data[number, place]])
            moved = {name: value.to(device) for name, value in batch.items()}
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                loss = module.training_step(moved)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        if device.type == "cuda":
            torch.cuda.synchronize()

    return run


def show(name: str, metrics: dict[str, Any], seconds: float) -> None:
    """A line of IoU, untuned and tuned, by each kind of prompt."""
    told = " ".join(f"{metrics[f'untuned_iou_{one}']:>6.3f} ->{metrics[f'iou_{one}']:>6.3f}" for one in PROMPTS)
    print(f"{name:<24}{metrics['instances']:>10} {told}{seconds:>9.0f}", flush=True)


def fit(told: argparse.Namespace, folder: Path) -> None:
    """Print how well 16 images are learnt by heart."""
    root = write_product(folder, image_size=64, per_class=PER_CLASS, train_good=0)
    keys = [example.key for example in open_examples(root, SplitConfig(strategy="native")).examples]
    kept = [key for key in keys if not key.endswith(f"{PER_CLASS - 1:03}")]
    split = folder / "split.csv"
    lines = [f"{key},{'train' if key in kept else 'val'}" for key in keys]
    split.write_text("\n".join(["# strategy=file seed=0", "key,subset", *sorted(lines)]) + "\n")
    config = parse_config(
        SamConfig,
        {
            **SMALL,
            "epochs": told.epochs,
            "batch_size": 1,
            "min_area": 8,
            "split": {"file": split},
            "device": told.device,
        },
    )
    started = time.perf_counter()
    run = train(root, config, told.out / "fit" if told.out else folder / "fit")
    seconds = time.perf_counter() - started
    device = pick_device(told.device)
    models = [build_sam("tiny", config.image_size, run.checkpoints / "last.pth")]
    seed_all(config.seed)
    models.append(build_sam("tiny", config.image_size))
    tuned, untuned = (
        Segmenter(sam, Encoder(sam.to(device).image_encoder, device, config.image_size)) for sam in models
    )
    learnt = [image for image in labelled(root, min_area=8) if image.key in kept]
    show("fit", evaluate_images(tuned, untuned, learnt, config, {}, None).metrics, seconds)


def unseen(told: argparse.Namespace, folder: Path) -> None:
    """Print how well new images do."""
    root = write_product(folder, image_size=64, per_class=told.per_class, train_good=0)
    settings = {**SMALL, "epochs": told.unseen_epochs, "batch_size": 8, "min_area": 16, "device": told.device}
    started = time.perf_counter()
    run = train(root, parse_config(SamConfig, settings), told.out / "unseen" if told.out else folder / "unseen")
    show("unseen", read_metrics(run), time.perf_counter() - started)


def show_sizes(name: str, rows: Sequence[Mapping[str, Any]], seconds: float) -> None:
    """Lines of all instances, and of those that a cell of the masks has room for."""
    figures = [f"{start}iou_{one}" for start in ("", "untuned_") for one in PROMPTS]
    for least in (1, _CELL):
        some = [row for row in rows if int(row["area"]) >= least]
        means = {figure: sum(float(row[figure]) for row in some) / len(some) for figure in figures}
        show(f"{name}, {least} px and more", {**means, "instances": len(some)}, seconds)


def defaults(told: argparse.Namespace, folder: Path) -> None:
    """Print how well the defaults do, on images that were learnt from and on others."""
    root = write_product(folder)
    config = parse_config(SamConfig, {"model": "tiny", "instances": "merge:8", "device": told.device})
    started = time.process_time()
    run = train(root, config, told.out / "defaults" if told.out else folder / "defaults")
    seconds = time.process_time() - started
    with open(run.root / "predictions.csv", newline="", encoding="utf-8") as file:
        show_sizes("unseen", list(csv.DictReader(file)), seconds)
    tuned = load_segmenter(run)
    seed_all(config.seed)
    before = build_sam(config.model, config.image_size).to(tuned.device)
    untuned = replace(tuned, sam=before, encoder=replace(tuned.encoder, module=before.image_encoder))
    examples = open_as_told(root, config)
    learnt = choose_images(examples, root, config).train
    seen = [learnt[place * len(learnt) // _SEEN] for place in range(_SEEN)]
    show_sizes("seen", evaluate_images(tuned, untuned, seen, config, {}, None).rows, seconds)
    print(f"{run.environment()['epochs']} epochs; seconds are of the processor, embedding and evaluation included")


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default="speed,fit,unseen,defaults")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, help="of torch")
    parser.add_argument("--model", default="vit_b", help="of speed")
    parser.add_argument("--images", type=int, default=2, help="of speed")
    parser.add_argument("--prompts", type=int, nargs="+", default=[1, 4, 16], help="of speed")
    parser.add_argument("--rounds", type=int, default=1, help="of speed: times that each epoch is measured")
    parser.add_argument("--epochs", type=int, default=150, help="of fit")
    parser.add_argument("--per-class", type=int, default=300, help="of unseen")
    parser.add_argument("--unseen-epochs", type=int, default=40, help="of unseen")
    parser.add_argument("--out", type=Path, help="keep the runs here")
    told = parser.parse_args()
    told.image_size = 1024 if told.model != "tiny" else 256
    if told.threads:
        torch.set_num_threads(told.threads)
    print(environment("torch", "lightning", "segment-anything"), f"{torch.get_num_threads()} threads", flush=True)
    parts = {"speed": speed, "fit": fit, "unseen": unseen, "defaults": defaults}
    wanted = told.parts.split(",")
    for name in wanted:
        if name != "speed" and name == next(one for one in wanted if one != "speed"):
            print(
                f"{'':<24}{'instances':>10} {' '.join(f'{one:>15}' for one in PROMPTS)}{'seconds':>9}   IoU", flush=True
            )
        with tempfile.TemporaryDirectory() as folder:
            parts[name](told, Path(folder) / "data")


if __name__ == "__main__":
    main()
