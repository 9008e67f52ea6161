"""Images with identical bytes."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from toolkit.dataset.samples import Sample
from toolkit.errors import ToolkitError

__all__ = ["find_duplicates"]


def find_duplicates(dataset: Sequence[Sample]) -> list[list[str]]:
    """Keys of images with identical bytes: one sorted list for each set of twins, sorted.

    Only files of equal length are read.

    Raises:
        ToolkitError: a file cannot be read.
    """
    by_size: dict[int, list[Sample]] = defaultdict(list)
    for sample in dataset:
        try:
            by_size[sample.image.stat().st_size].append(sample)
        except OSError as error:
            raise ToolkitError(sample.image, f"cannot be read ({error.strerror})", "check the file") from error
    twins: dict[bytes, list[str]] = defaultdict(list)
    for samples in by_size.values():
        if len(samples) > 1:
            seen: dict[tuple[int, int], bytes] = {}  # links to one file need only one look
            for sample in samples:
                status = sample.image.stat()
                place = (status.st_dev, status.st_ino)
                if place not in seen:
                    seen[place] = _digest(sample.image)
                twins[seen[place]].append(sample.key)
    return sorted(sorted(keys) for keys in twins.values() if len(keys) > 1)


def _digest(path: Path) -> bytes:
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError as error:
        raise ToolkitError(path, f"cannot be read ({error.strerror})", "check the file") from error
