"""From an archive to a checked dataset root: unpacked where it belongs, whole or not at all, and counted."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from pydantic import Field

from toolkit.aliases import Progress
from toolkit.dataset.dataset import Dataset
from toolkit.dataset.layouts import load_dataset
from toolkit.dataset.reference import differences
from toolkit.errors import Problem, ToolkitError
from toolkit.files.publish import write_json
from toolkit.files.staging import STAGING, check_apart, check_free, publish_folder, staging
from toolkit.files.typed import Name, Record, read_json
from toolkit.intake.archives import Limits, Member, Source, members, recognise
from toolkit.intake.places import Placing

__all__ = ["RECORD", "PrepareReport", "find_faults", "prepare"]


RECORD = ".defectkit-prepared.json"
"""Name of the file in DEST that says which products were unpacked there, and so may be replaced."""

_STATE = "state.json"
_TREE = "tree"
_PARTIAL = "partial"
_CHUNK = 1 << 20
_REPEAT = "name the same archive and products, or use --overwrite to begin anew"


@dataclass(frozen=True, eq=False)
class PrepareReport:
    """What `prepare` has made.

    Attributes:
        root: the dataset root.
        kind: what the source was, for instance "tar.xz", "zip" or "folder".
        products: names of the products that came out of it.
        dataset: their images, indexed.
        differences: product with a published name -> how its counts differ, none if they agree.
        problems: faults that names alone tell; `find_faults` reads the files.
        notes: what a user should know.
        seconds: wall time.
    """

    root: Path
    kind: str
    products: tuple[str, ...]
    dataset: Dataset
    differences: dict[str, list[str]]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    seconds: float

    def _repr_html_(self) -> str:
        from toolkit.markup import report_html

        images = Counter(sample.category for sample in self.dataset)
        rows = [[name, images[name], self.agreement(name)] for name in self.products]
        about = f"{len(self.products)} product(s) from a {self.kind} in {self.seconds:.1f} s"
        lists = {"Notes": self.notes, "Problems": self.problems}
        return report_html(f"Dataset {self.root}", about, ["product", "images", "as published"], rows, lists=lists)

    def agreement(self, product: str) -> str:
        """Whether a product's counts are the published ones: "yes", "no", or "-" where none are published."""
        lines = self.differences.get(product)
        return "-" if lines is None else "no" if lines else "yes"


def prepare(
    archive: str | Path,
    dest: str | Path,
    *,
    categories: Sequence[str] = (),
    limits: Limits | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: Progress | None = None,
) -> PrepareReport:
    """Unpack an archive, or take over an unpacked folder, as a dataset root with one folder per product.

    Args:
        archive: a tar (plain, xz, gz, bz2), a zip, or a folder, which is left as it is: its files are hard-linked.
        dest: the dataset root to make.
        categories: only these products.
        limits: how large an archive may be; a folder may be of any size.
        overwrite: let `dest` hold something, and replace products that an earlier call unpacked there.
        resume: go on where an interrupted call with the same archive and products stopped.
        progress: called with bytes (done, total) of the archive.

    Raises:
        ToolkitError: the archive is harmful, damaged or no dataset, or `dest` is in the way. Nothing is left behind.
    """
    started = time.monotonic()
    source, dest, limits = recognise(Path(archive)), Path(dest), limits or Limits()
    if source.kind == "folder":
        check_apart(dest, source.path)
    check_free(dest, overwrite=overwrite, resume=resume)
    job = _Job(source, dest, tuple(sorted(set(categories))), limits, overwrite)
    notes: tuple[str, ...] = ()
    products = job.finished() if resume else []
    if not products:
        products, notes = job.run(resume=resume, progress=progress)
    dataset, problems = _index(dest, products)
    return PrepareReport(
        dest,
        source.kind,
        tuple(products),
        dataset,
        differences(dataset),
        problems,
        (*notes, *dataset.notes),
        time.monotonic() - started,
    )


def _index(dest: Path, products: Sequence[str]) -> tuple[Dataset, tuple[Problem, ...]]:
    """The images of some products in a dataset root, and what is wrong with their layout."""
    whole = load_dataset(dest)
    folders = tuple(f"{dest / name}{os.sep}" for name in products)
    problems = tuple(problem for problem in whole.named_problems if problem.file.startswith(folders))
    return whole.only([name for name in products if name in whole.categories]), problems


def find_faults(dataset: Dataset, progress: Progress | None = None) -> tuple[Problem, ...]:
    """Faults in the files of a dataset, each read, by as many threads as there are processors.

    Args:
        dataset: whose images and masks to read.
        progress: called with images (done, total).
    """
    from toolkit.dataset.inspection import inspect_sample
    from toolkit.files.parallel import ordered_map

    found: list[Problem] = []
    for done, problems in enumerate(ordered_map(inspect_sample, list(dataset), workers=os.cpu_count() or 1), 1):
        found += problems
        if progress is not None:
            progress(done, len(dataset))
    return tuple(sorted(found))


@dataclass(frozen=True, eq=False)
class _Job:
    """One archive on its way into one dataset root."""

    source: Source
    dest: Path
    categories: tuple[str, ...]
    limits: Limits
    overwrite: bool

    @property
    def _stage(self) -> Path:
        return self.dest / STAGING

    @property
    def _tree(self) -> Path:
        return self._stage / _TREE

    def finished(self) -> list[str]:
        """Products that an earlier call with the same archive and products has completed."""
        if self._stage.exists():
            return []
        made = _read_record(self.dest).products
        products = [name for name, mark in made.items() if mark == self._mark]
        return products if all((self.dest / name).is_dir() for name in products) else []

    def run(self, *, resume: bool, progress: Progress | None) -> tuple[list[str], tuple[str, ...]]:
        """Unpack and publish; the products, and notes."""
        if not self.source.streamed:  # what is in it can be known beforehand
            placing = self._placing()
            for member in members(self.source, self.limits):
                placing.take(member)
            placing.check()
        with self._staged(resume=resume) as state:
            if state is None:
                placing = self._placing()
                copied = self._unpack(placing, progress)
                state = _Complete(products=placing.products, notes=[*placing.notes, *self._remarks(copied)])
                write_json(self._stage / _STATE, {"mark": self._mark, "complete": state.model_dump()})
            self._publish(state.products)
        return list(state.products), tuple(state.notes)

    def _placing(self) -> Placing:
        return Placing(self.source.path, self.categories, None if self.source.kind == "folder" else self.limits)

    @cached_property
    def _mark(self) -> str:
        """What tells this archive, and what is wanted of it, from others."""
        path = self.source.path
        content: object = [path.stat().st_size, path.stat().st_mtime_ns]
        if self.source.kind == "folder":
            content = [["/".join(member.parts), member.size] for member in members(self.source, self.limits)]
        return hashlib.sha256(json.dumps([content, self.categories]).encode()).hexdigest()

    @contextmanager
    def _staged(self, *, resume: bool) -> Iterator[_Complete | None]:
        """Prepare the staging folder; yields what an earlier call has unpacked in full, or None.

        An error removes the folder and all that is in it; a kill leaves it for the next call to resume or remove.
        """
        with staging(self.dest, inside=True, resumable=True) as stage:
            check_free(self.dest, overwrite=self.overwrite, resume=resume)  # another call may just have ended
            state = _read_state(self._stage / _STATE) if resume else None
            if state is not None and state.mark != self._mark:
                if not self.overwrite:
                    raise ToolkitError(self.dest, "was begun with another archive or other products", _REPEAT)
                state = None
            stage.begin(anew=state is None)
            self._tree.mkdir(exist_ok=True)
            if state is None:
                write_json(self._stage / _STATE, {"mark": self._mark})
            yield None if state is None else state.complete

    def _unpack(self, placing: Placing, progress: Progress | None) -> bool:
        """Everything that is wanted, into the staging folder; whether files of a folder had to be copied."""
        links: list[tuple[Path, Member]] = []
        documents: dict[tuple[str, ...], bytes] = {}
        checked: set[str] = set()
        copied = False
        for member in members(self.source, self.limits, progress):
            place = placing.take(member)
            if place is not None:
                if place.product not in checked:
                    self._check_target(place.product)
                    checked.add(place.product)
                target = self._tree.joinpath(*place.parts)
                if member.target is not None:
                    links.append((target, member))
                else:
                    copied |= self._write(member, target)
            elif member.parts in placing.documents[-1:]:
                with member.open() as content:
                    documents[member.parts] = content.read()
        placing.check()
        self._resolve(links, placing)
        for parts, data in documents.items():
            inside = placing.document_place(parts)
            if inside is not None:
                self._tree.joinpath(*inside).write_bytes(data)
        return copied

    def _write(self, member: Member, target: Path) -> bool:
        """Put one file into the staging folder, whole; whether it is a copy of a file that could not be linked."""
        if target.is_file() and target.stat().st_size == member.size:
            return False  # an interrupted call has written it
        target.parent.mkdir(parents=True, exist_ok=True)
        partial_file = self._stage / _PARTIAL
        partial_file.unlink(missing_ok=True)
        linked = member.path is not None and _link(member.path, partial_file)
        if not linked:
            self._copy(member, partial_file)
        os.replace(partial_file, target)
        return member.path is not None and not linked

    def _copy(self, member: Member, target: Path) -> None:
        written = 0
        with member.open() as content, open(target, "wb") as file:
            for data in iter(partial(content.read, _CHUNK), b""):
                written += len(data)
                if written > member.size:
                    break
                file.write(data)
        if written != member.size:
            problem = f"its member {'/'.join(member.parts)!r} is not of the {member.size} bytes that it says"
            raise ToolkitError(self.source.path, problem, "get the archive again")

    def _resolve(self, links: list[tuple[Path, Member]], placing: Placing) -> None:
        """Put the file that a link stands for in its place."""
        waiting = links
        while waiting:
            left = []
            for target, member in waiting:
                place = placing.find(member.target or ())
                original = self._tree.joinpath(*place.parts) if place is not None else None
                if original is None or not original.is_file():
                    left.append((target, member))
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                target.unlink(missing_ok=True)
                if not _link(original, target):
                    shutil.copyfile(original, target)
            if len(left) == len(waiting):
                name, end = ("/".join(parts or ()) for parts in (left[0][1].parts, left[0][1].target))
                problem = f"its member {name!r} is a link to {end!r}, which is no file that is unpacked"
                raise ToolkitError(self.source.path, problem, "unpack it by hand, and prepare the folder")
            waiting = left

    def _remarks(self, copied: bool) -> list[str]:
        if self.source.kind != "folder":
            return []
        if copied:
            return [f"the files are copies: {self.source.path} is on another file system"]
        return [f"the files are hard links to those in {self.source.path}: one changed in place changes in both"]

    def _check_target(self, product: str) -> None:
        """Refuse to touch a product that stands in DEST, unless it was unpacked there and may be replaced."""
        target = self.dest / product
        if not os.path.lexists(target):
            return
        if product not in _read_record(self.dest).products:
            raise ToolkitError(target, "was not unpacked by defectkit", "move it away, or choose another folder")
        state = _read_state(self._stage / _STATE)
        if not self.overwrite and (state is None or state.complete is None):
            raise ToolkitError(target, "exists already", "add --overwrite to replace it, or leave its --category out")

    def _publish(self, products: Sequence[str]) -> None:
        """Move the products and documents into place; those that are there already were moved by a call before."""
        record = _read_record(self.dest)
        staged = [path for path in sorted(self._tree.iterdir()) if path.is_dir()]
        documents = [path for path in sorted(self._tree.iterdir()) if path.is_file()]
        ours = set(record.files)
        kept = [path for path in documents if path.name in ours or not (self.dest / path.name).exists()]
        marks = {**record.products, **dict.fromkeys(products, self._mark)}
        names = sorted(ours | {path.name for path in kept})
        write_json(self.dest / RECORD, {"tool": "defectkit", "products": marks, "files": names})
        for path in staged:
            if path.name in products:
                publish_folder(path, self.dest / path.name)
        for path in kept:
            os.replace(path, self.dest / path.name)


def _link(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except OSError:
        return False
    return True


class _Made(Record):
    """What stands in RECORD: name of a product -> mark of what it was unpacked from; and documents beside them."""

    products: dict[Name, str] = Field(default_factory=dict)
    files: list[Name] = Field(default_factory=list)


class _Complete(Record):
    products: list[Name]
    notes: list[str]


class _State(Record):
    """Where an interrupted call stopped."""

    mark: str
    complete: _Complete | None = None


def _read_record(folder: Path) -> _Made:
    """The record of a dataset root; empty where there is none.

    Raises:
        ToolkitError: it is damaged.
    """
    path = folder / RECORD
    return (
        read_json(path, _Made, "remove the file, and move away the products that stand there")
        if path.is_file()
        else _Made()
    )


def _read_state(path: Path) -> _State | None:
    """What an interrupted call left; None where it left nothing, or nothing that can be read."""
    try:
        return read_json(path, _State, "")
    except ToolkitError:
        return None
