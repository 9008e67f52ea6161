"""Label Studio's JSON: the tasks in a file, whole (JSON), flat (JSON_MIN), or one of them as storages hold it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from converters.formats.coco.document import shown, whole_number
from toolkit.aliases import JsonObject
from toolkit.errors import ToolkitError
from toolkit.files.typed import parse_json

__all__ = ["Answer", "Task", "chosen", "is_tasks", "read_tasks"]

_REMEDY = "export the project again as JSON"
_CORRECT = "correct or remove it"
_LAST = ("annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement")
"""What a flat record ends in; before it stand the columns of the task, its id, and what was annotated."""


@dataclass(frozen=True, eq=False)
class Answer:
    """What one annotator said of a task.

    Attributes:
        results: as they stand in the file.
        updated: when it was last changed, in microseconds; None where nothing says, or not in a way that is read.
        truth: whether it is marked as the ground truth.
    """

    results: list[Any]
    updated: int | None = None
    truth: bool = False


@dataclass(frozen=True, eq=False)
class Task:
    """An image, and what annotators said of it.

    Attributes:
        place: where it stands, for messages.
        number: its id, or its place in the file.
        data: its columns, one of which tells the image.
        answers: annotations that were not skipped.
        skipped: how many were.
        predictions: how many a model made, which are no annotations.
    """

    place: str
    number: str
    data: Mapping[str, Any]
    answers: list[Answer] = field(default_factory=list)
    skipped: int = 0
    predictions: int = 0


def is_tasks(document: object) -> bool:
    """Whether what a JSON file holds is tasks of Label Studio."""
    first = document[0] if isinstance(document, list) and document else document
    return isinstance(first, dict) and (_is_whole(first) or _is_flat(first) or _is_stored(first))


def _is_whole(record: JsonObject) -> bool:
    return isinstance(record.get("data"), dict) and ("annotations" in record or "completions" in record)


def _is_flat(record: JsonObject) -> bool:
    return "annotation_id" in record and "annotator" in record and "data" not in record


def _is_stored(record: JsonObject) -> bool:
    """Whether it is an annotation as Label Studio puts it into a storage, its task within."""
    task = record.get("task")
    return "result" in record and isinstance(task, dict) and isinstance(task.get("data"), dict)


def read_tasks(path: Path) -> list[Task] | None:
    """The tasks in a file; None for JSON of another kind.

    Raises:
        ToolkitError: it cannot be read, is no JSON, or something in it is not what Label Studio writes.
    """
    document = parse_json(path, _REMEDY)
    if not is_tasks(document):
        return None
    records = document if isinstance(document, list) else [document]
    tasks = [_task(path, number, record) for number, record in enumerate(records)]
    return list(_joined(tasks)) if _is_flat(records[0]) else tasks


def _task(path: Path, number: int, record: Any) -> Task:
    """A record of a file as a task.

    Raises:
        ToolkitError: it is none.
    """
    place = f"{path}: [{number}]"
    if not isinstance(record, dict):
        raise ToolkitError(place, f"is {shown(record)}, no task", _CORRECT)
    if _is_stored(record):
        record = {**record["task"], "annotations": [record]}
    elif _is_flat(record):
        record = _whole(place, record)
    if not _is_whole(record):
        raise ToolkitError(place, "is no task: it has no data, or no annotations", _CORRECT)
    number_or_id = record.get("id")
    told = shown(number_or_id) if isinstance(number_or_id, int | str) else str(number)
    answers: list[Answer] = []
    given = record["annotations"] if "annotations" in record else record["completions"]
    if given is not None and not isinstance(given, list):
        raise ToolkitError(place, f"has the annotations {shown(given)}, no list", _CORRECT)
    skipped = 0
    for at, one in enumerate(given or ()):
        answer = _answer(f"{place}: annotations[{at}]", one)
        skipped += answer is None
        answers += [answer] if answer is not None else []
    predictions = record.get("predictions")
    count = len(predictions) if isinstance(predictions, list) else 0
    return Task(f"{path}: task {told}", told, record["data"], answers, skipped, count)


def _answer(place: str, given: Any) -> Answer | None:
    """An annotation; None for one that was skipped.

    Raises:
        ToolkitError: it is none.
    """
    if not isinstance(given, dict):
        raise ToolkitError(place, f"is {shown(given)}, no annotation", _CORRECT)
    if given.get("was_cancelled") is True or given.get("skipped") is True:
        return None
    results = given.get("result")
    if not isinstance(results, list):
        raise ToolkitError(place, f"has the result {shown(results)}, no list", _CORRECT)
    return Answer(results, _time(given), given.get("ground_truth") is True)


def _time(given: JsonObject) -> int | None:
    """When an annotation was last changed, in microseconds since 1970: a time with its zone, else UTC, or seconds."""
    told = given.get("updated_at") or given.get("created_at")
    number = whole_number(told)
    if number is not None:
        return number * 1_000_000
    try:
        time = datetime.fromisoformat(told.strip()) if isinstance(told, str) else None
        if time is None:
            return None
        return ((time if time.tzinfo else time.replace(tzinfo=UTC)) - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        return None


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _whole(place: str, record: JsonObject) -> JsonObject:
    """A flat record as one of the other kind."""
    names = list(record)
    end = next((at for at, name in enumerate(names) if name in _LAST), len(names))
    start = names.index("id") if "id" in names[:end] else next(_shapes_in(record, names[:end]), end)
    data = {name: record[name] for name in names[:start]}
    whole: JsonObject = {"id": record.get("id"), "data": data, "annotations": []}
    if record.get("annotation_id") is not None:
        results = [one for name in names[start:end] if name != "id" for one in _results(name, record[name])]
        results = _once(results)
        whole["annotations"] = [{"result": results, **{name: record.get(name) for name in _LAST}}]
    return whole


def _shapes_in(record: JsonObject, names: Iterable[str]) -> Iterator[int]:
    """Places of what was annotated, in a record without an id."""
    for at, name in enumerate(names):
        if isinstance(record[name], list) and any(isinstance(one, dict) for one in record[name]):
            yield at


def _results(name: str, value: Any) -> Iterator[JsonObject]:
    """What stands under the name of a control, as results; text alone is the answer of Choices, or of a TextArea."""
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, dict):
            sizes = {side: one[side] for side in ("original_width", "original_height") if side in one}
            kind = next((kind for kind, key in _SIGNS.items() if key in one), "")
            kind = next((key for key in one if key.endswith("labels") or key == "choices"), kind)
            yield {"from_name": name, "type": kind, "value": one, **sizes}
        elif isinstance(one, str):
            yield {"from_name": name, "type": "choices", "value": {"choices": [one]}}
        else:
            yield {"from_name": name, "type": "rating", "value": {}}


_SIGNS = {"brush": "rle", "ellipse": "radiusX", "polygon": "points", "rectangle": "width"}
"""Shapes, and what is told of each alone; where several fit, the first."""


def _once(results: list[JsonObject]) -> list[JsonObject]:
    """Results without those that another repeats with its class, as where labels are a control of their own."""
    labelled = [_geometry(one) for one in results if one["type"].endswith("labels")]
    return [one for one in results if one["type"] not in _SIGNS or _geometry(one) not in labelled]


def _geometry(result: JsonObject) -> JsonObject:
    return {name: told for name, told in result["value"].items() if not name.endswith("labels")}


def _joined(tasks: Iterable[Task]) -> Iterator[Task]:
    """Tasks of a flat file, which has a record for each annotation; those of one task stand under one id."""
    found: dict[str, Task] = {}
    for task in tasks:
        if task.number in found and found[task.number].data == task.data:
            found[task.number].answers.extend(task.answers)
        elif task.number in found:
            raise ToolkitError(task.place, "there are two tasks of this id, and other data", "give each its own")
        else:
            found[task.number] = task
    yield from found.values()


def chosen(task: Task) -> Answer | None:
    """The annotation that counts: the ground truth, else the latest; None where there is none.

    Raises:
        ToolkitError: several may count, and of one nothing tells when it was changed, while of others something does.
    """
    marked = [one for one in task.answers if one.truth] or task.answers
    times = [one.updated for one in marked if one.updated is not None]
    if times and len(times) < len(marked):
        problem = "has several annotations, and not of each a time tells when it was changed (updated_at)"
        raise ToolkitError(task.place, problem, "mark one as the ground truth, or remove the others")
    return sorted(marked, key=lambda one: one.updated or 0)[-1] if marked else None
