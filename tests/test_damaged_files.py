"""Files of ours that somebody damaged: a command works, finds fault, or refuses in a line; nothing is half-written."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import pytest

import converters.writing.conversion
from converters import convert, read_labels
from converters.formats.registry import read_manifest
from tests.commands import defectkit, picture, save, snapshot, stain
from tests.damage import accepted, spoilt, spoilt_bytes, survives
from toolkit import load_dataset
from toolkit.dataset.splits import read_split
from toolkit.files.staging import STAGING

FORMATS = ("yolo-detect", "yolo-segment", "yolo-obb", "yolo-classify", "coco", "semantic", "panoptic", "masks")


def make_data(root: Path) -> Path:
    """As little as there can be: a good image to train on, and a defect."""
    save(root / "part/train/good/000.png", picture(0))
    save(root / "part/test/dent/000.png", picture(1))
    save(root / "part/ground_truth/dent/000_mask.png", stain(0))
    return root


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every kind of output: trees with images and without, a gallery, a split, a layout and a prepared root."""
    home = tmp_path_factory.mktemp("made")
    data = make_data(home / "data")
    for images in ("hardlink", "none"):
        convert(data, home / images, FORMATS, images=images)  # type: ignore[arg-type]
    assert defectkit("view", home / "none/coco", "--out", home / "gallery").status == 0
    assert defectkit("split", data, home / "split.csv", "--strategy", "native").status == 0
    assert defectkit("prepare", data, home / "prepared").status == 0
    layout = defectkit("layouts", "visa").out
    (home / "layout.yaml").write_text(layout)
    return home


class Spoil(Protocol):
    """What goes through the ways to damage a file of `made`, or every so many-th of them."""

    def __call__(self, name: str, every: int = 1) -> Iterator[tuple[str, Path]]: ...


@pytest.fixture
def spoil(made: Path) -> Iterator[Spoil]:
    """Goes through the ways to damage a file, and puts it right again at the end."""
    before: dict[Path, bytes] = {}

    def ways(name: str, every: int = 1) -> Iterator[tuple[str, Path]]:
        path = made / name
        before[path] = path.read_bytes()
        path.unlink()  # it may be a hard link
        for told, data in spoilt_of(path, before[path], every):
            path.write_bytes(data)
            yield f"{name}: {told}", path

    yield ways
    for path, data in before.items():
        path.write_bytes(data)


def spoilt_of(path: Path, data: bytes, every: int) -> Iterator[tuple[str, bytes]]:
    path.write_bytes(data)
    yield from spoilt(path, every)


def test_a_manifest(spoil: Spoil, made: Path) -> None:
    words = ("convert", made / "data", made / "none", "--to", "coco", "--images", "none", "--resume")
    for number, (told, path) in enumerate(spoil("none/coco/manifest.json")):
        if survives(told, partial(read_manifest, path.parent)) and number % 3 == 0:
            accepted(told, "verify", path.parent)
            before = snapshot(path.parent)
            if accepted(told, *words).status:
                assert snapshot(path.parent) == before


@pytest.mark.parametrize("kind", ["yolo-classify", "masks"])
def test_a_manifest_that_is_cut_or_no_text(spoil: Spoil, tmp_path: Path, made: Path, kind: str) -> None:
    for told, data in spoilt_bytes((made / "hardlink" / kind / "manifest.json").read_bytes()):
        tree = Path(shutil.copytree(made / "hardlink" / kind, tmp_path / kind))
        (tree / "manifest.json").unlink()
        (tree / "manifest.json").write_bytes(data)
        outcome = accepted(told, "convert", tree, tmp_path / "out", "--to", "coco", "--images", "none")
        assert (tmp_path / "out").exists() == (outcome.status == 0)
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        shutil.rmtree(tree)


TABLES = ["none/yolo-segment/images.csv", "none/yolo-detect/images.csv", "none/yolo-classify/labels.csv"]


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_images(spoil: Spoil, name: str) -> None:
    for told, path in spoil(name):
        if survives(told, partial(read_labels, path.parent)):
            accepted(told, "verify", path.parent)


@pytest.mark.parametrize("kind", ["yolo-segment", "semantic"])
def test_a_dataset_file(spoil: Spoil, kind: str) -> None:
    for number, (told, path) in enumerate(spoil(f"hardlink/{kind}/data.yaml")):
        if survives(told, partial(read_labels, path.parent)) and number % 4 == 0:
            accepted(told, "verify", path.parent)


def test_a_dataset_file_of_another_tool(made: Path, spoil: Spoil, tmp_path: Path) -> None:
    for kind in ("yolo-segment", "semantic"):
        tree = shutil.copytree(made / "hardlink" / kind, tmp_path / kind)
        (tree / "manifest.json").unlink()
        for told, path in spoil(f"hardlink/{kind}/data.yaml"):
            shutil.copyfile(path, tree / "data.yaml")
            survives(told, lambda tree=tree: list(read_labels(tree)))  # type: ignore[misc]


def test_the_manifest_of_a_gallery(made: Path, spoil: Spoil) -> None:
    for told, path in spoil("gallery/manifest.json", 7):
        accepted(told, "view", made / "none/coco", "--out", path.parent, "--resume")


def test_a_split(made: Path, spoil: Spoil, tmp_path: Path) -> None:
    dataset, words = load_dataset(made / "data"), ("--to", "yolo-detect", "--images", "none", "--overwrite")
    for told, path in spoil("split.csv"):
        if survives(told, partial(read_split, path, dataset)):
            accepted(told, "convert", made / "data", tmp_path / "out", *words, "--split", path)


def test_a_description_of_a_layout(made: Path, spoil: Spoil) -> None:
    for told, path in spoil("layout.yaml", 25):
        survives(told, partial(load_dataset, made / "data", path))


def test_the_record_of_what_was_prepared(made: Path, spoil: Spoil) -> None:
    for told, path in spoil("prepared/.defectkit-prepared.json", 3):
        before = path.read_bytes()
        accepted(told, "prepare", made / "data", path.parent, "--resume")
        path.write_bytes(before)


@pytest.fixture
def interrupted(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A conversion that was stopped after its first image."""
    monkeypatch.setattr(converters.writing.conversion, "_CHECKPOINT_SECONDS", 0)
    out = tmp_path / "begun"

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(made / "data", out, FORMATS[:5], images="none", progress=stop)
    return out


def test_the_checkpoint_of_a_conversion(made: Path, interrupted: Path, tmp_path: Path) -> None:
    state = interrupted / STAGING / "state.json"
    wanted = {name: data for name, data in snapshot(made / "none").items() if name.split("/")[0] in FORMATS[:5]}
    for told, data in spoilt(state, 40):
        out = Path(shutil.copytree(interrupted, tmp_path / "resumed"))
        (out / STAGING / "state.json").write_bytes(data)
        words = ("--to", ",".join(FORMATS[:5]), "--images", "none", "--resume")
        if accepted(told, "convert", made / "data", out, *words).status == 0:
            found = {name: data for name, data in snapshot(out).items() if not name.endswith("manifest.json")}
            assert found == {name: data for name, data in wanted.items() if not name.endswith("manifest.json")}, told
        shutil.rmtree(out)


def test_a_spool_that_was_cut_short_is_not_gone_on_with(made: Path, interrupted: Path) -> None:
    for spool in (interrupted / STAGING).glob("coco/.*.spool"):
        spool.write_bytes(spool.read_bytes()[:-1])
    words: dict[str, Any] = {"formats": FORMATS[:5], "images": "none", "resume": True}
    report = convert(made / "data", interrupted, **words)
    kept = convert(made / "data", made / "again", FORMATS[:5], images="none")
    assert {name: one["labels_sha256"] for name, one in report.manifests.items()} == {
        name: one["labels_sha256"] for name, one in kept.manifests.items()
    }
