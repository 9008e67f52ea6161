"""Trees of Supervisely, VIA and Datumaro, damaged: read, converted and verified."""

from __future__ import annotations

import base64
import csv
import io
import json
import random
import shutil
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from converters import convert, read_labels, verify
from converters.rasterize import compress_rle
from tests.commands import save
from tests.fuzz.check import Check
from tests.fuzz.judge import Judge
from tests.fuzz.making.trees import HEIGHT, WIDTH, copy_tree, picture
from tests.fuzz.mutations import damage_file, swap

_NAMES = ("dent", "rust")


def _ring(rng: random.Random) -> list[list[float]]:
    return [[rng.randint(-5, WIDTH + 5), rng.randint(-5, HEIGHT + 5)] for _ in range(rng.randint(3, 6))]


def _packed() -> str:
    file = io.BytesIO()
    image = Image.fromarray(np.array([[1, 0, 1], [0, 1, 1]], np.uint8))
    image.putpalette([0, 0, 0, 255, 255, 255])
    image.save(file, "PNG", transparency=0)
    return base64.b64encode(zlib.compress(file.getvalue())).decode()


_BITMAP = _packed()


def _thing(rng: random.Random) -> dict[str, Any]:
    """An object of Supervisely's."""
    kind = rng.choice(("bitmap", "polygon", "polygon", "rectangle", "line"))
    told: dict[str, Any] = {"classTitle": rng.choice(_NAMES), "geometryType": kind, "tags": [{"name": "deep"}]}
    if kind == "bitmap":
        return {**told, "bitmap": {"data": _BITMAP, "origin": [rng.randint(-2, 30), 4]}}
    ring = _ring(rng)
    return {**told, "points": {"exterior": ring[:2] if kind == "rectangle" else ring, "interior": [_ring(rng)]}}


def _region(rng: random.Random) -> dict[str, Any]:
    """A region of VIA's."""
    ring = _ring(rng)
    xs, ys = ([point[side] for point in ring] for side in (0, 1))
    shapes: tuple[dict[str, Any], ...] = (
        {"name": "polygon", "all_points_x": xs, "all_points_y": ys},
        {"name": "rect", "x": 3, "y": 4, "width": 9, "height": 5},
        {"name": "ellipse", "cx": 9, "cy": 9, "rx": 4, "ry": 7, "theta": 0.3},
        {"name": "circle", "cx": 20, "cy": 9, "r": 4.5},
        {"name": "point", "cx": 1, "cy": 1},
    )
    return {"shape_attributes": rng.choice(shapes), "region_attributes": {"type": rng.choice(_NAMES)}}


def _annotation(rng: random.Random) -> dict[str, Any]:
    """An annotation of Datumaro's."""
    told: dict[str, Any] = {
        "label_id": rng.randrange(2),
        "group": rng.choice((0, 0, 1)),
        "z_order": rng.randrange(3),
        "attributes": {},
    }
    runs = {"counts": compress_rle([40, 9, HEIGHT * WIDTH - 49], HEIGHT, WIDTH), "size": [HEIGHT, WIDTH]}
    ways: tuple[dict[str, Any], ...] = (
        {"type": "polygon", "points": [value for point in _ring(rng) for value in point]},
        {"type": "bbox", "bbox": [1, 2, 8.5, 9]},
        {"type": "mask", "rle": runs},
        {"type": "ellipse", "points": [3, 3, 12, 9]},
        {"type": "points", "points": [3, 3]},
    )
    return {**told, **rng.choice(ways)}


def _supervisely(root: Path, rng: random.Random) -> None:
    for number in range(4):
        things = [] if number == 3 else [_thing(rng) for _ in range(4)]
        told = {"size": {"height": HEIGHT, "width": WIDTH}, "tags": [{"name": "seen"}], "objects": things}
        save(root / f"train/img/{number}.png", picture(number))
        (root / "train/ann").mkdir(exist_ok=True)
        (root / f"train/ann/{number}.png.json").write_text(json.dumps(told))
    meta = {"classes": [{"title": name, "shape": "any"} for name in _NAMES], "tags": []}
    (root / "meta.json").write_text(json.dumps(meta))


def _via(root: Path, rng: random.Random, *, table: bool = False) -> None:
    images: dict[str, dict[str, Any]] = {}
    for number in range(4):
        save(root / f"{number}.png", picture(number))
        regions = [] if number == 3 else [_region(rng) for _ in range(4)]
        told = {"filename": f"{number}.png", "size": -1, "regions": regions, "file_attributes": {"seen": "yes"}}
        images[f"{number}.png-1"] = told
    if not table:
        whole = {"_via_settings": {"core": {"default_filepath": "./"}}, "_via_img_metadata": images}
        (root / "via.json").write_text(json.dumps(whole))
        return
    with open(root / "via.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["filename", "file_size", "region_shape_attributes", "region_attributes"])
        for one in images.values():
            for region in one["regions"]:
                rows.writerow([one["filename"], -1, *(json.dumps(value) for value in region.values())])


def _datumaro(root: Path, rng: random.Random) -> None:
    items = []
    for number in range(4):
        save(root / f"images/train/{number}.png", picture(number))
        annotations = [] if number == 3 else [_annotation(rng) for _ in range(4)]
        image = {"path": f"{number}.png", "size": [HEIGHT, WIDTH]}
        items.append({"id": str(number), "annotations": annotations, "image": image})
    labels = {"labels": [{"name": name, "parent": "", "attributes": []} for name in _NAMES]}
    (root / "annotations").mkdir()
    told = {"dm_format_version": "1.0", "media_type": 2, "categories": {"label": labels}, "items": items}
    (root / "annotations/train.json").write_text(json.dumps(told))


def prepare(home: Path) -> dict[str, Path]:
    rng = random.Random(7)
    roots = {name: home / "sound" / name for name in ("supervisely", "via", "table", "datumaro")}
    for root in roots.values():
        root.mkdir(parents=True)
    _supervisely(roots["supervisely"], rng)
    _via(roots["via"], rng)
    _via(roots["table"], rng, table=True)
    _datumaro(roots["datumaro"], rng)
    return roots


def attempt(roots: dict[str, Path], judge: Judge, rng: random.Random) -> None:
    name = rng.choice(sorted(roots))
    home = roots[name].parents[1]
    for old in ("now", "out"):
        shutil.rmtree(home / old, ignore_errors=True)
    root = copy_tree(roots[name], home / "now")
    what = f"{_damage(rng, root)}: {name}"

    def keep(where: Path) -> None:
        shutil.copytree(root, where, dirs_exist_ok=True)

    read = judge.run(lambda: _read(root), f"read_labels {what}", keep)
    if read.status != "ok":
        return
    mode: Literal["fail", "skip"] = "fail" if rng.random() < 0.5 else "skip"
    out = home / "out"
    done = judge.run(lambda: convert(root, out, ["coco"], on_problem=mode), f"convert {what}", keep)
    if done.status != "ok":
        if out.exists() and any(out.iterdir()):
            judge.find("an error leaves something behind", f"{sorted(out.iterdir())} {name}", keep)
        return
    told = judge.run(lambda: verify(out, against=root), f"verify {what}", keep)
    if told.status == "ok" and not told.value.passed:
        judge.find(f"convert succeeds, verify fails: {what}", f"{told.value.failures[:2]}", keep)


def _read(root: Path) -> int:
    return sum(len(image.instances) for image in read_labels(root))


def _damage(rng: random.Random, root: Path) -> str:
    """Change a value in a file, or its bytes."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    texts = [path for path in files if path.suffix in (".json", ".csv")]
    victim = rng.choice(texts if rng.random() < 0.95 else files)
    if victim.suffix != ".json" or rng.random() < 0.3:
        damage_file(rng, victim)
        return f"of a damaged {victim.suffix}"
    victim.write_text(json.dumps(swap(rng, json.loads(victim.read_text())), default=str))
    return "of a swapped value"


CHECK = Check(count=400, prepare=prepare, attempt=attempt)
