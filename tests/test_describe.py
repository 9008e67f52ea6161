"""`defectkit describe`: what it prints, what it writes, and where it refuses to."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.commands import IMAGES, defectkit, make_dataset, picture, save, shell, snapshot
from tests.finetune.suspects.made_runs import classifier_run
from toolkit import write_product

KEYS = {
    *("products", "defect_classes", "classes", "images", "subsets", "sizes", "instances", "duplicates", "problems"),
    *("published", "imbalance_factor"),
}
CARD = ["areas.png", "card.json", "card.md", "classes.png", "heat_maps.png", "instances.png"]


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return make_dataset(tmp_path / "data")


def told(*words: str | Path) -> dict[str, Any]:
    outcome = defectkit("describe", *words, "--json")
    assert (outcome.status, outcome.err) == (0, "")
    return outcome.json()


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_json(dataset: Path) -> None:
    card = told(dataset)
    assert card.keys() >= KEYS
    assert {key: card[key] for key in KEYS} == {
        "products": ["part"],
        "defect_classes": 2,
        "classes": {"good": 4, "dent": 2, "scratch": 3},
        "images": IMAGES,
        "subsets": {"train": {"good": 2}, "test": {"good": 2, "dent": 2, "scratch": 3}},
        "sizes": [{"width": 24, "height": 16, "channels": 1, "images": IMAGES}],
        "instances": 10,
        "duplicates": [],
        "problems": [],
        "published": {},
        "imbalance_factor": 2.0,
    }


def test_the_tables_in_a_terminal(dataset: Path) -> None:
    outcome = defectkit("describe", dataset)
    assert outcome.status == 0
    rows = [line.split() for line in outcome.out.splitlines()]
    assert ["class", "train", "test", "all", "instances"] in [row[:5] for row in rows]
    assert ["all", "images", "2", "7", "9", "10"] in rows
    assert outcome.out.startswith("3 classes (2 kinds of defect and good), 9 images, train 2, test 7, ")
    assert outcome.err == "note: train has no image of 2 of 3 classes: dent, scratch\n"


def test_the_uniform_subset_of_the_zipper(tmp_path: Path) -> None:
    root = write_product(tmp_path / "data")
    assert defectkit("split", root, tmp_path / "split.csv", "--strategy", "uniform").status == 0
    card = told(root, "--split", tmp_path / "split.csv")
    assert (len(card["classes"]), card["defect_classes"], card["images"]) == (8, 7, 80)
    assert (card["subset_images"], card["uniform"]) == ({"train": 64, "test": 16}, True)
    assert card["split"] == {
        "strategy": "uniform",
        "settings": {"seed": "0", "per_class": "10", "test_per_class": "2"},
    }
    assert card["summary"].startswith(
        "8 classes (7 kinds of defect and good), 80 images, train 64, test 16, uniform (10 of each class)"
    )
    at_once = told(root, "--strategy", "uniform")
    assert at_once["subsets"] == card["subsets"]
    assert at_once["images"] == 80


def test_only_some_products(tmp_path: Path) -> None:
    for name in ("left", "right"):
        make_dataset(tmp_path / "data", name)
    assert told(tmp_path / "data")["products"] == ["left", "right"]
    card = told(tmp_path / "data", "--category", "right")
    assert (card["products"], card["images"]) == (["right"], IMAGES)


@pytest.mark.parametrize("kind", ["coco", "yolo-segment", "semantic", "panoptic"])
def test_a_label_tree_has_the_card_of_its_source(dataset: Path, tmp_path: Path, kind: str) -> None:
    assert defectkit("convert", dataset, tmp_path / "labels", "--to", kind).status == 0
    source, labels = told(dataset), told(tmp_path / "labels" / kind)
    same = KEYS | {"subset_images", "defects", "components_per_mask", "instances_per_image", "balance", "by_product"}
    assert {key: labels[key] for key in same} == {key: source[key] for key in same}
    assert labels["layout"] == kind


def test_boxes_are_said_to_be_boxes(dataset: Path, tmp_path: Path) -> None:
    assert defectkit("convert", dataset, tmp_path / "labels", "--to", "yolo-detect,yolo-classify").status == 0
    card = told(tmp_path / "labels/yolo-detect")
    assert "labels are boxes: areas and heat maps are those of boxes" in card["notes"]
    assert card["defects"]["all"]["area_px"]["max"] == 42
    assert told(tmp_path / "labels/yolo-classify")["defects"]["all"] is None


def test_a_label_of_a_class_without_a_name_counts_for_no_class(dataset: Path, tmp_path: Path) -> None:
    assert defectkit("convert", dataset, tmp_path / "labels", "--to", "yolo-detect").status == 0
    tree = tmp_path / "labels/yolo-detect"
    rows = next(path for path in sorted((tree / "labels").rglob("*.txt")) if path.stat().st_size)
    rows.write_text("77 0.5 0.5 0.1 0.1\n")
    found = defectkit("describe", tree, "--json").json()
    assert len(found["problems"]) == 1
    assert "" not in found["classes"]
    assert not any(note.endswith(": ") for note in found["notes"])


def test_faults_are_reported_and_are_no_failure(dataset: Path) -> None:
    mask = dataset / "part/ground_truth/dent/000_mask.png"
    mask.write_bytes(b"")
    outcome = defectkit("describe", dataset)
    assert outcome.status == 0
    assert "the file is empty (0 bytes)" in outcome.out
    assert told(dataset)["problems"] == [{"file": str(mask), "problem": "the file is empty (0 bytes)"}]


def test_a_card_is_written(dataset: Path, tmp_path: Path) -> None:
    outcome = defectkit("describe", dataset, "--out", tmp_path / "card")
    assert outcome.status == 0
    assert outcome.out.splitlines()[-1] == f"{tmp_path / 'card'}: card.md, card.json and plots"
    assert names_in(tmp_path / "card") == CARD
    text = (tmp_path / "card/card.md").read_text()
    assert all(f"]({name})" in text for name in CARD if name.endswith(".png"))
    assert json.loads((tmp_path / "card/card.json").read_text()) == told(dataset)
    assert names_in(tmp_path) == ["card", "data"]


def test_the_same_dataset_gives_the_same_card(dataset: Path, tmp_path: Path) -> None:
    for name, workers in (("one", "1"), ("two", "2")):
        assert defectkit("describe", dataset, "--out", tmp_path / name, "--workers", workers).status == 0
    assert snapshot(tmp_path / "one") == snapshot(tmp_path / "two")


def test_an_older_card_is_replaced_when_asked(dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "card"
    assert defectkit("describe", dataset, "--out", out).status == 0
    (dataset / "part/train/good/000.png").unlink()
    refused = defectkit("describe", dataset, "--out", out)
    assert (refused.status, refused.errors) == (
        2,
        [f"error: {out}: is not empty; choose another folder, or add --overwrite"],
    )
    assert json.loads((out / "card.json").read_text())["images"] == IMAGES
    assert defectkit("describe", dataset, "--out", out, "--overwrite").status == 0
    assert json.loads((out / "card.json").read_text())["images"] == IMAGES - 1
    assert names_in(out) == CARD


def test_what_a_killed_run_left_is_cleaned_up(dataset: Path, tmp_path: Path) -> None:
    save(tmp_path / ".card.defectkit-partial/card/classes.png", picture(0))
    assert defectkit("describe", dataset, "--out", tmp_path / "card").status == 0
    assert names_in(tmp_path) == ["card", "data"]


def test_the_folder_that_one_stands_in(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    environment = {"PATH": os.environ["PATH"]}
    outcome = shell("describe", dataset, "--out", ".", environment=environment, cwd=tmp_path / "here")
    assert outcome.status == 0
    assert names_in(tmp_path / "here") == CARD


def occupy(tmp_path: Path, what: str) -> Path:
    out = tmp_path / "card"
    if what == "file":
        out.write_text("mine")
    elif what == "link":
        out.symlink_to(tmp_path / "gone")
    elif what == "foreign":
        save(out / "classes.png", picture(0))
        (out / "thesis.tex").write_text("mine")
    elif what == "inside":
        return tmp_path / "data/part/card"
    elif what == "around":
        return tmp_path
    elif what == "below a file":
        out.write_text("mine")
        return out / "card"
    return out


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("file", "is a file; name a folder"),
        ("link", "is a link that leads nowhere; remove it"),
        ("foreign", "thesis.tex: is no part of a card; move it away"),
        ("inside", "lies inside the input"),
        ("around", "holds the input"),
        ("below a file", "cannot be written"),
    ],
)
def test_other_peoples_files_are_left_alone(dataset: Path, tmp_path: Path, what: str, said: str) -> None:
    out = occupy(tmp_path, what)
    before = snapshot(tmp_path)
    outcome = defectkit("describe", dataset, "--out", out, "--overwrite")
    assert (outcome.status, outcome.out, len(outcome.errors)) == (2, "", 1)
    assert said in outcome.err
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("gone",), "gone: no such folder"),
        (("DATA", "--category", "nut"), "has no category 'nut'"),
        (("DATA", "--split", "gone.csv"), "gone.csv: cannot be read"),
        (("DATA", "--per-class", "2"), "--per-class: says nothing without --strategy"),
        (("DATA", "--strategy", "uniform", "--per-class", "99"), "--per-class asks for 99"),
        (("DATA", "--workers", "-1"), "--workers: -1 is not a number of workers"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_words_take_one_line(dataset: Path, words: tuple[str, ...], said: str) -> None:
    outcome = defectkit("describe", *(word.replace("DATA", str(dataset)) for word in words))
    assert (outcome.status, outcome.out, len(outcome.errors)) == (2, "", 1)
    assert said in outcome.err


def test_the_real_screw(mvtec_root: Path) -> None:
    card = told(mvtec_root / "screw")
    assert (card["defect_classes"], card["classes"]["good"], card["defect_images"]) == (5, 361, 119)
    assert card["sizes"] == [{"width": 1024, "height": 1024, "channels": 1, "images": 480}]
    assert card["published"] == {"screw": {"agrees": True, "differences": []}}


def test_the_real_bottle_sample(mvtec_root: Path) -> None:
    outcome = defectkit("describe", mvtec_root / "bottle")
    assert "bottle/test/good/002, bottle/test/good/008" in outcome.out
    assert "note: bottle: no train folder" in outcome.err


def test_suspects_from_a_run_to_a_page(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("toolkit.card.writer", "converters.viewing.report"):
        monkeypatch.setattr(f"{module}.draw_plots", lambda card: {})
    run = classifier_run(tmp_path / "run", dataset, {"part/test/dent/000": "good"})
    out, report = tmp_path / "card", tmp_path / "report.html"
    asked = ("describe", dataset, "--suspects", run, "--out", out, "--report", report, "--fail-on", "suspects,leaks")
    outcome = defectkit(*asked)
    assert outcome.status == 1
    assert outcome.err.splitlines()[-1] == f"failed: {dataset}: 1 suspicious label(s) (suspects)"
    assert f"defectkit view {dataset} --suspects {out}/suspects.csv" in outcome.out
    assert "Suspicious labels" in (out / "card.md").read_text()
    assert "Suspicious labels: 1" in report.read_text()
    lines = (out / "suspects.csv").read_text().splitlines()
    assert lines[0] == "key,label,suggested,score,why"
    assert lines[1].startswith("part/test/dent/000,dent,good,0.6")
    assert len(lines) == IMAGES + 1
    again = defectkit(*asked[:4], "--fail-on", "suspects,leaks", "--json")
    assert (again.status, again.json()["failed"]) == (1, {"suspects": 1})
    assert again.json()["suspects"][0]["key"] == "part/test/dent/000"
    assert again.json()["suspected_by"][0]["learner"] == "classifier"
    shown = defectkit("view", dataset, "--suspects", out / "suspects.csv", "--out", tmp_path / "gallery")
    assert shown.status == 0
    assert json.loads((tmp_path / "gallery/manifest.json").read_text())["suspicious"]
    asked = ("view", dataset, "--suspects", out / "suspects.csv", "--out", tmp_path / "worst", "--limit", "1")
    assert defectkit(*asked).status == 0
    assert '"part/test/dent/000"' in (tmp_path / "worst/data/index.js").read_text()
    assert defectkit("view", make_dataset(tmp_path / "b", "other"), "--suspects", out / "suspects.csv").status == 2


def test_a_gate_that_holds_and_what_cannot_be_asked(dataset: Path, tmp_path: Path) -> None:
    assert defectkit("describe", dataset, "--fail-on", "problems,leaks,near-duplicates").status == 0
    assert defectkit("describe", dataset, "--fail-on", "missing-classes").status == 1
    for words, told in (
        (
            ("--fail-on", "leaking"),
            "error: --fail-on: 'leaking' is no problem that is looked for; use some of problems,",
        ),
        (("--fail-on", "suspects"), "error: --fail-on: asks for suspects, and no run is asked; add --suspects RUN"),
        (("--suspects", tmp_path / "nothing"), f"error: {tmp_path}/nothing: no such run; name a run directory"),
        (("--report", tmp_path / "r.txt"), f"error: {tmp_path}/r.txt: a report is an HTML file; name it FILE.html"),
    ):
        outcome = defectkit("describe", dataset, *words)
        assert (outcome.status, outcome.err[: len(told)]) == (2, told)
