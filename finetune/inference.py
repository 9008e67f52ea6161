"""Finished runs at work: tested, asked for predictions on disk, or for what they make of one image in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from converters.sources import LayoutLike, open_source
from finetune.detectors import with_tiles
from finetune.engine.facts import plain_figures
from finetune.engine.outputs.predictions import PredictedRows
from finetune.engine.prediction import Prediction
from finetune.engine.remarks.depth import tell_depth
from finetune.engine.remarks.memory import memory_told
from finetune.engine.remarks.telling import listening
from finetune.engine.runs import Row, Run, open_run, read_config, read_metrics
from finetune.engine.shares import Spread, forget_models, image_files
from finetune.learners import find_config, find_learner
from finetune.thresholds import Wanted, choose_threshold, with_threshold
from toolkit.aliases import JsonObject
from toolkit.errors import ToolkitError
from toolkit.files.parallel import ordered_map, shared_path
from toolkit.files.staging import check_free, staging
from toolkit.geometry.tiles import Tiles
from toolkit.imaging.memory import held_image

__all__ = ["TrainedRun", "evaluate", "load_run", "predict"]


@dataclass(frozen=True)
class TrainedRun(Run):
    """A run directory that answers. Its model is loaded when it is first asked for a prediction, and kept.

    Attributes:
        root: the folder.
        learner: name of the learner, for instance "classifier".
    """

    @property
    def metrics(self) -> Row:
        """What stands in metrics.json.

        Raises:
            ToolkitError: the run did not go to its end.
        """
        return read_metrics(self)

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know of the run."""
        return tuple(self.environment().get("notes", ()))

    def evaluate(
        self,
        data: str | Path | None = None,
        *,
        layout: LayoutLike = None,
        notes: list[str] | None = None,
        **wanted: Any,
    ) -> Row:
        """As `finetune.evaluate`."""
        return evaluate(self, data, layout=layout, notes=notes, **wanted)

    def predict(
        self,
        image: str | Path | npt.NDArray[np.uint8],
        *,
        words: str | Sequence[str] | None = None,
        boxes: npt.ArrayLike | None = None,
    ) -> Prediction:
        """What the model makes of one image; of several, as `predict_each`.

        Args:
            image: a file, or uint8 (height, width, 3), RGB.
            words: yolo-world: other things to look for than the classes that it was trained on.
            boxes: sam: what to cut out, (N, 4), x0 y0 x1 y1 in pixels; None cuts out everything that it finds.

        Raises:
            ToolkitError: the run did not go to its end, the image cannot be read or is no such array, or the learner
                takes no words or boxes.
        """
        asked: JsonObject = {}
        if words is not None:
            _check_taken(self, "--words", "yolo-world")
            asked["words"] = _listed(words)
        if boxes is not None:
            _check_taken(self, "boxes", "sam")
            asked["boxes"] = boxes
        if isinstance(image, np.ndarray):
            with held_image(_as_bgr(image)) as path:
                return replace(self._made_of(path, asked), path=None)
        if Path(image).is_dir():
            raise ToolkitError(image, "is a folder", "use predict_each, which goes through the images in it")
        return self._made_of(Path(image), asked)

    def _made_of(self, path: Path, asked: JsonObject) -> Prediction:
        with _memory_told(self):
            return self._predictor(path, **asked)

    def predict_each(
        self,
        images: str | Path | Iterable[str | Path | npt.NDArray[np.uint8]],
        *,
        words: str | Sequence[str] | None = None,
    ) -> Iterator[Prediction]:
        """What the model makes of each image, one after the other, as they are asked for; the model is loaded once.

        Args:
            images: a folder or a dataset root, or any number of files, folders and arrays, taken one at a time.
            words: as for `predict`.

        Raises:
            ToolkitError: as `predict`, at the image that is at fault.
        """
        for one in [images] if isinstance(images, str | Path) else images:
            for image in [one] if isinstance(one, np.ndarray) else image_files(one):
                yield self.predict(image, words=words)

    @cached_property
    def _predictor(self) -> Callable[..., Prediction]:
        return find_learner(self.learner).load(self)

    def _repr_html_(self) -> str:
        from toolkit.markup import report_html

        figures = self.metrics.items() if self.finished else ()
        rows = [[name, f"{value:.4f}" if isinstance(value, float) else value] for name, value in figures]
        about = self.learner if self.finished else f"{self.learner}, not finished"
        return report_html(f"Run {self.root}", about, ["metric", "value"], rows, lists={"Notes": self.notes})


def load_run(
    root: str | Path,
    threshold: float | None = None,
    *,
    tiles: int | Tiles | None = None,
    overlap: float | None = None,
) -> TrainedRun:
    """Open a run directory.

    Args:
        root: the folder.
        threshold: to be used instead of its own, as for `predict`.
        tiles, overlap: how photos are cut for it, as for `predict`.

    Raises:
        ToolkitError: there is none, or as `with_threshold` and `with_tiles`.
    """
    found = with_tiles(with_threshold(open_run(root), threshold), tiles, overlap)
    return TrainedRun(found.root, found.learner, found.threshold, tiles=found.tiles)


def evaluate(
    run: Run | str | Path,
    data: str | Path | None = None,
    *,
    threshold: float | None = None,
    max_false_reject: float | str | None = None,
    max_escape: float | str | None = None,
    promise: str | None = None,
    tiles: int | Tiles | None = None,
    overlap: float | None = None,
    layout: LayoutLike = None,
    on_problem: Literal["fail", "skip"] = "fail",
    notes: list[str] | None = None,
) -> Row:
    """Evaluate the best checkpoint of a run.

    Args:
        run: a run directory.
        data: None for the test images of the data that it was trained on; or other data, all of which is test, but for
            images whose very bytes it was trained on.
        threshold: to be used instead of its own, as for `predict`.
        max_false_reject: or one that rejects at most this share of good images, such as .05 or "5 %".
        max_escape: or one that lets at most this share of defective images pass. Both are chosen by images that the run
            was neither trained nor tested on: those of val, or held out.
        promise: of such a share: "expected" (None) keeps it on average, "sure" with 95 % confidence.
        tiles, overlap: as for `predict`; figures are of whole images.
        layout: of `data`; as that of the training, or found by itself, if None.
        on_problem: "fail" stops at images or labels at fault; "skip" leaves them out, and says so in the notes. A run
            that was trained with "skip" does without those of its own data anyway.
        notes: gets what there is to know of the figures, such as which images they are of.

    Returns:
        As metrics.json; None is a figure that could not be had, such as a rate of images that are not there.

    Raises:
        ToolkitError: the run or the data are at fault, or such a threshold cannot be promised.
    """
    opened, place = with_tiles(_opened(run), tiles, overlap), None if data is None else Path(data)
    if layout is not None and place is None:
        raise ToolkitError("--layout", "is of other data, and none is named", "name DATA, or leave it out")
    wanted = Wanted(threshold, max_false_reject, max_escape, promise)
    opened, promised = choose_threshold(replace(opened, on_problem=on_problem), wanted, place)
    source = place if place is None or layout is None else open_source(place, layout)
    with nullcontext() if notes is None else listening(partial(_keep_note, notes)), _memory_told(opened):
        return plain_figures({**find_learner(opened.learner).evaluate(opened, source), **promised})


def _keep_note(notes: list[str], kind: str, text: str) -> None:
    if kind == "note":
        notes.append(text)


def predict(
    run: Run | str | Path,
    images: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    words: str | Sequence[str] | None = None,
    threshold: float | None = None,
    tiles: int | Tiles | None = None,
    overlap: float | None = None,
    pictures: bool = True,
    cluster: str | None = None,
) -> PredictedRows:
    """Predict on images that need no labels, and leave predictions.csv and what else the learner makes.

    Memory does not grow with the number of images. One that cannot be predicted stops no other: its row says why.

    Args:
        run: a run directory.
        images: image files, folders of them, or a dataset root; one or several.
        out: a new or empty folder.
        words: yolo-world: other things to look for than the classes that it was trained on.
        threshold: instead of the run's own: of an image's or a detection's score; of a classifier of p(good).
        tiles: yolo and yolo-world: look at tiles of so many pixels a side, and put together what is found.
        overlap: share of a side that they have in common at least; .2 if None.
        pictures: whether overlays and activation maps are drawn.
        cluster: the address of a Dask scheduler, whose workers then predict, each with the model in its memory.

    Returns:
        A row for each image, as in predictions.csv; `problems` of the rows are those of the images at fault.

    Raises:
        ToolkitError: the run is at fault, no image can be read, or `out` holds something.
    """
    opened, out = with_tiles(with_threshold(_opened(run), threshold), tiles, overlap), Path(out)
    # A `TrainedRun` would take its model along.
    opened = Run(shared_path(opened.root, cluster), opened.learner, opened.threshold, tiles=opened.tiles)
    spread = partial(ordered_map, cluster=cluster, batch=1, reads=[opened.root])
    files = image_files(images)
    tell_depth(opened, files)
    with _memory_told(opened), staging(out) as stage:
        check_free(out, remedy="choose another folder")
        built = stage.begin() / "predictions"
        rows = _rows(opened, files, built, spread, words, pictures=pictures)
        stage.publish(built)
    return rows.moved(out / "predictions.csv")


def _rows(
    run: Run, files: Sequence[Path], out: Path, spread: Spread, words: str | Sequence[str] | None, *, pictures: bool
) -> PredictedRows:
    try:
        if words is None:
            return find_learner(run.learner).predict(run, files, out, spread, pictures=pictures)
        _check_taken(run, "--words", "yolo-world")
        from finetune.yolo_world.learner import predict as look_for

        return look_for(run, files, out, spread, _listed(words), pictures=pictures)
    finally:
        forget_models()


def _memory_told(run: Run) -> AbstractContextManager[None]:
    """A full GPU is said in a line; the settings of a finished run stand in its file."""

    def ways() -> list[str]:
        lines = read_config(run, find_config(run.learner)).less_memory_in_use()
        return ["a GPU that no other program fills", f"write {' or '.join(lines)} in {run.root / 'config.yaml'}"]

    return memory_told(run.root, ways)


def _opened(run: Run | str | Path) -> Run:
    return run if isinstance(run, Run) else open_run(run)


def _listed(words: str | Sequence[str]) -> list[str]:
    return [words] if isinstance(words, str) else list(words)


def _check_taken(run: Run, setting: str, learner: str) -> None:
    if run.learner != learner:
        raise ToolkitError(setting, f"{run.root} is a run of {run.learner}", f"use it with a run of {learner}")


def _as_bgr(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        found = f"{image.dtype} {image.shape}"
        raise ToolkitError("image", f"is an array of {found}", "give uint8 (height, width, 3), RGB, or a path")
    return np.ascontiguousarray(image[:, :, ::-1])
