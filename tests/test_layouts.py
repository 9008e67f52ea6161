"""How a root is laid out, said on the command line, kept in manifests and runs, and drafted where nobody knows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.commands import ROOT, defectkit
from tests.converters.support import save_png
from toolkit import load_dataset

HOW = ("--image", "shots/{name}.png", "--mask", "truth/{name}.png", "--values", "1=dent,2=scratch")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder of one's own: four shots, of which two show one class, one shows both, and one shows none."""
    root = tmp_path / "own"
    for number, values in enumerate(((1,), (2,), (1, 2), ())):
        mask = np.zeros((12, 16), np.uint8)
        for value in values:
            mask[2 * value : 2 * value + 2, 3:9] = value
        save_png(root / "shots" / f"{number}.png", np.full((12, 16), 90 + number, np.uint8))
        save_png(root / "truth" / f"{number}.png", mask)
    return root


def test_flags_describe_a_folder_and_verify_needs_no_telling(own: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    outcome = defectkit("convert", own, out, "--to", "coco,semantic,yolo-classify", *HOW, "--json")
    assert outcome.status == 0, outcome.err
    manifest = outcome.json()["formats"]["coco"]
    assert (manifest["classes"], manifest["layout"]["images"]) == (["dent", "scratch"], ["shots/{name}.png"])
    verified = defectkit("verify", out, "--json").json()
    assert (verified["passed"], {tree["images"] for tree in verified["trees"]}) == (True, {4})
    classes = {path.name for path in (out / "yolo-classify/train").iterdir()}
    assert classes == {"dent", "scratch", "combined", "good"}


def test_describe_shows_how_patterns_are_read(own: Path) -> None:
    told = defectkit("describe", own, *HOW, "--json").json()
    assert told["examples"] == [
        {"pattern": "shots/{name}.png", "image": "shots/0.png", "masks": "truth/0.png", "taken_for": "dent, train"}
    ]
    assert told["classes"] == {"dent": 2, "good": 1, "scratch": 2}
    assert "How the patterns are read" in defectkit("describe", own, *HOW).out


def test_a_file_says_the_same_as_flags(own: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    values = {1: "dent", 2: "scratch"}
    file.write_text(yaml.safe_dump({"images": "shots/{name}.png", "mask": "truth/{name}.png", "values": values}))
    flags = load_dataset(own, image=HOW[1], mask=HOW[3], values=HOW[5])
    assert list(load_dataset(own, file)) == list(flags)
    again = defectkit("convert", own, tmp_path / "out", "--to", "coco", "--layout", file)
    assert again.status == 0, again.err


def test_values_alone_change_a_layout_that_is_found_by_itself(own: Path) -> None:
    (own / "shots").rename(own / "images")
    (own / "truth").rename(own / "masks")
    told = defectkit("describe", own, "--values", "1=dent,2=scratch", "--json").json()
    assert (told["layout"], told["classes"]) == ("images-masks", {"dent": 2, "good": 1, "scratch": 2})


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--mask", "truth/{name}.png"], "--mask: says nothing of where the images are"),
        (["--image", "a/{name}.png", "--layout", "mvtec"], "--layout: stands beside --image"),
        (
            ["--image", "shots/{name}.png", "--mask", "truth/{part}.png"],
            "which the image 'shots/{name}.png' does not bind",
        ),
        (["--image", "shots/{name.png"], "has a brace that is not closed"),
        (["--image", "/shots/{name}.png"], "leaves the dataset"),
        (["--layout", "nowhere.yaml"], "unknown layout 'nowhere.yaml'"),
        ([*HOW[:4], "--values", "some"], "'some' says nothing of values"),
        (["--image", "none/{name}.png"], "has no image that the layout names"),
        ([*HOW[:4]], "class ids"),
        ([*HOW[:4], "--values", "1=dent"], "holds values that no class has: 2"),
    ],
)
def test_what_contradicts_itself_is_refused(own: Path, tmp_path: Path, words: list[str], problem: str) -> None:
    outcome = defectkit("convert", own, tmp_path / "out", "--to", "coco", *words)
    assert (outcome.status, outcome.out) == (2, "")
    assert problem in outcome.err
    assert "Traceback" not in outcome.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "good"), [("okk", "OK"), ("ok", "OK"), ("rework,scrap", "OK"), ("Front", "front")])
def test_a_good_class_that_is_nearly_said_is_not_lost(tmp_path: Path, name: str, good: str) -> None:
    for number, folder in enumerate([good, "rework"]):
        save_png(tmp_path / "in" / folder / "0.png", np.full((4, 6), number, np.uint8))
    words = ("convert", tmp_path / "in", tmp_path / "out", "--to", "yolo-classify", "--image", "{class}/{name}.png")
    told = defectkit(*words, "--good", name)
    assert told.status == 2
    assert f"has no class '{name}', which good images are said to have" in told.err
    assert defectkit(*words, "--good", good).status == 0
    assert {path.name for path in (tmp_path / "out/yolo-classify/train").iterdir()} == {"good", "rework"}


def test_what_is_built_in_can_be_seen_and_named(tmp_path: Path) -> None:
    listed = defectkit("layouts", "--json").json()["layouts"]
    assert {"mvtec", "mvtec-loco", "images-masks", "severstal"} <= listed.keys()
    for name in listed:
        shown = defectkit("layouts", name)
        assert shown.status == 0, shown.err
        if "read by code" not in shown.out:
            assert yaml.safe_load(shown.out)["about"]
    assert "unknown layout 'mvtek'" in defectkit("layouts", "mvtek").err


def test_the_documentation_lists_them_all() -> None:
    page = (ROOT / "docs/layouts.md").read_text(encoding="utf-8")
    for name, about in defectkit("layouts", "--json").json()["layouts"].items():
        assert f"| `{name}` | {about} |" in page


def test_a_draft_is_a_description_to_start_from(own: Path, tmp_path: Path) -> None:
    (own / "shots").rename(own / "images")
    (own / "truth").rename(own / "masks")
    save_png(own / "spare/extra.png", np.zeros((4, 4), np.uint8))
    draft = defectkit("layouts", "--guess", own).out
    assert "not accounted for: spare/extra.png" in draft
    file = tmp_path / "mine.yaml"
    file.write_text(draft + "values: {1: dent, 2: scratch}\nexclude: ['spare/*.png']\n")
    assert len(load_dataset(own, file)) == 4
    assert not load_dataset(own, file).problems


def test_a_run_knows_how_its_data_was_laid_out(own: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    quick = ("weights=none", "epochs=1", "image_size=32", "batch_size=2", "split.strategy=native")
    words = [word for one in quick for word in ("--set", one)]
    trained = defectkit("train", "classifier", own, *HOW, *words, "--out", tmp_path / "run", "--json")
    assert trained.status == 0, trained.err
    config = yaml.safe_load((tmp_path / "run/config.yaml").read_text())
    assert config["layout"]["mask"] == ["truth/{name}.png"]
    evaluated = defectkit("evaluate", tmp_path / "run", "--json")
    assert evaluated.status == 0, evaluated.err
    assert json.loads(evaluated.out)["metrics"]
