"""Datasets and label trees in which every text is HTML or script."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from converters import convert

__all__ = ["HOSTILE_ROOTS", "PAYLOADS"]

_RUN = "window.PWNED=1"
PAYLOADS = (
    f"<img src=x onerror={_RUN}>",
    f'"><svg onload={_RUN}>',
    f"'-{_RUN}-'",
    f"</script><script>{_RUN}</script>",
    f"${{{_RUN}}}",
    "{{7*7}}<b>",
    f"javascript:{_RUN}",
    f"<iframe srcdoc='<script>parent.{_RUN}</script>'>",
    f"\u2028{_RUN}//",
    f"*/{_RUN}/*",
    f"`;{_RUN};`",
    f"]]><script>{_RUN}</script>",
    f"<!--<script>{_RUN}</script>",
    "=cmd|'/c calc'!A1",
    "|a|b|\n# head",
)
"""Each runs, or breaks out of where it stands, if it is not escaped as it must be there."""

_IMAGE, _MASK = np.full((24, 32), 90, np.uint8), np.zeros((24, 32), np.uint8)
_MASK[4:12, 5:15] = 255
_FILE_NAMES = tuple(text for text in PAYLOADS if "/" not in text and "\n" not in text)


def _picture(place: Path, pixels: np.ndarray = _IMAGE) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())


def _names(home: Path) -> Path:
    """Products, classes and files; masks that are damaged, and one without its image."""
    root = home / "data"
    for number, text in enumerate(_FILE_NAMES):
        product = root / text
        _picture(product / "train/good" / f"{text}.png")
        _picture(product / "test" / text / f"{text}{number}.png")
        _picture(product / "test" / text / f"{text}bad.png")
        truth = product / "ground_truth" / text
        _picture(truth / f"{text}{number}_mask.png", _MASK)
        _picture(truth / f"{text}lost_mask.png", _MASK)
        (truth / f"{text}bad_mask.png").write_bytes(b"no image " + text.encode())
    return root


def _coco(home: Path) -> Path:
    """Another tool's file: names, classes, ids, and annotations that are at fault."""
    root = home / "data"
    shape = {"bbox": [5, 4, 10, 8], "area": 80, "iscrowd": 0, "segmentation": [[5, 4, 15, 4, 15, 12, 5, 12]]}
    images: list[object] = []
    for number, text in enumerate(PAYLOADS, 1):
        name = f"{text}.png".replace("/", "_").replace("\n", "_")
        _picture(root / "images/train" / name)
        images.append({"id": number, "file_name": name, "width": 32, "height": 24})
    numbers = range(1, len(PAYLOADS) + 1)
    document = {
        "images": images,
        "annotations": [{"id": n, "image_id": n, "category_id": n, **shape} for n in numbers],
        "categories": [{"id": number, "name": text} for number, text in enumerate(PAYLOADS, 1)],
        "info": {"description": PAYLOADS[0], "contributor": PAYLOADS[3]},
    }
    (root / "annotations").mkdir()
    (root / "annotations/instances_train.json").write_text(json.dumps(document))
    return root


def _faulty_coco(home: Path) -> Path:
    """The same with texts where numbers belong, so that they are in every message."""
    root = _coco(home)
    path = root / "annotations/instances_train.json"
    document = json.loads(path.read_text())
    box = [PAYLOADS[0], 1, 2, 2]
    document["annotations"] += [
        {"id": PAYLOADS[0], "image_id": 1, "category_id": PAYLOADS[3], "bbox": [1, 1, 2, 2], "segmentation": [[1] * 6]},
        {"id": 99, "image_id": 2, "category_id": 1, "bbox": box, "segmentation": [[PAYLOADS[0], 1, 3, 1, 3, 3]]},
    ]
    path.write_text(json.dumps(document))
    return root


def _yolo(home: Path) -> Path:
    root = home / "data"
    (root / "labels/train").mkdir(parents=True)
    for number, text in enumerate(_FILE_NAMES):
        _picture(root / "images/train" / f"{text}.png")
        (root / "labels/train" / f"{text}.txt").write_text(f"{number} 0.5 0.5 0.3 0.3\n")
    names = [f"  {number}: {json.dumps(text)}" for number, text in enumerate(PAYLOADS)]
    (root / "data.yaml").write_text("\n".join(["names:", *names, "train: images/train", ""]))
    return root


def _plain(root: Path) -> Path:
    _picture(root / "part/test/scratch/0.png")
    _picture(root / "part/test/good/0.png")
    _picture(root / "part/ground_truth/scratch/0_mask.png", _MASK)
    return root


def _manifest(home: Path) -> Path:
    """A tree of ours whose manifest somebody has changed."""
    convert(_plain(home / "plain"), home / "trees", ["coco"])
    path = home / "trees/coco/manifest.json"
    told = json.loads(path.read_text())
    told |= dict.fromkeys(("version", "labels_sha256", "input_sha256", "source"), PAYLOADS[3] + PAYLOADS[0])
    told["classes"] = [PAYLOADS[3], PAYLOADS[0]]
    told["options"] |= {"classes": PAYLOADS[0], "images": PAYLOADS[3]}
    told["problems"] = [{"file": PAYLOADS[3], "problem": PAYLOADS[0]}]
    told["components"]["skipped"] = [{"key": PAYLOADS[3], "reason": PAYLOADS[0], "area": PAYLOADS[3]}]
    path.write_text(json.dumps(told))
    return path.parent


def _root(home: Path) -> Path:
    """The title of the page is the folder's own name."""
    return _plain(home / PAYLOADS[0])


HOSTILE_ROOTS: dict[str, Callable[[Path], Path]] = {
    "names of files and folders": _names,
    "COCO of another tool": _coco,
    "COCO with texts for numbers": _faulty_coco,
    "YOLO of another tool": _yolo,
    "a manifest of ours": _manifest,
    "the root's name": _root,
}
"""Name -> makes it below a folder, and returns its root."""
