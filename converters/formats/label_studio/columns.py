"""Tasks of several images, as where two stand side by side: a task of each, with the regions that are drawn on it.

A result says by `to_name` on which tag of the labelling configuration it is drawn. Which column of the data that tag
shows, the configuration says, where it lies beside the export; else the column of the same name, or nothing tells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from converters.formats.label_studio.document import Answer, Task
from converters.formats.label_studio.places import image_columns
from toolkit.aliases import JsonObject
from toolkit.errors import ToolkitError
from toolkit.files.xml_files import parse_xml

__all__ = ["CONFIG", "drawn_on", "tasks_of_images", "told_by_columns"]

CONFIG = "label_config.xml"
"""Name of the file that holds the labelling configuration of a project."""

_PLACED = {"x", "points", "rle", "vertices"}
"""What the values of results have that are drawn on an image."""


def told_by_columns(tasks: Sequence[Task], *folders: Path) -> Sequence[Task]:
    """Tasks whose results name columns of the data in place of tags, as far as the configuration in a folder tells.

    Raises:
        ToolkitError: it is no XML.
    """
    path = next((folder / CONFIG for folder in folders if (folder / CONFIG).is_file()), None)
    shows: dict[str, str] = {}
    for one in parse_xml(path, "export it again, or remove it").iter() if path is not None else ():
        column = (one.get("value") or one.get("valueList") or "").strip()
        if one.tag.lower() == "image" and column.startswith("$") and (name := one.get("name")):
            shows[name] = column[1:]
    if all(name == column for name, column in shows.items()):
        return tasks
    return [replace(task, answers=[_by_columns(answer, shows) for answer in task.answers]) for task in tasks]


def _by_columns(answer: Answer, shows: Mapping[str, str]) -> Answer:
    told = [
        {**one, "to_name": shows[_tag(one)]} if isinstance(one, dict) and _tag(one) in shows else one
        for one in answer.results
    ]
    return replace(answer, results=told)


def drawn_on(tasks: Iterable[Task]) -> list[str]:
    """The tags that results of some tasks are drawn on, or say something of, each once."""
    return list(dict.fromkeys(tag for task in tasks for one in _results(task) if (tag := _tag(one))))


def tasks_of_images(task: Task, tags: Sequence[str], find: Callable[[str], Path | None]) -> list[Task]:
    """A task as one for each of its images that anybody draws on.

    Args:
        task: it.
        tags: what `drawn_on` tells of all tasks of its file.
        find: the image that a column names, where it is there.

    Raises:
        ToolkitError: it may be of several images, and nothing tells on which of them its regions are drawn.
    """
    columns = image_columns(task.data)
    own = list(dict.fromkeys(_tag(one) for one in _results(task) if _is_drawn(one)))
    if len(columns) < 2:
        if len(own) > 1:
            problem = f"has regions on {_listed(own)}, and its data name one image"
            raise ToolkitError(task.place, problem, "make a task of each image")
        return [task]
    if any(tag not in columns for tag in own):
        return [_guessed(task, own, columns, find)]
    names = [tag for tag in tags if tag in columns]
    if len(names) < 2:
        return [replace(task, data=_data(task, names[0], columns))] if names else [task]
    _check_choices(task, names)
    parts = []
    for number, tag in enumerate(names):
        answers = [replace(one, results=_results_on(one, tag, names, first=not number)) for one in task.answers]
        place, number_or_id = (f"{told} ({tag})" for told in (task.place, task.number))
        told = _data(task, tag, columns)
        parts.append(replace(task, place=place, number=number_or_id, data=told, answers=answers))
    return parts


def _guessed(
    task: Task, own: Sequence[str], columns: Mapping[str, list[str]], find: Callable[[str], Path | None]
) -> Task:
    """A task whose regions name no column: that of its only image that is there.

    Raises:
        ToolkitError: there are several, or none, or the regions are on several.
    """
    found = {image: name for name, told in columns.items() for one in told if (image := find(one)) is not None}
    if len(own) == 1 and len(found) == 1:
        return replace(task, data=_data(task, next(iter(found.values())), columns))
    if "" in own:
        problem = f"is of several images, by {_listed(list(columns))}, and nothing tells on which its regions are drawn"
        raise ToolkitError(
            task.place, problem, "export the project as JSON, not JSON_MIN, or make a task of each image"
        )
    problem = f"has regions on {_listed(own)} (to_name), and its images stand under {_listed(list(columns))}"
    remedy = f"put the project's labelling configuration beside it, as {CONFIG}, or name the columns as to_name does"
    raise ToolkitError(task.place, problem, remedy)


def _listed(names: Sequence[str]) -> str:
    return " and ".join(map(repr, names[:3])) + (" and others" if len(names) > 3 else "")


def _data(task: Task, column: str, columns: Mapping[str, list[str]]) -> dict[str, Any]:
    """The data of a task without its other images."""
    return {name: told for name, told in task.data.items() if name == column or name not in columns}


def _results(task: Task) -> list[JsonObject]:
    return [one for answer in task.answers for one in answer.results if isinstance(one, dict)]


def _tag(result: JsonObject) -> str:
    told = result.get("to_name")
    return told if isinstance(told, str) else ""


def _id(result: JsonObject) -> str:
    told = result.get("id")
    return told if isinstance(told, str) else ""


def _is_drawn(result: JsonObject) -> bool:
    value = result.get("value")
    return isinstance(value, dict) and bool(_PLACED & value.keys())


def _results_on(answer: Answer, tag: str, names: Sequence[str], *, first: bool) -> list[Any]:
    """What an annotation says of one image; what it says of none stands with the first."""
    drawn = {_id(one): _tag(one) for one in answer.results if isinstance(one, dict) and _is_drawn(one) and _id(one)}
    found = []
    for one in answer.results:
        told = drawn.get(_id(one), _tag(one)) if isinstance(one, dict) else ""
        found += [one] if told == tag or (first and told not in names) else []
    return found


def _check_choices(task: Task, names: Sequence[str]) -> None:
    """Refuse choices that are of none of the images: nothing tells what they are of.

    Raises:
        ToolkitError: there is one.
    """
    drawn = {_id(one) for one in _results(task) if _is_drawn(one) and _id(one)}
    for one in _results(task):
        if one.get("type") == "choices" and _id(one) not in drawn and _tag(one) not in names:
            problem = f"has choices for {_tag(one)!r}, which is none of its images, {_listed(names)}"
            raise ToolkitError(task.place, problem, "remove them, or make a task of each image")
