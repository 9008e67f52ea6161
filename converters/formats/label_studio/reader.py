"""Indexing Label Studio's tasks, ours and other people's: each file is read once, and the regions are kept."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from posixpath import splitext

from converters.formats.base import Reading
from converters.formats.coco.document import whole_number
from converters.formats.image_files import ImageFinder, names_of, plain_name
from converters.formats.label_studio.classes import decide
from converters.formats.label_studio.columns import drawn_on, tasks_of_images, told_by_columns
from converters.formats.label_studio.document import Task, chosen, read_tasks
from converters.formats.label_studio.drawing import load_label_studio
from converters.formats.label_studio.files import home_of, is_tasks_file, json_files
from converters.formats.label_studio.notes import Seen, notes_of
from converters.formats.label_studio.places import place_of, told_image
from converters.formats.label_studio.regions import Said, read_results
from converters.formats.label_tree import FoundImage, LabelTree, make_records, subset_of_name
from converters.formats.registry import read_manifest
from toolkit.errors import Problem, ToolkitError

__all__ = ["index_label_studio"]


@dataclass(eq=False)
class _Tree:
    """A tree that is being indexed.

    Attributes:
        finder: finds its images.
        ours: whether defectkit wrote it.
        seen: what there is to say of it.
        found: its images, and what is said of each; None where nobody annotated it.
        problems: what is wrong with it.
        claims: image -> the task that is of it.
        faulty: images whose task cannot be read, or that several tasks are of.
    """

    finder: ImageFinder
    ours: bool
    seen: Seen = field(default_factory=Seen)
    found: dict[Path, tuple[FoundImage, Said | None]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    claims: dict[Path, Task] = field(default_factory=dict)
    faulty: set[Path] = field(default_factory=set)


def index_label_studio(root: Path, reading: Reading) -> LabelTree:
    """Index a folder of Label Studio's JSON files and images, or one file. A task that is at fault is a problem.

    Raises:
        ToolkitError: a file is damaged, or its choices answer several questions.
    """
    home = home_of(root)
    manifest = read_manifest(home)
    tree = _Tree(ImageFinder(home), manifest is not None, Seen(as_good=reading.without_label == "good"))
    for path in json_files(root):
        tasks = read_tasks(path) if path == root or is_tasks_file(path) else None
        if tasks is None:
            tree.seen.strange.append(path.name)
        for task in _of_one_image(tree, path, tasks or ()):
            _take_in(tree, path, task)
    for image in tree.faulty:
        tree.found.pop(image, None)
    found = decide(root, list(tree.found.values()), reading, tree.seen)
    if not tree.ours and tree.found and not any(one.classes for one in found):
        remedy = "name the export of the tasks that are annotated"
        tree.problems.append(Problem(str(root), "no task has a region or a choice", remedy))
    used = {label for one in found for label in one.classes}
    classes = list(manifest["classes"]) if manifest else sorted(used)
    tree.seen.unlisted = _unlisted(tree)
    return LabelTree(
        root,
        "label-studio",
        classes,
        make_records(found, load_label_studio, dict(enumerate(classes)), ours=tree.ours),
        manifest=manifest if root.is_dir() else None,
        layout_problems=tree.problems,
        notes=notes_of(tree.seen, home, ours=tree.ours),
        reading=reading,
    )


def _of_one_image(tree: _Tree, path: Path, tasks: Sequence[Task]) -> Iterator[Task]:
    """The tasks of a file, a task of several images as one of each."""

    def find(told: str) -> Path | None:
        place = place_of(tree.finder, told, ours=tree.ours)
        return place.image if place is not None else None

    tasks = told_by_columns(tasks, path.parent, tree.finder.root)
    tags = drawn_on(tasks)
    for task in tasks:
        try:
            yield from tasks_of_images(task, tags, find)
        except ToolkitError as error:
            tree.problems += error.problems


def _unlisted(tree: _Tree) -> list[str]:
    """Images below the root that no task is of, as paths from there on."""
    claimed = {os.path.realpath(path) for path in tree.claims}
    spare = (path for path in tree.finder.every() if os.path.realpath(path) not in claimed)
    return [path.relative_to(tree.finder.root).as_posix() for path in spare]


def _take_in(tree: _Tree, path: Path, task: Task) -> None:
    """Take in a task: find its image, and read what its annotation says."""
    try:
        image = _claimed(tree, task)
    except ToolkitError as error:
        tree.problems += error.problems
        return
    try:
        answer = chosen(task)
    except ToolkitError as error:
        tree.problems += error.problems
        tree.faulty.add(image)
        return
    if answer is None:
        (tree.seen.skipped if task.skipped else tree.seen.unlabelled).append(task.number)
        tree.seen.predictions += bool(task.predictions) and not task.skipped
    elif len(task.answers) > 1:
        tree.seen.several.append(task.number)
    try:
        said = read_results(task.place, answer.results) if answer is not None else None
        size = _size(tree, task, said, image)
    except ToolkitError as error:
        tree.problems += error.problems
        tree.faulty.add(image)
        return
    inner = image.relative_to(tree.finder.root).as_posix()
    stem = image.stem if tree.ours else splitext(inner)[0]
    payload = (str(path), tuple(said.regions)) if said is not None else None
    tree.found[image] = (FoundImage(_subset(path, inner), stem, image, payload, (), size), said)


def _claimed(tree: _Tree, task: Task) -> Path:
    """The image of a task, or where it would lie.

    Raises:
        ToolkitError: there is none, or another task is of it.
    """
    results = (result for answer in task.answers for result in answer.results)
    tags = (result.get("to_name") for result in results if isinstance(result, dict))
    told = told_image(task.place, task.data, list(dict.fromkeys(tag for tag in tags if isinstance(tag, str))))
    names = names_of(told)
    name = next((plain for one in names if (plain := plain_name(one))), "")
    if not name:
        what = "holds its image in itself" if not names else f"names no file: {told:.60}"
        raise ToolkitError(task.place, what, "put the image beside the file, and name it in the data")
    place = place_of(tree.finder, told, ours=tree.ours)
    if place is None and not (tree.ours or tree.finder.empty):
        alike = [one for told in names for one in tree.finder.namesakes(told)]
        found = f"{len(alike)} files of that name are there" if alike else f"looked below {tree.finder.root}"
        raise ToolkitError(task.place, f"no image {name} ({found})", "put it there, or correct its name in the data")
    image = place.image if place is not None else tree.finder.root / name
    if image in tree.claims:
        tree.faulty.add(image)
        other = tree.claims[image].place
        raise ToolkitError(task.place, f"is of the image {name}, as {other} is", "remove one of the two")
    tree.claims[image] = task
    tree.seen.lost += place is None
    if place is not None and place.way == "name" and "/" in name:
        tree.seen.moved.append(name)
    elif place is not None and place.way == "bare":
        tree.seen.uploads.append(name)
    return image


def _size(tree: _Tree, task: Task, said: Said | None, image: Path) -> tuple[int, int] | None:
    """Width and height as the task has them; None where only the image tells.

    Raises:
        ToolkitError: neither does.
    """
    if said is not None and said.size is not None:
        return said.size
    width, height = (whole_number(task.data.get(side)) for side in ("width", "height"))
    if tree.ours and width and height:
        return width, height
    if not image.is_file():
        remedy = "put the image there, or leave the task out"
        raise ToolkitError(task.place, "has no region that tells the size of its image, which is not there", remedy)
    return None


def _subset(path: Path, inner: str) -> str:
    """Subset of an image, by the name of the file of its task, or its own folders; train where none tells."""
    parts: Iterable[str] = (path.stem, *reversed(inner.split("/")[:-1]))
    return next((subset for part in parts if (subset := subset_of_name(part))), "train")
