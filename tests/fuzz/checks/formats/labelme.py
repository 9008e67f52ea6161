"""LabelMe files and what labelme2voc makes of them, damaged: read, converted and verified."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any, Literal

import numpy as np

from converters import convert, read_labels, verify
from converters.formats.labelme.drawing import encode_mask
from tests.commands import save
from tests.fuzz.check import Check
from tests.fuzz.judge import Judge
from tests.fuzz.making.trees import HEIGHT, WIDTH, copy_tree, picture
from tests.fuzz.mutations import damage_file, swap

_KINDS = ("polygon", "rectangle", "circle", "line", "linestrip", "point", "oriented_rectangle", "mask", None)
_COUNTS = {"point": 1, "polygon": 5, None: 4, "linestrip": 3, "oriented_rectangle": 4}
_MASK = encode_mask(np.array([[True, False, True], [False, True, True]]))


def _shape(rng: random.Random) -> dict[str, Any]:
    kind = rng.choice(_KINDS)
    points: list[Any] = [[rng.uniform(-5, WIDTH + 5), rng.uniform(-5, HEIGHT + 5)] for _ in range(_COUNTS.get(kind, 2))]
    return {
        "label": rng.choice(("dent", "dent", "rust", "_background_", "__ignore__")),
        "points": [[3, 4], [5, 5]] if kind == "mask" else points,
        "shape_type": kind,
        "group_id": rng.choice((None, None, 1)),
        "flags": {"deep": True},
        "mask": _MASK if kind == "mask" else None,
    }


def prepare(home: Path) -> dict[str, Path]:
    rng = random.Random(7)
    files, maps = home / "sound/files", home / "sound/maps"
    for number in range(4):
        save(files / f"{number}.png", picture(number))
        shapes = [] if number == 3 else [_shape(rng) for _ in range(6)]
        told: dict[str, Any] = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": f"{number}.png"}
        told |= {"imageData": None, "imageHeight": HEIGHT, "imageWidth": WIDTH}
        (files / f"{number}.json").write_text(json.dumps(told))
        save(maps / f"JPEGImages/{number}.jpg", picture(number))
        ids = np.zeros((HEIGHT, WIDTH), np.int32)
        ids[4 : 8 + number, 5:20] = number % 3
        for what in ("Class", "Object"):
            (maps / f"Segmentation{what}Npy").mkdir(exist_ok=True)
            np.save(maps / f"Segmentation{what}Npy/{number}.npy", ids)
    (maps / "class_names.txt").write_text("_background_\ndent\nrust\n")
    return {"files": files, "maps": maps}


def attempt(roots: dict[str, Path], judge: Judge, rng: random.Random) -> None:
    name = "files" if rng.random() < 0.75 else "maps"
    home = roots[name].parents[1]
    for old in ("now", "out"):
        shutil.rmtree(home / old, ignore_errors=True)
    root = copy_tree(roots[name], home / "now")
    what = _damage(rng, root)

    def keep(where: Path) -> None:
        shutil.copytree(root, where, dirs_exist_ok=True)

    read = judge.run(lambda: _read(root), f"read_labels {what}: {name}", keep)
    if read.status != "ok":
        return
    wanted = ["labelme", rng.choice(("coco", "semantic", "yolo-segment", "panoptic"))]
    mode: Literal["fail", "skip"] = "fail" if rng.random() < 0.5 else "skip"
    out = home / "out"
    done = judge.run(lambda: convert(root, out, wanted, on_problem=mode), f"convert {what}: {name}", keep)
    if done.status != "ok":
        if out.exists() and any(out.iterdir()):
            judge.find("an error leaves something behind", f"{sorted(out.iterdir())} {name}", keep)
        return
    told = judge.run(lambda: verify(out, against=root), f"verify {what}: {name}", keep)
    if told.status == "ok" and not told.value.passed:
        judge.find(f"convert succeeds, verify fails: {what}", f"{told.value.failures[:2]}", keep)


def _read(root: Path) -> int:
    return sum(len(image.instances) for image in read_labels(root))


def _damage(rng: random.Random, root: Path) -> str:
    """Change a value in a file, or its bytes; or shapes anew."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    texts = [path for path in files if path.suffix in (".json", ".npy", ".txt")]
    victim = rng.choice(texts if rng.random() < 0.9 else files)
    if victim.suffix != ".json" or rng.random() < 0.3:
        damage_file(rng, victim)
        return f"of a damaged {victim.suffix}"
    told = json.loads(victim.read_text())
    if rng.random() < 0.3:
        told["shapes"] = [_shape(rng) for _ in range(rng.randrange(9))]
        what = "of other shapes"
    else:
        told, what = swap(rng, told), "of a swapped value"
    victim.unlink()  # it is a hard link
    victim.write_text(json.dumps(told, default=str))
    return what


CHECK = Check(count=400, prepare=prepare, attempt=attempt)
