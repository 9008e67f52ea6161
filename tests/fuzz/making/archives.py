"""Archives of a small dataset, and what is needed to write such as no packer writes."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Iterable, Mapping

import cv2
import numpy as np

from tests.packing import DATE, special

__all__ = ["FILES", "MASK", "PNG", "checksummed", "tar_bytes", "zip_bytes"]

Extra = tuple[tarfile.TarInfo, bytes]


def _png(*, marked: bool) -> bytes:
    pixels = np.random.default_rng(1).integers(0, 256, (8, 8)).astype(np.uint8)
    if marked:
        pixels[:] = 0
        pixels[2:5, 2:5] = 255
    return cv2.imencode(".png", pixels)[1].tobytes()


PNG, MASK = _png(marked=False), _png(marked=True)
FILES: dict[str, bytes] = {
    "part/train/good/000.png": PNG,
    "part/test/scratch/000.png": PNG,
    "part/ground_truth/scratch/000_mask.png": MASK,
    "README.txt": b"read me",
}
"""A dataset in MVTec layout: name -> content."""


def tar_bytes(files: Mapping[str, bytes], extra: Iterable[Extra] = (), *, format_: int = tarfile.PAX_FORMAT) -> bytes:
    """A plain tar."""
    store = io.BytesIO()
    with tarfile.open(fileobj=store, mode="w", format=format_) as archive:
        for info, data in [*(special(name, data=data) for name, data in files.items()), *extra]:
            archive.addfile(info, io.BytesIO(data))
    return store.getvalue()


def zip_bytes(
    files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED, extra: Iterable[tuple[str, bytes, int]] = ()
) -> bytes:
    """A zip. `extra`: (name, content, external attributes), with names as they are given."""
    store = io.BytesIO()
    with zipfile.ZipFile(store, "w", method) as archive:
        for name, data, attributes in [*((name, data, 0) for name, data in files.items()), *extra]:
            info = zipfile.ZipInfo("x", DATE)
            info.filename, info.external_attr, info.compress_type = name, attributes, method
            archive.writestr(info, data)
    return store.getvalue()


def checksummed(header: bytes) -> bytes:
    """A tar header of 512 bytes with its checksum made good, which is counted with spaces in its own place."""
    raw = bytearray(header)
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw)
    return bytes(raw)
