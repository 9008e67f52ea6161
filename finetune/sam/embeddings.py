"""Embeddings of a frozen image encoder: made once, kept on disk in fp16, checked whenever they are read.

CACHE/<weights>-<size>-<arithmetic>/<sha256 of the image file>.emb, one entry for each image; those of its mirrored and
turned views end in .1.emb to .7.emb. An entry is a line of JSON (shape, SHA-256 of the numbers, and what they were made
of) and the numbers, little-endian fp16. Entries appear whole or not at all, so that several processes, and runs that
were killed, can share a folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from segment_anything.utils.transforms import ResizeLongestSide
from torch import nn
from torch.utils.data import DataLoader, Dataset

from finetune.engine.devices import half_type
from finetune.engine.distributed import sharing_process
from finetune.engine.runs import file_sha256
from finetune.sam.models import encode, weights_hash
from toolkit.aliases import Progress
from toolkit.errors import ToolkitError
from toolkit.files.typed import Count, Record
from toolkit.geometry.dihedral import turned
from toolkit.imaging.images import read_image

__all__ = ["EmbeddingCache", "Encoder", "embed_images", "entry_name", "open_cache", "read_padded"]

_STALE = 3600  # seconds after which a file that was never finished is taken for one of a run that was killed
Halves = npt.NDArray[np.float16]


class _DamagedEntry(Exception):  # noqa: N818 - it is caught, and the entry made anew
    pass


class _Head(Record):
    shape: list[Count]
    sha256: str


@dataclass(frozen=True, eq=False)
class Encoder:
    """A frozen image encoder and how it is run.

    Attributes:
        module: in evaluation mode, on `device`.
        device: where it computes.
        image_size: pixels along the longer side of an image.
        batch: images at once, on a GPU.
        workers: processes that read images.
        depth: bits of the range by which deep images are scaled; None for that of each.
    """

    module: nn.Module
    device: torch.device
    image_size: int
    batch: int = 1
    workers: int = 0
    depth: int | None = None

    @property
    def arithmetic(self) -> str:
        """What it computes in: "bf16" or "fp16" on a GPU, else "fp32"."""
        return {None: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}[half_type(self.device)]

    def run(self, images: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
        """Embeddings of a batch: as `finetune.sam.models.encode`, in float32."""
        half = half_type(self.device)
        with torch.no_grad(), torch.autocast(self.device.type, half or torch.bfloat16, enabled=half is not None):
            found = encode(self.module, images.to(self.device, non_blocking=True), sizes.to(self.device))
        return found.float()


@dataclass(frozen=True)
class EmbeddingCache:
    """Where the embeddings of one encoder are.

    Attributes:
        folder: of its entries.
        about: what stands in every entry.
    """

    folder: Path
    about: tuple[tuple[str, str], ...]

    def file(self, name: str) -> Path:
        """The entry of a name, as `entry_name` gives it."""
        return self.folder / f"{name}.emb"

    def read(self, name: str) -> torch.Tensor:
        """An embedding, checked: float16 (C, h, w).

        Raises:
            ToolkitError: it is not there, or damaged.
        """
        try:
            return torch.from_numpy(self._read(name))
        except (OSError, _DamagedEntry) as error:
            raise ToolkitError(
                self.file(name), f"is no sound embedding ({error})", "run again with --resume: it is made anew"
            ) from error

    def state(self, name: str) -> str:
        """Whether an entry is "sound", "damaged" or "missing"."""
        try:
            self._read(name)
        except FileNotFoundError:
            return "missing"
        except (OSError, _DamagedEntry):
            return "damaged"
        return "sound"

    def write(self, name: str, embedding: torch.Tensor) -> None:
        """Add an entry, whole or not at all.

        Args:
            name: as `entry_name` gives it.
            embedding: (C, h, w).

        Raises:
            ToolkitError: a number does not fit fp16, or the file cannot be written.
        """
        values = embedding.to(torch.float16).cpu().numpy().astype("<f2")
        file = self.file(name)
        if not np.isfinite(values).all():
            raise ToolkitError(file, "holds numbers beyond fp16", "use --set cache=none")
        packed = values.tobytes()
        head = {**dict(self.about), "shape": list(values.shape), "sha256": hashlib.sha256(packed).hexdigest()}
        # Named for the process, as others may be writing the same entry.
        partial = self.folder / f".{name}.{platform.node()}.{os.getpid()}.partial"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(json.dumps(head, sort_keys=True).encode() + b"\n" + packed)
            os.replace(partial, file)
        except OSError as error:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            remedy = "what is there stays valid: free space and --resume, or --set cache=DIR on a larger disk"
            raise ToolkitError(file, f"cannot be written ({error.strerror or error})", remedy) from error

    def clean(self) -> None:
        """Remove what runs that were killed left half-written."""
        for file in self.folder.glob(".*.partial"):
            with suppress(OSError):
                if time.time() - file.lstat().st_mtime > _STALE:
                    file.unlink()

    def _read(self, name: str) -> Halves:
        line, _, packed = self.file(name).read_bytes().partition(b"\n")
        try:
            head = _Head.model_validate_json(line)
            sound = head.sha256 == hashlib.sha256(packed).hexdigest()
            if not sound or any((head.model_extra or {}).get(name) != value for name, value in self.about):
                raise _DamagedEntry("its checksum is wrong")
            return np.frombuffer(packed, "<f2").astype(np.float16).reshape(head.shape)
        except ValueError as error:
            raise _DamagedEntry("it cannot be understood") from error


def open_cache(root: Path, encoder: Encoder) -> EmbeddingCache:
    """The part of a cache folder that belongs to an encoder's weights, size, arithmetic, and range of deep images."""
    digest, arithmetic = weights_hash(encoder.module), encoder.arithmetic
    about = {"arithmetic": arithmetic, "size": str(encoder.image_size), "weights": digest}
    name = f"{digest[:16]}-{encoder.image_size}-{arithmetic}"
    if encoder.depth is not None:
        name, about["depth"] = f"{name}-{encoder.depth}bit", str(encoder.depth)
    return EmbeddingCache(root / name, tuple(about.items()))


def entry_name(image_sha256: str, view: int = 0) -> str:
    """The name of the embedding of a view of an image, by the SHA-256 of its file; 0 is the image as it is."""
    return f"{image_sha256}.{view}" if view else image_sha256


def embed_images(
    paths: Sequence[Path],
    encoder: Encoder,
    cache: EmbeddingCache,
    progress: Progress | None = None,
    views: Mapping[Path, int] | None = None,
) -> tuple[dict[Path, str], list[str]]:
    """See to it that all images have a sound entry for each view; those that do are left alone.

    Where several processes run it on one folder, each begins with its share, and then makes what is still missing.

    Args:
        paths: image files.
        encoder: of the cache.
        cache: where entries go.
        progress: called with (views seen to, views).
        views: how many of the views of `toolkit.geometry.dihedral` an image has, where it is more than one.

    Returns:
        The SHA-256 of each image file, and what a user should know.

    Raises:
        ToolkitError: an image cannot be read, or an entry cannot be written.
    """
    cache.clean()
    digests = {path: file_sha256(path) for path in paths}
    entries = {
        entry_name(digest, view): (path, view)
        for path, digest in digests.items()
        for view in range((views or {}).get(path, 1))
    }
    wanted, notes = _unsound(entries, cache)
    rank, world = sharing_process()
    for number, part in enumerate(range(rank, rank + world)):
        # Others have made their share in the meantime, mostly.
        mine = [name for name in list(wanted)[part % world :: world] if not number or cache.state(name) != "sound"]
        if mine:
            _embed({name: wanted[name] for name in mine}, encoder, cache, progress)
    return digests, notes


def _unsound(
    entries: Mapping[str, tuple[Path, int]], cache: EmbeddingCache
) -> tuple[dict[str, tuple[Path, int]], list[str]]:
    """The entries that are to be made, and what to say of those that were damaged."""
    states = {name: cache.state(name) for name in entries}
    damaged = sorted(name for name, state in states.items() if state == "damaged")
    notes = [f"{cache.file(name).name} in the cache was damaged, and made anew" for name in damaged[:3]]
    notes += [f"{len(damaged) - 3} more entries of the cache were damaged, and made anew"] if len(damaged) > 3 else []
    return {name: entries[name] for name, state in states.items() if state != "sound"}, notes


def _embed(
    wanted: Mapping[str, tuple[Path, int]], encoder: Encoder, cache: EmbeddingCache, progress: Progress | None
) -> None:
    """Make entries: name -> file and view."""
    on_card, names = encoder.device.type == "cuda", list(wanted)
    batch = encoder.batch if on_card else 1  # on a CPU it would be no faster
    images, done = PaddedImages(list(wanted.values()), encoder.image_size, encoder.depth), 0
    for items in DataLoader(images, batch_size=batch, num_workers=encoder.workers, pin_memory=on_card):
        for embedding in encoder.run(items["image"], items["size"]):
            cache.write(names[done], embedding)
            done += 1
            if progress is not None:
                progress(done, len(names))


class PaddedImages(Dataset[dict[str, Any]]):
    """Images as SAM takes them. Items: {"image": uint8 (3, S, S), "size": int64 (2,), height and width of it}."""

    def __init__(self, views: Sequence[tuple[Path, int]], image_size: int, depth: int | None = None) -> None:
        """Take files, the view of each, the side S, and the range by which deep images are scaled."""
        self._views, self._size, self._depth = list(views), image_size, depth

    def __len__(self) -> int:
        return len(self._views)

    def __getitem__(self, index: int) -> dict[str, Any]:
        path, view = self._views[index]
        return read_padded(path, self._size, self._depth, view=view)


def read_padded(path: Path, image_size: int, depth: int | None = None, *, view: int = 0) -> dict[str, Any]:
    """Read an image, scale its longer side to `image_size` as Meta does, and pad it: an item of `PaddedImages`.

    Args:
        path: the file.
        image_size: pixels of the longer side.
        depth: bits of the range by which deep images are scaled; None for that of each.
        view: which of the views of `toolkit.geometry.dihedral`.

    Raises:
        ToolkitError: it cannot be read.
    """
    pixels = np.ascontiguousarray(turned(read_image(path, depth), view)[:, :, ::-1])
    scaled = ResizeLongestSide(image_size).apply_image(pixels)
    height, width = scaled.shape[:2]
    padded = np.zeros((image_size, image_size, 3), np.uint8)
    padded[:height, :width] = scaled
    return {"image": torch.from_numpy(padded).permute(2, 0, 1).contiguous(), "size": torch.tensor([height, width])}
