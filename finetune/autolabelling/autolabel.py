"""From words to labels: a detector suspects, a segmenter cuts out, and a person sees first what is least certain.

OUT/FORMAT/            label trees, as `defectkit convert` writes them
OUT/predictions.json   COCO results, with the key of the image, and box, mask and score of each instance
OUT/instances.csv      a row for each instance
OUT/review/            a gallery, the most doubtful image first
OUT/autolabel.json     what was asked for, counts, and the figures against the truth
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from converters.formats.registry import check_formats
from converters.writing.pipeline import write_labels
from finetune.autolabelling.evaluation import Truth, label_metrics, mask_iou, open_truth
from finetune.autolabelling.proposals import Proposal, Proposer, open_proposer
from finetune.detection.remarks import about_most
from finetune.detectors import with_tiles
from finetune.engine.remarks.memory import memory_told
from finetune.engine.runs import Run, csv_bytes, open_run
from finetune.engine.shares import image_files
from finetune.metrics.detection import coco_truth
from toolkit.aliases import Progress
from toolkit.dataset.samples import GOOD
from toolkit.errors import ToolkitError
from toolkit.files.publish import write_json, write_whole
from toolkit.files.staging import check_free, staging
from toolkit.gallery import Difference, GalleryItem, GalleryPage, Shown, Words, build_gallery
from toolkit.geometry.instances import crop_to_bbox
from toolkit.geometry.labels import Instance, LabelledImage
from toolkit.geometry.tiles import Tiles

__all__ = ["AutolabelReport", "autolabel"]

_ABOUT = "autolabel.json"
_SUBSET = "train"  # what labels are made for
_SAME = 0.7  # IoU from which on two masks are of the same object, whatever their classes


class Segments(Protocol):
    """What cuts objects out of their boxes, as `finetune.sam.learner.Segmenter`."""

    def segment(
        self, image: Path, boxes: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
        """Masks bool (N, height, width) and how good each is expected to be, in [0, 1], of boxes (N, 4) in pixels."""


@dataclass(frozen=True)
class AutolabelReport:
    """What was labelled.

    Attributes:
        out: the folder.
        classes: labels that there can be.
        images, instances: counts.
        empty: images in which nothing was found.
        duplicates: masks that were left out, as a more certain one is of the same object.
        metrics: against the truth; empty without one.
        notes: what to know.
        seconds: wall time.
    """

    out: Path
    classes: tuple[str, ...]
    images: int
    instances: int
    empty: int
    duplicates: int
    metrics: Mapping[str, float | int]
    notes: tuple[str, ...]
    seconds: float

    def _repr_html_(self) -> str:
        from toolkit.markup import report_html

        about = f"{self.instances} instances in {self.images} images, {self.empty} without any"
        rows = [[name, value] for name, value in self.metrics.items()]
        return report_html(f"Labels {self.out}", about, ["against the truth", "value"], rows)


@dataclass(frozen=True, eq=False)
class _Made:
    """Labels of an image, a row for each, and how much the image needs a look."""

    image: LabelledImage
    rows: tuple[dict[str, Any], ...]
    doubt: float
    duplicates: int = 0
    notes: tuple[str, ...] = ()
    cut: bool = False

    @property
    def scores(self) -> tuple[float, ...]:
        """How sure each instance is."""
        return tuple(row["score"] for row in self.rows)


def autolabel(
    detector: Run | str | Path,
    images: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    segmenter: Segments | Run | str | Path | None = None,
    formats: str | Sequence[str] = ("coco",),
    words: str | Sequence[str] | None = None,
    confidence: float | None = None,
    tiles: int | Tiles | None = None,
    overlap: float | None = None,
    against: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> AutolabelReport:
    """Label images by models.

    Args:
        detector: run of yolo, yolo-world, patchcore or vae; it says where.
        images: image files, folders of them, or a dataset root; one or several.
        out: folder to make.
        segmenter: run of sam, or what cuts objects out of their boxes; None takes the masks of the detector, where it
            makes any.
        formats: of the label trees; one or several.
        words, confidence: as for `finetune.autolabelling.proposals.open_proposer`; tiles, overlap: as for `predict`.
        against: dataset or label tree that the images are labelled in by people, to compare with.
        overwrite: replace the folder of an earlier call.
        progress: called with (images done, images).

    Raises:
        ToolkitError: the run, the settings or the images are at fault. Nothing is left behind.
    """
    run = with_tiles(detector if isinstance(detector, Run) else open_run(detector), tiles, overlap)
    started, wanted, files, out = time.monotonic(), check_formats(formats), image_files(images), Path(out)
    with memory_told(run.root, partial(_less_memory, run, segmenter)), staging(out) as stage:
        cutter = _opened_segmenter(segmenter)
        _check_free(out, files, overwrite=overwrite)
        proposer = open_proposer(run, [words] if isinstance(words, str) else words, confidence)
        truth = None if against is None else open_truth(Path(against), files, proposer.classes)
        made = list(_label(proposer, cutter, files, progress))
        built = stage.begin() / "out"
        write_labels((one.image for one in made), built, wanted, classes=proposer.classes, image_mode="hardlink")
        metrics = _written(built, made, proposer, truth, out.name)
        stage.publish(built)
    return _report(out, made, proposer, truth, metrics, time.monotonic() - started)


def _report(
    out: Path,
    made: Sequence[_Made],
    proposer: Proposer,
    truth: Truth | None,
    metrics: Mapping[str, float | int],
    seconds: float,
) -> AutolabelReport:
    return AutolabelReport(
        out,
        proposer.classes,
        len(made),
        sum(len(one.image.instances) for one in made),
        sum(not one.image.instances for one in made),
        duplicates := sum(one.duplicates for one in made),
        metrics,
        (
            *dict.fromkeys(note for one in made for note in one.notes),
            *about_most(sum(one.cut for one in made), proposer.most, proposer.run),
            *_thinned(duplicates),
            *_remarks(truth),
        ),
        seconds,
    )


def _opened_segmenter(given: Segments | Run | str | Path | None) -> Segments | None:
    if given is None or not isinstance(given, Run | str | Path):
        return given
    from finetune.sam.learner import load_segmenter

    return load_segmenter(open_run(given.root if isinstance(given, Run) else given, "sam"))


def _less_memory(run: Run, segmenter: object) -> list[str]:
    roots = [run.root, *([Path(segmenter)] if isinstance(segmenter, str | Path) else [])]
    roots += [segmenter.root] if isinstance(segmenter, Run) else []
    files = " and ".join(str(root / "config.yaml") for root in roots)
    return ["a GPU that no other program fills", f"write device: cpu in {files}"]


def _check_free(out: Path, images: Sequence[Path], *, overwrite: bool) -> None:
    remedy = "choose another folder with --out, or add --overwrite"
    held = check_free(out, overwrite=overwrite, remedy=remedy)
    if any(path.resolve().is_relative_to(out.resolve()) for path in images):
        raise ToolkitError(out, "holds the images that are to be labelled", "choose another folder with --out")
    if held and not (out / _ABOUT).is_file():
        raise ToolkitError(out, f"was not written by autolabel (it has no {_ABOUT})", "choose another folder")


def _label(
    proposer: Proposer, segmenter: Segments | None, images: Sequence[Path], progress: Progress | None
) -> Iterator[_Made]:
    for done, proposal in enumerate(proposer.propose(images), 1):
        yield _made(proposal, segmenter, proposer.confidence)
        if progress is not None:
            progress(done, len(images))


def _made(proposal: Proposal, segmenter: Segments | None, confidence: float) -> _Made:
    """Cut out what is suspected; a box in which the segmenter sees nothing is left out, and so are duplicates.

    What is least certain comes first: on a map that shows one object a pixel, the most certain is painted last.
    """
    found, notes = proposal.found, []
    if segmenter is not None and len(found):
        masks, fits = segmenter.segment(found.path, found.boxes)
        instances = [crop_to_bbox(mask, label) for mask, label in zip(masks, found.labels, strict=True)]
        quality = np.clip(fits, 0.0, 1.0).tolist()
    elif found.masks is not None or not len(found):
        instances = [one if one.area else None for one in found.masks or ()]
        quality = [1.0] * len(instances)
    else:
        raise ToolkitError("--segmenter", "is missing: this detector finds boxes without masks", "name a run of sam")
    kept, rows = [], []
    for place, (one, fit) in enumerate(zip(instances, quality, strict=True)):
        if one is None:
            notes.append("boxes in which the segmenter saw nothing were left out")
            continue
        box_score = float(found.scores[place])
        kept.append(one)
        told = dict(zip(("x0", "y0", "x1", "y1"), one.bbox, strict=True))
        rows.append(
            {"key": found.key, "file": str(found.path), "label": one.label, "score": box_score * fit}
            | {"box_score": box_score, "mask_score": fit, "area": one.area, **told}
        )
    order = _most_certain(kept, [row["score"] for row in rows])
    duplicates, kept, rows = len(kept) - len(order), [kept[place] for place in order], [rows[place] for place in order]
    label = kept[-1].label if kept else GOOD
    image = LabelledImage(found.key, found.path, found.width, found.height, tuple(kept), _SUBSET, label)
    doubts = [max(_doubt(row["box_score"], confidence), 1 - row["mask_score"]) for row in rows]
    return _Made(
        image, tuple(rows), max([*doubts, _doubt(proposal.missed, confidence)]), duplicates, tuple(notes), proposal.cut
    )


def _most_certain(instances: Sequence[Instance], scores: Sequence[float]) -> list[int]:
    """Places of the objects that are no duplicates of a more certain one, the most certain last."""
    kept: list[int] = []
    for place in sorted(range(len(scores)), key=lambda place: -scores[place]):
        if all(mask_iou(instances[place], instances[other]) < _SAME for other in kept):
            kept.append(place)
    return kept[::-1]


def _thinned(duplicates: int) -> tuple[str, ...]:
    """A note of the masks that went."""
    if not duplicates:
        return ()
    told = f"{duplicates} mask(s) were left out, as a more certain one of any class covers the same object"
    return (f"{told} (IoU of {_SAME:g} and more)",)


def _doubt(score: float, confidence: float) -> float:
    """How near a score is to the confidence: 1 at it, 0 at a score of 1, and at 0."""
    if score < confidence:
        return score / confidence
    return 1 - (score - confidence) / (1 - confidence)


def _written(
    out: Path, made: Sequence[_Made], proposer: Proposer, truth: Truth | None, title: str
) -> dict[str, float | int]:
    """All but trees, the gallery last; the figures against the truth."""
    known = coco_truth((one.image for one in made), proposer.classes)
    scores = [score for one in made for score in one.scores]
    keys = {image["id"]: image["key"] for image in known["images"]}
    kept = ("image_id", "category_id", "bbox", "segmentation", "area")
    results = [
        {"key": keys[row["image_id"]], **{name: row[name] for name in kept}, "score": score}
        for row, score in zip(known["annotations"], scores, strict=True)
    ]
    write_json(out / "predictions.json", results)
    write_whole(out / "instances.csv", csv_bytes([row for one in made for row in one.rows]))
    metrics: dict[str, float | int] = {}
    if truth is not None:
        labelled = {one.image.path: one.image for one in made if one.image.path is not None}
        certain = {one.image.path: one.scores for one in made if one.image.path is not None}
        metrics = label_metrics(labelled, certain, truth, proposer.classes)
    about = {
        "detector": str(proposer.run.root),
        "learner": proposer.run.learner,
        "classes": proposer.classes,
        "confidence": proposer.confidence,
        **({} if proposer.run.tiles is None else {"tiles": proposer.run.tiles.described()}),
        "images": len(made),
        "instances": len(results),
        "duplicates": {"masks": sum(one.duplicates for one in made), "iou": _SAME},
        "doubt": {one.image.key: round(one.doubt, 6) for one in made},
        "metrics": {name: None if value != value else value for name, value in metrics.items()},
    }
    write_json(out / _ABOUT, about)
    _review(out / "review", made, proposer, truth, title)
    return metrics


def _review(out: Path, made: Sequence[_Made], proposer: Proposer, truth: Truth | None, title: str) -> None:
    """The gallery of what was labelled."""
    items = [
        GalleryItem(
            key=one.image.key,
            subset=_SUBSET,
            product="",
            image_class=one.image.image_label,
            image=one.image.path,
            stamp=hashlib.sha256(repr(one.rows).encode()).hexdigest(),
            load=partial(_shown, one, truth, proposer.classes),
            count=partial(len, one.image.instances),
        )
        for one in sorted(made, key=lambda one: one.image.key)
    ]
    compared = "" if truth is None else "the labels that people made"
    without = "there is no truth to compare with: name it with --against ROOT"
    layers = {"source": without, "difference": without} if truth is None else {}
    words = Words(title, f"labels by {proposer.run.learner}", compared, _remarks(truth))
    build_gallery(items, out, GalleryPage(words, proposer.classes, "pixels", layers, shows={"source": ".."}))


def _shown(one: _Made, truth: Truth | None, classes: Sequence[str]) -> Shown:
    shown = Shown(one.image, scores=one.scores, doubt=one.doubt)
    if truth is None or one.image.path is None:
        return shown
    wanted, own = truth.images[one.image.path].marked(), one.image.marked()
    either = int(np.count_nonzero(own | wanted))
    iou = int(np.count_nonzero(own & wanted)) / either if either else 1.0
    difference = Difference((0, 0), wanted & ~own, own & ~wanted, {}, iou)
    return Shown(one.image, source=wanted, difference=difference, scores=one.scores, doubt=one.doubt)


def _remarks(truth: Truth | None) -> tuple[str, ...]:
    if truth is None or not truth.alike:
        return ()
    return ("none of the labels is a class of the truth, so that all classes are compared as one",)
