"""What datasets, labels and reports look like in a notebook, and the notebook in examples/ from top to bottom."""

from __future__ import annotations

import base64
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import nbformat
import numpy as np
import numpy.typing as npt
import pytest

from converters import convert, read_labels, verify
from tests.commands import PATIENCE, ROOT, make_dataset, picture, save, stain
from toolkit import Instance, LabelledImage, load_dataset
from toolkit.gallery import GalleryReport
from toolkit.imaging.images import encode_png, read_image
from toolkit.intake import prepare
from toolkit.plotting.overlays import draw_overlay

QUICKSTART = ROOT / "examples" / "quickstart.ipynb"
OURS = {"div", "p", "strong", "br", "img", "table", "thead", "tbody", "tr", "th", "td", "ul", "li"}
HOSTILE = "<script>alert('ä & \"b\"')<!--"


class Page(HTMLParser):
    """The text of a piece of HTML, its tables, lists and pictures; every element must be closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.cells: list[list[str]] = []
        self.lines: list[str] = []
        self.pictures: list[npt.NDArray[Any]] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []
        self.text = "\n".join(self.lines)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        if tag == "tr":
            self.cells.append([])
        if tag == "img":
            data = (dict(attrs)["src"] or "").removeprefix("data:image/png;base64,")
            self.pictures.append(cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR))
        if tag not in ("br", "img"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in ("th", "td"):
            self.cells[-1].append(data)
        elif data.strip():
            self.lines.append(data)


def show(value: object) -> Page:
    return Page(value._repr_html_())  # type: ignore[attr-defined]


def labelled(path: Path | None, label: str = "dent", scale: int = 1, **more: Any) -> LabelledImage:
    """The first stain of the test datasets, `scale` times as large."""
    mask = np.kron(stain(0), np.ones((scale, scale), np.uint8)) > 0
    x, y, w, h = cv2.boundingRect(mask.view(np.uint8))
    instance = Instance(label, (x, y, x + w, y + h), mask[y : y + h, x : x + w], int(mask.sum()))
    return LabelledImage("part/test/dent/000", path, mask.shape[1], mask.shape[0], (instance,), **more)


def test_a_dataset_of_one_product(tmp_path: Path) -> None:
    page = show(load_dataset(make_dataset(tmp_path / "data")))
    assert page.lines == [f"Dataset {tmp_path}/data", "part, 9 images, 2 kinds of defect, layout mvtec"]
    assert page.cells == [
        ["class", "train", "test", "images"],
        ["good", "2", "2", "4"],
        ["dent", "0", "2", "2"],
        ["scratch", "0", "3", "3"],
    ]


def test_a_dataset_of_several_products_with_notes_and_problems(tmp_path: Path) -> None:
    root = make_dataset(make_dataset(tmp_path, "part"), "screw")
    (root / "part" / "ground_truth" / "dent" / "000_mask.png").unlink()
    page = show(load_dataset(root))
    assert page.cells[1:] == [["part", "2", "7", "9"], ["screw", "2", "7", "9"]]
    assert "screw differs from the published MVTec AD" in page.text
    assert f"{root}/part/test/dent/000.png: a defect image without a mask" in page.text


def test_a_prepared_dataset(tmp_path: Path) -> None:
    report = prepare(make_dataset(make_dataset(tmp_path / "data", "part"), "screw"), tmp_path / "root")
    page = show(report)
    assert page.lines[0] == f"Dataset {tmp_path}/root"
    assert page.lines[1].startswith("2 product(s) from a folder in ")
    assert page.cells == [["product", "images", "as published"], ["part", "9", "-"], ["screw", "9", "no"]]
    assert "screw differs from the published MVTec AD" in page.text


@pytest.mark.parametrize(("iou", "told"), [(0.5, "lowest IoU 0.5000"), (None, "not compared with a source")])
def test_a_gallery(iou: float | None, told: str) -> None:
    page = show(GalleryReport(Path("a<b/index.html"), 3, 9, 5, 20, 1, iou))
    assert page.lines == ["Gallery a<b/index.html", f"{told}, 1 image(s) with a problem"]
    assert page.cells == [["what", "shown", "of"], ["images", "3", "9"], ["instances", "5", "20"]]


def test_an_image_with_its_overlay(tmp_path: Path) -> None:
    image = labelled(save(tmp_path / "0.png", picture(0)), subset="val", image_label="dent")
    page = show(image)
    assert page.lines == ["part/test/dent/000", "24 x 16 pixels, val, dent"]
    assert page.cells == [["class", "instances", "pixels", "of the image"], ["dent", "1", "41", "10.68%"]]
    assert image.path is not None
    assert np.array_equal(page.pictures[0], draw_overlay(read_image(image.path), image, classes=["dent"]))


def test_a_large_image_is_shown_small_with_its_smallest_parts(tmp_path: Path) -> None:
    dot = Instance("dot", (1999, 3, 2000, 4), np.ones((1, 1), np.bool_), 1)
    image = labelled(save(tmp_path / "0.png", np.full((1600, 2400), 90, np.uint8)), scale=100)
    page = show(LabelledImage("a", image.path, 2400, 1600, (*image.instances, dot)))
    assert page.cells[1:] == [["dent", "1", "410000", "10.68%"], ["dot", "1", "1", "0.00%"]]
    assert page.pictures[0].shape == (341, 512, 3)
    plain = (90, 90, 90)
    marked = {
        "beside the stain": (1500, 100),
        "in the stain": (400, 700),
        "in its bite": (600, 450),
        "on the dot": (3, 1999),
    }
    seen = {name: tuple(page.pictures[0][y * 341 // 1600, x * 512 // 2400]) != plain for name, (y, x) in marked.items()}
    assert seen == {"beside the stain": False, "in the stain": True, "in its bite": False, "on the dot": True}


@pytest.mark.parametrize("path", [None, "missing.png", "small.png"])
def test_without_its_image_the_labels_lie_on_grey(path: str | None, tmp_path: Path) -> None:
    save(tmp_path / "small.png", picture(0)[:8])
    image = labelled(tmp_path / path if path else None)
    page = show(image)
    grey = np.full((16, 24, 3), 128, np.uint8)
    assert np.array_equal(page.pictures[0], draw_overlay(grey, image, classes=["dent"]))
    said = {None: "", "missing.png": "No such file", "small.png": "is 24 x 8 pixels, its labels are for another size"}
    assert said[path] in page.text
    assert ("Problems" in page.text) == (path is not None)


def test_an_image_without_defects() -> None:
    page = show(LabelledImage("part/test/good/000", None, 30, 20, ()))
    assert (page.cells, page.lines) == ([], ["part/test/good/000", "30 x 20 pixels, good"])
    assert np.array_equal(page.pictures[0], np.full((20, 30, 3), 128, np.uint8))


def test_reports(tmp_path: Path) -> None:
    dataset = load_dataset(make_dataset(tmp_path / "data"))
    page = show(convert(dataset, tmp_path / "out", ["coco", "masks"], min_area=2))
    assert page.lines[0] == f"Labels {tmp_path}/out"
    assert page.cells == [
        ["format", "images", "instances", "background", "exact", "min IoU", "left out"],
        ["coco", "9", "5", "4", "5 of 5", "1.0000", "5"],
        ["masks", "9", "5", "4", "5 of 5", "1.0000", "5"],
    ]
    assert "to train a detector or segmenter, --strategy stratified" in page.text
    sound = show(verify(tmp_path / "out", dataset))
    assert sound.lines == ["Verification", "min IoU 1.0000, nothing is wrong"]
    assert sound.cells[1] == ["coco", "9", "5 of 5", "1.0000", "0"]
    mask = tmp_path / "out/masks/part/ground_truth/dent/000_mask.png"
    pixels = cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE)
    assert pixels is not None
    pixels[3, 2] = 0
    mask.write_bytes(encode_png(np.asarray(pixels, np.uint8)))
    broken = show(verify(tmp_path / "out", dataset))
    assert re.search(r"min IoU 0\.9750, \d failures", broken.text)
    assert "part/test/dent/000: IoU 0.9750, 1 pixels lost, 0 gained" in broken.lines


def test_text_from_files_is_shown_as_it_is(tmp_path: Path) -> None:
    root = make_dataset(tmp_path / "da<b>ta", HOSTILE)
    (root / HOSTILE / "test" / "dent").rename(root / HOSTILE / "test" / HOSTILE)
    (root / HOSTILE / "ground_truth" / "dent").rename(root / HOSTILE / "ground_truth" / HOSTILE)
    dataset = load_dataset(root)
    report = convert(dataset, tmp_path / "out<i>", ["coco"])
    image = next(image for image in read_labels(tmp_path / "out<i>" / "coco") if image.instances)
    pages = [show(value) for value in (dataset, report, image, verify(tmp_path / "out<i>", dataset))]
    for page in pages:
        assert set(page.tags) <= OURS
    assert pages[0].cells[2][0] == HOSTILE
    assert pages[2].cells[1][0] == HOSTILE
    assert pages[2].lines[0] == f"{HOSTILE}/test/{HOSTILE}/000"


def test_a_path_that_is_no_text(tmp_path: Path) -> None:
    root = make_dataset(tmp_path / "\udcff")
    show(load_dataset(root))
    load_dataset(root)._repr_html_().encode()


def test_a_long_list_is_cut(tmp_path: Path) -> None:
    root = make_dataset(tmp_path)
    for number in range(30):
        save(root / "part/ground_truth/dent" / f"x{number:02}_mask.png", stain(0))
    page = show(load_dataset(root))
    assert len([line for line in page.lines if "a mask without an image" in line]) == 20
    assert page.lines[-1] == "and 10 more"


def test_colours_are_left_to_the_page(tmp_path: Path) -> None:
    html = load_dataset(make_dataset(tmp_path))._repr_html_()
    fixed = re.findall(r"(?<!-)(?:color|background)(?:-color)?: *(?!inherit|none)\w+", html)
    assert fixed == []


@pytest.fixture(scope="session")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The notebook as it was run in an empty folder: id of a cell -> its outputs."""
    from nbclient import NotebookClient

    notebook = nbformat.read(QUICKSTART, as_version=4)
    folder = tmp_path_factory.mktemp("elsewhere")
    client = NotebookClient(
        notebook,
        timeout=PATIENCE,
        startup_timeout=PATIENCE,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute()
    assert list(folder.iterdir()) == []
    return {cell.id: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}


def html_of(outputs: list[Any]) -> Page:
    return Page(outputs[-1]["data"]["text/html"])


def test_the_quickstart_runs_and_shows_what_it_promises(quickstart: dict[str, Any]) -> None:
    kinds = [output["output_type"] for outputs in quickstart.values() for output in outputs]
    assert set(kinds) == {"execute_result", "display_data"}  # neither warnings nor prints
    assert html_of(quickstart["look"]).cells[1] == ["good", "12", "6", "18"]
    assert quickstart["problems"][0]["data"]["text/plain"] == "[]"
    assert [row[0] for row in html_of(quickstart["convert"]).cells[1:]] == [
        "yolo-detect",
        "yolo-segment",
        "coco",
        "semantic",
    ]
    assert html_of(quickstart["verify"]).lines[1] == "min IoU 1.0000, nothing is wrong"
    assert html_of(quickstart["read"]).pictures[0].shape == (256, 256, 3)
    assert [len(Page(output["data"]["text/html"]).pictures) for output in quickstart["more"]] == [1, 1]


def test_the_quickstart_catches_its_damaged_label(quickstart: dict[str, Any]) -> None:
    page = html_of(quickstart["caught"])
    assert page.cells[1][2] == "41 of 42"
    assert "zipper/test/combined/000: 11 labelled objects where the source has 12" in page.text
    assert re.search(r"zipper/test/combined/000: IoU 0\.\d+, \d+ pixels lost, 0 gained", page.text)


def test_the_quickstart_is_stored_without_outputs_and_with_names_for_its_cells() -> None:
    notebook = nbformat.read(QUICKSTART, as_version=4)
    nbformat.validate(notebook)
    assert QUICKSTART.read_text(encoding="utf-8") == nbformat.writes(notebook) + "\n"
    assert notebook.metadata == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", cell.id)
        assert cell.metadata == {}
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None)
    ids = [cell.id for cell in notebook.cells]
    assert len(ids) == len(set(ids))
