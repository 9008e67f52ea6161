"""What crops, sizes and heads are worth to a classifier on a frozen backbone, by folds of ten images a class.

Run: python -m benchmarks.classifier [MVTEC/screw ...] [--seeds 1] [--only tiles] [--side 256]

Without a folder the embedded product is taken. Of each class ten images are drawn with each seed, and each image is
told by a model that was trained on the other four fifths of them. The backbone is EfficientNet-Lite0 with the weights
that come with it, and learns nothing; a probe is logistic regression on its features, a head is trained by steps.
Figures are of all images of all seeds: accuracy with its 95 % interval over the images of one seed, good against
defective AUROC, defects that are taken for good (escape) and good images that are not (false reject).
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.timing import environment
from finetune.classification.heads import build_network
from finetune.classification.inference import Predictions, evaluating, image_views, view_batches
from finetune.classification.views.tiles import TileDataset, pool_tiles
from finetune.classifier.config import ClassifierConfig
from finetune.classifier.learner import train
from finetune.classifier.linear_probe import fit_probe
from finetune.engine.devices import seed_all
from finetune.engine.splits import ImageRecords, SplitConfig, open_examples
from finetune.engine.transforms import flipped_views
from finetune.metrics.significance import wilson_interval
from toolkit import write_product
from toolkit.dataset.splits import split_dataset, write_split

FOLDS = 5
BASE: dict[str, Any] = {"backbone": "efficientnet_lite0", "mode": "linear-probe", "plots": False, "device": "cpu"}
STAGES = 9  # of the backbone, all of which are frozen
HEAD: dict[str, Any] = {"mode": "finetune", "freeze": STAGES, "image_size": 128, "epochs": 15, "lr": 2e-3}
WHOLE: dict[str, dict[str, Any]] = {
    "probe, 224 px": {},
    "probe, 224 px, flips averaged": {"tta": "both"},
    "probe, 448 px": {"image_size": 448},
}
TRAINED: dict[str, dict[str, Any]] = {
    "linear head": {},
    "mlp": {"head": {"kind": "mlp"}},
    "mlp, dropout .5": {"head": {"kind": "mlp", "dropout": 0.5}},
    "linear, smoothed .1": {"label_smoothing": 0.1},
    "linear, cosine after 3 epochs of warm-up": {"schedule": "cosine", "warmup": 3},
    "linear, averaged .99": {"ema": 0.99},
}


def folds(data: Path, seed: int, folder: Path) -> Iterator[tuple[Path, ImageRecords]]:
    """A split file for each fold of ten images of each class, and its images."""
    everything = open_examples(data, SplitConfig(strategy="uniform", per_class=10, test_per_class=2, seed=seed))
    samples = everything.source.dataset if everything.source else []
    used = [sample for sample in samples if sample.key in everything.subsets]
    for fold in range(FOLDS):
        drawn = split_dataset(used, "kfold", folds=FOLDS, fold=fold, val=0.0, seed=seed)
        path = folder / f"seed{seed}-fold{fold}.csv"
        write_split({sample.key: drawn.get(sample.key, "none") for sample in samples}, path)
        yield path, open_examples(data, SplitConfig(file=path))


def probed(examples: ImageRecords, config: ClassifierConfig, pools: Sequence[str]) -> dict[str, Predictions]:
    """Train a probe and predict the test images, of tiles with each of the ways to put them together."""
    seed_all(config.seed)
    backbone = build_network(config, config.weights, len(examples.classes))
    cpu = torch.device("cpu")
    fit_probe(backbone, examples.subset("train"), examples.classes, config, cpu, examples.source)
    tested = examples.subset("test")
    views, chances = image_views(tested, config), list[np.ndarray]()
    for _, images in view_batches(views, config):
        with evaluating(backbone.model):
            mirrored = [backbone.model(view).double().softmax(dim=1) for view in flipped_views(images, config.tta)]
            chances += list(torch.stack(mirrored).mean(dim=0).numpy())
    if not isinstance(views, TileDataset):
        return {"": Predictions(tested, examples.classes, np.stack(chances))}
    owners = np.array([index for index, _ in views.items])
    every = np.stack(chances)
    return {
        pool: Predictions(
            tested,
            examples.classes,
            np.stack([pool_tiles(every[owners == place], pool, 0) for place in range(len(tested))]),  # type: ignore[arg-type]
        )
        for pool in pools
    }


def trained(data: Path, split: Path, config: ClassifierConfig, out: Path) -> Mapping[str, Predictions]:
    """Train a head and read what it predicts of the test images."""
    run = train(data, config.model_copy(update={"split": SplitConfig(file=split)}), out)
    examples = open_examples(data, SplitConfig(file=split))
    with open(run.root / "predictions.csv", newline="") as file:
        rows = {row["key"]: row for row in csv.DictReader(file)}
    tested = examples.subset("test")
    chances = [[float(rows[one.key][f"p_{name}"]) for name in examples.classes] for one in tested]
    return {"": Predictions(tested, examples.classes, np.array(chances))}


def line(name: str, found: Sequence[Predictions], seeds: int, seconds: float) -> str:
    """A row of the table: all folds of all seeds as one."""
    whole = Predictions(
        [one for part in found for one in part.examples],
        found[0].classes,
        np.concatenate([part.probabilities for part in found]),
    )
    told, images = whole.metrics(), len(whole.examples) // seeds
    low, high = wilson_interval(told["accuracy"] * images, images)
    cells = [f"{told['accuracy']:.3f} ({low:.2f} to {high:.2f})"]
    cells += [f"{told[key]:.3f}" for key in ("good_auroc", "escape", "false_reject")]
    return f"| {name} | {' | '.join(cells)} | {seconds / seeds / FOLDS:.0f} |"


def measure(data: Path, name: str, settings: dict[str, Any], seeds: int, pools: Sequence[str] = ()) -> None:
    """Print the rows of one way to learn."""
    found: dict[str, list[Predictions]] = {}
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(seeds):
            config = ClassifierConfig(**{**BASE, "seed": seed, **settings})
            for number, (split, examples) in enumerate(folds(data, seed, Path(folder))):
                out = Path(folder, f"run{seed}-{number}")
                probe = config.mode == "linear-probe"
                told = probed(examples, config, pools) if probe else trained(data, split, config, out)
                for pool, predictions in told.items():
                    found.setdefault(f"{name}, {pool}" if pool else name, []).append(predictions)
    for told_name, parts in found.items():
        print(line(told_name, parts, seeds, time.process_time() - began), flush=True)


def main() -> None:
    """Print what was used, and a table for each product."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="*", help="folders of products in MVTec layout")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", default="whole,tiles,heads", help="which of whole, tiles, heads")
    parser.add_argument("--side", type=int, nargs="*", default=[256], help="of tiles, in pixels of the image")
    told = parser.parse_args()
    print(environment("torch", "torchvision", "scikit-learn"), f"{torch.get_num_threads()} threads, {told.seeds} seeds")
    with tempfile.TemporaryDirectory() as scratch:
        for data in told.data or [write_product(Path(scratch, "product"), per_class=10, train_good=10)]:
            print(f"\n{data.name}\n\n| way | accuracy | good AUROC | escape | false reject | CPU s a fold |")
            print("|---" * 6 + "|", flush=True)
            if "whole" in told.only:
                for name, settings in WHOLE.items():
                    measure(data, name, settings, told.seeds)
            for side in told.side if "tiles" in told.only else []:
                tiles = {"tiles": {"side": side}}
                measure(data, f"probe, tiles of {side} px", tiles, told.seeds, ("max", "mean", "both"))
            if "heads" in told.only:
                for name, settings in TRAINED.items():
                    measure(data, name, {**HEAD, **settings}, told.seeds)


if __name__ == "__main__":
    main()
