"""What an error of a split tells the user to do is done, and works, on the command line, and in settings."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from finetune.classifier.config import ClassifierConfig
from finetune.engine.config import load_config
from finetune.engine.splits import open_examples
from tests.commands import defectkit
from toolkit import load_dataset
from toolkit.dataset.splits import read_split
from toolkit.errors import ToolkitError

CLASSES: dict[str, dict[str, int]] = {
    "one and two": {"good": 6, "rare": 1, "two": 2, "many": 8},
    "one": {"good": 6, "rare": 1, "many": 8},
    "two": {"good": 6, "two": 2, "many": 8},
    "all small": {"good": 2, "few": 2},
    "all of one": {"good": 1, "rare": 1},
    "odd names": {"good": 6, "Big dent": 1, "it's": 2, "a_b": 1},
    "commas": {"good": 6, "a,b": 1, "b": 2},
}
ASKED: dict[str, tuple[str, ...]] = {
    "stratified": ("--strategy", "stratified"),
    "without val": ("--strategy", "stratified", "--val", "0"),
    "kfold": ("--strategy", "kfold"),
    "the last fold": ("--strategy", "kfold", "--folds", "7", "--fold", "6"),
    "uniform": ("--strategy", "uniform"),
    "uniform, few": ("--strategy", "uniform", "--per-class", "7", "--test-per-class", "1"),
}


def dataset(root: Path, classes: dict[str, int]) -> Path:
    """A product in MVTec layout with so many different images of each class."""
    pixels = np.full((4, 4), 9, np.uint8)
    for label, size in classes.items():
        for number in range(size):
            pixels[0, 0], pixels[0, 1] = number, sum(label.encode()) % 250
            for place, shown in (("test", pixels), ("ground_truth", np.eye(4, dtype=np.uint8) * 255)):
                if place == "test" or label != "good":
                    (root / "part" / place / label).mkdir(parents=True, exist_ok=True)
                    cv2.imwrite(str(root / "part" / place / label / f"{number:03}.png"), shown)
    return root


def ways_out(error: str) -> list[list[str]]:
    """The options of each way out that an error names."""
    ways = []
    for way in re.split(r", or (?=leave|use|set)", error.rpartition("; ")[2]):
        if way.startswith("set --val "):
            flags = re.findall(r"--\w+", way)
            both = [word for flag in flags for word in (flag, "0")]
            ways += [both[:2], both[2:]] if " or " in way else [both]
        elif "leave" in way:
            ways.append(shlex.split(way[way.index("--") :]))
        elif "--" in way and "--strategy" not in way:
            ways.append([word for flag in re.findall(r"--[\w-]+ \d+", way) for word in flag.split()])
            if "a lower --fold" in way:
                ways[-1] += ["--fold", "0"]
    return ways


def replaced(words: tuple[str, ...], way: list[str]) -> list[str]:
    """A command with the options of a way out in place of its own."""
    own = dict(zip(words[::2], words[1::2], strict=True)) | (
        dict(zip(way[::2], way[1::2], strict=True)) if "--leave-out" not in way else {}
    )
    told = [word for pair in own.items() for word in pair]
    return told + (way if "--leave-out" in way else [])


GROUPED = [("one and two", asked, ("--group", "{view:..}*")) for asked in ASKED]


@pytest.mark.parametrize(
    ("classes", "asked", "group"), [*((one, asked, ()) for one in CLASSES for asked in ASKED), *GROUPED]
)
def test_every_way_out_works(tmp_path: Path, classes: str, asked: str, group: tuple[str, ...]) -> None:
    root, file = dataset(tmp_path / "data", CLASSES[classes]), tmp_path / "split.csv"
    words = (*ASKED[asked], *group)
    outcome = defectkit("split", root, file, *words)
    if outcome.status == 0:
        return
    (error,) = outcome.errors
    ways = ways_out(error)
    assert ways or "use another --strategy" in error, error
    for way in ways:
        tried = defectkit("split", root, file, *replaced(words, way))
        assert tried.status == 0, (error, way, tried.err)
        assert "train" in read_split(file, load_dataset(root)).values()


def test_a_class_with_one_image_is_left_out_by_what_the_error_says(tmp_path: Path) -> None:
    root = dataset(tmp_path / "data", CLASSES["one and two"])
    outcome = defectkit("split", root, tmp_path / "split.csv", "--strategy", "kfold")
    assert outcome.errors == [
        "error: part/rare: has 1 image, too few for 5 folds; leave such classes out with --leave-out rare,two"
    ]
    told = defectkit(
        "split", root, tmp_path / "split.csv", "--strategy", "kfold", "--leave-out", "rare,two", "--json"
    ).json()
    assert told["settings"]["left_out"] == ["rare", "two"]
    assert "3 image(s) are left out as asked" in told["notes"]
    assert (
        (tmp_path / "split.csv")
        .read_text()
        .startswith("# strategy=kfold seed=0 folds=5 fold=0 val=0.0 left_out=rare+two ")
    )
    lines = (tmp_path / "split.csv").read_text().splitlines()
    (tmp_path / "short.csv").write_text("\n".join(lines[:-1]))
    outcome = defectkit("convert", root, tmp_path / "out", "--to", "coco", "--split", tmp_path / "short.csv")
    assert (outcome.status, len(outcome.errors)) == (2, 1)
    assert "is missing" in outcome.err


@pytest.mark.parametrize("name", ["gone", "part/gone", "good,gone"])
def test_an_unknown_class_is_named(tmp_path: Path, name: str) -> None:
    root = dataset(tmp_path / "data", CLASSES["one"])
    (error,) = defectkit("split", root, tmp_path / "s.csv", "--strategy", "stratified", "--leave-out", name).errors
    assert "there is no class" in error
    assert error.endswith("it has: good, many, rare")


def test_the_class_of_one_product_alone_is_left_out(tmp_path: Path) -> None:
    root = dataset(tmp_path / "data", CLASSES["one"])
    dataset(tmp_path / "other", {"good": 5, "rare": 6})
    (tmp_path / "other/part").rename(root / "pipe")
    (error,) = defectkit("split", root, tmp_path / "s.csv", "--strategy", "stratified").errors
    assert error.endswith("leave it out with --leave-out 'part/rare'")
    words = ("--strategy", "stratified", "--leave-out", "part/rare", "--json")
    told = defectkit("split", root, tmp_path / "s.csv", *words).json()
    assert sum(subset["rare"] for subset in told["subsets"].values()) == 6


@pytest.mark.parametrize("strategy", ["auto", "stratified", "kfold", "uniform"])
@pytest.mark.parametrize("classes", ["one and two", "one", "two", "odd names"])
def test_learners_tell_of_their_settings(tmp_path: Path, classes: str, strategy: str) -> None:
    root = dataset(tmp_path / "data", CLASSES[classes])
    before = [f"split.strategy={strategy}"]
    with pytest.raises(ToolkitError) as caught:
        open_examples(root, load_config(ClassifierConfig, None, before).split)
    (problem,) = caught.value.problems
    assert not re.search(r"--(?!set)", str(problem)), problem
    tried = 0
    for way in re.split(r", or (?=leave|use|set)", problem.remedy):
        if way.startswith("set split."):
            names = re.findall(r"split\.\w+", way)
            settings = [f"{name}=0" for name in (names[:1] if " or " in way else names)]
        else:
            words = shlex.split(way.replace(" or less", "").replace(" with ", " "))
            settings = [word for before, word in pairwise(words) if before == "--set"]
        split = load_config(ClassifierConfig, None, [*before, *settings]).split
        assert open_examples(root, split).subset("train"), way
        tried += 1
    assert tried
