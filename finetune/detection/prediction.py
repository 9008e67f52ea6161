"""What any trained detector does: it is tested, its scores are told, and images are predicted in shares."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from converters.sources import SourceLike
from finetune.detection.config import DetectorConfig
from finetune.detection.evaluation import cut_detections, measure_detector, run_figures
from finetune.detection.plots import draw_detections
from finetune.detection.predictor import TrainedDetector, confidence_of
from finetune.detection.remarks import about_most
from finetune.engine.learner import KnownScores
from finetune.engine.outputs.predictions import PredictedRows, keep_predictions
from finetune.engine.remarks.evaluated import evaluated_examples, trained_examples
from finetune.engine.remarks.telling import tell
from finetune.engine.runs import Row, Run, read_config
from finetune.engine.shares import (
    ImageFile,
    PredictedFile,
    Spread,
    files_to_predict,
    kept_model,
    predict_shares,
    share_size,
)
from finetune.engine.splits import open_as_told
from finetune.metrics.detection import Detections, run_lengths
from toolkit.aliases import JsonObject
from toolkit.dataset.keys import file_name
from toolkit.files.parallel import ordered_map

__all__ = ["DetectorKind"]


@dataclass(frozen=True)
class DetectorKind:
    """The detectors of a learner; its functions can be sent to other processes.

    Attributes:
        config: model of its settings.
        load: (run) -> the trained detector.
    """

    config: type[DetectorConfig]
    load: Callable[[Run], TrainedDetector]

    def evaluate(self, run: Run, data: SourceLike | None = None) -> Row:
        """Test a detector.

        Args:
            run: what was trained.
            data: None for the data that it was trained on; images are chosen as by `evaluated_examples`.

        Returns:
            As metrics.json.

        Raises:
            ToolkitError: the run or the data are at fault, or the data has classes that the run does not know.
        """
        config, detector = read_config(run, self.config), self.load(run)
        opened = partial(open_as_told, config=config)
        source, tested = evaluated_examples(run, data, opened, layout=config.layout, masked=True)
        chosen = {example.key: example.subset for example in tested}
        measured = measure_detector(detector, source, chosen, config)
        for note in cut_detections(measured, detector, run):
            tell("note", note)
        return run_figures(measured, detector, confidence_of(run, config))

    def known_scores(self, run: Run) -> KnownScores:
        """The best scores in the val images, which were not trained on.

        Raises:
            ToolkitError: the run or its data are at fault.
        """
        config = read_config(run, self.config)
        examples = trained_examples(run, lambda place: open_as_told(place, config))
        val = {one.key: one.subset for one in examples.subset("val")}
        if not val or examples.source is None:
            return KnownScores([], [])
        found = measure_detector(self.load(run), examples.source, val, config)
        scores = {
            kind: [found.best[key] for key, bad in found.defective.items() if bad == kind] for kind in (False, True)
        }
        return KnownScores(scores[False], scores[True])

    def predict(
        self,
        run: Run,
        images: Sequence[Path],
        out: Path,
        spread: Spread = ordered_map,
        words: Sequence[str] | None = None,
        *,
        pictures: bool = True,
    ) -> PredictedRows:
        """Look for defects in image files: overlays/*.png, detections.json, and a row for each image.

        Args:
            run: what was trained.
            images: the files.
            out: folder to write into.
            spread: the ordered map that the images go through, in shares.
            words: other things to look for; None for the classes that it was trained on.
            pictures: whether overlays are drawn.

        Returns:
            Rows of file, detections, best_score, labels and, if any, overlay; with a threshold of the run's also that,
            and whether the image is rejected by it (0 or 1).

        Raises:
            ToolkitError: the run is at fault, or the words cannot be looked for.
        """
        config = read_config(run, self.config)
        share = partial(_predict_share, self, run, words, pictures)
        told = predict_shares(share, files_to_predict(images), share_size(config), out, spread)
        full: list[str] = []
        rows = keep_predictions(_watched(told, full), out, listed="detections.json")
        for note in about_most(len(full), config.max_detections, run):
            tell("note", note)
        return rows


def _watched(told: Iterable[PredictedFile], full: list[str]) -> Iterator[PredictedFile]:
    """The same items; files in which more may have been found than is kept are added to `full`."""
    for one in told:
        if one.cut:
            full.append(str(one.row["file"]))
        yield one


def _listed(found: Detections) -> Iterator[JsonObject]:
    """What detections.json says of each: its mask too, where the model makes masks."""
    for place, label in enumerate(found.labels):
        told: JsonObject = {"label": label, "score": float(found.scores[place]), "box": found.boxes[place].tolist()}
        if found.masks is not None:
            told["segmentation"] = run_lengths(found.masks[place], found.width, found.height)
        yield told


def _predict_share(
    kind: DetectorKind, run: Run, words: Sequence[str] | None, pictures: bool, share: Sequence[ImageFile]
) -> list[PredictedFile]:
    config = read_config(run, kind.config)
    confidence = confidence_of(run, config)
    with kept_model(kind.load, run) as detector:
        labels = tuple(words) if words is not None else detector.classes
        detected = list(detector.detect([one.path for one in share], words=words, confidence=confidence))
    told = []
    for one, found in zip(share, detected, strict=True):
        overlay = f"overlays/{file_name(one.key)}.png"
        row: Row = {
            "file": one.file,
            "detections": len(found),
            "best_score": float(found.scores.max()) if len(found) else 0.0,
            "labels": ", ".join(sorted(set(found.labels))),
            **({} if run.threshold is None else {"threshold": run.threshold, "rejected": int(len(found) > 0)}),
        }
        listed = tuple({"file": one.file, **told} for told in _listed(found))
        drawn = ((overlay, draw_detections(found, labels, depth=config.bits)),) if pictures else ()
        told.append(
            PredictedFile({**row, "overlay": overlay} if pictures else row, drawn, found=listed, cut=found.cut > 0)
        )
    return told
