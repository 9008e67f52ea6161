"""Prediction in shares: images that are predicted together, in this process or on a cluster.

A share is whole batches, so that what goes through the model at once, and with it the figures, do not depend on who
predicts it. Each process keeps the model that it has loaded for the next share.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import current_process
from pathlib import Path, PurePath
from typing import Any, Protocol, TypeVar, overload

from converters.formats.label_tree import LabelRecord
from converters.sources import open_source
from finetune.engine.config import LearnerConfig
from finetune.engine.remarks.seen import named
from finetune.engine.remarks.telling import tell
from finetune.engine.runs import Row, Run
from toolkit.aliases import JsonObject
from toolkit.dataset.keys import unique_keys
from toolkit.errors import Problem, ToolkitError
from toolkit.files.publish import write_whole
from toolkit.files.reach import check_links
from toolkit.geometry.labels import LabelledImage
from toolkit.imaging.images import is_image, read_image

__all__ = [
    "ImageFile",
    "PredictedFile",
    "Spread",
    "files_to_predict",
    "forget_models",
    "image_files",
    "kept_model",
    "predict_shares",
    "share_size",
    "within_share",
]

T = TypeVar("T")
R = TypeVar("R")
Config = TypeVar("Config", bound=LearnerConfig)
_BATCHES_READ = 4  # by each process that reads images; starting it takes as long as reading some
_LEAVE_OUT = ", or leave the sample out"  # what readers of datasets advise besides; here it is left out as it is
_kept: dict[str, Any] = {}
_turn = threading.RLock()


class Spread(Protocol):
    """An ordered map, as `toolkit.files.parallel.ordered_map` is one."""

    def __call__(self, function: Callable[[T], R], items: Iterable[T], /) -> Iterator[R]:
        """What `function` makes of each item, in their order."""


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image file that is to be predicted.

    Attributes:
        number: its place among the images asked for, from 0.
        key: unique name.
        path: the whole path, which any process understands.
        file: as the user named it.
        record: its labels in a tree that it stands in, where a learner looks for some.
    """

    number: int
    key: str
    path: Path
    file: str
    record: LabelRecord | None = None


@dataclass(frozen=True, eq=False)
class PredictedFile:
    """What a learner makes of an image file.

    Attributes:
        row: as in predictions.csv.
        files: what is drawn or written of the image alone: path below the output, bytes.
        labelled: its labels, of a learner that makes some.
        found: what it lists in a file for all images.
        problem: why it could make nothing of it; the row then has `file` alone.
        cut: whether more may have been found in it than is kept.
    """

    row: Row
    files: tuple[tuple[str, bytes], ...] = ()
    labelled: LabelledImage | None = None
    found: tuple[JsonObject, ...] = ()
    problem: Problem | None = None
    cut: bool = False


class PathTexts(Sequence[Path]):
    """Paths that are kept as texts, since there may be very many: a `Path` takes five times the room."""

    def __init__(self, paths: Iterable[str]) -> None:
        """Each once, in the order in which they come."""
        self._texts = list(dict.fromkeys(paths))

    def __len__(self) -> int:
        return len(self._texts)

    @overload
    def __getitem__(self, place: int) -> Path: ...
    @overload
    def __getitem__(self, place: slice) -> list[Path]: ...
    def __getitem__(self, place: int | slice) -> Path | list[Path]:
        return [Path(text) for text in self._texts[place]] if isinstance(place, slice) else Path(self._texts[place])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]


class _Files(Sequence[ImageFile]):
    """Image files with a key each, made when they are asked for."""

    def __init__(self, paths: Sequence[Path], keys: Sequence[str]) -> None:
        self._paths, self._keys = paths, keys

    def __len__(self) -> int:
        return len(self._keys)

    @overload
    def __getitem__(self, place: int) -> ImageFile: ...
    @overload
    def __getitem__(self, place: slice) -> list[ImageFile]: ...
    def __getitem__(self, place: int | slice) -> ImageFile | list[ImageFile]:
        if isinstance(place, slice):
            return [self[number] for number in range(*place.indices(len(self)))]
        number = range(len(self))[place]
        path = Path(self._paths[number])
        return ImageFile(number, self._keys[number], path.absolute(), str(path))


def files_to_predict(images: Sequence[Path], keys: Sequence[str] | None = None) -> Sequence[ImageFile]:
    """Image files with a key each: `keys`, or else their names.

    Raises:
        ToolkitError: a file is named twice.
    """
    return _Files(images, unique_keys(images) if keys is None else keys)


def predict_shares(
    predict: Callable[[Sequence[ImageFile]], Sequence[PredictedFile]],
    files: Sequence[ImageFile],
    size: int,
    out: Path,
    spread: Spread,
) -> Iterator[PredictedFile]:
    """Predict image files in shares, and write what was made of each as it comes. A file at fault stops no other.

    Args:
        predict: what to do with a share; a module-level function, or a `partial` of one, so that it can be sent.
        files: as `files_to_predict` makes them.
        size: images in a share.
        out: folder to write into.
        spread: who works on the shares.

    Raises:
        ToolkitError: an output cannot be written, or as `predict`.
    """
    for share in spread(
        partial(_told_of, predict), (files[first : first + size] for first in range(0, len(files), size))
    ):
        for one in share:
            for name, data in one.files:
                write_whole(out / name, data)
            yield one


def _told_of(
    predict: Callable[[Sequence[ImageFile]], Sequence[PredictedFile]], share: Sequence[ImageFile]
) -> list[PredictedFile]:
    """What `predict` makes of a share, and what is wrong with those of its files that are at fault."""
    faults: dict[int, Problem] = {}
    while True:
        sound = [one for one in share if one.number not in faults]
        try:
            found = iter(predict(sound) if sound else ())
            break
        except (ToolkitError, RuntimeError) as error:  # the latter is what processes that read tell of any error
            more = _faults(sound, error)
            if not more:
                raise
            faults |= more
    return [
        PredictedFile({"file": one.file}, problem=faults[one.number]) if one.number in faults else next(found)
        for one in share
    ]


def _faults(files: Sequence[ImageFile], error: Exception) -> dict[int, Problem]:
    """What is wrong with some files, by their numbers: those that cannot be read, and those that an error names."""
    named = {one.file: one for one in error.problems} if isinstance(error, ToolkitError) else {}
    found: dict[int, Problem] = {}
    for one in files:
        fault = named.get(str(one.path))
        try:
            read_image(one.path)
        except ToolkitError as unread:
            fault = unread.problems[0]
        if fault is not None:
            remedy = fault.remedy.partition(_LEAVE_OUT)[0]
            found[one.number] = replace(fault, file=one.file, remedy=remedy)
    return found


def share_size(config: LearnerConfig) -> int:
    """Images in a share: whole batches, enough of them for the processes that read images, where there are some."""
    from finetune.engine.devices import reading_processes  # here, since files are listed without torch

    return config.batch_size * max(1, _BATCHES_READ * reading_processes(config))


def within_share(config: Config) -> Config:
    """Settings as they hold in a share: a process of a cluster may start none to read images, and reads them itself."""
    return config.model_copy(update={"workers": 0}) if current_process().daemon else config


@contextmanager
def kept_model(load: Callable[[Run], T], run: Run) -> Iterator[T]:
    """What `load` makes of a run, for one share at a time: loaded at the first, or when the run has changed since.

    Threads take turns: torch traces a model by changing what all of them call, and uses all processors by itself.
    """
    files = sorted(path for folder in (run.root, run.checkpoints) for path in folder.glob("*") if path.is_file())
    mark = (load, run, [(path, told.st_size, told.st_mtime_ns) for path in files for told in [path.stat()]])
    with _turn:
        if _kept.get("mark") != mark:
            forget_models()
            _kept.update(model=load(run), mark=mark)
        yield _kept["model"]


def forget_models() -> None:
    """Let go of the model that is kept."""
    _kept.clear()


def image_files(given: str | Path | Sequence[str | Path]) -> Sequence[Path]:
    """The files named, and the images in the folders named, sorted; of a dataset or a label tree no masks.

    Args:
        given: an image file, a folder, a dataset root or a label tree; or several of them.

    Raises:
        ToolkitError: one is not there, or a folder holds no image, or has links that lead out of it.
    """
    files: list[str] = []
    for path in map(Path, [given] if isinstance(given, str | Path) else given):
        if not path.exists():
            raise ToolkitError(path, "no such file", "check the path")
        found = [str(path)] if path.is_file() else _images_in(path)
        if not found:
            raise ToolkitError(path, "holds no images", "name image files, or a folder of them")
        files += found
    once = PathTexts(files)
    if len(once) < len(files):
        twice = [name for name, times in Counter(files).items() if times > 1]
        tell("note", f"{len(twice)} image(s) named more than once count once: {named(twice)}")
    return once


def _images_in(folder: Path) -> list[str]:
    check_links(folder)
    try:
        images = [member.sample.image for member in open_source(folder).members]
    except ToolkitError:  # a plain folder
        images = []
    there = [str(image) for image in sorted(image for image in images if image.is_file())]
    return there or sorted((str(file) for file in folder.rglob("*") if is_image(file.name)), key=PurePath)
