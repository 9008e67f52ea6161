"""One conversion as it happens on disk: a staging folder, checkpoints, and trees that appear whole or not at all."""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from converters.formats.base import Encoded, Settings
from converters.formats.registry import find_format, read_manifest
from converters.sources import Member
from converters.writing.checkpoint import Checkpoint, KeptProblem, dump_checkpoint, load_checkpoint
from converters.writing.selection import MARKS_NOTHING, nothing_left
from converters.writing.tree_writer import LeftOut, TreeWriter
from toolkit.aliases import JsonObject, Progress
from toolkit.dataset.samples import Sample
from toolkit.errors import BadInputError, Problem, ToolkitError
from toolkit.files.links import link_or_copy
from toolkit.files.publish import write_whole
from toolkit.files.staging import STAGING, check_free, publish_folder, staging

__all__ = ["Conversion", "Rendered", "fingerprint", "finished", "remove_spent"]

_CHECKPOINT_SECONDS = 5.0
_STATE = "state.json"
_NAMED = 3
_REPEAT = "repeat them, or use --overwrite to begin anew"


@dataclass(frozen=True, eq=False)
class Rendered:
    """One image in every format asked for, or what is wrong with its files.

    Attributes:
        sample: which image.
        subset: train, val or test.
        problems: faults; if there are any, `encoded` is empty.
        encoded: one for each format.
        found: components in its mask.
        too_small: areas of the components below the minimum area.
        turned: whether its mask was turned as the image's EXIF orientation says.
        inverted: whether more than half of it is marked, its corners included.
        both_ways: whether its masks fit the picture upright and as stored, which are not the same.
        left_out: what its labels list and what marks nothing, one line each.
        copy: the image as a file that stands upright, where a format needs one.
        not_asked_for: reason and area of the components that were not asked for.
        excluded: why the image is left out, though nothing is wrong with it; "" if it is not.
        cut: whether it is a tile, and `copy` its file.
        tiled: of an image whose tiles follow, what is counted of it; `encoded` is empty then.
    """

    sample: Sample
    subset: str
    problems: tuple[Problem, ...]
    encoded: tuple[Encoded, ...]
    found: int = 0
    too_small: tuple[int, ...] = ()
    turned: bool = False
    inverted: bool = False
    both_ways: bool = False
    left_out: tuple[str, ...] = ()
    copy: bytes = b""
    not_asked_for: tuple[LeftOut, ...] = ()
    excluded: str = ""
    cut: bool = False
    tiled: Mapping[str, int] = field(default_factory=dict)


def fingerprint(items: Iterable[tuple[Member, str]]) -> str:
    """SHA-256 of what goes into a conversion: keys, subsets, labels, and the lengths of the images."""
    digest = hashlib.sha256()
    for member, subset in items:
        sample = member.sample
        try:
            length = os.stat(sample.image).st_size
        except OSError:
            length = -1
        digest.update(f"{sample.key}\0{subset}\0{length}\0{member.label_digest()}\n".encode())
    return digest.hexdigest()


class Conversion:
    """Takes rendered images in order and leaves finished trees, or nothing."""

    def __init__(self, out: Path, formats: Sequence[str], settings: Settings, total: int, inputs: str) -> None:
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self._out = out
        self._formats = list(formats)
        self._settings = settings
        self._total = total
        self._inputs = inputs
        self._stage = out / STAGING
        self._done = self._written = 0
        self._writers: list[TreeWriter] = []
        self._copied = False
        self._seen: Counter[str] = Counter()
        self._doubtful = self._unmarked = out
        self._left_out: list[str] = []
        # The shape of a tree but for the subsets, which are known at the end.
        self._shapes = [find_format(name).shape(settings, ["train"]) for name in formats]

    @contextmanager
    def staged(self, *, resume: bool, anew: bool = False) -> Iterator[int]:
        """Prepare the staging folder; yields how many images are done already.

        Args:
            resume: go on from a checkpoint, if there is one.
            anew: replace earlier trees; begin anew where the checkpoint is another run's, rather than refuse.

        An error removes the folder and all that is in it; a kill leaves it for the next run to resume or remove.
        """
        with staging(self._out, inside=True, resumable=True) as stage:
            check_free(self._out, self._formats, overwrite=anew, resume=resume)  # another run may just have ended
            state = self._load_state(anew) if resume else None  # another run's work must survive a refusal
            try:
                stage.begin(anew=state is None)
                self._writers = [TreeWriter(self._stage / name, name, self._settings) for name in self._formats]
                if state is not None:
                    self._restore(state)
                yield self._done
            finally:
                for writer in self._writers:
                    writer.abandon()

    def consume(self, results: Iterable[Sequence[Rendered]], *, fail: bool, progress: Progress | None) -> None:
        """Write images as they come.

        Args:
            results: in the order of the samples, from the first that is not done; of tiles all of an image together.
            fail: whether a faulty sample ends the conversion, after all have been looked at.
            progress: called with (done, total).

        Raises:
            BadInputError: samples are faulty, and `fail` is set, or none is left.
            ToolkitError: the disk is full, or the folder cannot be written.
        """
        saved = time.monotonic()
        for rendered in results:
            for one in rendered:
                self.problems += one.problems
                if not one.problems and not (fail and self.problems):
                    self._write(one)
            self._done += 1
            if progress is not None:
                progress(self._done, self._total)
            if time.monotonic() - saved >= _CHECKPOINT_SECONDS:
                self._save_state()
                saved = time.monotonic()
        self._check_result(fail=fail)

    def _check_result(self, *, fail: bool) -> None:
        """Refuse to leave trees of faulty samples, or of none.

        Raises:
            ToolkitError: as of `consume`.
        """
        if self.problems and (fail or not self._written):
            raise BadInputError(sorted(self.problems))
        if self._seen["unmarked"] and not self._written:
            what = f"none of its {self._total} images is left: annotations mark no pixel of {self._seen['unmarked']}"
            raise ToolkitError(self._unmarked, what, "correct the annotations of these images")
        if self._seen["tiles.left_out"] and not self._written:
            raise ToolkitError("--tiles-background", "leaves nothing: no tile shows an object", "give 1 or more")
        if self._seen["excluded"] and not self._written:
            raise nothing_left(self._settings.selection, self._seen["excluded"])
        if self._seen["both"] and self._seen["turned"]:
            where = f"{self._seen['turned']} other mask(s) were drawn on the pixels as stored"
            what = f"has an EXIF orientation and a mask that fits both ways, and {where}"
            raise ToolkitError(
                self._doubtful, what, "save these photos upright, without an orientation, and their masks"
            )

    def _write(self, rendered: Rendered) -> None:
        self._seen.update(rendered.tiled)
        if rendered.excluded:
            self._seen["excluded"] += 1
            if rendered.excluded == MARKS_NOTHING:
                self._seen["unmarked"] += 1
                self._unmarked = rendered.sample.image
                self._left_out += (f"{line} {rendered.sample.key}" for line in rendered.left_out)
            for writer in self._writers:
                writer.exclude(rendered.sample.key, rendered.excluded, rendered.found, _left_out(rendered))
            return
        if rendered.both_ways and not self._seen["both"]:
            self._doubtful = rendered.sample.image
        self._seen.update(turned=rendered.turned, inverted=rendered.inverted, both=int(rendered.both_ways))
        self._left_out += (f"{line} {rendered.sample.key}" for line in rendered.left_out)
        left_out = _left_out(rendered)
        if rendered.tiled:
            for writer in self._writers:
                writer.count_components(rendered.sample.key, len(left_out), left_out)
            return
        self._written += 1
        for writer, shape, encoded in zip(self._writers, self._shapes, rendered.encoded, strict=True):
            writer.add(
                encoded,
                shape,
                key=rendered.sample.key,
                subset=rendered.subset,
                found=rendered.found,
                left_out=left_out,
            )
        if self._settings.images != "none" and rendered.sample.image.exists():
            self._put_photo(rendered)

    def _put_photo(self, rendered: Rendered) -> None:
        """The image file into every tree: as it is, or as the upright copy or the tile, which trees share."""
        mode, image = self._settings.images, rendered.sample.image
        size, copy = image.stat().st_size, Path()
        self._seen["upright"] += bool(rendered.copy) and not rendered.cut
        for writer, encoded in zip(self._writers, rendered.encoded, strict=True):
            target = writer.prepare(encoded.image)
            own = encoded.upright or rendered.cut
            if not own:
                self._copied |= link_or_copy(image, target, mode) != mode
            elif copy.name:
                link_or_copy(copy, target, "hardlink")
            else:
                copy = Path(target)
                write_whole(copy, rendered.copy)
            writer.count_image(len(rendered.copy) if own else size, upright=encoded.upright)

    def finish(self, left_out: Iterable[tuple[str, Problem]], origin: Mapping[str, Any]) -> dict[str, JsonObject]:
        """Complete the trees, move them into place, and return their manifests.

        Args:
            left_out: faults of the samples that were left out, each with the file as the manifest names it.
            origin: what the manifest says of where the images come from.
        """
        self.notes += self._remarks()
        remarks = {
            "problems": [{"file": file, "problem": problem.problem} for file, problem in left_out],
            "input_sha256": self._inputs,
            **origin,
        }
        manifests = {}
        for writer in self._writers:
            found = find_format(writer.name)
            manifests[str(writer.name)] = writer.finish(
                partial(found.shape, self._settings),
                tiled={name[6:]: count for name, count in self._seen.items() if name.startswith("tiles.")},
                **remarks,
            )
        (self._stage / _STATE).unlink(missing_ok=True)  # spools that are gone can't be resumed
        for writer in self._writers:
            writer.remove_spools()
        for name in self._formats:
            publish_folder(self._stage / name, self._out / name)
        return manifests

    def _remarks(self) -> Iterator[str]:
        """What a user should know of how the trees were written."""
        if self._copied:
            yield "there are no hard links from the images to the output (two file systems, or one without): copied"
        yield from self._unportable()
        if self._seen["upright"]:
            where = ", ".join(name for name in self._formats if not find_format(name).turns_photos)
            what = (
                f"{self._seen['upright']} photo(s) have an EXIF orientation: in {where} they are upright copies (PNG)"
            )
            yield f"{what}, since not all readers turn them"
        if self._seen["turned"]:
            what = f"{self._seen['turned']} mask(s) were drawn on the pixels as stored"
            yield f"{what}: turned upright, as the EXIF orientation of their images says"
        if self._seen["both"]:
            what = (
                f"{self._seen['both']} photo(s) have an EXIF orientation, and their masks fit both ways: taken upright"
            )
            yield f"{what}; look at them with 'defectkit view'" + (
                ", since others are not" * bool(self._seen["turned"])
            )
        if self._seen["inverted"]:
            what = f"{self._seen['inverted']} mask(s) mark more than half of their image, its corners included"
            yield f"{what}: if their background is what is marked, invert them"
        if self._left_out:
            shown = ", ".join(self._left_out[:3]) + (", ..." if len(self._left_out) > 3 else "")
            yield f"{len(self._left_out)} annotation(s) left out, listed in manifest.json: {shown}"

    def _unportable(self) -> Iterator[str]:
        """That the trees cannot be copied to Windows, and why."""
        faults = {key: why for writer in self._writers for key, why in writer.owners.faults.items()}
        if faults:
            named = [f"{key} ({why})" for key, why in islice(faults.items(), _NAMED)]
            shown = ", ".join(named) + (", ..." if len(faults) > _NAMED else "")
            yield f"the files of {len(faults)} image(s) cannot be had on Windows under their names: {shown}"

    def _mark(self) -> JsonObject:
        """What a checkpoint must agree with to be resumed."""
        settings = {**self._settings.described(), "names": list(self._settings.classes)}
        return {"inputs": self._inputs, "formats": self._formats, "settings": settings, "total": self._total}

    def _save_state(self) -> None:
        state = Checkpoint(
            mark=self._mark(),
            done=self._done,
            written=self._written,
            seen={name: int(count) for name, count in self._seen.items()},
            left_out=self._left_out,
            problems=[KeptProblem(**vars(problem)) for problem in self.problems],
            writers={writer.name: writer.checkpoint() for writer in self._writers},
        )
        write_whole(self._stage / _STATE, dump_checkpoint(state))

    def _restore(self, state: Checkpoint) -> None:
        self._done, self._written = state.done, state.written
        self._seen, self._left_out = Counter(state.seen), list(state.left_out)
        self.problems = [Problem(one.file, one.problem, one.remedy) for one in state.problems]
        for writer in self._writers:
            writer.restore(state.writers[writer.name])

    def _load_state(self, anew: bool) -> Checkpoint | None:
        path = self._stage / _STATE
        if not path.is_file():
            if not anew:
                _check_unfinished(self._out, self._formats)
            return None
        state = load_checkpoint(path)
        if state is None:
            return None
        if state.mark == orjson.loads(orjson.dumps(self._mark())) and state.writers.keys() == set(self._formats):
            return state
        if anew:
            return None
        raise ToolkitError(self._out, "was begun with other files or settings", _REPEAT)


def finished(out: Path, formats: Sequence[str], settings: Settings, inputs: str) -> dict[str, JsonObject]:
    """Manifests of the trees that an earlier run completed from the same files with the same settings."""
    manifests: Mapping[str, JsonObject | None] = {name: read_manifest(out / name) for name in formats}
    return {
        name: manifest
        for name, manifest in manifests.items()
        if manifest is not None
        and manifest.get("input_sha256") == inputs
        and manifest.get("options") == settings.described()
        and manifest.get("classes") == list(settings.classes)
    }


def remove_spent(out: Path) -> None:
    """Remove what a run left that was killed when its trees stood in their places; what can be gone on with stays."""
    if (out / STAGING).is_dir():
        with suppress(ToolkitError), staging(out, inside=True) as stage:  # where another run writes, it is that one's
            if not (stage.folder / _STATE).exists():
                stage.remove()


def _check_unfinished(out: Path, formats: Iterable[str]) -> None:
    """Refuse to resume over a tree that is complete, but was made from other files or with other settings.

    Raises:
        ToolkitError: there is such a tree.
    """
    for name in formats:
        if read_manifest(out / name) is not None:
            raise ToolkitError(out / name, "is complete, but was made from other files or settings", _REPEAT)


def _left_out(rendered: Rendered) -> tuple[LeftOut, ...]:
    """Why components of an image are in no tree, and their areas."""
    small = (("smaller than --min-area", area) for area in rendered.too_small)
    return (*small, *rendered.not_asked_for, *((reason, 0) for reason in rendered.left_out))
