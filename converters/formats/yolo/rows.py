"""Rows of YOLO label files: boxes, polygons, boxes with keypoints; what trainers refuse is refused.

What a row's numbers are in pixels is said here, for those who write rows, read them and check them. Boxes and oriented
boxes are taken in double precision, polygons in single precision, as ultralytics fills them.
"""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from toolkit.aliases import FloatArray
from toolkit.errors import ToolkitError
from toolkit.geometry.labels import Box

__all__ = [
    "LabelFile",
    "Row",
    "RowCounts",
    "RowForm",
    "count_rows",
    "looks_like_row",
    "out_of_bounds",
    "parse_rows",
    "pixel_box",
    "pixel_corners",
    "pixel_points",
    "row_values",
]


class RowForm(NamedTuple):
    """What a tree says of its rows.

    Attributes:
        names_file: name of the file that names the classes.
        keypoint_columns: columns of keypoints after each box; 0 where there are none.
        ours: whether we wrote it: no row of ours stands twice, so that one that does is damage to be found.
    """

    names_file: str = "data.yaml"
    keypoint_columns: int = 0
    ours: bool = False


class LabelFile(NamedTuple):
    """A label file, which need not be there, and what its tree says of its rows."""

    path: str
    form: RowForm = RowForm()


class Row(NamedTuple):
    """One row of a label file.

    Attributes:
        class_id: number of its class.
        values: float64 shares of width and height: centre and size of a box (4), or x and y in turn (6 or more).
        line: number of its line, from 1.
    """

    class_id: int
    values: npt.NDArray[np.float64]
    line: int


class RowCounts(NamedTuple):
    """What a label file holds, as far as the number of its columns tells.

    Attributes:
        ids: class ids, sorted.
        boxes, polygons: rows of each, boxes with keypoints among the boxes.
        quads: those of the polygons that have four corners.
        posed: those of the boxes that have keypoints.
        repeated: rows that stand there a second time.
        rows: all of them, whatever they are.
    """

    ids: tuple[int, ...] = ()
    boxes: int = 0
    polygons: int = 0
    quads: int = 0
    posed: int = 0
    repeated: int = 0
    rows: int = 0


def count_rows(label: LabelFile) -> RowCounts:
    """Take a label file's rows as they are; what is wrong with them is reported when the labels are loaded."""
    try:
        text = Path(label.path).read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return RowCounts()
    ids: set[int] = set()
    seen: set[Hashable] = set()
    columns = []
    repeated = 0
    for _, words in _rows_of(text):
        ids.update(_some_id(words[0]))
        key = _identity(words)
        repeated += key in seen
        if key not in seen:
            columns.append(len(words))
        seen.add(key)
    posed = columns.count(5 + label.form.keypoint_columns) if label.form.keypoint_columns else 0
    polygons = 0 if label.form.keypoint_columns else sum(count > 6 and count % 2 == 1 for count in columns)
    boxes = columns.count(5) + posed
    return RowCounts(tuple(sorted(ids)), boxes, polygons, columns.count(9), posed, repeated, len(columns) + repeated)


def _rows_of(text: str) -> Iterator[tuple[int, list[str]]]:
    """Number and words of each line that is not blank."""
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if words:
            yield number, words


def _some_id(word: str) -> tuple[int, ...]:
    try:
        return (_whole(word),)
    except (ValueError, OverflowError):
        return ()


_SHORT = 9  # columns up to which rows are compared as numbers: boxes, and four corners


def _identity(words: Sequence[str]) -> Hashable:
    """What two rows have in common that ultralytics takes for one: it compares numbers of single precision."""
    if len(words) <= _SHORT:
        try:
            return array("f", map(float, words)).tobytes()
        except (ValueError, OverflowError):
            pass
    return tuple(words)


def looks_like_row(text: str) -> bool:
    """Whether the first line of a file that is not blank could be a row: a class id and shares of the image."""
    _, words = next(_rows_of(text), (0, []))
    try:
        values = [float(word) for word in words[:5]]
    except ValueError:
        return False
    return len(values) == 5 and values[0] >= 0 and values[0].is_integer() and max(values[1:]) <= float(_MOST)


def parse_rows(label: LabelFile, names: dict[int, str]) -> list[Row]:
    """The rows of a label file; one that is not there holds none. Other tools' rows count once, as in ultralytics.

    Raises:
        ToolkitError: a row is not numbers, has the wrong length, a class without a name, or coordinates that are not
            shares of the image.
    """
    path = Path(label.path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise ToolkitError(path, f"cannot be read ({error})", "replace it") from error
    found: list[Row] = []
    seen: set[Hashable] = set()
    for number, words in _rows_of(text):
        row = _row(words, number, label, names)
        key = _identity(words)
        if label.form.ours or key not in seen:
            found.append(row)
        seen.add(key)
    return found


def _row(words: Sequence[str], number: int, label: LabelFile, names: dict[int, str]) -> Row:
    """One row, checked."""
    place = f"{label.path}:{number}"
    try:
        class_id, values = _whole(words[0]), row_values(words[1:])
    except (ValueError, OverflowError) as error:
        raise ToolkitError(place, "is not a row of numbers", "correct or remove the row") from error
    wrong = _wrong_columns(len(words), label.form.keypoint_columns)
    if wrong is not None:
        raise ToolkitError(place, *wrong)
    if class_id not in names:
        raise ToolkitError(place, f"has class {class_id}, which {label.form.names_file} does not name", "correct it")
    if not np.isfinite(values).all():
        raise ToolkitError(place, "holds numbers that are not finite", "correct or remove the row")
    if label.form.keypoint_columns:
        values = values[:4]
    beyond = out_of_bounds(values)
    if beyond is not None:
        raise ToolkitError(place, *beyond)
    return Row(class_id, values, number)


def _whole(word: str) -> int:
    """A class id; some tools write it as 1.0."""
    number = float(word)
    if not number.is_integer():
        raise ValueError(word)
    return int(number)


_UNSAVED = "remove the last number of the row, or save the predictions without their confidence"


def _wrong_columns(columns: int, keypoints: int) -> tuple[str, str] | None:
    """Problem and remedy where a row has a number of columns that says nothing, or something that is no label."""
    if keypoints:
        if columns in (5, 5 + keypoints):
            return None
        whole = f"a box and keypoints (kpt_shape) are {5 + keypoints}"
        return f"has {columns} columns, where {whole}", "correct the row, or kpt_shape"
    if columns == 5 or (columns > 6 and columns % 2):
        return None
    if columns == 6:
        return "has 6 columns, which are a box and a confidence: a prediction, and no label", _UNSAVED
    if columns > 6:
        what = "an even number, as polygons with a confidence at their end have"
        return f"has {columns} columns, {what}", _UNSAVED
    problem = f"has {columns} columns, which is neither a box (5) nor a polygon (7, 9, ...)"
    return problem, "correct or remove the row"


# The bounds of ultralytics 8.4.190, `data.utils.verify_image_label`: it checks the box of a polygon, not its points.
_MOST, _LEAST = np.float32(1.01), np.float32(-0.01)


def out_of_bounds(values: npt.NDArray[np.float64]) -> tuple[str, str] | None:
    """Problem and remedy where coordinates are not shares of the image, beyond what rounding does to them."""
    if values.min() >= 0 and values.max() <= 1:  # as nearly all are
        return None
    with np.errstate(over="ignore"):  # what is too large for it is above 1 in any case
        shares = values.astype(np.float32)
    if len(shares) != 4:
        points = shares.reshape(-1, 2)
        low, high = points.min(axis=0), points.max(axis=0)
        shares = np.concatenate([(low + high) / 2, high - low])
    if shares.max() > _MOST:
        problem = f"has coordinates above 1: not normalised (the largest is {values.max():g})"
        return problem, "divide x and width by the image's width, y and height by its height"
    if shares.min() < _LEAST or shares[2:].min() < 0:
        return f"has negative coordinates (the least is {values.min():g})", "correct or remove the row"
    return None


def row_values(words: Sequence[str]) -> FloatArray:
    """The numbers of a row behind its class, float64.

    Raises:
        ValueError: one is no number.
    """
    return np.array(words, np.float64)


def pixel_box(values: FloatArray, size: tuple[int, int]) -> Box:
    """Sides x0, y0, x1, y1 in pixels of a row of centre and size, in an image of `size` (width, height)."""
    centre, half = values[:2], values[2:4] / 2
    (x0, y0), (x1, y1) = ((centre - half) * size).tolist(), ((centre + half) * size).tolist()
    return x0, y0, x1, y1


def pixel_corners(values: FloatArray, size: tuple[int, int]) -> FloatArray:
    """Points (K, 2) in pixels of a row of x and y in turn."""
    return np.asarray(values.reshape(-1, 2) * size, np.float64)


def pixel_points(values: npt.NDArray[np.floating], size: int | tuple[int, int]) -> npt.NDArray[np.float32]:
    """Coordinates (..., 2), or those along one side, in pixels and in single precision."""
    return np.asarray(values.astype(np.float32) * np.array(size, np.float32), np.float32)
