"""The files around the images: the page, its script and style, the index that it filters, the marks of its tiles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import orjson

from toolkit import __version__
from toolkit.aliases import JsonObject
from toolkit.gallery.items import LAYERS, GalleryPage

__all__ = ["CHUNK", "write_pages"]

_Json = JsonObject
_Columns = dict[str, list[Any]]

CHUNK = 25
"""Images whose marks lie in one file."""

_SCRIPTS = (
    *("store.js", "state.js", "marks.js", "decisions.js", "filters.js", "grid.js"),
    *("stage.js", "review.js", "viewer.js", "main.js"),
)

_TEMPLATES = {"index.html": "template.html", "map.html": "map.html"}


def write_pages(built: Path, lines: Path, page: GalleryPage, totals: tuple[int, int], mark: str) -> _Json:
    """Write all that is not of a single image.

    Args:
        built: the gallery's folder, with its images.
        lines: a row of JSON for each image, as rendering gives it.
        page: what stands around the images.
        totals: images that there are, and the instances in those that are not shown.
        mark: tells this gallery from others, for decisions on it.

    Returns:
        what the manifest says.
    """
    names = _Names(page.classes)
    columns: _Columns = {name: [] for name in (*_PLAIN, "subset", "product", "classes")}
    problems: dict[int, list[str]] = {}
    places: list[list[float] | None] = []
    for chunk, rows in enumerate(_chunks(lines)):
        tiles = []
        for row in rows:
            for name in _PLAIN:
                columns[name].append(row[name])
            for name in ("subset", "product"):
                columns[name].append(names.of(name, row[name]))
            places.append(row["place"])
            columns["classes"].append([names.of("classes", label) for label in row["classes"]])
            if row["problems"]:
                problems[len(columns["key"]) - 1] = row["problems"]
            tiles.append(_numbered(row["tile"], names))
        data = b"defectkit.tiles(%d,%b);\n" % (chunk, orjson.dumps(tiles))
        (built / "data" / f"tiles-{chunk:04}.js").write_bytes(data)
    told = _told(columns, problems, totals) | {"input_sha256": mark} | ({"shows": page.shows} if page.shows else {})
    told |= {"mapped": sum(place is not None for place in places)}
    index = _index(page, names.lists, columns, told) | {"problems": sorted(problems.items())}
    (built / "data" / "index.js").write_bytes(b"defectkit.index(%b);\n" % orjson.dumps(index))
    _write_assets(built, page, told)
    if told["mapped"]:
        _write_map(built, page, told, columns["key"], places)
    return told


def _index(page: GalleryPage, names: Mapping[str, Sequence[str]], columns: _Columns, told: _Json) -> _Json:
    """What the page reads at once."""
    return {
        "gallery": told["input_sha256"],
        "words": page.words,
        "compared": page.compared,
        "reviewable": bool(page.shows),
        "shapes": page.shapes,
        "layers": [[name, page.layers.get(name, "")] for name in LAYERS],
        "classes": names["classes"],
        "colours": _colours(len(page.classes)),
        "subsets": names["subset"],
        "products": names["product"],
        "chunk": CHUNK,
        "found": [told["images_found"], told["instances_found"]],
        "columns": columns,
    }


_PLAIN = ("key", "instances", "area", "size", "iou", "doubt", "suspect", "image")


class _Names:
    """Numbers for names, in the order in which they come; classes that have a colour come first."""

    def __init__(self, classes: Sequence[str]) -> None:
        self.lists: dict[str, list[str]] = {"classes": list(classes), "subset": [], "product": []}
        self._numbers = {name: {text: place for place, text in enumerate(texts)} for name, texts in self.lists.items()}

    def of(self, name: str, text: str) -> int:
        """Number of a name in one of the lists."""
        numbers = self._numbers[name]
        if text not in numbers:
            numbers[text] = len(numbers)
            self.lists[name].append(text)
        return numbers[text]


def _chunks(lines: Path) -> Iterator[list[_Json]]:
    rows = []
    with open(lines, "rb") as file:
        for line in file:
            rows.append(orjson.loads(line))
            if len(rows) == CHUNK:
                yield rows
                rows = []
    if rows:
        yield rows


def _numbered(tile: _Json, names: _Names) -> _Json:
    """A tile's marks with the number of their class."""
    numbered = {
        part: [{**mark, "class": names.of("classes", mark["class"])} for mark in tile[part]]
        for part in ("marks", "renamed")
        if tile.get(part)
    }
    return {**tile, **numbered}


def _colours(count: int) -> list[str]:
    from toolkit.plotting.overlays import class_colour

    return ["#{:02x}{:02x}{:02x}".format(*class_colour(place)) for place in range(count)]


def _told(columns: _Columns, problems: dict[int, list[str]], totals: tuple[int, int]) -> _Json:
    instances = sum(columns["instances"])
    compared = [iou for iou in columns["iou"] if iou is not None]
    return {
        "tool": "defectkit",
        "version": __version__,
        "format": "gallery",
        "images": len(columns["key"]),
        "images_found": totals[0],
        "instances": instances,
        "instances_found": instances + totals[1],
        "problems": len(problems),
        "min_iou": min(compared, default=None),
        "suspicious": any(score is not None for score in columns["suspect"]),
        "doubtful": any(doubt is not None for doubt in columns["doubt"]),
    }


def _write_map(
    built: Path, page: GalleryPage, told: _Json, keys: Sequence[str], places: Sequence[list[float] | None]
) -> None:
    """A page on which each image is a point."""
    positions = {key: place for place, key in enumerate(keys)}
    sets = [[positions[key] for key in alike if key in positions] for alike in page.alike]
    data = {"places": places, "alike": [one for one in sets if len(one) > 1]}
    (built / "data" / "map.js").write_bytes(b"defectkit.map(%b);\n" % orjson.dumps(data))
    _write_page(built, "map.html", page, told, ("map.css", "map.js"))


def _write_assets(built: Path, page: GalleryPage, told: _Json) -> None:
    """The page and what it loads at once."""
    _write_page(built, "index.html", page, told, ("gallery.css", *_SCRIPTS, "icon.svg"))


def _write_page(built: Path, name: str, page: GalleryPage, told: _Json, assets: Sequence[str]) -> None:
    """A page, and files that it loads."""
    from jinja2 import Environment, StrictUndefined

    home = resources.files("toolkit.gallery")
    for asset in assets:
        (built / "assets" / asset).write_bytes((home / "assets" / asset).read_bytes())
    template = (home / _TEMPLATES[name]).read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    text = environment.from_string(template).render(words=page.words, told=told, scripts=_SCRIPTS)
    (built / name).write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
