"""What a situation becomes: converted, proven and read back by several readers, or refused by name with a way out."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from converters import read_labels
from converters.viewing.gallery_items import open_views
from tests.commands import Outcome, defectkit, save
from toolkit.gallery.pictures import open_picture
from toolkit.imaging.images import read_image

__all__ = [
    "SIZE",
    "Objects",
    "advised",
    "block",
    "brightness",
    "brightness_to_ultralytics",
    "converted",
    "objects",
    "photo",
    "product",
    "refused",
    "shown",
]

SIZE = (30, 40)  # height, width
Objects = dict[str, list[tuple[str, tuple[float, ...], int]]]
"""Image -> class, box x0, y0, x1, y1 and pixels of each object, sorted."""


def block(y0: int, y1: int, x0: int, x1: int, value: int = 255) -> npt.NDArray[np.uint8]:
    """A mask of `SIZE` with one rectangle of `value` in it."""
    mask = np.zeros(SIZE, np.uint8)
    mask[y0:y1, x0:x1] = value
    return mask


def photo(path: Path, number: int = 0, size: tuple[int, int] = SIZE) -> Path:
    """A grey photo, of which no other number gives the bytes."""
    return save(path, np.random.default_rng(number).integers(70, 110, size, np.uint8))


def product(root: Path, masks: dict[str, bytes | npt.NDArray[Any]], defect: str = "chip") -> Path:
    """A product in the layout of MVTec AD: one good photo, and one for each mask (name below ground_truth/DEFECT)."""
    photo(root / "part/test/good/000.png", 99)
    for number, (name, mask) in enumerate(masks.items()):
        photo(root / f"part/test/{defect}/{number:03}.png", number)
        path = root / f"part/ground_truth/{defect}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(mask, bytes):
            path.write_bytes(mask)
        else:
            save(path, mask)
    return root


def objects(tree: Path) -> Objects:
    """What our reader finds in a tree."""
    return {
        image.key: sorted((one.label, tuple(one.bbox), one.area) for one in image.instances)
        for image in read_labels(tree)
    }


def shown(place: Path) -> Objects:
    """What our view shows of a dataset or a tree."""
    found: Objects = {}
    for item in open_views(place).items:
        instances = item.load().labelled.instances
        found[item.key] = sorted((one.label, tuple(one.bbox), one.area) for one in instances)
    return found


def converted(root: Path, out: Path, *words: str | Path, to: str = "coco") -> dict[str, Any]:
    """Convert, and have it proven and shown; what `--json` says."""
    done = defectkit("convert", root, out, "--to", to, *words, "--json")
    assert done.status == 0, done.err
    proof = defectkit("verify", out)
    assert proof.status == 0, proof.out + proof.err
    return done.json()


def refused(root: Path, out: Path, *words: str | Path, files: tuple[str, ...], to: str = "coco") -> Outcome:
    """Convert in vain: each file is named in a line of its own, with a way out, and nothing is written."""
    done = defectkit("convert", root, out, "--to", to, *words)
    assert (done.status, done.out) == (2, "")
    assert not out.exists()
    assert len(done.errors) == len(files) == len(done.err.splitlines()), done.err
    for line, file in zip(done.errors, files, strict=True):
        assert re.match(rf"error: {re.escape(str(root / file))}(:\d+)?: .+; .+", line), line
    return done


def advised(line: str, root: Path, out: Path, to: str = "coco") -> Outcome:
    """What comes of the command that a message names."""
    quoted = re.search(r"'defectkit (.*)'$", line)
    assert quoted, line
    told = {"ROOT": str(root), "OUT": str(out), "FORMAT": to}
    return defectkit(*(told.get(word, word) for word in shlex.split(quoted[1])))


def brightness(tree: Path) -> dict[str, float]:
    """Mean brightness under the labels of each image that has some: by our reader, and by the pictures of our view."""
    found = {}
    for item in open_views(tree).items:
        image = item.load().labelled
        if image.instances:
            assert item.image is not None
            marked = np.any([one.whole(image.width, image.height) for one in image.instances], axis=0)
            picture = open_picture(item.image)
            seen = cv2.imdecode(np.frombuffer(picture.encoded or item.image.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
            ours = read_image(item.image)
            assert seen is not None
            assert abs(float(seen[marked].mean()) - float(ours[marked].mean())) < 3
            found[item.key] = float(ours[marked].mean())
    return found


def brightness_to_ultralytics(tree: Path, names: dict[int, str]) -> dict[str, tuple[int, float]]:
    """Pixels, and mean brightness under them, of each image with polygons as ultralytics' own loader reads both.

    The longer side of its images must be that of `SIZE`, so that the loader does not scale them.
    """
    from ultralytics.data.dataset import YOLODataset
    from ultralytics.data.utils import polygon2mask

    found = {}
    for folder in sorted((tree / "images").iterdir()):
        data = {"names": names, "channels": 3}
        loader = YOLODataset(
            img_path=str(folder), data=data, task="segment", augment=False, imgsz=max(SIZE), cache=False
        )
        for number, label in enumerate(loader.labels):
            size = tuple(label["shape"])
            pixels = loader.load_image(number)[0]
            assert pixels.shape[:2] == size
            rings = [(ring * np.array(size[::-1], np.float32)).ravel() for ring in label["segments"]]
            if rings:
                mask = polygon2mask(size, rings) > 0
                found[Path(label["im_file"]).stem] = int(mask.sum()), float(pixels[mask].mean())
    return found
