"""What to know of the images that a run is evaluated on: copies among them, and labels that were others in training."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from finetune.engine.remarks.seen import named
from finetune.engine.remarks.telling import listened_to, tell
from finetune.engine.splits import ImageRecord
from toolkit.files.digests import file_digest
from toolkit.files.parallel import ordered_map

__all__ = ["file_digests", "tell_copies", "tell_relabelled"]


def file_digests(files: Sequence[Path]) -> list[str]:
    """SHA-256 of each file."""
    return list(ordered_map(file_digest, files, workers=os.cpu_count() or 1))


def tell_copies(examples: Sequence[ImageRecord]) -> None:
    """Tell of images whose very bytes are those of others among them: figures count each of them."""
    if not listened_to():
        return
    first: dict[str, str] = {}
    pairs = [
        (one.key, first.setdefault(digest, one.key))
        for one, digest in zip(examples, file_digests([one.image for one in examples]), strict=True)
    ]
    copies = [f"{key} = {other}" for key, other in pairs if key != other]
    if copies:
        tell(
            "note",
            f"{len(copies)} of {len(examples)} images are copies of others among them, byte for byte "
            f"({named(copies)}): the figures count each of them",
        )


def tell_relabelled(known: Iterable[tuple[ImageRecord, set[str]]]) -> None:
    """Tell of images that had another label when the run was trained.

    Args:
        known: images as they are now, and the labels that those of their bytes had then; "" where nothing says.
    """
    told = [(one, before) for one, before in known if before and "" not in before]
    changed = [
        f"{one.key} is {one.label!r} and was {' and '.join(map(repr, sorted(before)))}"
        for one, before in told
        if one.label not in before
    ]
    if changed:
        tell(
            "note",
            f"{len(changed)} of the {len(told)} images that the run knows have another label now than when it was "
            f"trained ({named(changed)}): what it learnt and its metrics.json are of the labels of before",
        )
