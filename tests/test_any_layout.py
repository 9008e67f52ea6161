"""A tree of images and masks, laid out at random and then harmed: its labels are the truth, or the file is named."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from converters import convert, read_labels
from toolkit import ToolkitError, load_dataset

BoolArray = npt.NDArray[np.bool_]
HEIGHT, WIDTH = 10, 14


@dataclass(frozen=True)
class Shape:
    """How a tree is laid out: the description that says so (None where it is found by itself), and its paths."""

    images: str
    mask: str
    told: Mapping[str, object] | None
    classes: tuple[str, ...] = ("",)
    splits: tuple[str, ...] = ("",)


SHAPES = (
    Shape("images/{name}.png", "masks/{name}.png", None),
    Shape("photos/{name}.jpg", "Masks/{name}_mask.png", None),
    Shape("{split}/imgs/{name}.png", "{split}/gt/{name}.png", None, splits=("train", "valid")),
    Shape("Images/{split}/{name}.bmp", "annotations/{split}/{name}.png", None, splits=("training", "test")),
    Shape("img_dir/{split}/{name}.jpg", "ann_dir/{split}/{name}.png", None, splits=("train", "val")),
    Shape("{name}.jpg", "{name}_GT.png", None),
    Shape("part/test/{class}/{name}.png", "part/ground_truth/{class}/{name}_mask.png", None, ("dent", "good")),
    Shape("part/test/{class}/{name}.bmp", "part/ground_truth/{class}/{name}.png", None, ("ko", "ok")),
    Shape(
        "line {split}/{class}/shot-{name}.png",
        "line {split}/{class}/truth/{name}/0.tif",
        {
            "images": "line {split}/{class:[^/]+}/shot-{name}.png",
            "mask": "line {split}/{class}/truth/{name}/*.tif",
            "good": ["fine"],
        },
        ("rust", "fine"),
        ("train", "test"),
    ),
    Shape(
        "a/{split}_{name}.png",
        "b/{name}/{split}.bmp",
        {"images": "a/{split:[a-z]+}_{name}.png", "mask": "b/{name}/{split}.bmp", "class": "hole"},
        splits=("train", "test"),
    ),
)
GOOD = ("good", "ok", "fine")
Harm = Callable[["Path", "Tree", "Path", "Path"], tuple[str, ...]]


@dataclass
class Tree:
    """What was written: path of each image -> path of its mask ("" for none), and what is marked in it."""

    masks: dict[str, str] = field(default_factory=dict)
    marked: dict[str, BoolArray] = field(default_factory=dict)


def save(path: Path, pixels: npt.NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    done, data = cv2.imencode(path.suffix.lower(), pixels)
    assert done
    path.write_bytes(bytes(data))


def build(root: Path, shape: Shape, seed: int) -> Tree:
    generator = np.random.default_rng(seed)
    tree = Tree()
    for number in range(4):
        groups = {
            "name": f"{number:02}",
            "class": shape.classes[number % len(shape.classes)],
            "split": shape.splits[number // 2 % len(shape.splits)],
        }
        path = shape.images.format_map(groups)
        save(root / path, generator.integers(40, 90, (HEIGHT, WIDTH, 3)).astype(np.uint8))
        tree.marked[path] = np.zeros((HEIGHT, WIDTH), np.bool_)
        tree.masks[path] = ""
        if groups["class"] not in GOOD:
            x, y = generator.integers(0, WIDTH - 4), generator.integers(0, HEIGHT - 4)
            tree.marked[path][y : y + 3, x : x + 2 + number] = True
            tree.masks[path] = shape.mask.format_map(groups)
            save(root / tree.masks[path], tree.marked[path].astype(np.uint8) * 255)
    return tree


def add_image(root: Path, tree: Tree, image: Path, mask: Path) -> tuple[str, ...]:
    save(root / "spare/shot.png", np.full((HEIGHT, WIDTH, 3), 9, np.uint8))
    return ("spare/shot.png",)


def add_mask(root: Path, tree: Tree, image: Path, mask: Path) -> tuple[str, ...]:
    """The mask of an image that is not there."""
    number = image.stem[-2:]
    parts = [part.replace(number, "77", 1) for part in mask.relative_to(root).parts]
    save(root.joinpath(*parts), np.full((HEIGHT, WIDTH), 255, np.uint8))
    return ("/".join(parts),)


def remove_image(root: Path, tree: Tree, image: Path, mask: Path) -> tuple[str, ...]:
    image.unlink()
    return ()


def remove_mask(root: Path, tree: Tree, image: Path, mask: Path) -> tuple[str, ...]:
    mask.unlink()
    return ()


def rename_image(root: Path, tree: Tree, image: Path, mask: Path) -> tuple[str, ...]:
    image.rename(image.with_name(f"x{image.name}"))
    return (f"x{image.name}",)


def rename_mask(root: Path, tree: Tree, image: Path, mask: Path) -> tuple[str, ...]:
    mask.rename(mask.with_name(f"x{mask.name}"))
    return (f"x{mask.name}",)


def change_kind(root: Path, tree: Tree, image: Path, mask: Path) -> tuple[str, ...]:
    marked = cv2.imread(str(mask), cv2.IMREAD_UNCHANGED)
    mask.unlink()
    other = mask.with_suffix(".webp" if mask.suffix == ".bmp" else ".bmp")
    done, data = cv2.imencode(other.suffix, marked, [cv2.IMWRITE_WEBP_QUALITY, 101] if other.suffix == ".webp" else [])
    assert done
    other.write_bytes(bytes(data))
    return (other.relative_to(root).as_posix(),)


def capital_ending(root: Path, tree: Tree, image: Path, mask: Path) -> tuple[str, ...]:
    mask.rename(mask.with_suffix(mask.suffix.upper()))
    return ()


def another_size(root: Path, tree: Tree, image: Path, mask: Path) -> tuple[str, ...]:
    save(mask, np.full((HEIGHT + 1, WIDTH), 255, np.uint8))
    return ()


def cut_mask(root: Path, tree: Tree, image: Path, mask: Path) -> tuple[str, ...]:
    mask.write_bytes(mask.read_bytes()[:-25])
    return ()


def cut_image(root: Path, tree: Tree, image: Path, mask: Path) -> tuple[str, ...]:
    image.write_bytes(image.read_bytes()[:-25])
    return ()


def empty_mask(root: Path, tree: Tree, image: Path, mask: Path) -> tuple[str, ...]:
    save(mask, np.zeros((HEIGHT, WIDTH), np.uint8))
    tree.marked[image.relative_to(root).as_posix()][:] = False
    return ()


HARMS = (
    None,
    add_image,
    add_mask,
    remove_image,
    remove_mask,
    rename_image,
    rename_mask,
    change_kind,
    capital_ending,
    another_size,
    cut_mask,
    cut_image,
    empty_mask,
)
"""Each does some harm to an image or its mask; it gives what else may be named than these two."""


def attempt(root: Path, shape: Shape, out: Path) -> str:
    """Convert; "", or why not."""
    try:
        convert(load_dataset(root, shape.told), out, ["coco"])
    except ToolkitError as error:
        return str(error)
    return ""


@given(st.sampled_from(SHAPES), st.sampled_from(HARMS), st.integers(0, 2**20))
@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_labels_are_the_truth_or_the_file_is_named(shape: Shape, harm: Harm | None, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root, out = Path(folder) / "data", Path(folder) / "out"
        tree = build(root, shape, seed)
        path = next(path for path, mask in tree.masks.items() if mask)
        other = harm(root, tree, root / path, root / tree.masks[path]) if harm is not None else ()
        error = attempt(root, shape, out)
        note(f"{shape.images} {harm}: {error}")
        if error:
            assert harm is not None
            assert any(name in error for name in (path, tree.masks[path], *other))
            return
        found = {image.path.stat().st_ino: image for image in read_labels(out / "coco") if image.path is not None}
        assert len(found) == len(tree.marked)
        for image, marked in tree.marked.items():
            assert np.array_equal(found[(root / image).stat().st_ino].marked(), marked), image
