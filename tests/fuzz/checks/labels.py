"""Damaged label trees of every format, their manifests and images, and split files, through the public functions."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import NamedTuple

from converters import convert, diff, read_labels, verify
from tests.fuzz.check import Check
from tests.fuzz.judge import Judge, Save
from tests.fuzz.making.trees import FORMATS, copy_tree, make_dataset, make_trees
from tests.fuzz.mutations import damage_file, damage_text, mutate
from toolkit import Dataset, load_dataset, read_split

_TEXTS = (".json", ".txt", ".yaml", ".csv", ".xml")
_SPLIT_LINES = (
    *('"', '"a', "a,b,c", "," * 500, "x" * 200_000 + ",train", "\0,train", '"' + "x" * 140_000 + '",train', "#"),
    *("é,train", "# strategy=uniform samples=²", "# samples=" + "9" * 5000 + " strategy=uniform", ",", "a,"),
)
_SAMPLES = ("²", "9" * 5000, "-1", "1.5", "٣", "nan", "")


class World(NamedTuple):
    home: Path
    trees: dict[str, Path]
    dataset: Dataset


class _Tree(NamedTuple):
    """A damaged tree."""

    root: Path
    what: str
    save: Save


def prepare(home: Path) -> World:
    root = make_dataset(home / "data")
    return World(home, make_trees(home, root), load_dataset(root))


def attempt(world: World, judge: Judge, rng: random.Random) -> None:
    if rng.random() < 0.06:
        _split(world, judge, rng)
        return
    tree = _damaged(world, rng)

    def read() -> int:
        return sum(len(image.instances) for image in read_labels(tree.root))

    judge.run(read, f"read_labels {tree.what}", tree.save)
    if rng.random() < 0.3:
        against = world.dataset if rng.random() < 0.7 else None
        judge.run(lambda: verify(tree.root, against=against), f"verify {tree.what}", tree.save)
    if rng.random() < 0.35:
        _convert(world, judge, rng, tree)
    if rng.random() < 0.1:
        sound = world.trees["coco"]
        judge.run(lambda: diff(tree.root, sound), f"diff {tree.what}", tree.save)


def _damaged(world: World, rng: random.Random) -> _Tree:
    name = rng.choice(sorted(world.trees))
    root = copy_tree(world.trees[name], world.home / "now")
    files = sorted(path for path in root.rglob("*") if path.is_file())
    texts = [path for path in files if path.suffix in _TEXTS]
    pictures = [path for path in files if path.suffix == ".png"]
    victims = [rng.choice(texts if texts and (rng.random() < 0.93 or not pictures) else pictures)]
    if texts and rng.random() < 0.1:
        victims.append(rng.choice(texts))
    for victim in dict.fromkeys(victims):
        damage_file(rng, victim)

    def save(where: Path) -> None:
        shutil.copytree(root, where, dirs_exist_ok=True)

    kind = name.removesuffix(" of another tool").removesuffix(" without images")
    place = victims[0].relative_to(root).as_posix()
    return _Tree(root, f"{kind} {victims[0].suffix}: {name} {place}", save)


def _convert(world: World, judge: Judge, rng: random.Random, tree: _Tree) -> None:
    """What an error leaves behind, and whether what was written passes its own proof."""
    out = world.home / "out"
    shutil.rmtree(out, ignore_errors=True)
    formats = rng.sample(FORMATS[:-1], 2)
    mode = "fail" if rng.random() < 0.5 else "skip"
    done = judge.run(
        lambda: convert(tree.root, out, formats, on_problem=mode, images="none"),
        f"convert {tree.what} to {', '.join(formats)}",
        tree.save,
    )
    left = sorted(path.name for path in out.iterdir()) if out.exists() else []
    if done.status != "ok" and left:
        judge.find("an error leaves something behind", f"{left} {tree.what}", tree.save)
    if done.status != "ok":
        return
    if left != sorted(formats):
        judge.find("other folders than the formats asked for", f"{left} {tree.what}", tree.save)
    if mode == "fail" and rng.random() < 0.5:
        told = judge.run(lambda: verify(out, against=tree.root), f"verify after convert {tree.what}", tree.save)
        if told.status == "ok" and not told.value.passed:
            kind = tree.what.split(":")[0]
            judge.find(f"convert succeeds, verify fails: {kind}", f"{told.value.failures[:2]} {tree.what}", tree.save)


def _split(world: World, judge: Judge, rng: random.Random) -> None:
    rows = [f"{sample.key},{rng.choice(('train', 'val', 'test'))}" for sample in world.dataset]
    lines = [f"# strategy=stratified seed=0 samples={len(rows)}", "key,subset", *rows]
    way = rng.randrange(4)
    if way == 0:
        lines[rng.randrange(len(lines))] = rng.choice(_SPLIT_LINES)
    elif way == 1:
        lines[0] = f"# strategy=uniform samples={rng.choice(_SAMPLES)}"
    data = "\n".join(lines).encode("utf-8", "surrogatepass")
    if way == 2:
        data = mutate(rng, data)
    elif way == 3:
        data = damage_text(rng, data)
    path = world.home / "split.csv"
    path.write_bytes(data)

    def save(where: Path) -> None:
        where.with_suffix(".csv").write_bytes(data)

    judge.run(lambda: read_split(path, world.dataset), f"read_split: {data[:60]!r}", save)


CHECK = Check(count=6000, prepare=prepare, attempt=attempt)
