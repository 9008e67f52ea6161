"""Damaged images of every format through the readers: what still reads has the pixels that the whole file has."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tests.fuzz.check import Check
from tests.fuzz.judge import Judge, Outcome
from tests.fuzz.making.pictures import MASK, Picture, crafted, sound_pictures
from tests.fuzz.mutations import mutate
from toolkit.dataset.inspection import read_sample
from toolkit.dataset.samples import MaskFile, Sample
from toolkit.errors import ToolkitError
from toolkit.imaging.images import read_header, read_image
from toolkit.imaging.masks import read_class_ids, read_mask, read_values

_ENDINGS = (".png", ".jpg", ".bmp", ".tif", ".webp")
_HEAD = 400  # bytes in which sizes, tags and EXIF blocks stand


class _World(NamedTuple):
    home: Path
    sound: list[Picture]
    whole: dict[tuple[str, str], npt.NDArray[Any] | None]  # of what and by which reader


def _pixels(read: Any) -> npt.NDArray[Any]:
    return read.pixels() if hasattr(read, "pixels") else read


_READERS = {
    "read_image": read_image,
    "read_class_ids": read_class_ids,
    "read_mask": read_mask,
    "read_mask nonzero": partial(read_mask, reading="nonzero"),
    "read_mask alpha": partial(read_mask, reading="alpha"),
    "read_values colours": partial(read_values, reading="colours"),
}


def prepare(home: Path) -> _World:
    sound = sound_pictures()
    whole: dict[tuple[str, str], npt.NDArray[Any] | None] = {}
    for picture in sound:
        path = home / f"whole{picture.ending}"
        path.write_bytes(picture.data)
        for name, reader in _READERS.items():
            try:
                whole[picture.what, name] = _pixels(reader(path))
            except ToolkitError:
                whole[picture.what, name] = None
    path = home / "image.png"
    path.write_bytes(next(picture.data for picture in sound if picture.what == "png colour"))
    return _World(home, sound, whole)


def attempt(world: _World, judge: Judge, rng: random.Random) -> None:
    if judge.number == 0:
        _check_sound(world, judge)
    picture, cut = _damaged(world, rng)
    ending = rng.choice(_ENDINGS) if rng.random() < 0.1 else picture.ending
    path = world.home / f"damaged{ending}"
    path.write_bytes(picture.data)

    def save(where: Path) -> None:
        where.with_suffix(ending).write_bytes(picture.data)

    judge.run(lambda: read_header(path), f"read_header: {picture.what}", save)
    for name in ("read_image", "read_class_ids", "read_mask", rng.choice(list(_READERS))):
        read = judge.run(lambda reader=_READERS[name]: reader(path), f"{name}: {picture.what}", save)
        if cut and _differs(read, world.whole.get((picture.what, name))):
            judge.find(
                f"a cut file is read with other pixels: {name} {picture.what}", f"{len(picture.data)} bytes", save
            )
    threshold = rng.choice((1, 128, 65535))
    judge.run(lambda: read_mask(path, threshold), f"read_mask with a threshold: {picture.what}", save)
    if rng.random() < 0.2:
        sample = Sample("a/test/b/0", world.home / "image.png", (MaskFile(path),), "a", "b", "test")
        judge.run(lambda: read_sample(sample, threshold), f"read_sample: {picture.what}", save)
    path.unlink()


def _check_sound(world: _World, judge: Judge) -> None:
    """A mask that is stored without loss is the mask that was drawn, whatever the format."""
    for picture in world.sound:
        if not picture.is_mask:
            continue
        read = world.whole[picture.what, "read_mask"]
        if read is None:
            judge.find(f"a sound mask is refused: {picture.what}", "")
        elif not np.array_equal(read > 0, MASK > 0):
            judge.find(f"a sound mask is read otherwise: {picture.what}", f"{np.count_nonzero(read)} px")


def _damaged(world: _World, rng: random.Random) -> tuple[Picture, bool]:
    """A file, and whether it is only cut."""
    how = rng.random()
    if how < 0.15:
        return crafted(rng), False
    picture = rng.choice(world.sound)
    data = picture.data
    if how < 0.4:
        return picture._replace(data=data[: rng.randrange(len(data))]), True
    if how < 0.45:
        return picture._replace(data=data + rng.randbytes(rng.randint(1, 2000))), False
    if how < 0.7:
        return picture._replace(data=mutate(rng, data[:_HEAD], 3) + data[_HEAD:]), False
    return picture._replace(data=mutate(rng, data)), False


def _differs(read: Outcome, whole: npt.NDArray[Any] | None) -> bool:
    return read.status == "ok" and whole is not None and not np.array_equal(_pixels(read.value), whole)


CHECK = Check(count=6000, prepare=prepare, attempt=attempt)
