"""CVAT's XML files, damaged: read, converted and verified."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

from converters import convert
from tests.commands import save
from tests.converters.formats.cvat.stand_ins import box, document, image, polygon, shape, tag
from tests.fuzz.check import Check
from tests.fuzz.checks.formats.road import go_the_road
from tests.fuzz.judge import Judge
from tests.fuzz.making.trees import HEIGHT, WIDTH, picture
from tests.fuzz.mutations import damage_file

_VALUES = (
    *("", "-1", "0", "1e308", "nan", "inf", "1_0", "٣", "true", "9" * 400, "999999", "1.5", " ", "a.png", "../../x"),
    *("0, 5", "1,1;2", ";", ",", "0," * 50, "2147483648", "good", "\u2028", "&#10;", "90", "45.5", "C:\\a.png"),
)
_VALUE = re.compile(r"""(?<==)(["'])[^"'<>]*\1""")


def _shape(rng: random.Random) -> str:
    x, y = rng.randrange(WIDTH - 6), rng.randrange(HEIGHT - 6)
    label, group, depth = rng.choice(("dent", "dent", "rust")), rng.choice((0, 0, 1)), rng.randrange(-1, 3)
    told: dict[str, Any] = {"label": label, "group_id": group, "z_order": depth, "inner": {"deep": "yes"}}
    ring = [(rng.uniform(-5, WIDTH + 5), rng.uniform(-5, HEIGHT + 5)) for _ in range(rng.randrange(2, 7))]
    ways = (
        lambda: box(x, y, x + 4.5, y + 3, rotation=rng.choice((0, 90, 33.5)), **told),
        lambda: polygon(*ring, **told),
        lambda: shape("mask", rle="1, 3, 2, 4, 2", left=x, top=y, width=4, height=3, **told),
        lambda: shape("ellipse", cx=x, cy=y, rx=4.4, ry=2, rotation=rng.choice((0, 20)), **told),
        lambda: shape("polyline", points="1,1;5,5", **told),
        lambda: tag(rng.choice(("dent", "good"))),
    )
    return rng.choice(ways)()


def _text(rng: random.Random) -> str:
    images = [
        image(f"{number}.png", *(_shape(rng) for _ in range(rng.randrange(6))), number=number, size=(WIDTH, HEIGHT))
        for number in range(3)
    ]
    return document(*images, subset=rng.choice(("", "Train", "default")))


def prepare(home: Path) -> dict[str, Path]:
    drawn = home / "sound/drawn"
    for number in range(4):
        save(drawn / f"images/{number}.png", picture(number))
    images = [
        image(f"{number}.png", box(1, 1, 5, 5), polygon((1, 1), (9, 1), (9, 9)), number=number, size=(WIDTH, HEIGHT))
        for number in range(3)
    ]
    (drawn / "annotations.xml").write_text(document(*images))
    convert(drawn, home / "sound/ours", ["cvat"], images="copy")
    return {"drawn": drawn, "ours": home / "sound/ours/cvat"}


def attempt(roots: dict[str, Path], judge: Judge, rng: random.Random) -> None:
    sound = roots["drawn" if rng.random() < 0.75 else "ours"]
    go_the_road(
        sound, roots["drawn"].parents[1], _damage, ("cvat", ("coco", "semantic", "yolo-segment", "voc")), judge, rng
    )


def _damage(rng: random.Random, root: Path) -> str:
    """Change a value in the file, or its bytes; or all of its shapes."""
    victim = next(iter(sorted(root.glob("*.xml"))))
    way = rng.random()
    if way < 0.2:
        damage_file(rng, rng.choice([victim, *sorted(root.rglob("*.png"))]) if way < 0.05 else victim)
        return "of damaged bytes"
    if way < 0.6:
        victim.write_text(_text(rng), encoding="utf-8")
        return "of other shapes"
    text = victim.read_text(encoding="utf-8")
    place = rng.choice(list(_VALUE.finditer(text)))
    value = rng.choice(_VALUES)
    victim.write_text(f'{text[: place.start()]}"{value}"{text[place.end() :]}', encoding="utf-8")
    return "of a swapped value"


CHECK = Check(count=400, prepare=prepare, attempt=attempt)
