"""The programs that labels are written for, themselves: they read our trees, and see the masks and the boxes."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from converters import convert
from tests.converters.support import (
    Bools,
    boxes_of,
    coco_document,
    coco_masks,
    in_canvas,
    iou,
    label_rows,
    make_dataset,
    parts_of,
    tree_copy,
)
from tests.masks import SHAPES
from toolkit import Dataset
from toolkit.dataset.keys import file_name
from toolkit.imaging.masks import read_mask

YOLO_KINDS = ["yolo-detect", "yolo-segment", "yolo-obb"]
CANVASES = {f"{name} {corner}": (name, corner) for name in SHAPES for corner in range(4)}


@pytest.fixture(scope="module", params=[64, 97])
def canvases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Bools]]:
    """All shapes in all corners of a square, and a full square, in the formats that programs read; the masks by name.

    Ultralytics takes no image of fewer than ten pixels, and makes every image a square.
    """
    folder, size = tmp_path_factory.mktemp("canvases"), int(request.param)
    masks = {
        f"{name} {corner}".replace(" ", "-"): in_canvas(SHAPES[name], size, corner)
        for name, corner in CANVASES.values()
    }
    masks["full"] = np.ones((size, size), np.bool_)
    dataset = make_dataset(folder / "dataset", {"shape": masks})
    convert(dataset, folder / "labels", ["coco", *YOLO_KINDS])
    return folder / "labels", {f"part__test__shape__{name}": mask for name, mask in masks.items()}


def verified(ultralytics: Any, tree: Path, classes: int = 1) -> Iterator[tuple[Path, npt.NDArray[np.float32]]]:
    """Label files that ultralytics accepts without a word, and the boxes (N, 5) that it takes from each."""
    from ultralytics.data.utils import verify_image_label

    labels = sorted((tree / "labels").glob("*/*.txt"))
    assert labels
    for label in labels:
        image = tree / "images" / label.parent.name / f"{label.stem}.png"
        found = verify_image_label((str(image), str(label), "", False, classes, 0, 0, False))
        boxes, corrupt, message = found[1], found[-2], found[-1]
        assert (corrupt, message) == (0, ""), label
        assert len(boxes) == len(label_rows(label)), label
        yield label, boxes


@pytest.mark.parametrize("kind", YOLO_KINDS)
def test_ultralytics_takes_every_row(canvases: tuple[Path, dict[str, Bools]], kind: str, ultralytics: Any) -> None:
    out, masks = canvases
    for label, boxes in verified(ultralytics, out / kind):
        assert len(boxes) == (parts_of(masks[label.stem]) if label.stem in masks else 0)
        assert (boxes[:, 3:] > 0).all(), label


@pytest.mark.parametrize("kind", YOLO_KINDS)
def test_ultralytics_takes_every_row_of_the_product(trees: Path, product: Dataset, kind: str, ultralytics: Any) -> None:
    assert sum(len(boxes) for _, boxes in verified(ultralytics, trees / kind, len(product.classes()))) > 28


def polygon_masks(label: Path, size: tuple[int, ...]) -> Bools:
    """The rows of a label file as ultralytics' own `polygon2mask` fills them."""
    from ultralytics.data.utils import polygon2mask

    filled = np.zeros(size, np.bool_)
    for _, values in label_rows(label):
        points = values.reshape(-1, 2) * np.array(size[::-1], np.float32)
        filled |= polygon2mask(size, [points.reshape(-1)]) > 0  # type: ignore[arg-type]
    return filled


def test_polygon2mask_fills_to_every_shape(canvases: tuple[Path, dict[str, Bools]], ultralytics: Any) -> None:
    out, masks = canvases
    for name, mask in masks.items():
        label = out / "yolo-segment" / "labels" / "test" / f"{name}.txt"
        assert np.array_equal(polygon_masks(label, mask.shape), mask), name


def test_polygon2mask_fills_to_every_real_mask(real_defects: Dataset, real_trees: Path, ultralytics: Any) -> None:
    for sample in real_defects:
        truth = read_mask(sample.masks[0]).pixels() > 0
        label = real_trees / "yolo-segment" / "labels" / "test" / f"{file_name(sample.key)}.txt"
        assert np.array_equal(polygon_masks(label, truth.shape), truth), sample.key


def loaded(images: Path, size: int, task: str = "segment", classes: int = 8) -> dict[str, dict[str, Any]]:
    """What the training loader of ultralytics makes of a folder of images, at native size and without augmentation."""
    from ultralytics.data.dataset import YOLODataset
    from ultralytics.utils import DEFAULT_CFG, IterableSimpleNamespace

    settings = IterableSimpleNamespace(**{**vars(DEFAULT_CFG), "mask_ratio": 1, "overlap_mask": True})
    names = {number: str(number) for number in range(classes)}
    data = {"names": names, "nc": classes, "channels": 3}
    dataset = YOLODataset(
        img_path=str(images), data=data, task=task, imgsz=size, augment=False, hyp=settings, rect=False
    )
    return {Path(dataset.im_files[index]).stem: dataset[index] for index in range(len(dataset))}


def test_the_training_loader_sees_every_shape(canvases: tuple[Path, dict[str, Bools]], ultralytics: Any) -> None:
    out, masks = canvases
    seen = loaded(out / "yolo-segment" / "images" / "test", len(masks["part__test__shape__full"]))
    for name, mask in masks.items():
        assert np.array_equal(np.asarray(seen[name]["masks"][0]) > 0, mask), name


def test_the_training_loader_sees_every_real_mask(
    real_defects: Dataset, real_trees: Path, ultralytics: Any, tmp_path: Path
) -> None:
    """Each product at its own size; the loader takes a list of images in a text file."""
    found = []
    for category in real_defects.categories:
        truth = {file_name(s.key): read_mask(s.masks[0]).pixels() > 0 for s in real_defects if s.category == category}
        images = [str(real_trees / "yolo-segment" / "images" / "test" / f"{name}.png") for name in truth]
        (tmp_path / "images.txt").write_text("\n".join(images))
        (size,) = {side for mask in truth.values() for side in mask.shape}
        seen = loaded(tmp_path / "images.txt", size)
        found += [iou(np.asarray(seen[name]["masks"][0]) > 0, mask) for name, mask in truth.items()]
    print(f"exact: {found.count(1.0)} of {len(found)}, min IoU {min(found)}")  # shown by pytest -s
    assert min(found) >= 0.999
    assert found.count(1.0) >= 0.95 * len(found)
    assert not list(real_defects.root.rglob("*.cache"))


def test_the_training_loader_sees_oriented_boxes(canvases: tuple[Path, dict[str, Bools]], ultralytics: Any) -> None:
    out, masks = canvases
    size = len(masks["part__test__shape__full"])
    seen = loaded(out / "yolo-obb" / "images" / "test", size, task="obb")
    for name, mask in masks.items():
        boxes = np.asarray(seen[name]["bboxes"])  # centre x, centre y, width, height, angle
        assert len(boxes) == parts_of(mask), name
        assert (boxes[:, 2:4] > 0).all(), name
        assert (boxes[:, 2] * boxes[:, 3]).sum() * size**2 >= 0.99 * mask.sum(), name


def test_the_training_loader_sees_detection_boxes(canvases: tuple[Path, dict[str, Bools]], ultralytics: Any) -> None:
    out, masks = canvases
    size = len(masks["part__test__shape__full"])
    seen = loaded(out / "yolo-detect" / "images" / "test", size, task="detect")
    for name, mask in masks.items():
        xywh = np.asarray(seen[name]["bboxes"], np.float64) * size
        boxes = np.concatenate([xywh[:, :2] - xywh[:, 2:] / 2, xywh[:, :2] + xywh[:, 2:] / 2], axis=1)
        order = np.lexsort(np.rint(boxes).T[::-1])
        assert np.abs(boxes[order] - boxes_of(mask)).max() < 0.01, name


@pytest.mark.parametrize("kind", YOLO_KINDS)
def test_ultralytics_finds_the_folders_from_anywhere_and_after_a_move(
    trees: Path, product: Dataset, kind: str, ultralytics: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ultralytics.data.utils import check_det_dataset

    tree = tree_copy(trees / kind, tmp_path / "first")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    for place in (tree, tmp_path / "second"):
        if place != tree:
            shutil.move(tree, place)
        data = check_det_dataset(str(place / "data.yaml"), autodownload=False)
        assert data["names"] == dict(enumerate(product.classes()))
        for subset in ("train", "val", "test"):
            assert Path(data[subset]) == (place / "images" / subset).resolve()


def test_an_epoch_of_training_without_a_word_about_labels(
    trees: Path, ultralytics: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From scratch: no weights are fetched."""
    monkeypatch.chdir(tmp_path)
    tree = tree_copy(trees / "yolo-segment", tmp_path)
    logger = logging.getLogger("ultralytics")
    logger.addHandler(caplog.handler)
    try:
        model = ultralytics.YOLO("yolo11n-seg.yaml")
        model.train(
            data=str(tree / "data.yaml"), epochs=1, imgsz=64, batch=8, device="cpu", workers=0, plots=False,
            project=str(tmp_path / "runs"), amp=False, val=False,
        )  # fmt: skip
    finally:
        logger.removeHandler(caplog.handler)
    worrying = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert [text for text in worrying if "label" in text or "image" in text or "corrupt" in text] == []
    assert (tmp_path / "runs/train/weights/last.pt").is_file()


@pytest.fixture(params=["polygon", "rle"])
def coco_tree(request: pytest.FixtureRequest, product: Dataset, tmp_path: Path) -> Path:
    convert(product, tmp_path / "labels", ["coco"], segmentation=request.param)
    return tmp_path / "labels" / "coco"


def truth_of(product: Dataset) -> dict[str, Bools]:
    return {
        file_name(sample.key): read_mask(sample.masks[0]).pixels() > 0
        for sample in product
        if sample.split == "test"
        if sample.masks
    }


def seen_by_api(api: Any) -> dict[str, list[Bools]]:
    """Masks by file name as a `COCO` class of the well-known interface decodes them."""
    return {
        Path(record["file_name"]).stem: [np.asarray(api.annToMask(a), np.bool_) for a in api.imgToAnns[image_id]]
        for image_id, record in api.imgs.items()
    }


@pytest.mark.parametrize("package", ["pycocotools.coco", "faster_coco_eval"])
def test_coco_classes_see_every_pixel(coco_tree: Path, product: Dataset, package: str) -> None:
    module = pytest.importorskip(package)
    api = module.COCO(str(coco_tree / "annotations" / "instances_test.json"))
    seen = seen_by_api(api)
    for name, mask in truth_of(product).items():
        assert np.array_equal(np.sum(seen[name], axis=0), mask), name
    assert [category["name"] for category in api.loadCats(sorted(api.getCatIds()))] == product.classes()


def test_torchvision_sees_images_boxes_and_good_images(coco_tree: Path, product: Dataset) -> None:
    datasets = pytest.importorskip("torchvision.datasets", reason='needs torchvision: pip install "defectkit[train]"')
    file = coco_tree / "annotations" / "instances_test.json"
    found = datasets.CocoDetection(str(coco_tree / "images" / "test"), str(file))
    truth = truth_of(product)
    names = {image_id: Path(record["file_name"]).stem for image_id, record in found.coco.imgs.items()}
    assert len(found) == len([sample for sample in product if sample.split == "test"])
    for image_id, (image, objects) in zip(found.ids, found, strict=True):
        assert image.size == (128, 128)
        boxes = sorted((x, y, x + w, y + h) for x, y, w, h in (a["bbox"] for a in objects))
        assert boxes == (boxes_of(truth[names[image_id]]) if names[image_id] in truth else [])


def test_supervision_sees_boxes_and_masks(coco_tree: Path, product: Dataset) -> None:
    """Its polygons go through `fillPoly`, which paints the outline too: there only run lengths are exact."""
    supervision = pytest.importorskip("supervision")
    file = coco_tree / "annotations" / "instances_test.json"
    found = supervision.DetectionDataset.from_coco(str(coco_tree / "images" / "test"), str(file), force_masks=True)
    polygons = isinstance(coco_document(coco_tree, "test")["annotations"][0]["segmentation"], list)
    truth = truth_of(product)
    assert found.classes == product.classes()
    for path, detections in found.annotations.items():
        mask = truth.get(Path(path).stem, np.zeros((128, 128), np.bool_))
        assert sorted(map(tuple, detections.xyxy.tolist())) == boxes_of(mask)
        if mask.any() and polygons:
            assert (detections.mask.any(axis=0) >= mask).all()
        elif mask.any():
            assert np.array_equal(detections.mask.sum(axis=0), mask)


def test_a_coco_evaluation_against_itself_is_perfect(coco_tree: Path) -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    api = COCO(str(coco_tree / "annotations" / "instances_test.json"))
    results = [
        {"image_id": a["image_id"], "category_id": a["category_id"], "segmentation": api.annToRLE(a), "score": 1.0}
        for a in api.anns.values()
    ]
    evaluation = COCOeval(api, api.loadRes(results), "segm")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == 1.0


def test_boxes_and_masks_of_one_file_agree(coco_tree: Path) -> None:
    document = coco_document(coco_tree, "test")
    masks = [mask for found in coco_masks(document).values() for mask in found]
    boxes = [[x, y, x + w, y + h] for x, y, w, h in (a["bbox"] for a in document["annotations"])]
    assert boxes == [list(box) for mask in masks for box in boxes_of(mask)]
