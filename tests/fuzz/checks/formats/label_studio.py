"""Tasks of Label Studio, whole and flat, damaged: read, converted and verified."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np

from converters.formats.label_studio.brush import encode_brush
from tests.commands import save
from tests.fuzz.check import Check
from tests.fuzz.checks.formats.road import go_the_road
from tests.fuzz.judge import Judge
from tests.fuzz.making.trees import HEIGHT, WIDTH, picture
from tests.fuzz.mutations import damage_file, mutate, swap

_KINDS = ("rectangle", "rectangle", "polygon", "ellipse", "brush", "keypoint", "choices")


def _value(rng: random.Random, kind: str) -> dict[str, Any]:
    """A shape within the image, or a little beyond."""
    x, y = (rng.uniform(-5, 95) for _ in range(2))
    if kind == "polygon":
        return {"points": [[rng.uniform(-5, 105), rng.uniform(-5, 105)] for _ in range(rng.randrange(2, 7))]}
    if kind == "ellipse":
        return {"x": x, "y": y, "radiusX": rng.uniform(0, 40), "radiusY": rng.uniform(0, 40), "rotation": 30}
    if kind == "brush":
        mask = np.random.default_rng(rng.randrange(9)).random((HEIGHT, WIDTH)) < 0.2
        return {"format": "rle", "rle": list(encode_brush(mask, (0, 0), WIDTH, HEIGHT))}
    return {"x": x, "y": y, "width": rng.uniform(0, 40), "height": 20, "rotation": rng.choice((0, 0, 90, 33.3))}


def _result(rng: random.Random, number: int) -> dict[str, Any]:
    kind = rng.choice(_KINDS)
    told: dict[str, Any] = {"id": f"r{number}", "from_name": "tag", "to_name": "image", "type": f"{kind}labels"}
    told |= {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0}
    if kind == "choices":
        return {**told, "type": kind, "value": {"choices": [rng.choice(("good", "dent"))]}}
    return {**told, "value": {**_value(rng, kind), f"{kind}labels": [rng.choice(("dent", "rust"))]}}


def _task(rng: random.Random, number: int) -> dict[str, Any]:
    results = [_result(rng, place) for place in range(rng.randrange(6))]
    annotation = {"id": number, "result": results, "was_cancelled": False, "updated_at": f"2024-01-0{number + 1}"}
    return {"id": number, "data": {"image": f"/data/upload/1/ab12cd34-{number}.png"}, "annotations": [annotation]}


def _flat(task: dict[str, Any]) -> dict[str, Any]:
    """The same task in JSON_MIN."""
    tags = [{**one["value"], "original_width": WIDTH} for one in task["annotations"][0]["result"]]
    end = {"annotator": 1, "annotation_id": 2, "created_at": "x", "updated_at": "y", "lead_time": 1.5}
    return {**task["data"], "id": task["id"], "tag": tags, **end}


def prepare(home: Path) -> dict[str, Path]:
    rng = random.Random(5)
    roots = {name: home / "sound" / name for name in ("whole", "flat")}
    tasks = [_task(rng, number) for number in range(4)]
    for root in roots.values():
        for number in range(4):
            save(root / f"images/{number}.png", picture(number))
    (roots["whole"] / "project.json").write_text(json.dumps(tasks))
    (roots["flat"] / "project.json").write_text(json.dumps([_flat(task) for task in tasks]))
    return roots


def attempt(roots: dict[str, Path], judge: Judge, rng: random.Random) -> None:
    sound = roots["whole" if rng.random() < 0.75 else "flat"]
    go_the_road(
        sound,
        roots["whole"].parents[1],
        lambda numbers, root: _damage(numbers, root / "project.json"),
        ("label-studio", ("coco", "semantic", "yolo-segment", "voc")),
        judge,
        rng,
    )


def _damage(rng: random.Random, file: Path) -> str:
    """Change a value of a file, the run lengths of a brush, or bytes; or make other tasks."""
    chance = rng.random()
    if chance < 0.15:
        damage_file(rng, file)
        return "of a damaged file"
    told = json.loads(file.read_text())
    if chance < 0.4:
        tasks = [_task(rng, number) for number in range(4)]
        told, what = (tasks if "annotations" in told[0] else [_flat(task) for task in tasks]), "of other regions"
    elif chance < 0.6:
        _damage_brush(rng, told)
        what = "of a damaged brush"
    else:
        told, what = swap(rng, told), "of a swapped value"
    file.unlink()  # it is a hard link
    file.write_text(json.dumps(told, default=str))
    return what


def _damage_brush(rng: random.Random, told: Any) -> None:
    """Damage the bytes of every list under `rle`."""
    for inner in told.values() if isinstance(told, dict) else told if isinstance(told, list) else ():
        if isinstance(inner, dict) and isinstance(inner.get("rle"), list):
            inner["rle"] = list(mutate(rng, bytes(inner["rle"])))
        elif isinstance(inner, dict | list):
            _damage_brush(rng, inner)


CHECK = Check(count=400, prepare=prepare, attempt=attempt)
