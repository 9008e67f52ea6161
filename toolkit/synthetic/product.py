"""A small procedural product in MVTec AD layout: the dataset that comes with the tool.

A zipper, since it is where real masks are hardest: threads one pixel wide, rings, specks, several parts in one image.
Images are square 8-bit grey PNGs; masks are 8-bit PNGs of 0 and 255. A mask is exact: it is True on every pixel in
which the image differs from the same product without its defect, and on no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from toolkit.dataset.samples import GOOD
from toolkit.errors import ToolkitError
from toolkit.files.staging import contents, staging
from toolkit.imaging.images import encode_png
from toolkit.synthetic.defects import DEFECTS
from toolkit.synthetic.small import SMALLEST, small_defects
from toolkit.synthetic.zipper import draw_zipper, expose, make_zipper

__all__ = ["PRODUCT_DEFECTS", "write_product"]

PRODUCT_DEFECTS: tuple[str, ...] = tuple(sorted(DEFECTS))
"""Names of the defect types, sorted; the folders of `test/` and `ground_truth/`."""

_CLASSES = ("train", "test", *PRODUCT_DEFECTS)
_MIN_SIZE, _MAX_SIZE = 64, 4096
_FAINTEST = 3
"""Grey levels by which a masked pixel differs at least from the sound product."""

Picture = npt.NDArray[np.uint8]


def write_product(
    out: Path,
    *,
    product: str = "zipper",
    image_size: int = 256,
    per_class: int = 10,
    train_good: int = 64,
    seed: int = 0,
    defect_size: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Writes a synthetic product to `out`/`product` in MVTec AD layout; it appears whole or not at all.

    The same arguments give the same bytes. An image depends on the seed, its class and its number alone, so a larger
    dataset contains the smaller one.

    Args:
        out: folder that receives the product's folder; made if it is missing.
        product: name of the product's folder; it does not change the pictures.
        image_size: side of the square images in pixels, 64 to 4096.
        per_class: images in `test/good` and in each of the seven defect folders, at least 1.
        train_good: images in `train/good`.
        seed: seed of everything random, 0 or more.
        defect_size: one to three defects of so many pixels in each image, of a shape for each kind; None for the usual.
        progress: called with (images done, images in all) after each image.

    Returns:
        The product's folder.

    Raises:
        ToolkitError: an argument is out of range, the product's folder holds something already, or `out` cannot be
            written to.
    """
    out = Path(out)
    _check_arguments(product, image_size, per_class, train_good, seed, defect_size)
    target = out / product
    with staging(target) as stage:
        if target.exists() and not (target.is_dir() and not contents(target)):
            raise ToolkitError(target, "exists already", "remove it, or choose another folder or --product")
        built = stage.begin() / product
        drawn = partial(_render, size=image_size, seed=seed, defect_size=defect_size)
        _write_tree(built, drawn, per_class, train_good, progress)
        stage.publish(built)
    return target


def _check_arguments(
    product: str, image_size: int, per_class: int, train_good: int, seed: int, defect_size: int | None
) -> None:
    """Raises ToolkitError, naming the option, where an argument is out of range."""
    if not product.strip() or product.startswith(".") or any(letter in product for letter in "/\\\0"):
        raise ToolkitError(
            "--product", f"{product!r} cannot name a folder", "use a name without / or \\ or a leading dot"
        )
    if not _MIN_SIZE <= image_size <= _MAX_SIZE:
        raise ToolkitError("--image-size", f"{image_size} is out of range", f"use {_MIN_SIZE} to {_MAX_SIZE} pixels")
    for option, value, least in (("--per-class", per_class, 1), ("--train-good", train_good, 0), ("--seed", seed, 0)):
        if value < least:
            raise ToolkitError(option, f"{value} is too small", f"use {least} or more")
    if defect_size is not None and not SMALLEST <= defect_size <= image_size // 8:
        remedy = f"use {SMALLEST} to {image_size // 8} pixels in images of {image_size}"
        raise ToolkitError("--defect-size", f"{defect_size} is out of range", remedy)


def _write_tree(
    root: Path,
    drawn: Callable[[str, int], tuple[Picture, Picture, Picture]],
    per_class: int,
    train_good: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    """All folders, images and masks of the product below `root`."""
    jobs = list(_jobs(per_class, train_good))
    for done, (name, index) in enumerate(jobs, start=1):
        image, mask, _ = drawn(name, index)
        split, defect = (name, GOOD) if name in ("train", "test") else ("test", name)
        _save(root / split / defect / f"{index:03}.png", image)
        if defect != GOOD:
            _save(root / "ground_truth" / defect / f"{index:03}_mask.png", mask)
        if progress is not None:
            progress(done, len(jobs))


def _jobs(per_class: int, train_good: int) -> Iterator[tuple[str, int]]:
    """Class and number of every image."""
    for name in _CLASSES:
        for index in range(train_good if name == "train" else per_class):
            yield name, index


def _render(
    name: str, index: int, size: int, seed: int, defect_size: int | None = None
) -> tuple[Picture, Picture, Picture]:
    """Image `index` of a class, its mask (0 or 255) and the same product without the defect, each (size, size)."""
    rng = np.random.default_rng((seed, _CLASSES.index(name), index))
    zipper = make_zipper(rng, size)
    grey = draw_zipper(zipper)
    sound = expose(zipper, grey)
    if name not in DEFECTS:
        patches = []
    elif defect_size is None:
        patches = DEFECTS[name](zipper, rng, index)
    else:
        patches = small_defects(name, grey, rng, defect_size)
    mask = np.zeros((size, size), dtype=np.bool_)
    for patch in patches:
        grey[patch.region] = patch.grey[patch.region]
        mask |= patch.region
    image = np.where(mask, expose(zipper, grey), sound)
    # A covered pixel may come out as grey as before by chance; the mask would then claim more than can be seen.
    faint = mask & (np.abs(image.astype(np.int16) - sound) < _FAINTEST)
    image[faint] = np.where(sound[faint] > 127, sound[faint] - _FAINTEST, sound[faint] + _FAINTEST)
    return image, mask.astype(np.uint8) * np.uint8(255), sound


def _save(path: Path, picture: Picture) -> None:
    """Writes an 8-bit grey PNG; its folder is made if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(picture))
