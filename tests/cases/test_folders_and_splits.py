"""Folders as people keep them, archives as they pack them, and splits that keep together what belongs together."""

from __future__ import annotations

import csv
import io
import re
import shlex
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.cases.showing import block, brightness, converted, objects, photo, product, refused, shown
from tests.commands import defectkit, picture, save, snapshot
from tests.converters.support import save_png

BOX, AREA = (4, 8, 24, 14), 120


def spotted(path: Path, *place: int) -> Path:
    """A dark photo with one bright rectangle y0, y1, x0, x1."""
    return save(path, np.where(block(*place) > 0, 240, 60).astype(np.uint8))


@pytest.mark.parametrize("suffix", [".png", ".bmp"])
def test_good_images_may_be_called_ok(tmp_path: Path, suffix: str) -> None:
    """BTAD's ok and ko (open-edge-platform/anomalib #871, PR #162)."""
    root = tmp_path / "btad/01"
    for number in range(3):
        photo(root / f"train/ok/{number:04}.bmp", number)
    photo(root / "test/ok/0000.bmp", 8)
    spotted(root / "test/ko/0000.bmp", 8, 14, 4, 24)
    save(root / f"ground_truth/ko/0000{suffix}", block(8, 14, 4, 24))
    for place in (root, root.parent):
        out = tmp_path / f"out-{place.name}"
        converted(place, out)
        found = objects(out / "coco")
        assert found.pop("01/test/ko/0000") == [("ko", BOX, AREA)]
        assert list(found.values()) == [[]] * 4
        assert brightness(out / "coco")["01/test/ko/0000"] > 230
        assert defectkit("describe", place, "--json").json()["classes"] == {"good": 4, "ko": 1}


def test_a_mask_is_of_one_image(tmp_path: Path) -> None:
    """Defects of one name in train and in test (liznerski/fcdd #53)."""
    root = tmp_path / "in"
    for place in ("train", "test"):
        photo(root / f"part/{place}/good/000.png", len(place))
    spotted(root / "part/train/crack/000.png", 2, 8, 2, 12)
    spotted(root / "part/test/crack/000.png", 8, 14, 4, 24)
    save(root / "part/ground_truth/crack/000_mask.png", block(8, 14, 4, 24))
    (line,) = refused(root, tmp_path / "out", files=("part/ground_truth/crack/000_mask.png",)).errors
    for place in ("train", "test"):
        assert str(root / f"part/{place}/crack/000.png") in line
    assert "rename one of them and its mask, or take the one that has no mask out of the dataset" in line
    spotted(root / "part/train/crack/001.png", 2, 8, 2, 12)
    save(root / "part/ground_truth/crack/001_mask.png", block(2, 8, 2, 12))
    (root / "part/train/crack/000.png").unlink()
    converted(root, tmp_path / "out")
    assert min(brightness(tmp_path / "out/coco").values()) > 230
    assert [len(found) for found in objects(tmp_path / "out/coco").values()] == [1, 0, 1, 0]


@pytest.mark.parametrize("ending", ["", "_mask"])
@pytest.mark.parametrize("defect", ["crack", "bad"])
def test_masks_may_stand_in_folders_of_their_subsets(tmp_path: Path, defect: str, ending: str) -> None:
    """Defects of one name in train and in test, each with its mask (liznerski/fcdd #53)."""
    root = tmp_path / "in"
    for number, (place, spot) in enumerate({"train": (2, 8, 2, 12), "test": (8, 14, 4, 24)}.items()):
        photo(root / f"part/{place}/good/000.png", number)
        spotted(root / f"part/{place}/{defect}/000.png", *spot)
        save(root / f"part/ground_truth/{place}/{defect}/000{ending}.png", block(*spot))
    converted(root, tmp_path / "out")
    seen = brightness(tmp_path / "out/coco")
    assert len(seen) == 2
    assert min(seen.values()) > 230


PAIRS = {
    "side by side": ("images/{}.jpg", "masks/{}.png"),
    "within a subset": ("train/images/{}.jpg", "train/masks/{}.png"),
    "subsets within": ("images/train/{}.jpg", "masks/train/{}.png"),
    "with an ending of their own": ("images/{}.jpg", "masks/{}_mask.png"),
    "called photos": ("photos/{}.jpg", "masks/{}.png"),
}


@pytest.mark.parametrize("form", PAIRS)
def test_images_and_masks_are_read_without_a_word(tmp_path: Path, form: str) -> None:
    """The commonest folder of one's own (ultralytics #17174, anomalib #785, binary-to-coco-json-converter #1)."""
    image, mask = PAIRS[form]
    for number in range(3):
        spotted(tmp_path / "in" / image.format(f"{number:03}"), 8, 14, 4 + number, 24)
        marked = block(8, 14, 4 + number, 24) if number < 2 else block(0, 0, 0, 0)
        save(tmp_path / "in" / mask.format(f"{number:03}"), marked)
    converted(tmp_path / "in", tmp_path / "out", to="yolo-segment")
    found = list(objects(tmp_path / "out/yolo-segment").values())
    assert [[area for _, _, area in one] for one in found] == [[120], [114], []]
    assert min(brightness(tmp_path / "out/yolo-segment").values()) > 225


def test_a_folder_that_nothing_describes_gets_a_way_out(tmp_path: Path) -> None:
    """Folders of other names (ultralytics/ultralytics #17174's kin): a draft comes of what the error names."""
    spotted(tmp_path / "in/shots/a.png", 8, 14, 4, 24)
    save(tmp_path / "in/truth/a.png", block(8, 14, 4, 24))
    done = defectkit("convert", tmp_path / "in", tmp_path / "out", "--to", "coco")
    assert (done.status, len(done.errors)) == (2, 1)
    assert "defectkit layouts --guess" in done.err
    draft = defectkit("layouts", "--guess", tmp_path / "in")
    (tmp_path / "mine.yaml").write_text(draft.out)
    converted(tmp_path / "in", tmp_path / "out", "--layout", tmp_path / "mine.yaml")
    assert [found[0][2] for found in objects(tmp_path / "out/coco").values()] == [AREA]


def test_a_zip_with_backslashes_is_refused_whole(tmp_path: Path) -> None:
    """Names as old .NET packs them (nih-at/libzip #291, zip-rs/zip-old PR #366)."""
    product(tmp_path / "data", {"000_mask.png": block(8, 14, 4, 24)})
    for name, mark in (("windows", "\\"), ("sound", "/")):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as archive:
            for path in sorted((tmp_path / "data").rglob("*.png")):
                member = zipfile.ZipInfo(path.relative_to(tmp_path / "data").as_posix().replace("/", mark))
                member.create_system = 0
                archive.writestr(member, path.read_bytes())
    before = snapshot(tmp_path).keys()
    done = defectkit("prepare", tmp_path / "windows.zip", tmp_path / "made")
    assert done.status == 2
    assert done.err.startswith(f"error: {tmp_path}/windows.zip: its member 'part")
    assert done.err.endswith("has a backslash in its name; pack it again with / between folders\n")
    assert snapshot(tmp_path).keys() == before
    assert defectkit("prepare", tmp_path / "sound.zip", tmp_path / "made").status == 0
    assert shown(tmp_path / "made")["part/test/chip/000"] == [("chip", BOX, AREA)]


def test_copies_of_a_photo_stay_in_one_subset_when_told(tmp_path: Path) -> None:
    """Augmented copies in a new split (NVIDIA/DIGITS #212, robinreni96/Font_Recognition-DeepFont #2)."""
    root, file = tmp_path / "in", tmp_path / "split.csv"
    for number in range(60):
        name = f"part{number // 3:02}_jpg.rf.{number * 7919:032x}"
        photo(root / f"train/images/{name}.jpg", number)
        (root / "train/labels").mkdir(exist_ok=True)
        (root / f"train/labels/{name}.txt").write_text(f"{number // 3 % 2} 0.5 0.5 0.2 0.2\n")
    (root / "data.yaml").write_text("train: ../train/images\nnc: 2\nnames: [dent, scratch]\n")

    def torn() -> int:
        rows = list(csv.reader(io.StringIO(re.sub(r"#.*\n", "", file.read_text()))))[1:]
        assert len(rows) == 60
        homes: dict[str, set[str]] = {}
        for key, subset in rows:
            homes.setdefault(key.partition("_jpg.rf.")[0], set()).add(subset)
        assert {subset for found in homes.values() for subset in found} == {"train", "val", "test"}
        return sum(len(found) > 1 for found in homes.values())

    done = defectkit("split", root, file, "--strategy", "stratified")
    assert torn() > 0
    (note,) = (line for line in done.err.splitlines() if "the copies of " in line)
    assert f"the copies of {torn()} of 20 photos (NAME.rf.HASH) lie in several subsets" in note
    file.unlink()
    words = shlex.split(note[note.index("--group") : note.index(" keeps them together")])
    assert defectkit("split", root, file, "--strategy", "stratified", *words).status == 0
    assert torn() == 0


@pytest.mark.parametrize("strategy", ["stratified", "kfold", "uniform"])
def test_a_class_of_one_image_has_ways_out_that_work(tmp_path: Path, strategy: str) -> None:
    """A class with one image, and one with two (no report)."""
    root, file = tmp_path / "in", tmp_path / "split.csv"
    for number, (name, count) in enumerate({"rare": 1, "two": 2, "many": 12}.items()):
        for place in range(count):
            save_png(root / f"part/test/{name}/{place:03}.png", picture(100 * number + place))
            save_png(root / f"part/ground_truth/{name}/{place:03}_mask.png", np.eye(16, 24) * 255)
    for place in range(12):
        save_png(root / f"part/train/good/{place:03}.png", picture(1000 + place))
    done = defectkit("split", root, file, "--strategy", strategy)
    (error,) = done.errors
    assert re.match(r"error: part/rare: has 1 (distinct )?images?, ", error)
    assert "folds 1" not in error
    assert not file.exists()
    words = shlex.split(error[error.index("--leave-out") :])
    again = defectkit("split", root, file, "--strategy", strategy, *words[:2])
    assert again.status == 0, (error, again.err)
    converted(root, tmp_path / "out", "--split", file)
    assert len(objects(tmp_path / "out/coco")) > 12


@pytest.mark.parametrize(
    ("good", "bad"), [("good", "scratch"), ("ok", "ng"), ("OK", "NG"), ("normal", "anomaly"), ("Good", "Bad")]
)
def test_a_classifiers_folders_read_alike_whatever_good_is_called(tmp_path: Path, good: str, bad: str) -> None:
    """Good and bad without masks (open-edge-platform/anomalib #1349, furkanulger/Anomaly-detection-for-solder #1)."""
    root = tmp_path / "in/solder"
    for number, (subset, name, count) in enumerate(
        (subset, name, count) for subset, count in (("train", 6), ("val", 3)) for name in (good, bad)
    ):
        for place in range(count):
            photo(root / subset / name / f"{place:03}.jpg", 10 * number + place)
    told = defectkit("describe", root, "--json").json()
    assert (told["images"], told["classes"], told["problems"]) == (18, {"good": 9, bad: 9}, [])
    assert told["subset_images"] == {"train": 12, "val": 6}
    converted(root, tmp_path / "out", to="yolo-classify")
    made = sorted(path.relative_to(tmp_path / "out/yolo-classify").parent.as_posix() for path in _photos(tmp_path))
    assert made == ["train/" + one for one in sorted(["good", bad]) for _ in range(6)] + [
        "val/" + one for one in sorted(["good", bad]) for _ in range(3)
    ]
    done = refused(root, tmp_path / "other", files=("",))
    assert "yolo-classify" in done.errors[0]


def _photos(home: Path) -> list[Path]:
    return list((home / "out/yolo-classify").rglob("*.jpg"))


def test_a_classifier_takes_them_alike(tmp_path: Path) -> None:
    """Good and bad without masks, for a learner (open-edge-platform/anomalib #1349)."""
    pytest.importorskip("torch")
    from finetune.classifier.config import ClassifierConfig
    from finetune.engine.config import load_config
    from finetune.engine.splits import open_examples

    found = []
    for good in ("good", "ok"):
        for number, (subset, name) in enumerate((s, n) for s in ("train", "val") for n in (good, "scratch")):
            for place in range(4):
                photo(tmp_path / good / subset / name / f"{place:03}.jpg", 10 * number + place)
        examples = open_examples(tmp_path / good, load_config(ClassifierConfig, None, []).split)
        found.append((len(examples.subset("train")), len(examples.subset("val")), sorted(examples.classes)))
    assert found[0] == found[1]
    assert found[0][2] == ["good", "scratch"]
