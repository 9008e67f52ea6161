"""LabelMe files and what labelme2voc makes of them, damaged: read, converted and verified."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np

from converters.formats.labelme.drawing import encode_mask
from tests.commands import save
from tests.fuzz.check import Check
from tests.fuzz.checks.formats.road import go_the_road
from tests.fuzz.judge import Judge
from tests.fuzz.making.trees import HEIGHT, WIDTH, picture
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
    sound = roots["files" if rng.random() < 0.75 else "maps"]
    go_the_road(
        sound,
        roots["files"].parents[1],
        _damage,
        ("labelme", ("coco", "semantic", "yolo-segment", "panoptic")),
        judge,
        rng,
    )


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
