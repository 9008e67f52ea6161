"""Finished runs as witnesses: what each says of the labels of images that it was not trained on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import ConfigDict, Field

from converters.formats.base import Settings
from converters.sources import Member
from finetune.detectors import DETECTORS
from finetune.engine.facts import ClassFacts
from finetune.engine.prediction import Prediction
from finetune.engine.runs import IMAGES, Run
from finetune.suspects.detections import FoundObject, detection_doubts
from finetune.suspects.evidence import Evidence, class_doubts, mask_doubt, score_doubts
from toolkit.aliases import Progress
from toolkit.dataset.samples import GOOD, image_class
from toolkit.errors import ToolkitError
from toolkit.files.digests import file_digest
from toolkit.files.typed import Finite, Record, Row, Share, checked, parse_json, read_json, read_rows
from toolkit.geometry.labels import Box

__all__ = ["Testimony", "hear"]

# Learners by what their runs say.
_CLASSIFIERS, _DETECTORS = ("classifier", "longtail"), ("patchcore", "vae")
_SEGMENTERS, _FINDERS = ("sam",), DETECTORS

_REMEDY = "train again"
_TINY = 0.02  # of the longer side: a mask that would have to move by less is not said to lie wrong
_ABLE = 0.5  # IoU that a segmenter usually reaches with the truth, to be heard

Load = Callable[[Run], Callable[[Path], Prediction]]


@dataclass(frozen=True)
class Testimony:
    """What one run says.

    Attributes:
        evidence: of the images that it says anything of.
        images: number of images that it was asked about.
        errors: wrong classes that confident learning expects among them; None where the run says nothing of classes.
        notes: what to know.
    """

    evidence: tuple[Evidence, ...]
    images: int
    errors: int | None = None
    notes: tuple[str, ...] = ()


class _Seen(Row):
    key: str
    subset: str
    sha256: str


class _Predicted(Row):
    model_config = ConfigDict(frozen=True, extra="allow")

    key: str
    subset: str


class _Image(Record):
    id: int
    key: str


class _Category(Record):
    id: int
    name: str


class _Truth(Record):
    images: list[_Image]
    categories: list[_Category]


class _Result(Record):
    image_id: int
    category_id: int
    bbox: Annotated[list[Finite | int], Field(min_length=4, max_length=4)]
    score: Share | int


class _CutOut(Row):
    key: str
    subset: str
    label: str
    iou_box: Finite


def hear(run: Run, members: Mapping[str, Member], load: Load, progress: Progress | None = None) -> Testimony:
    """What a finished run says of the labels of some images.

    Args:
        run: of any learner.
        members: key -> image with its label.
        load: makes of a run what predicts an image file.
        progress: called with (images done, images) where the run's model has to look at them.

    Raises:
        ToolkitError: the run is not finished or damaged, of an unknown learner, or of other images.
    """
    known = (*_CLASSIFIERS, *_DETECTORS, *_SEGMENTERS, *_FINDERS)
    if run.learner not in known:
        raise ToolkitError(run.root, f"is a run of {run.learner}", f"name a run of {', '.join(known)}")
    if not run.finished:
        raise ToolkitError(run.root, "has no metrics.json: it did not go to its end", "train it with --resume")
    seen, notes = _same_images(run, members)
    if run.learner in _CLASSIFIERS:
        return _of_classifier(run, seen, members, notes)
    if run.learner in _SEGMENTERS:
        return _of_segmenter(run, seen, notes)
    if run.learner in _FINDERS:
        return _of_finder(run, seen, members, notes)
    return _of_detector(run, seen, members, load, notes, progress)


def _same_images(run: Run, members: Mapping[str, Member]) -> tuple[dict[str, str], list[str]]:
    """Key -> subset in the run, of the images that are still the files that it saw; and what to say of the others.

    Raises:
        ToolkitError: the run saw none of them.
    """
    if not (run.root / IMAGES).is_file():
        raise ToolkitError(run.root, f"does not say which images it saw (it has no {IMAGES})", _REMEDY)
    rows = {row.key: row for row in read_rows(run.root / IMAGES, _Seen, _REMEDY)}
    common = [key for key in rows if key in members]
    same = {key: rows[key].subset for key in common if file_digest(members[key].sample.image) == rows[key].sha256}
    if not same:
        problem = "was trained on other images" if common else "was trained on images of other names"
        raise ToolkitError(run.root, f"{problem} than those described", "name a run that was trained on this data")
    changed, new = len(common) - len(same), len(members) - len(common)
    told = ((changed, "are other files than it saw"), (new, "are none that it knows of"))
    return same, [f"{run.root}: {count} image(s) {what}, and it is not asked of them" for count, what in told if count]


def _label(member: Member) -> str:
    return image_class(member.sample, "defect")


def _of_classifier(run: Run, seen: Mapping[str, str], members: Mapping[str, Member], notes: list[str]) -> Testimony:
    """Confident learning on the predictions of models that never saw the image; else on those of test images."""
    file = run.root / "out_of_fold.csv"
    whole = file.is_file()
    classes, rows = run.facts(ClassFacts).classes, []
    for row in read_rows(file if whole else run.root / "predictions.csv", _Predicted, _REMEDY):
        if row.key in seen and (whole or seen[row.key] == "test"):
            rows.append(row)
    places = {name: place for place, name in enumerate(classes)}
    asked = [row for row in rows if _label(members[row.key]) in places]
    strange = len(rows) - len(asked)
    if strange:
        notes.append(f"{run.root}: {strange} image(s) have a class that it does not know, and it is not asked of them")
    if not whole:
        less = f"says nothing of {len(seen) - len(rows)} image(s) that are none of its test images"
        notes.append(f"{run.root}: {less}: train it with --set out_of_fold=5 to hear of all")
    if not asked:
        return Testimony((), 0, 0, tuple(notes))
    labels = np.array([places[_label(members[row.key])] for row in asked])
    chances = np.array([_chances(row, classes, file if whole else run.root / "predictions.csv") for row in asked])
    doubts = class_doubts(labels, chances)
    evidence = []
    for place, row in enumerate(asked):
        own, rival = labels[place], int(doubts.rivals[place])
        said = f"{classes[rival]} {chances[place, rival]:.2f}, {classes[own]} {chances[place, own]:.2f}"
        why = f"a {run.learner} that never saw it says {said}"
        evidence.append(Evidence(row.key, "class", float(doubts.scores[place]), classes[rival], why))
    return Testimony(tuple(evidence), len(asked), doubts.errors, tuple(notes))


def _chances(row: _Predicted, classes: Sequence[str], file: Path) -> list[float]:
    told = row.model_extra or {}
    try:
        found = [float(told[f"p_{name}"]) for name in classes]
    except (KeyError, ValueError) as error:
        raise ToolkitError(file, f"has no probabilities of {row.key!r}", _REMEDY) from error
    if not all(math.isfinite(one) and 0 <= one <= 1 for one in found):
        raise ToolkitError(file, f"has a probability of {row.key!r} that is none", _REMEDY)
    return found


def _of_segmenter(run: Run, seen: Mapping[str, str], notes: list[str]) -> Testimony:
    """Objects of test images that the segmenter cuts out otherwise, beside how well it usually does."""
    rows = [row for row in read_rows(run.root / "predictions.csv", _CutOut, _REMEDY) if row.key in seen]
    usual = float(np.median([row.iou_box for row in rows])) if rows else 0.0
    if usual < _ABLE:
        notes.append(f"{run.root}: usually cuts out objects with an IoU of {usual:.2f}: too little to speak of labels")
        return Testimony((), 0, None, tuple(notes))
    least: dict[str, _CutOut] = {}
    for row in rows:
        if row.key not in least or row.iou_box < least[row.key].iou_box:
            least[row.key] = row
    evidence = []
    for key, row in sorted(least.items()):
        score = min(1.0, max(0.0, 1 - row.iou_box / usual))
        why = f"sam cuts out a {row.label} otherwise in its own box: IoU {row.iou_box:.2f}, usually {usual:.2f}"
        evidence.append(Evidence(key, "object", score, "", why))
    notes.append(f"{run.root}: says something of the {len(least)} test image(s) with masks")
    return Testimony(tuple(evidence), len(least), None, tuple(notes))


def _of_finder(run: Run, seen: Mapping[str, str], members: Mapping[str, Member], notes: list[str]) -> Testimony:
    """Objects that are found in test images where none of their class is labelled."""
    file, truth = run.root / "predictions.json", read_json(run.root / "truth.json", _Truth, _REMEDY)
    keys = {one.id: one.key for one in truth.images}
    names = {one.id: one.name for one in truth.categories}
    labelled = {key: _boxes(members[key]) for key in keys.values() if key in seen}
    told = [checked(_Result, one, file, _REMEDY) for one in _listed(file)]
    if any(one.image_id not in keys or one.category_id not in names for one in told):
        raise ToolkitError(file, "tells of other images or classes than truth.json", _REMEDY)
    found = [
        FoundObject(keys[one.image_id], names[one.category_id], (x, y, x + width, y + height), one.score)
        for one in told
        for x, y, width, height in [one.bbox]
    ]
    evidence = detection_doubts(found, labelled, run.learner)
    notes.append(f"{run.root}: says something of its {len(evidence)} test image(s)")
    return Testimony(tuple(evidence), len(evidence), None, tuple(notes))


def _listed(file: Path) -> list[object]:
    told = parse_json(file, _REMEDY)
    if not isinstance(told, list):
        raise ToolkitError(file, "is not in COCO's results form", _REMEDY)
    return told


def _boxes(member: Member) -> list[tuple[str, Box]]:
    """Class and box of each labelled object; none where the labels are at fault, which the card lists."""
    try:
        return [(one.label, one.bbox) for one in member.read(Settings(())).image.instances]
    except ToolkitError:
        return []


def _of_detector(
    run: Run,
    seen: Mapping[str, str],
    members: Mapping[str, Member],
    load: Load,
    notes: list[str],
    progress: Progress | None,
) -> Testimony:
    """Scores of images that it was not trained on, and maps that lie elsewhere than the masks."""
    asked = sorted(key for key, subset in seen.items() if subset != "train")
    if len(asked) < len(seen):
        less = f"says nothing of {len(seen) - len(asked)} image(s) that it was trained on"
        more = "runs with --set split.strategy=kfold and other folds (--set split.fold=1) would"
        notes.append(f"{run.root}: {less}; {more}")
    if not asked:
        return Testimony((), 0, None, tuple(notes))
    predict = load(run)
    found, moved, unread = {}, [], 0
    for done, key in enumerate(asked, 1):
        try:
            told = predict(members[key].sample.image)
        except ToolkitError:
            unread += 1  # the card lists it as a problem
            continue
        if told.score is not None and math.isfinite(told.score):
            found[key] = told.score
        moved += _of_map(members[key], told, run.learner)
        if progress is not None:
            progress(done, len(asked))
    if unread:
        notes.append(f"{run.root}: {unread} image(s) cannot be read")
    evidence = _of_scores(found, members, run.learner) + moved
    return Testimony(tuple(evidence), len(found), None, tuple(notes))


def _of_scores(found: Mapping[str, float], members: Mapping[str, Member], learner: str) -> list[Evidence]:
    keys = list(found)
    scores = np.array([found[key] for key in keys], np.float64)
    labels = [_label(members[key]) for key in keys]
    defective = np.array([label != GOOD for label in labels], np.bool_)
    evidence = []
    for place, doubt in enumerate(score_doubts(scores, defective)):
        # A defect that scores like a good image is "good"; which defect a good image shows, a detector does not know.
        others = scores[~defective]
        share = float((others < scores[place]).sum() / max(1, len(others) - (not defective[place])))
        suggested = GOOD if defective[place] else ""
        why = f"{learner} scores it {scores[place]:.3g}, above {100 * share:.0f} % of those called good"
        evidence.append(Evidence(keys[place], "score", float(doubt), suggested, why))
    return evidence


def _of_map(member: Member, told: Prediction, learner: str) -> list[Evidence]:
    """Whether the mask of an image would fit its map better elsewhere; nothing where there is no mask."""
    if told.map is None or member.sample.kind != "masks":
        return []
    try:
        mask = member.marked()
    except ToolkitError:
        return []  # the card lists it as a problem
    if mask is None or mask.shape != told.map.shape or not mask.any():
        return []
    doubt = mask_doubt(told.map, mask)
    if math.hypot(doubt.right, doubt.down) < _TINY * max(mask.shape):
        return [Evidence(member.sample.key, "mask", 0.0, "", "")]
    to = [f"{abs(pixels)} px {word}" for pixels, word in _moves(doubt.right, doubt.down) if pixels]
    why = f"its mask would fit the map of {learner} better {' and '.join(to)}"
    return [Evidence(member.sample.key, "mask", doubt.score, "", why)]


def _moves(right: int, down: int) -> tuple[tuple[int, str], tuple[int, str]]:
    return (right, "to the right" if right > 0 else "to the left"), (down, "down" if down > 0 else "up")
