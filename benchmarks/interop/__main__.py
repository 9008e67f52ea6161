"""`python -m benchmarks.interop [MVTEC_PRODUCT] --python build/interop/bin/python`: the matrix of programs and formats.

First what other programs see of the trees that are written here; then what is read here of the trees that they write.
A program is run by the Python of an environment that has it, so that it is no dependency of ours. An image is exact
where each class is seen on the pixels that the dataset's masks have of it, and on no other; of boxes where all are.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.interop.exporters import EXPORTERS
from benchmarks.interop.judges import JUDGES
from benchmarks.timing import environment
from converters import convert, read_labels
from converters.formats.base import Settings
from converters.sources import open_source
from toolkit.aliases import BoolArray
from toolkit.errors import ToolkitError
from toolkit.geometry.labels import LabelledImage
from toolkit.synthetic.product import write_product

_HEADER = """
| program | {} | images | classes | objects | exact | mean IoU | |
|---|---|---|---|---|---|---|---|"""
_FOLDER = Path(__file__).parent
_OPTIONS = {"coco": {"segmentation": "rle"}, "panoptic": {"panoptic_layout": "coco"}}
"""How trees are written for programs that need it so."""

_QUIET = {
    "FIFTYONE_DO_NOT_TRACK": "1",
    "YOLO_OFFLINE": "1",
    "YOLO_AUTOINSTALL": "0",
    "YOLO_VERBOSE": "False",
}


class Object(NamedTuple):
    """Something seen: its class, and its pixels, bool (height, width), or its box."""

    label: str
    mask: BoolArray | None
    box: tuple[float, float, float, float] | None


class Row(NamedTuple):
    """One program with one format: images, classes, objects and exact images, each seen and true; the mean IoU."""

    tool: str
    kind: str
    images: str = "-"
    classes: str = "-"
    objects: str = "-"
    exact: str = "-"
    iou: str = "-"
    problem: str = ""

    def line(self) -> str:
        """As a row of a table in Markdown."""
        return "| " + " | ".join([*self[:7], self.problem or ""]).rstrip() + " |"


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.interop", description=__doc__)
    parser.add_argument("product", nargs="?", type=Path, help="an MVTec product; by default the embedded one")
    parser.add_argument("--python", type=Path, default=Path(sys.executable), help="of an environment with the programs")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        data = told.product or write_product(home / "data", per_class=4, train_good=4)
        print(environment("defectkit", "supervision", "ultralytics", "pycocotools"), end="; ")
        print(_versions(told.python))
        truth = dict(_truth(Path(data)))
        print(_HEADER.format("opens"))
        for tool, kind in JUDGES:
            print(_seen_by(tool, kind, Path(data), home, truth, told.python).line(), flush=True)
        print(_HEADER.format("writes"))
        for tool, kind in EXPORTERS:
            print(_written_by(tool, kind, Path(data), home, truth, told.python).line(), flush=True)


def _versions(python: Path) -> str:
    names = ["datumaro", "fiftyone", "labelme", "label-studio-sdk", "supervision"]
    code = f"from importlib.metadata import version\nprint(', '.join(n + ' ' + version(n) for n in {names}))"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "the other programs are not installed"


def _truth(data: Path) -> Iterator[tuple[str, list[Object]]]:
    """Key -> objects of the dataset, for the images that show a defect or are good."""
    source = open_source(data)
    settings = Settings(classes=tuple(source.classes()))
    for member in source.members:
        yield member.sample.key, _objects(member.read(settings).image)


def _objects(image: LabelledImage) -> list[Object]:
    size = image.height, image.width
    found = []
    for one in image.instances:
        mask = None
        if one.mask is not None:
            mask = np.zeros(size, np.bool_)
            x0, y0, x1, y1 = one.window
            mask[y0:y1, x0:x1] = one.region
        found.append(Object(one.label, mask, one.bbox))
    return found


def _seen_by(tool: str, kind: str, data: Path, home: Path, truth: dict[str, list[Object]], python: Path) -> Row:
    """What a program makes of a tree of ours."""
    out = home / "ours" / kind
    try:
        if not (out / kind).exists():
            convert(data, out, [kind], split=_split(data), images="copy", **_OPTIONS.get(kind, {}))  # type: ignore[arg-type]
    except ToolkitError as error:
        return Row(tool, kind, problem=f"not written: {str(error)[:100]}")
    tree = out / kind
    if kind == "masks":
        tree = next(path for path in tree.iterdir() if path.is_dir())
    answer = home / "seen.npz"
    failure = _run(python, "judges.py", tool, kind, str(tree), str(answer))
    if failure:
        return Row(tool, kind, problem=failure)
    held = np.load(answer)
    seen = {}
    for name, objects in json.loads(str(held["index"])).items():
        seen[_key(Path(name).stem, truth)] = [
            Object(one["label"], _mask(held, one), tuple(one["box"]) if one["box"] else None) for one in objects
        ]
    return _compared(tool, kind, seen, truth, boxes=kind in ("yolo-detect",) or (tool, kind) in _BOXES)


def _split(data: Path) -> dict[str, str]:
    """Three subsets in turn: small products have classes that no share of them would reach."""
    turns = ("train", "train", "train", "val", "test")
    keys = [sample.key for sample in open_source(data).dataset]
    return {key: turns[number % len(turns)] for number, key in enumerate(keys)}


_BOXES = {("supervision", "voc"), ("fiftyone", "voc")}
"""What is looked at as boxes alone."""


def _mask(held: dict[str, BoolArray], one: dict[str, object]) -> BoolArray | None:
    if "mask" not in one:
        return None
    height, width = one["size"]  # type: ignore[misc]
    return np.unpackbits(held[str(one["mask"])], count=height * width).reshape(height, width).view(np.bool_)


def _key(stem: str, truth: dict[str, list[Object]]) -> str:
    """The key of an image by the name of its file."""
    from toolkit.dataset.keys import key_of_file_name

    return key_of_file_name(stem) if stem not in truth else stem


def _run(python: Path, script: str, *words: str) -> str:
    """The last line of what went wrong; nothing if it went well."""
    done = subprocess.run(
        [python, _FOLDER / script, *words], capture_output=True, text=True, env={**os.environ, **_QUIET}, check=False
    )
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return (lines[-1] if lines else f"exit status {done.returncode}")[:100] if done.returncode else ""


def _written_by(tool: str, kind: str, data: Path, home: Path, truth: dict[str, list[Object]], python: Path) -> Row:
    """What is read here of a tree that a program wrote."""
    several = tool == "datumaro"  # the others know no subsets, or one
    ours = home / ("several" if several else "one")
    if not ours.exists():
        split = _split(data) if several else dict.fromkeys(truth, "train")
        convert(data, ours, ["coco"], split=split, images="copy", segmentation="rle")
    out = home / "theirs" / f"{tool}-{kind}"
    with_it = Path(sys.executable) if tool == "ultralytics" else python
    failure = _run(with_it, "exporters.py", tool, kind, str(ours / "coco"), str(out))
    if failure:
        return Row(tool, kind, problem=f"it fails: {failure}")
    try:
        tree = read_labels(out)
        seen = {_key(Path(image.path or image.key).stem, truth): _objects(image) for image in tree}
    except ToolkitError as error:
        return Row(tool, kind, problem=f"refused: {str(error).replace(str(home), '')}"[:160])
    only_boxes = not any(one.mask is not None for objects in seen.values() for one in objects)
    return _compared(tool, kind, seen, truth, boxes=only_boxes)


def _compared(
    tool: str, kind: str, seen: dict[str, list[Object]], truth: dict[str, list[Object]], *, boxes: bool
) -> Row:
    defects = {key: objects for key, objects in truth.items() if objects}
    images = f"{len(seen.keys() & truth.keys())} of {len(truth)}"
    labels = {one.label for objects in truth.values() for one in objects}
    found = {one.label for objects in seen.values() for one in objects}
    count = sum(len(objects) for objects in seen.values())
    total = sum(len(objects) for objects in truth.values())
    measure = _box_iou if boxes else _iou
    ious = [measure(seen.get(key, []), objects) for key, objects in defects.items()]
    extra = sum(bool(objects) and not truth.get(key) for key, objects in seen.items())
    exact = f"{sum(iou == 1 for iou in ious)} of {len(ious)}" + (f", {extra} that are good" if extra else "")
    return Row(
        tool,
        kind,
        images,
        f"{len(found & labels)} of {len(labels)}" + (f" and {len(found - labels)} more" if found - labels else ""),
        f"{count} of {total}",
        exact + (" (boxes)" if boxes else ""),
        f"{np.mean(ious):.4f}",
    )


def _iou(seen: list[Object], true: list[Object]) -> float:
    """Pixels of the same class over all."""
    labels = {one.label for one in (*seen, *true)}
    both = either = 0
    for label in labels:
        a, b = (_union(objects, label) for objects in (seen, true))
        if a is None or b is None:
            either += int(np.count_nonzero(a if b is None else b)) if a is not b else 0
            continue
        both += int(np.count_nonzero(a & b))
        either += int(np.count_nonzero(a | b))
    return both / either if either else 1.0


def _union(objects: list[Object], label: str) -> BoolArray | None:
    masks = [one.mask for one in objects if one.label == label and one.mask is not None]
    return np.logical_or.reduce(masks) if masks else None


def _box_iou(seen: list[Object], true: list[Object]) -> float:
    """Mean over the true boxes of the best IoU with one of the same class; sides within a hundredth are the same."""
    ious = []
    for one in true:
        boxes = [two.box for two in seen if two.label == one.label and two.box is not None]
        ious.append(max((_one_box_iou(one.box, box) for box in boxes if one.box is not None), default=0.0))
    return float(np.mean(ious)) if len(seen) == len(true) else min(float(np.mean(ious)), 0.9999)


def _one_box_iou(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    if max(abs(p - q) for p, q in zip(a, b, strict=True)) < 0.01:
        return 1.0
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    both = max(w, 0.0) * max(h, 0.0)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


if __name__ == "__main__":
    main()
