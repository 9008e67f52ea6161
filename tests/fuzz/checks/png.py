"""PNGs of every kind, sound and damaged: what is read against what was encoded, and against OpenCV and Pillow."""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from tests.fuzz.check import Check
from tests.fuzz.judge import Judge, Outcome, Save
from tests.fuzz.making.pngs import PALETTE, SIGNATURE, MadePng, chunk, chunks_of, make_png
from tests.fuzz.mutations import mutate
from toolkit.imaging.images import read_header, read_image
from toolkit.imaging.masks import read_class_ids, read_mask

_LARGE = 1 << 26  # pixels that other readers take too long for
_NEW_SIZES = (0, 1, 2, 3, 1000, 30_000, 65_535, 1 << 20, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


class _Try(NamedTuple):
    """A PNG on disk, and what came of reading it as a mask."""

    judge: Judge
    made: MadePng
    path: Path
    data: bytes
    threshold: int | None
    mask: Outcome
    save: Save

    @property
    def limit(self) -> int:
        """The least value that is marked, of values that are scaled to 0..255 where they have less than 8 bits.

        A threshold within the range of such a file is meant in that range; the colours of a palette have 8 bits.
        """
        full = (1 << self.data[24]) - 1 if len(self.data) > 25 and self.data[25] != PALETTE else 255
        if self.threshold is None:
            return 1
        return self.threshold * (255 // full) if self.threshold <= full < 255 and full else self.threshold

    def find(self, kind: str, detail: str = "") -> None:
        self.judge.find(kind, f"{detail} threshold {self.threshold}, {self.made}".strip(), self.save)


def attempt(home: Path, judge: Judge, rng: random.Random) -> None:
    made = make_png(rng)
    damaged = rng.random() < 0.25
    data = _damage(rng, made.data) if damaged else made.data
    path = home / "made.png"
    path.write_bytes(data)
    threshold = None if rng.random() < 0.4 else rng.randint(1, max(255, (1 << made.depth) - 1))

    def save(where: Path) -> None:
        where.with_suffix(".png").write_bytes(data)

    header = judge.run(lambda: read_header(path), f"read_header: {made}", save)
    image = judge.run(lambda: read_image(path), f"read_image: {made}", save)
    mask = judge.run(lambda: read_mask(path, threshold), f"read_mask: {made}", save)
    ids = judge.run(lambda: read_class_ids(path), f"read_class_ids: {made}", save)
    one = _Try(judge, made, path, data, threshold, mask, save)
    if damaged:
        _compare_damaged(one)
        return
    if "APNG" in made.more and mask.status == "refused":
        return  # of several pictures in a file, none is taken for the right one
    _compare_image(one, header, image)
    _compare_mask(one)
    _compare_ids(one, ids)


def _upright(pixels: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """What Pillow makes of an EXIF orientation."""
    planes = pixels[:, :, None] if pixels.ndim == 2 else pixels
    turned = []
    for plane in np.moveaxis(planes.astype(np.int32), 2, 0):
        image = Image.fromarray(plane)
        image.getexif()[0x0112] = orientation
        turned.append(np.asarray(ImageOps.exif_transpose(image)).astype(np.int64))
    out = np.stack(turned, axis=2)
    return out[:, :, 0] if pixels.ndim == 2 else out


def _compare_image(one: _Try, header: Outcome, image: Outcome) -> None:
    made = one.made
    height, width = _upright(made.samples[:, :, 0], made.orientation).shape
    if header.status != "ok" or (header.value.width, header.value.height) != (width, height):
        one.find("the header of a sound PNG", f"{header.value}")
    seen = cv2.imread(str(one.path), cv2.IMREAD_COLOR)
    if seen is None or "hidden" in made.more:
        return
    if image.status == "refused":
        one.find(f"read_image refuses what OpenCV reads: {made.kind}", f"{image.value}")
    colours = made.samples[:, :, : 3 if made.samples.shape[2] > 2 else 1]
    full = made.depth < 16 or int(colours.max()) >= 1 << 15  # a 16-bit file of 12-bit values is scaled otherwise
    if image.status == "ok" and full and not np.array_equal(image.value, seen):
        one.find(f"read_image differs from OpenCV: {made.kind}")


def _values(made: MadePng) -> npt.NDArray[np.int64] | None:
    """The values that a mask is read by, (H, W), upright; None for colours that are no greys."""
    native = made.samples[:, :, 0].astype(np.int64)
    if made.palette is not None:
        used = made.palette[np.unique(native)]
        values = made.palette[:, 0].astype(np.int64)[native] if (used == used[:, :1]).all() else None
    else:
        values = native if made.depth >= 8 else native * (255 // ((1 << made.depth) - 1))
    return None if values is None or made.unequal else _upright(values, made.orientation)


def _expected(one: _Try) -> npt.NDArray[np.bool_] | None:
    """What is marked; None where that is not certain."""
    values = _values(one.made)
    if values is not None:
        return values >= one.limit
    if one.made.palette is None or one.threshold is not None:
        return None
    colours = one.made.palette[one.made.samples[:, :, 0]].any(axis=2)  # black is background
    return _upright(colours.astype(np.int64), one.made.orientation) > 0


def _compare_mask(one: _Try) -> None:
    made, want = one.made, _expected(one)
    if one.mask.status == "refused":
        _check_refusal(one)
    if one.mask.status != "ok":
        return
    mask = one.mask.value
    if want is None:
        one.find(f"a mask of colours is read: {made.kind}")
    elif mask.pixels().shape != want.shape or not np.array_equal(mask.pixels() > 0, want):
        one.find(f"wrong mask: {made.kind}")
    crop = mask.crop > 0
    if crop.size and not (crop[0].any() and crop[-1].any() and crop[:, 0].any() and crop[:, -1].any()):
        one.find(f"a crop that is not tight: {made.kind}")
    if made.colour != PALETTE and "tRNS" not in made.more and "hidden" not in made.more:
        _compare_with_opencv(one)


def _compare_with_opencv(one: _Try) -> None:
    seen = cv2.imread(str(one.path), cv2.IMREAD_UNCHANGED)  # which does not turn
    if seen is None:
        return
    plane = _upright(seen if seen.ndim == 2 else seen[:, :, 0], one.made.orientation)
    marked = one.mask.value.pixels() > 0
    if plane.shape != marked.shape or not np.array_equal(marked, plane >= one.limit):
        one.find(f"a mask differs from OpenCV: {one.made.kind}")


def _check_refusal(one: _Try) -> None:
    """Grey without alpha is read with a threshold, and without one where it is binary."""
    made = one.made
    if made.unequal or made.colour in (PALETTE, 4, 6) or "tRNS" in made.more:
        return
    values = np.unique(made.samples[:, :, 0])
    binary = set(values.tolist()) <= {0, (1 << made.depth) - 1}
    if one.threshold is not None or binary:
        one.find(f"a sound mask is refused: {made.kind}", f"{one.mask.value}")


def _compare_ids(one: _Try, ids: Outcome) -> None:
    made = one.made
    want = _upright(made.samples[:, :, 0], made.orientation)
    if ids.status == "ok" and not np.array_equal(ids.value, want):
        one.find(f"wrong class ids: {made.kind}")
    if ids.status == "refused" and made.depth <= 8 and not made.unequal:
        one.find(f"class ids are refused: {made.kind}", f"{ids.value}")


def _damage(rng: random.Random, data: bytes) -> bytes:
    """A PNG with something wrong in it; half the time with checksums that fit again."""
    way = rng.randrange(4)
    if way == 0:
        return mutate(rng, data)
    if way == 1:
        return data[: rng.randrange(len(data))]
    parts = chunks_of(data)
    for _ in range(rng.randint(1, 2)):
        _damage_chunks(rng, parts)
        if not parts:
            break
    return SIGNATURE + b"".join(chunk(kind, bytes(body)) for kind, body in parts)


def _damage_chunks(rng: random.Random, parts: list[tuple[bytes, bytearray]]) -> None:
    which, roll = rng.randrange(len(parts)), rng.randrange(7)
    kind, body = parts[which]
    header = parts[0][1] if parts[0][0] == b"IHDR" and len(parts[0][1]) == 13 else None
    if roll == 0 and body:
        body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
    elif roll == 1:
        del parts[which]
    elif roll == 2:
        parts.insert(which, (kind, bytearray(body)))
    elif roll == 3:
        rng.shuffle(parts)
    elif roll == 4 and header is not None:
        place = rng.choice((0, 4))
        header[place : place + 4] = rng.choice(_NEW_SIZES).to_bytes(4, "big")
    elif roll == 5 and header is not None:
        header[rng.randint(8, 12)] = rng.choice((0, 1, 2, 3, 4, 6, 8, 16, 255))
    elif roll == 6 and body:
        del body[rng.randrange(len(body)) :]


def _compare_damaged(one: _Try) -> None:
    """What is read in spite of the damage is what others read."""
    if one.mask.status != "ok" or one.mask.value.width * one.mask.value.height > _LARGE:
        return
    mask = one.mask.value
    try:
        with Image.open(io.BytesIO(one.data)) as opened:
            opened.load()
            upright = ImageOps.exif_transpose(opened)
            if upright.mode not in ("1", "L", "I;16", "I"):
                return
            grey = np.asarray(upright.convert("L") if upright.mode == "1" else upright).astype(np.int64)
    except Exception as error:
        if cv2.imread(str(one.path), cv2.IMREAD_UNCHANGED) is None:
            one.find("a damaged PNG is read that OpenCV and Pillow refuse", f"Pillow: {error}")
        return
    if grey.shape != (mask.height, mask.width):
        one.find("a damaged PNG is read in another size than Pillow's", f"{mask.width} x {mask.height}")
    elif not np.array_equal(mask.pixels() > 0, grey >= one.limit):
        one.find("a damaged PNG is read otherwise than by Pillow")


CHECK = Check(count=6000, prepare=lambda home: home, attempt=attempt)
