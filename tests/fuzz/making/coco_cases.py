"""COCO files by hand: one thing is odd in each, and what should come of it is known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

__all__ = ["HEIGHT", "SECRET", "SOUND", "WIDTH", "CocoCase", "coco_cases"]

WIDTH, HEIGHT = 40, 32
SECRET = b"the private key"
SOUND = ("hole", (8, 7, 12, 14), 28)
"""Label, box and area of the one object, where nothing is wrong with it."""

_POLYGON = [8, 7, 12, 7, 12, 14, 8, 14]
_FAR = (1e5, 1e7, 1e9, 2147483647, 2147483648, 1e308)
Want = Literal["read", "refuse", "any"]


class CocoCase(NamedTuple):
    """An annotation file, and whether the sound object is read from it, or it is refused."""

    name: str
    data: bytes
    want: Want


def _document(images: Any = None, annotations: Any = None, categories: Any = None) -> str:
    told = {
        "images": [_image()] if images is None else images,
        "annotations": [_annotation()] if annotations is None else annotations,
        "categories": [{"id": 1, "name": "hole"}] if categories is None else categories,
    }
    return json.dumps(told)


def _image(number: Any = 1, name: str = "a.png", **more: Any) -> dict[str, Any]:
    return {"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT, **more}


def _annotation(**more: Any) -> dict[str, Any]:
    sound = {"segmentation": [_POLYGON], "bbox": [8, 7, 4, 7], "area": 28, "iscrowd": 0}
    return {"id": 1, "image_id": 1, "category_id": 1, **sound, **more}


def _runs(size: Any, counts: Any) -> list[dict[str, Any]]:
    return [_annotation(segmentation={"size": size, "counts": counts})]


def coco_cases() -> tuple[CocoCase, ...]:
    """All of them."""
    groups = (_files(), _sizes(), _ids(), _polygons(), _run_lengths(), _boxes(), _file_names(), _class_names())
    return tuple(
        CocoCase(name, text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"), want)
        for group in groups
        for name, text, want in group
    )


_Row = tuple[str, str | bytes, Want]


def _files() -> Iterator[_Row]:
    sound = _document()
    yield "sound", sound, "read"
    yield "a byte order mark", "\ufeff" + sound, "read"
    yield "UTF-16", sound.encode("utf-16"), "read"
    yield "an image that is not listed", _document(annotations=[_annotation(image_id=7)]), "refuse"
    yield "no categories", _document(categories=[]), "refuse"
    yield "a key twice, the first empty", sound.replace('"annotations"', '"annotations": [], "annotations"', 1), "any"
    yield "a key twice, the last empty", sound[:-1] + ', "annotations": []}', "refuse"
    yield "nested deeply", '{"images":' + "[" * 100_000 + "]" * 100_000 + ', "annotations": []}', "refuse"
    yield "a crowd of one", _document(annotations=[_annotation(iscrowd=1)]), "any"
    yield "not JSON", "images: []", "refuse"
    yield "a list", "[]", "refuse"


def _sizes() -> Iterator[_Row]:
    for width in (True, 40.7, "40", 1e308, 10**9, 2**31, 2**63):
        yield f"width {width!r}", _document([_image(width=width)]), "any" if width == "40" else "refuse"
    for width in (0, -40):  # as good as missing
        yield f"width {width}", _document([_image(width=width)]), "read"
    yield "sizes of a billion", _document([_image(width=10**9, height=10**9)]), "refuse"
    yield "sizes of another image", _document([_image(width=80, height=64)]), "refuse"
    runs = _runs([2**31, WIDTH], [0, 28])
    yield "run lengths for 2^31 rows", _document([_image(height=2**31)], runs), "refuse"


def _ids() -> Iterator[_Row]:
    hole, one = {"id": 1, "name": "hole"}, {**_annotation()}
    del one["category_id"]
    yield "two images of one id", _document([_image(), _image(1, "b.png")]), "refuse"
    yield "two images of one file", _document([_image(), _image(2)]), "refuse"
    yield "image ids 1 and true", _document([_image(), _image(True, "b.png")]), "refuse"
    yield "two categories of one id", _document(categories=[hole, {"id": 1, "name": "scratch"}]), "refuse"
    twice = [_annotation(), _annotation(id=2, category_id=2)]
    yield "two categories of one name", _document(annotations=twice, categories=[hole, {**hole, "id": 2}]), "any"
    yield "category id true", _document(categories=[{"id": True, "name": "hole"}]), "refuse"
    for value, want in (
        ("1", "any"),
        (1.0, "read"),
        ([1], "refuse"),
        (None, "refuse"),
        (1.5, "refuse"),
        (True, "refuse"),
    ):
        yield f"category_id {value!r}", _document(annotations=[_annotation(category_id=value)]), want  # type: ignore[misc]
    yield "no category_id", _document(annotations=[one]), "refuse"
    yield "no category_id where -1 is one", _document(annotations=[one], categories=[{**hole, "id": -1}]), "refuse"
    for number in (10**18, -1):
        found = [_annotation(category_id=number)]
        yield f"category id {number}", _document(annotations=found, categories=[{**hole, "id": number}]), "read"
    yield "an annotation twice", _document(annotations=[_annotation(), _annotation()]), "any"


def _polygons() -> Iterator[_Row]:
    odd = {
        "of strings": [[str(value) for value in _POLYGON]],
        "of points": [[[8, 7], [12, 7], [12, 14], [8, 14]]],
        "in no list": _POLYGON,
        "of seven numbers": [_POLYGON[:-1]],
        "of nulls": [[None] * 6],
        "of trues": [[True] * 8],
        "of NaN": [[float("nan")] * 8],
        "of infinities": [[float("inf"), 7, 12, 7, 12, 14]],
    }
    for name, value in odd.items():
        yield f"a polygon {name}", _document(annotations=[_annotation(segmentation=value)]), "refuse"
    for far in _FAR:
        one = [_annotation(segmentation=[[8, 7, far, 7, 12, 14, 8, 14]])]
        yield f"a polygon to {far:g}", _document(annotations=one), "any"
        one = [_annotation(segmentation=[[-far, -far, far, -far, far, far, -far, far]])]
        yield f"a polygon around all, {far:g}", _document(annotations=one), "any"


def _run_lengths() -> Iterator[_Row]:
    size, total = [HEIGHT, WIDTH], HEIGHT * WIDTH
    sound = [8 * HEIGHT + 7, 7, *[HEIGHT - 7, 7] * 3]
    yield "run lengths", _document(annotations=_runs(size, [*sound, total - sum(sound)])), "read"
    odd = {
        "that are too few": [5, 10],
        "that are too many": [5, 10, 5000],
        "below 0": [5, -10, total + 5],
        "of floats": [5.0, 10.0],
        "of trues": [True, True],
        "of strings": ["5", str(total - 5)],
        "of 2^32": [2**32, total],
        "of junk": "zzzzzzzzzzzz",
        "cut": "`",
        "with a NUL": "51\0",
        "of other letters": "é",
        "too short": "5:",
        "that are huge": "oooooo0" * 3,
        "of null": None,
    }
    for name, counts in odd.items():
        yield f"run lengths {name}", _document(annotations=_runs(size, counts)), "refuse"
    yield "run lengths of the transposed size", _document(annotations=_runs([WIDTH, HEIGHT], [5, total - 5])), "refuse"
    yield "run lengths of no size", _document(annotations=_runs(None, [5, total - 5])), "refuse"


def _boxes() -> Iterator[_Row]:
    yield "a box alone", _document(annotations=[_annotation(segmentation=[])]), "any"
    odd = {
        "of NaN": [float("nan"), 1, 2, 3],
        "of 1e308": [1e308, 1, 1e308, 3],
        "below 0": [8, 7, -4, -7],
        "of strings": ["8", "7", "4", "7"],
        "of five": [8, 7, 4, 7, 9],
        "far away": [1e7, 1e7, 5, 5],
        "of null": None,
    }
    for name, box in odd.items():
        yield f"a box {name}", _document(annotations=[_annotation(segmentation=[], bbox=box)]), "refuse"
    yield "neither box nor shape", _document(annotations=[{"id": 1, "image_id": 1, "category_id": 1}]), "refuse"
    yield "a sound shape, a box of strings", _document(annotations=[_annotation(bbox=["8", "7", "4", "7"])]), "any"
    yield "a sound shape, a box of lists", _document(annotations=[_annotation(bbox=[[8], 7, 4, 7])]), "any"


def _file_names() -> Iterator[_Row]:
    outside = ("/etc/passwd", "../../secret.png", "../secret.png", "images/train/../../../secret.png", "link.png")
    for name in (*outside, "a\0.png", "", "/", "..", ".", "x" * 5000, "a\nb.png", "..\\secret.png"):
        yield f"file_name {name[:40]!r}", _document([_image(name=name)]), "refuse"
    yield "file_name of half a letter", _document([_image(name="\ud800.png")]), "refuse"
    yield "file_name of a drive", _document([_image(name="C:\\data\\a.png")]), "any"  # found by its own name
    yield "file_name ./a.png", _document([_image(name="./a.png")]), "any"


def _class_names() -> Iterator[_Row]:
    for name in (
        "",
        "../../x",
        "a\0",
        "a\nb",
        "good",
        5,
        "\ud800",
        " hole ",
        "..",
        "x" * 5000,
        "a,b",
        'a"b',
        "a: b #c",
    ):
        yield f"a class {name!r:.40}", _document(categories=[{"id": 1, "name": name}]), "any"
