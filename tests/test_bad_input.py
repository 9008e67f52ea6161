"""The page on bad input, line by line: what is said, with which exit status, and that nothing is left behind."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
import yaml
from PIL import Image

from tests.commands import IMAGES, Outcome, defectkit, make_dataset, picture, save, shell, snapshot, stain
from toolkit.dataset.layouts import load_dataset

SCRATCH = "part/test/scratch/001.png"
MASK = "part/ground_truth/scratch/001_mask.png"


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))


def replace_image(path: Path, suffix: str) -> Path:
    """The image in another format, in place of the PNG."""
    pixels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    path.unlink()
    return save(path.with_suffix(suffix), np.asarray(pixels))


def grey_mask(path: Path) -> None:
    mask = stain(1)
    mask[4, 4] = 90
    save(path, mask)


def unequal_channels(path: Path) -> None:
    mask = np.dstack([stain(1)] * 3)
    mask[4, 4, 0] = 0
    save(path, mask)


class Fault(NamedTuple):
    """A way to break a dataset, the file that is named, what is said of it, and the images that are left."""

    harm: Callable[[Path], object]
    file: str
    words: tuple[str, ...]
    left: int = IMAGES - 1


FAULTS = {
    "a defect image without a mask": Fault(
        lambda root: (root / MASK).unlink(), SCRATCH, ("a defect image without a mask", f"put its mask at {{}}/{MASK}")
    ),
    "a mask without an image": Fault(
        lambda root: (root / SCRATCH).unlink(), MASK, ("a mask without an image", f"put its image at {{}}/{SCRATCH}")
    ),
    "a mask of a class without images": Fault(
        lambda root: save(root / "part/ground_truth/crack/000_mask.png", stain(0)),
        "part/ground_truth/crack/000_mask.png",
        ("a mask without an image", "remove the mask"),
        IMAGES,
    ),
    "sizes that differ": Fault(
        lambda root: save(root / MASK, np.zeros((8, 9), np.uint8)),
        MASK,
        ("is 9 x 8 pixels", "is 24 x 16", "make the two the same size"),
    ),
    "an image of zero bytes": Fault(
        lambda root: (root / SCRATCH).write_bytes(b""), SCRATCH, ("empty (0 bytes)", "replace the file")
    ),
    "a mask of zero bytes": Fault(
        lambda root: (root / MASK).write_bytes(b""), MASK, ("empty (0 bytes)", "replace the file")
    ),
    "a good image of zero bytes": Fault(
        lambda root: (root / "part/train/good/001.png").write_bytes(b""),
        "part/train/good/001.png",
        ("empty (0 bytes)", "replace the file"),
    ),
    "a truncated image": Fault(lambda root: truncate(root / SCRATCH), SCRATCH, ("truncated", "replace the file")),
    "a truncated mask": Fault(lambda root: truncate(root / MASK), MASK, ("truncated", "replace the file")),
    "a truncated JPEG": Fault(
        lambda root: truncate(replace_image(root / SCRATCH, ".jpg")),
        SCRATCH.replace(".png", ".jpg"),
        ("truncated", "replace the file"),
    ),
    "a truncated BMP": Fault(
        lambda root: truncate(replace_image(root / SCRATCH, ".bmp")),
        SCRATCH.replace(".png", ".bmp"),
        ("truncated", "replace the file"),
    ),
    "a truncated WebP": Fault(
        lambda root: truncate(replace_image(root / SCRATCH, ".webp")),
        SCRATCH.replace(".png", ".webp"),
        ("truncated", "replace the file"),
    ),
    "a truncated TIFF": Fault(
        lambda root: truncate(replace_image(root / SCRATCH, ".tif")),
        SCRATCH.replace(".png", ".tif"),
        ("truncated", "replace the file"),
    ),
    "a damaged mask": Fault(lambda root: flip_byte(root / MASK), MASK, ("damaged", "replace the file")),
    "an image that is none": Fault(
        lambda root: (root / SCRATCH).write_text("no image at all, only text under the name of one"),
        SCRATCH,
        ("not a readable image", "replace the file"),
    ),
    "a mask that is no image": Fault(
        lambda root: (root / MASK).write_text("no image at all, only text under the name of one"),
        MASK,
        ("not a readable image", "replace the file"),
    ),
    "an all-zero mask": Fault(
        lambda root: save(root / MASK, np.zeros_like(stain(0))), MASK, ("all zero", "move the image to test/good")
    ),
    "grey values": Fault(
        lambda root: grey_mask(root / MASK),
        MASK,
        ("grey values in a mask that should be binary (90, 255)", "--threshold"),
    ),
    "channels that differ": Fault(
        lambda root: unequal_channels(root / MASK), MASK, ("channels of this RGB mask differ", "save it as one channel")
    ),
    "two images of one name": Fault(
        lambda root: save(root / "part/test/scratch/001.bmp", picture(99)),
        SCRATCH,
        ("same name as 001.bmp", "rename one of the two"),
        IMAGES,
    ),
}


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return make_dataset(tmp_path / "data")


def refused(outcome: Outcome, *expected: tuple[str | Path, ...]) -> None:
    """Exit status 2, nothing on stdout, and one line for each problem: its file first, then the words."""
    assert outcome.status == 2, outcome
    assert outcome.out == ""
    assert "Traceback" not in outcome.err
    assert len(outcome.errors) == len(expected), outcome.err
    for file, *words in expected:
        line = next((line for line in outcome.errors if line.startswith(f"error: {file}")), None)
        assert line is not None, f"{file} is not named in {outcome.err}"
        assert "; " in line, f"no way out in: {line}"
        assert all(str(word) in line for word in words), line


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_named_and_nothing_is_left(dataset: Path, tmp_path: Path, fault: Fault) -> None:
    fault.harm(dataset)
    outcome = defectkit("convert", dataset, tmp_path / "out", "--to", "coco,yolo-segment")
    refused(outcome, (f"{dataset / fault.file}: ", *(word.format(dataset) for word in fault.words)))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_skip_goes_on_and_lists_what_is_left_out(dataset: Path, tmp_path: Path, fault: Fault) -> None:
    fault.harm(dataset)
    outcome = defectkit("convert", dataset, tmp_path / "out", "--to", "coco", "--on-problem", "skip", "--json")
    assert outcome.status == 0, outcome.err
    manifest = json.loads((tmp_path / "out/coco/manifest.json").read_text())
    assert [problem["file"] for problem in manifest["problems"]] == [fault.file]
    assert sum(subset["images"] for subset in manifest["subsets"].values()) == fault.left
    assert [problem["file"] for problem in outcome.json()["skipped"]] == [str(dataset / fault.file)]
    assert defectkit("verify", tmp_path / "out").status == 0


def test_skip_says_so(dataset: Path, tmp_path: Path) -> None:
    truncate(dataset / MASK)
    outcome = defectkit("convert", dataset, tmp_path / "out", "--to", "coco", "--on-problem", "skip")
    assert f"note: left out: {dataset / MASK}: truncated" in outcome.err


def test_all_problems_are_listed_at_once(dataset: Path, tmp_path: Path) -> None:
    scratches = dataset / "part/ground_truth/scratch"
    (scratches / "000_mask.png").unlink()
    truncate(scratches / "001_mask.png")
    grey_mask(scratches / "002_mask.png")
    (dataset / "part/train/good/000.png").write_bytes(b"")
    (dataset / "part/test/dent/001.png").unlink()
    expected = [
        (dataset / "part/test/scratch/000.png", "without a mask"),
        (scratches / "001_mask.png", "truncated"),
        (scratches / "002_mask.png", "grey values"),
        (dataset / "part/train/good/000.png", "0 bytes"),
        (dataset / "part/ground_truth/dent/001_mask.png", "a mask without an image"),
    ]
    for words in ((), ("--workers", "1"), ("--images", "none"), ("--strategy", "native")):
        refused(defectkit("convert", dataset, tmp_path / "out", "--to", "coco,masks", *words), *expected)
    refused(shell("convert", dataset, tmp_path / "out", "--to", "coco"), *expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def test_the_image_and_the_mask_of_one_sample_are_both_named(dataset: Path, tmp_path: Path) -> None:
    truncate(dataset / SCRATCH)
    truncate(dataset / MASK)
    outcome = defectkit("convert", dataset, tmp_path / "out", "--to", "coco")
    refused(outcome, (dataset / SCRATCH, "truncated"), (dataset / MASK, "truncated"))


def test_a_failed_overwrite_leaves_the_earlier_output(dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert defectkit("convert", dataset, out, "--to", "coco,masks").status == 0
    before = snapshot(out)
    truncate(dataset / MASK)
    refused(defectkit("convert", dataset, out, "--to", "coco,yolo-obb", "--overwrite"), (dataset / MASK, "truncated"))
    assert snapshot(out) == before


def test_an_empty_output_folder_stays_as_it_was(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    truncate(dataset / MASK)
    assert defectkit("convert", dataset, tmp_path / "out", "--to", "coco").status == 2
    assert (tmp_path / "out").is_dir()
    assert snapshot(tmp_path / "out") == {}


def test_threshold_decides_which_grey_is_defect(dataset: Path, tmp_path: Path) -> None:
    grey_mask(dataset / MASK)
    areas = []
    for threshold in (90, 91):
        out = tmp_path / str(threshold)
        assert defectkit("convert", dataset, out, "--to", "coco", "--threshold", str(threshold)).status == 0
        annotations = json.loads((out / "coco/annotations/instances_test.json").read_text())["annotations"]
        areas.append(sum(annotation["area"] for annotation in annotations))
    assert areas[0] == areas[1] + 1


def write_palette(path: Path, mask: np.ndarray) -> None:
    image = Image.fromarray((mask > 0).view(np.uint8), mode="P")
    image.putpalette([0, 0, 0, 200, 30, 30])
    image.save(path)


MASK_KINDS: dict[str, Callable[[Path, np.ndarray], object]] = {
    "0 and 1": lambda path, mask: save(path, mask // 255),
    "RGB with equal channels": lambda path, mask: save(path, np.dstack([mask] * 3)),
    "RGBA": lambda path, mask: save(path, np.dstack([mask] * 3 + [np.full_like(mask, 128)])),
    "palette": write_palette,
    "1 bit": lambda path, mask: Image.fromarray(mask).convert("1").save(path),
    "16 bits": lambda path, mask: save(path, mask.astype(np.uint16) * 257),
}


@pytest.mark.parametrize("write", MASK_KINDS.values(), ids=MASK_KINDS.keys())
def test_masks_of_other_kinds_are_simply_read(
    dataset: Path, tmp_path: Path, write: Callable[[Path, np.ndarray], object]
) -> None:
    hashes = []
    for name in ("plain", "other"):
        outcome = defectkit("convert", dataset, tmp_path / name, "--to", "coco", "--json")
        hashes.append(outcome.json()["formats"]["coco"]["labels_sha256"])
        for path in (dataset / "part/ground_truth").rglob("*.png"):
            write(path, np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)))
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".jpeg", ".bmp", ".tif", ".webp"])
@pytest.mark.parametrize("change", [str.lower, str.upper])
def test_images_of_every_format(dataset: Path, tmp_path: Path, suffix: str, change: Callable[[str], str]) -> None:
    for path in list((dataset / "part/test").rglob("*.png")):
        replace_image(path, change(suffix))
    outcome = defectkit("convert", dataset, tmp_path / "out", "--to", "yolo-segment,coco,masks", "--json")
    assert outcome.status == 0, outcome.err
    counted = outcome.json()["formats"]["coco"]["subsets"]
    assert sum(subset["images"] for subset in counted.values()) == IMAGES
    assert defectkit("verify", tmp_path / "out", "--against", dataset).status == 0


NAMES = [
    "two words",
    "it's",
    'a "quote"',
    "colon: yes",
    "größe 裂缝",
    "<script>alert(1)</script>".replace("/", "∕"),
    "# no",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_come_out_right(tmp_path: Path, name: str) -> None:
    root = make_dataset(tmp_path / "data", category=name)
    for folder in (root / name / "test", root / name / "ground_truth"):
        (folder / "scratch").rename(folder / name)
    formats = "yolo-detect,yolo-segment,yolo-obb,yolo-classify,coco,semantic,panoptic,masks"
    outcome = defectkit("convert", root, tmp_path / "out", "--to", formats, "--json")
    assert outcome.status == 0, outcome.err
    classes = sorted(["dent", name])
    for tree in ("yolo-detect", "yolo-segment", "yolo-obb"):
        document = yaml.safe_load((tmp_path / "out" / tree / "data.yaml").read_text())
        assert document["names"] == dict(enumerate(classes))
    coco = json.loads((tmp_path / "out/coco/annotations/instances_test.json").read_text())
    assert [category["name"] for category in coco["categories"]] == classes
    assert defectkit("verify", tmp_path / "out").status == 0


@pytest.mark.skipif(os.name != "posix", reason="file names are bytes on POSIX systems only")
def test_a_name_that_is_no_text_is_named(dataset: Path, tmp_path: Path) -> None:
    strange = os.fsencode(dataset / "part/test/good") + b"/\xff\xfe.png"
    with open(strange, "wb") as file:
        file.write((dataset / SCRATCH).read_bytes())
    outcome = shell("convert", dataset, tmp_path / "out", "--to", "coco,yolo-segment")
    assert outcome.status == 2
    assert "Traceback" not in outcome.err
    assert "\\udcff\\udcfe.png: its name is not UTF-8" in outcome.err
    assert "; rename it" in outcome.err
    assert not (tmp_path / "out").exists()
    skipped = defectkit("convert", dataset, tmp_path / "out", "--to", "coco", "--on-problem", "skip", "--json")
    assert skipped.status == 0
    assert [problem["file"] for problem in skipped.json()["skipped"]] == [
        f"{dataset}/part/test/good/\\udcff\\udcfe.png"
    ]


ROOTS: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "no folder": (lambda root: None, "no such folder", "check the path"),
    "a file": (lambda root: root.write_text("x"), "not a folder", "name the folder"),
    "nothing in it": (lambda root: root.mkdir(), "the folder is empty", "name the folder"),
    "no images": (lambda root: (root / "part/test/good").mkdir(parents=True), "holds no images", "name the folder"),
    "unknown layout": (
        lambda root: save(root / "pictures/1.png", picture(0)),
        "unknown layout",
        "--image PATTERN --mask PATTERN",
    ),
}


@pytest.mark.parametrize(("make", "problem", "remedy"), ROOTS.values(), ids=ROOTS.keys())
@pytest.mark.parametrize("command", ["convert", "split"])
def test_roots_that_hold_no_dataset(
    tmp_path: Path, make: Callable[[Path], object], problem: str, remedy: str, command: str
) -> None:
    make(tmp_path / "data")
    rest = {"convert": ["--to", "coco"], "split": ["--strategy", "native"]}[command]
    refused(defectkit(command, tmp_path / "data", tmp_path / "out", *rest), (tmp_path / "data", problem, remedy))
    assert not (tmp_path / "out").exists()


def test_an_error_is_json_for_those_who_asked_for_it(tmp_path: Path) -> None:
    outcome = defectkit("convert", tmp_path / "gone", tmp_path / "out", "--to", "coco", "--json")
    assert (outcome.status, outcome.json()["problems"]) == (
        2,
        [{"file": str(tmp_path / "gone"), "problem": "no such folder", "remedy": "check the path"}],
    )
    usage = defectkit("convert", tmp_path, "--json")
    assert "see 'defectkit convert --help'" in usage.json()["error"]


@pytest.mark.parametrize("part", ["part/test", "part/ground_truth", "part/test/scratch"])
def test_a_part_of_a_dataset_names_the_whole(dataset: Path, tmp_path: Path, part: str) -> None:
    outcome = defectkit("convert", dataset / part, tmp_path / "out", "--to", "coco")
    refused(outcome, (dataset / part, "is a part of a dataset", f"name its category, {dataset / 'part'}"))


def occupied(tmp_path: Path) -> None:
    save(tmp_path / "out/holiday.png", picture(0))


def foreign(tmp_path: Path) -> None:
    save(tmp_path / "out/coco/holiday.png", picture(0))


OUTPUTS: dict[str, tuple[Callable[[Path], object], str, tuple[str, ...], str, str]] = {
    "holds something": (occupied, "out", (), "is not empty", "--overwrite"),
    "holds a folder of that name": (foreign, "out", ("--overwrite",), "was not written by defectkit", "move it away"),
    "is a file": (lambda home: (home / "out").write_text("x"), "out", ("--overwrite",), "is a file", "name a folder"),
    "is a broken link": (lambda home: (home / "out").symlink_to(home / "gone"), "out", (), "leads nowhere", "remove"),
    "lies in a file": (lambda home: (home / "file").write_text("x"), "file/out", (), "cannot be written", "choose"),
    "is the input": (lambda home: None, "data", (), "is the input", "apart from it"),
    "lies inside the input": (lambda home: None, "data/part/out", ("--overwrite",), "lies inside the input", "apart"),
    "holds the input": (lambda home: None, ".", ("--overwrite",), "holds the input", "apart from it"),
    "is the input by a link": (
        lambda home: (home / "link").symlink_to(home / "data"),
        "link/x",
        (),
        "lies inside",
        "apart",
    ),
}


@pytest.mark.parametrize(("make", "name", "flags", "problem", "remedy"), OUTPUTS.values(), ids=OUTPUTS.keys())
def test_outputs_that_cannot_be_taken(
    dataset: Path,
    tmp_path: Path,
    make: Callable[[Path], object],
    name: str,
    flags: tuple[str, ...],
    problem: str,
    remedy: str,
) -> None:
    make(tmp_path)
    before = snapshot(tmp_path)
    out = tmp_path / name
    refused(defectkit("convert", dataset, out, "--to", "coco", *flags), (tmp_path, problem, remedy))
    assert snapshot(tmp_path) == before


def test_overwrite_replaces_what_it_wrote_and_keeps_the_rest(dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert defectkit("convert", dataset, out, "--to", "coco,masks").status == 0
    masks = snapshot(out / "masks")
    (out / "notes.txt").write_text("mine")
    assert defectkit("convert", dataset, out, "--to", "coco", "--min-area", "5", "--overwrite").status == 0
    assert json.loads((out / "coco/manifest.json").read_text())["options"]["min_area"] == 5
    assert snapshot(out / "masks") == masks
    assert (out / "notes.txt").read_text() == "mine"


def lines_of_split(dataset: Path) -> list[str]:
    return [f"{sample.key},{sample.split}" for sample in load_dataset(dataset)]


SPLITS: dict[str, tuple[Callable[[list[str]], list[str]], str, str, str]] = {
    "unknown key": (lambda rows: [*rows, "part/test/good/777,val"], ":10", "is not in the dataset", "remove the line"),
    "missing key": (lambda rows: rows[1:], "", "'part/test/dent/000' is missing", "add a line"),
    "doubled key": (lambda rows: [*rows, rows[0]], ":10", "stands twice", "remove one"),
    "unknown subset": (lambda rows: [rows[0] + "s", *rows[1:]], ":1", "unknown subset 'tests'", "use train, val, test"),
    "another dataset's": (lambda rows: ["screw/test/good/000,test"], "", "none of its 1 keys", "make one with"),
    "semicolons": (lambda rows: [row.replace(",", ";") for row in rows], ":1", "key,subset", "not a semicolon"),
    "three columns": (lambda rows: [rows[0] + ",x", *rows[1:]], ":1", "is not of the form key,subset", "correct"),
    "nothing": (lambda rows: ["key,subset"], "", "assigns no samples", "defectkit split"),
    "no text": (lambda rows: ["\udcff\udcfe"], "", "no text in UTF-8", "CSV UTF-8"),
}


@pytest.mark.parametrize(("change", "place", "problem", "remedy"), SPLITS.values(), ids=SPLITS.keys())
def test_split_files_that_do_not_fit(
    dataset: Path, tmp_path: Path, change: Callable[[list[str]], list[str]], place: str, problem: str, remedy: str
) -> None:
    file = tmp_path / "split.csv"
    file.write_text("\n".join(change(lines_of_split(dataset))), encoding="utf-8", errors="surrogateescape")
    outcome = defectkit("convert", dataset, tmp_path / "out", "--to", "coco", "--split", file)
    refused(outcome, (f"{file}{place}: ", problem, remedy))
    assert not (tmp_path / "out").exists()


def test_all_faults_of_a_split_file_are_listed(dataset: Path, tmp_path: Path) -> None:
    rows = lines_of_split(dataset)
    file = tmp_path / "split.csv"
    file.write_text("\n".join([*rows[2:], rows[3], "part/test/good/777,val"]))
    outcome = defectkit("convert", dataset, tmp_path / "out", "--to", "coco", "--split", file)
    refused(
        outcome,
        (f"{file}:8", "stands twice"),
        (f"{file}:9", "is not in the dataset"),
        (f"{file}: ", "'part/test/dent/000' is missing"),
        (f"{file}: the key 'part/test/dent/001'", "is missing"),
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\ufeff" + text.replace("\n", "\r\n"),
        lambda text: text.replace("strategy=stratified seed=0", "strategy=stratified seed=0,").replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\n\n"),
        lambda text: "\n".join(text.splitlines()[1:]),
    ],
    ids=["a byte order mark and CRLF", "a filled comment line", "blank lines", "no comment line"],
)
def test_a_split_file_survives_a_spreadsheet(dataset: Path, tmp_path: Path, change: Callable[[str], str]) -> None:
    file = tmp_path / "split.csv"
    assert defectkit("split", dataset, file, "--strategy", "stratified", "--val", "0").status == 0
    hashes = []
    for name in ("before", "after"):
        outcome = defectkit("convert", dataset, tmp_path / name, "--to", "yolo-detect", "--split", file, "--json")
        hashes.append(outcome.json()["formats"]["yolo-detect"]["labels_sha256"])
        file.write_bytes(change(file.read_text()).encode())
    assert hashes[0] == hashes[1]


USAGE: dict[str, tuple[tuple[str, ...], str, str]] = {
    "shares above 1": (
        ("--strategy", "stratified", "--val", "0.5", "--test", "0.6"),
        "--val 0.5, --test 0.6",
        "below 1",
    ),
    "a negative share": (("--strategy", "stratified", "--test", "-0.1"), "--val 0.1, --test -0.1", "from 0 to 1"),
    "a share without strategy": (("--val", "0.5"), "--val", "--strategy stratified or kfold"),
    "a fold that is none": (("--strategy", "kfold", "--fold", "7"), "--folds 5 --fold 7", "from 0 to folds - 1"),
    "a fold of another strategy": (("--strategy", "uniform", "--fold", "1"), "--fold", "use --strategy kfold"),
    "too few for the folds": (("--strategy", "kfold"), "part/dent", "--folds 2 or less"),
    "too few of a class": (("--strategy", "uniform"), "part/dent", "--per-class 2 with --test-per-class 1"),
    "too few for three subsets": (("--strategy", "stratified"), "part/dent", "set --val or --test to 0"),
    "an IoU above 1": (("--min-iou", "2"), "--min-iou", "up to 1"),
    "an IoU that is no number": (("--min-iou", "nan"), "--min-iou", "up to 1"),
    "a negative area": (("--min-area", "-1"), "--min-area", "0 or more"),
    "a threshold of 0": (("--threshold", "0"), "--threshold", "from 1 to 65535"),
    "no way to group": (("--instances", "merge"), "--instances", "merge:GAP"),
    "no workers": (("--workers", "-1"), "--workers", "1 or more"),
    "an unknown category": (("--category", "screw"), "", "it has: part"),
    "no such split file": (("--split", "gone.csv"), "gone.csv", "defectkit split"),
    "a split file and a strategy": (("--split", "x.csv", "--strategy", "native"), "--split", "leave out --strategy"),
    "no scheduler": (("--cluster", "nonsense"), "nonsense", "dask scheduler"),
}


@pytest.mark.parametrize(("words", "place", "remedy"), USAGE.values(), ids=USAGE.keys())
def test_settings_that_mean_nothing(
    dataset: Path, tmp_path: Path, words: tuple[str, ...], place: str, remedy: str
) -> None:
    outcome = defectkit("convert", dataset, tmp_path / "out", "--to", "coco", *words)
    refused(outcome, (place or dataset, remedy))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("to", ["yolo", "coco,yolov8", ",", "coco yolo-segment"])
def test_unknown_formats_name_the_known(dataset: Path, tmp_path: Path, to: str) -> None:
    outcome = defectkit("convert", dataset, tmp_path / "out", "--to", to)
    refused(outcome, ("--to", "use one or more of yolo-detect, yolo-segment, yolo-obb"))
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may read and write everything")
def test_files_and_folders_without_permission(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    outcome = defectkit("convert", dataset, tmp_path / "closed/out", "--to", "coco")
    refused(outcome, (tmp_path / "closed", "cannot be written", "choose"))
    (dataset / MASK).chmod(0)
    refused(defectkit("convert", dataset, tmp_path / "out", "--to", "coco"), (dataset / MASK, "cannot be read"))


def test_labels_of_a_tree_are_checked_too(dataset: Path, tmp_path: Path) -> None:
    assert defectkit("convert", dataset, tmp_path / "yolo", "--to", "yolo-segment").status == 0
    label = next(path for path in (tmp_path / "yolo").rglob("*.txt") if path.stat().st_size)
    label.write_text("0 0.1 0.2 0.3\n")
    outcome = defectkit("convert", tmp_path / "yolo/yolo-segment", tmp_path / "coco", "--to", "coco")
    refused(outcome, (f"{label}:1", ""))
    assert not (tmp_path / "coco").exists()
