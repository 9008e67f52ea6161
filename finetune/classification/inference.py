"""What every classifier does with its images: hold some out to choose on, predict, write rows and figures."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.utils.data import DataLoader

from finetune.classification.config import BackboneConfig
from finetune.classification.views.framing import image_reader
from finetune.classification.views.tiles import TileDataset, pool_tiles
from finetune.engine.config import Flips
from finetune.engine.datasets import ImageDataset, repeatable_loader
from finetune.engine.devices import reading_processes
from finetune.engine.distributed import gather_rows
from finetune.engine.learner import KnownScores
from finetune.engine.prediction import Prediction
from finetune.engine.splits import ImageRecord, ImageRecords
from finetune.engine.transforms import eval_transform, flipped_views
from finetune.metrics.classification import classification_metrics, confusion_counts
from finetune.metrics.rejection import rejection_metrics
from toolkit.dataset.samples import GOOD
from toolkit.errors import ToolkitError
from toolkit.imaging.images import read_header

__all__ = [
    "Predictions",
    "TrainValSplit",
    "check_classes",
    "choose_train_val",
    "class_probabilities",
    "classify_image",
    "decision_columns",
    "evaluating",
    "image_views",
    "predict_examples",
    "probability_columns",
    "unlabelled_examples",
    "view_batches",
]

Probabilities = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TrainValSplit:
    """Images to train on, and those to choose the best epoch by.

    Attributes:
        train, val: examples; without any in `val` the last epoch is the one.
        how: in words, for environment.json.
    """

    train: list[ImageRecord]
    val: list[ImageRecord]
    how: str


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a classifier makes of images.

    Attributes:
        examples: the images.
        classes: names of the classes.
        probabilities: float64 (N, classes), each row sums to 1.
        threshold: of the probability of "good": an image below it is taken for the likeliest of the other classes, any
            other for good. None takes each for the likeliest class.
    """

    examples: Sequence[ImageRecord]
    classes: Sequence[str]
    probabilities: Probabilities
    threshold: float | None = None

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """(N,) index of the true class of each image."""
        return np.array([self.classes.index(example.label) for example in self.examples], np.int64)

    @property
    def predicted(self) -> npt.NDArray[np.int64]:
        """(N,) index of the class that each image is taken for."""
        found: npt.NDArray[np.int64] = self.probabilities.argmax(axis=1)
        if self.threshold is None or self.good is None:
            return found
        others = np.delete(np.arange(len(self.classes)), self.good)
        likeliest = others[self.probabilities[:, others].argmax(axis=1)]
        return np.where(self.probabilities[:, self.good] < self.threshold, likeliest, self.good)

    @property
    def good(self) -> int | None:
        """Index of the class of good images; None where there is none, or no other."""
        return self.classes.index(GOOD) if GOOD in self.classes and len(self.classes) > 1 else None

    @property
    def p_good(self) -> npt.NDArray[np.float64] | None:
        """(N,) probability that each image is good; None as for `good`."""
        return None if self.good is None else self.probabilities[:, self.good]

    @property
    def known_scores(self) -> KnownScores:
        """The negative of `p_good`, of good images and of others, to choose a threshold by."""
        chances = -(self.p_good if self.p_good is not None else np.zeros(len(self.examples)))
        good = self.labels == self.good
        return KnownScores(chances[good].tolist(), chances[~good].tolist())

    def only(self, subset: str) -> Predictions:
        """Those of one subset."""
        places = [index for index, example in enumerate(self.examples) if example.subset == subset]
        return replace(self, examples=[self.examples[i] for i in places], probabilities=self.probabilities[places])

    def confusion(self) -> npt.NDArray[np.int64]:
        """Images of each class (rows) that were taken for each class (columns)."""
        return confusion_counts(self.labels, self.predicted, len(self.classes))

    def metrics(self) -> dict[str, float]:
        """As `classification_metrics`, and where there are good images and others as `rejection_metrics`."""
        figures = classification_metrics(self.labels, self.predicted, self.classes)
        if self.p_good is None:
            return figures
        figures |= rejection_metrics(self.labels != self.good, self.predicted != self.good, 1 - self.p_good)
        return figures if self.threshold is None else {**figures, "threshold": self.threshold}

    def confusion_rows(self) -> list[dict[str, str | int]]:
        """The confusion matrix as rows: a true class, and for each class the images that were taken for it."""
        counts = self.confusion().tolist()
        return [
            {"true_class": name, **{f"as_{other}": number for other, number in zip(self.classes, row, strict=True)}}
            for name, row in zip(self.classes, counts, strict=True)
        ]

    def rows(self) -> list[dict[str, str | int | float]]:
        """A row for each image, as in predictions.csv; `p_X` is the probability of class X."""
        told: list[dict[str, str | int | float]] = []
        for example, found, chances in zip(self.examples, self.predicted, self.probabilities, strict=True):
            row: dict[str, str | int | float] = {"key": example.key, "subset": example.subset, "label": example.label}
            row |= {"predicted": self.classes[found], "correct": int(self.classes[found] == example.label)}
            told.append({**row, **probability_columns(self.classes, chances)})
        return told


def unlabelled_examples(images: Sequence[Path], classes: Sequence[str]) -> list[ImageRecord]:
    """Image files to be predicted; the class that they are given means nothing."""
    return [ImageRecord(str(path), Path(path), classes[0], "", "test") for path in images]


def decision_columns(found: Predictions, place: int) -> dict[str, str | int | float]:
    """What one image is taken for, and the probability of that; and with a threshold whether it is rejected by it."""
    chosen = int(found.predicted[place])
    row: dict[str, str | int | float] = {"predicted": found.classes[chosen]}
    row["probability"] = round(float(found.probabilities[place, chosen]), 6)
    return (
        row
        if found.threshold is None
        else row
        | {
            "threshold": found.threshold,
            "rejected": int(chosen != found.good),
        }
    )


def probability_columns(classes: Sequence[str], chances: npt.NDArray[np.float64]) -> dict[str, float]:
    """Name of the column -> probability, in six decimals."""
    return {f"p_{name}": round(float(chance), 6) for name, chance in zip(classes, chances, strict=True)}


def choose_train_val(examples: ImageRecords, hold_out: float, seed: int) -> TrainValSplit:
    """Decide what the best epoch is chosen by. It is never a test image.

    Args:
        examples: split images.
        hold_out: share of each class of train that is held out where there is no val subset.
        seed: of that draw.

    Raises:
        ToolkitError: there are fewer than two classes, or a class has nothing to train on.
    """
    if len(examples.classes) < 2:
        raise ToolkitError(
            examples.root, "has only one class", "a classifier needs two; patchcore and vae learn from good alone"
        )
    train, val = examples.subset("train"), examples.subset("val")
    _check_trainable(examples, train)
    if val:
        return TrainValSplit(train, val, "the val subset")
    if not hold_out:
        return TrainValSplit(train, [], "nothing: the last epoch")
    by_label: dict[str, list[ImageRecord]] = defaultdict(list)
    for example in train:
        by_label[example.label].append(example)
    held: set[str] = set()
    for label, members in by_label.items():
        order = np.random.default_rng((seed, zlib.crc32(label.encode(errors="backslashreplace")))).permutation(
            len(members)
        )
        number = min(max(1, round(hold_out * len(members))), len(members) - 1)
        held |= {members[index].key for index in order[:number]}
    kept = [example for example in train if example.key not in held]
    return TrainValSplit(
        kept, [example for example in train if example.key in held], f"{len(held)} images of train, held out"
    )


def _check_trainable(examples: ImageRecords, train: Sequence[ImageRecord]) -> None:
    there = {example.label for example in train}
    empty = [label for label in examples.classes if label not in there]
    if empty:
        names = ", ".join(repr(label) for label in empty[:3])
        raise ToolkitError(
            examples.root, f"has no training images of {names}", "use --set split.strategy=stratified or uniform"
        )


def check_classes(examples: Sequence[ImageRecord], classes: Sequence[str], data: Path) -> None:
    """Refuse images of a class that a run does not know.

    Args:
        examples: images that are to be told apart.
        classes: names of the classes that it knows.
        data: where the images are, for the message.

    Raises:
        ToolkitError: there is one.
    """
    foreign = sorted({example.label for example in examples} - set(classes))
    if foreign:
        remedy = f"it knows {', '.join(classes)}"
        raise ToolkitError(data, f"has a class that the run does not know: {foreign[0]!r}", remedy)


def predict_examples(
    model: nn.Module,
    examples: Sequence[ImageRecord],
    classes: Sequence[str],
    config: BackboneConfig,
    device: torch.device,
    threshold: float | None = None,
) -> Predictions:
    """Predict images; where several processes work together, each takes its share and all get all of it.

    Args:
        model: float32 (B, 3, size, size) -> logits (B, classes).
        examples: the images.
        classes: names of the classes.
        config: settings of a learner, of which image_size, batch_size, workers and tta are used.
        device: where to compute.
        threshold: of the probability of "good", as in `Predictions`.

    Raises:
        ToolkitError: an image cannot be read, or there is a threshold and no class "good".
    """
    good = list(classes).index(GOOD) if GOOD in classes else None
    chances = class_probabilities(model, examples, config, device, tta=config.tta, classes=len(classes), good=good)
    found = Predictions(list(examples), list(classes), chances, threshold)
    if threshold is not None and found.good is None:
        raise ToolkitError("--threshold", f"the run knows no class called {GOOD!r}", "leave it out")
    return found


def classify_image(
    model: nn.Module,
    path: Path,
    classes: Sequence[str],
    config: BackboneConfig,
    device: torch.device,
    threshold: float | None = None,
) -> Prediction:
    """The class of one image file, and the probability of each.

    Args:
        model, classes, config, device, threshold: as for `predict_examples`.
        path: the file.

    Raises:
        ToolkitError: it cannot be read.
    """
    header, unlabelled = read_header(path), ImageRecord(str(path), path, classes[0], "", "test")
    found = predict_examples(model, [unlabelled], classes, config, device, threshold)
    chances, best = found.probabilities[0], int(found.predicted[0])
    return Prediction(
        path,
        header.width,
        header.height,
        classes=(classes[best],),
        scores=chances[[best]],
        probabilities=dict(zip(classes, chances.tolist(), strict=True)),
    )


def class_probabilities(
    model: nn.Module,
    examples: Sequence[ImageRecord],
    config: BackboneConfig,
    device: torch.device,
    *,
    tta: Flips = "none",
    classes: int,
    good: int | None = None,
) -> Probabilities:
    """Probability of each class, averaged over the mirrored views: float64 (N, classes).

    Where the config asks for tiles, those of an image are put together by `pool_tiles`; `good` is for it.
    """
    rows: list[tuple[int, npt.NDArray[np.float64]]] = []
    views = image_views(examples, config)
    for index, images in view_batches(views, config, shared=True):
        mirrored = flipped_views(images.to(device), tta)
        with evaluating(model):
            chances = torch.stack([model(view).double().softmax(dim=1) for view in mirrored]).mean(dim=0)
        rows += zip(index, chances.cpu().numpy(), strict=True)
    found = [chances for _, chances in gather_rows(rows)]
    if not found:
        return np.zeros((0, classes))
    if not isinstance(views, TileDataset):
        return np.stack(found)
    tiles: dict[int, list[npt.NDArray[np.float64]]] = defaultdict(list)
    for (image, _), told in zip(views.items, found, strict=True):
        tiles[image].append(told)
    return np.stack([pool_tiles(np.stack(tiles[place]), config.tiles.pool, good) for place in range(len(examples))])


def image_views(examples: Sequence[ImageRecord], config: BackboneConfig) -> ImageDataset | TileDataset:
    """What a network looks at in images, normalised: each as a whole, or its tiles.

    Args:
        examples: the images; their labels are not looked at.
        config: settings of a learner.
    """
    size, transform, depth = config.image_size, eval_transform(config), config.bits
    if config.tiles.side:
        return TileDataset([one.image for one in examples], config.tiles, size, transform, depth=depth)
    unlabelled = [replace(example, label="") for example in examples]
    return ImageDataset(unlabelled, [""], size, transform, read=image_reader(config), depth=depth)


def view_batches(
    views: ImageDataset | TileDataset, config: BackboneConfig, *, shared: bool = False
) -> Iterator[tuple[list[int], torch.Tensor]]:
    """(numbers of views, float32 (B, 3, height, width)).

    Args:
        views: as `image_views` makes them.
        config: settings of a learner, of which batch_size and workers are used.
        shared: where several processes work together, only this one's share.
    """
    size, workers = config.batch_size, reading_processes(config)
    loader = (
        repeatable_loader(views, batch_size=size, shuffle=False, workers=workers)
        if shared
        else DataLoader(views, batch_size=size, num_workers=workers)
    )
    for batch in loader:
        yield batch["index"].tolist(), batch["image"]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """The block runs the model in evaluation mode, without gradients."""
    before = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(before)
