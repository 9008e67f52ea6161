"""Datasets as they are published, with a damaged table or picture in them; and layout files that somebody mistyped."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import yaml

from converters import convert
from tests.fuzz.check import Check
from tests.fuzz.judge import Judge
from tests.fuzz.making.trees import copy_tree
from tests.fuzz.mutations import damage_file, mutate, swap
from tests.fuzz.values import YAMLS
from tests.toolkit.dataset.layouts.stand_ins import plant
from tests.toolkit.dataset.layouts.trees import STAND_INS
from toolkit import describe_dataset, load_dataset, split_dataset
from toolkit.dataset.layouts.builtins import built_in_names, find_description

_PATTERNS = (
    *(
        "{category}/{category}/{name}.{ext}",
        "{name}{name}.{ext}",
        "{split:(a|a)*b}/{name}.{ext}",
        "**/**/**/{name}.png",
    ),
    *("{", "}", "{}", "{{name}}", "{name", "{name:}", "{name:[}", "{name:(}", "{a:b:c}.{ext}", "{class!r}", "{0}", "["),
    *("", ".", "..", "../{name}.{ext}", "/etc/*", "/{name}", "*", "**", "{name}.{ext}/{name}.{ext}", "a" * 5000, "\0"),
    *("{name:.*}{class:.*}{split:.*}.{ext}", "{name:(x+x+)+y}.{ext}", "images/{name}.{ext}\n", "{ext}.{ext}", "*" * 60),
)


def prepare(home: Path) -> dict[str, Path]:
    roots = {}
    for name, stand_in in STAND_INS.items():
        root = home / "sound" / str(len(roots)) / stand_in.root
        roots[name] = plant(root, stand_in.tree)
    return roots


def attempt(roots: dict[str, Path], judge: Judge, rng: random.Random) -> None:
    name = rng.choice(sorted(roots))
    home = next(iter(roots.values())).parents[2]
    shutil.rmtree(home / "now", ignore_errors=True)
    root = copy_tree(roots[name], home / "now" / roots[name].name)
    layout: Any = None
    if rng.random() < 0.5:
        what = _damage_tree(rng, root)
    else:
        what, layout = _odd_layout(rng, home, STAND_INS[name].layout)

    def save(where: Path) -> None:
        shutil.copytree(root, where, dirs_exist_ok=True)
        if isinstance(layout, Path):
            shutil.copyfile(layout, where.with_suffix(".yaml"))

    loaded = judge.run(lambda: load_dataset(root, layout), f"load_dataset {what}: {name}", save)
    if loaded.status != "ok":
        return
    dataset = loaded.value
    judge.run(lambda: (dataset.classes("defect"), dataset.problems), f"problems {what}: {name}", save)
    if rng.random() < 0.3:
        judge.run(lambda: describe_dataset(dataset), f"describe {what}: {name}", save)
    if rng.random() < 0.3:
        judge.run(lambda: split_dataset(dataset, "stratified"), f"split {what}: {name}", save)
    if rng.random() < 0.3:
        mode = "fail" if rng.random() < 0.5 else "skip"
        out = home / "out"
        shutil.rmtree(out, ignore_errors=True)
        done = judge.run(
            lambda: convert(dataset, out, ["coco", "masks"], on_problem=mode, images="none"),
            f"convert {what}: {name}",
            save,
        )
        if done.status != "ok" and out.exists() and any(out.iterdir()):
            judge.find("an error leaves something behind", f"{sorted(out.iterdir())} {name}", save)


def _damage_tree(rng: random.Random, root: Path) -> str:
    """Damage a file or two, texts rather than pictures; or move one."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    texts = [path for path in files if path.suffix in (".csv", ".json", ".yaml", ".txt", ".mat", ".xml")]
    victim = rng.choice(texts if texts and rng.random() < 0.7 else files)
    way = rng.random()
    if way < 0.1:
        victim.rename(victim.with_name(rng.choice(("0.png", "mask.png", "good.csv", "\n.png", "x" * 200 + ".png"))))
        return "of a renamed file"
    if way < 0.15:
        shutil.rmtree(victim.parent) if victim.parent != root else victim.unlink()
        return "of a missing folder"
    damage_file(rng, victim)
    return f"of a damaged {victim.suffix}"


def _odd_layout(rng: random.Random, home: Path, name: str) -> tuple[str, Any]:
    """A layout file near to that of the dataset, or none at all."""
    known = name if name in built_in_names() else "images-masks"
    path = home / "layout.yaml"
    text = find_description(known).as_yaml()
    way = rng.random()
    if way < 0.15:
        data = rng.choice(YAMLS)
    elif way < 0.3:
        data = mutate(rng, text.encode(), 3)
    else:
        document = swap(rng, yaml.safe_load(text)) if way < 0.65 else yaml.safe_load(text)
        if way >= 0.55 and isinstance(document, dict):
            document[rng.choice(("images", "mask", "exclude", "sign", "unlabelled", "root_name"))] = rng.choice(
                _PATTERNS
            )
        if rng.random() < 0.2:
            return "with a mapping", document
        data = yaml.safe_dump(document, allow_unicode=True).encode("utf-8", "surrogatepass")
    path.write_bytes(data)
    return "with a layout file", path


CHECK = Check(count=3000, prepare=prepare, attempt=attempt)
