"""Embeddings of a frozen image encoder: made once, kept on disk in fp16, checked whenever they are read.

CACHE/<weights>-<size>-<arithmetic>/<sha256 of the image file>.emb, one entry for each image. An entry is a line of JSON
(shape, SHA-256 of the numbers, and what they were made of) and the numbers, little-endian fp16. Entries appear whole or
not at all, so that several processes, and runs that were killed, can share a folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Sequence
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

from finetune.engine.distributed import sharing_process
from finetune.engine.runs import file_sha256
from finetune.sam.models import encode, weights_hash
from toolkit.aliases import Progress
from toolkit.errors import ToolkitError
from toolkit.files.typed import Count, Record
from toolkit.imaging.images import read_image

__all__ = ["EmbeddingCache", "Encoder", "embed_images", "open_cache", "read_padded"]

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
    def halved(self) -> bool:
        """Whether it computes in bf16: on a GPU that has it."""
        return self.device.type == "cuda" and torch.cuda.is_bf16_supported()

    def run(self, images: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
        """Embeddings of a batch: as `finetune.sam.models.encode`, in float32."""
        with torch.no_grad(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.halved):
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

    def file(self, image_sha256: str) -> Path:
        """The entry of an image."""
        return self.folder / f"{image_sha256}.emb"

    def read(self, image_sha256: str) -> torch.Tensor:
        """An embedding, checked: float16 (C, h, w).

        Raises:
            ToolkitError: it is not there, or damaged.
        """
        try:
            return torch.from_numpy(self._read(image_sha256))
        except (OSError, _DamagedEntry) as error:
            raise ToolkitError(
                self.file(image_sha256), f"is no sound embedding ({error})", "run again with --resume: it is made anew"
            ) from error

    def state(self, image_sha256: str) -> str:
        """Whether an entry is "sound", "damaged" or "missing"."""
        try:
            self._read(image_sha256)
        except FileNotFoundError:
            return "missing"
        except (OSError, _DamagedEntry):
            return "damaged"
        return "sound"

    def write(self, image_sha256: str, embedding: torch.Tensor) -> None:
        """Add an entry, whole or not at all.

        Args:
            image_sha256: of the image file.
            embedding: (C, h, w).

        Raises:
            ToolkitError: a number does not fit fp16, or the file cannot be written.
        """
        values = embedding.to(torch.float16).cpu().numpy().astype("<f2")
        file = self.file(image_sha256)
        if not np.isfinite(values).all():
            raise ToolkitError(file, "holds numbers beyond fp16", "use --set cache=none")
        packed = values.tobytes()
        head = {**dict(self.about), "shape": list(values.shape), "sha256": hashlib.sha256(packed).hexdigest()}
        # Named for the process, as others may be writing the same entry.
        partial = self.folder / f".{image_sha256}.{platform.node()}.{os.getpid()}.partial"
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

    def _read(self, image_sha256: str) -> Halves:
        line, _, packed = self.file(image_sha256).read_bytes().partition(b"\n")
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
    digest, arithmetic = weights_hash(encoder.module), "bf16" if encoder.halved else "fp32"
    about = {"arithmetic": arithmetic, "size": str(encoder.image_size), "weights": digest}
    name = f"{digest[:16]}-{encoder.image_size}-{arithmetic}"
    if encoder.depth is not None:
        name, about["depth"] = f"{name}-{encoder.depth}bit", str(encoder.depth)
    return EmbeddingCache(root / name, tuple(about.items()))


def embed_images(
    paths: Sequence[Path], encoder: Encoder, cache: EmbeddingCache, progress: Progress | None = None
) -> tuple[dict[Path, str], list[str]]:
    """See to it that all images have a sound entry; those that do are left alone.

    Where several processes run it on one folder, each begins with its share, and then makes what is still missing.

    Args:
        paths: image files.
        encoder: of the cache.
        cache: where entries go.
        progress: called with (images seen to, images).

    Returns:
        The SHA-256 of each image file, and what a user should know.

    Raises:
        ToolkitError: an image cannot be read, or an entry cannot be written.
    """
    cache.clean()
    digests = {path: file_sha256(path) for path in paths}
    states = {digest: cache.state(digest) for digest in digests.values()}
    wanted = {digest: path for path, digest in digests.items() if states[digest] != "sound"}
    damaged = sorted(digest for digest, state in states.items() if state == "damaged")
    notes = [f"{cache.file(digest).name} in the cache was damaged, and made anew" for digest in damaged[:3]]
    notes += [f"{len(damaged) - 3} more entries of the cache were damaged, and made anew"] if len(damaged) > 3 else []
    rank, world = sharing_process()
    for number, part in enumerate(range(rank, rank + world)):
        # Others have made their share in the meantime, mostly.
        mine = [
            digest for digest in list(wanted)[part % world :: world] if not number or cache.state(digest) != "sound"
        ]
        if not mine:
            continue
        batch = encoder.batch if encoder.device.type == "cuda" else 1  # on a CPU it would be no faster
        images = PaddedImages([wanted[digest] for digest in mine], encoder.image_size, encoder.depth)
        done = 0
        for items in DataLoader(images, batch_size=batch, num_workers=encoder.workers):
            for embedding in encoder.run(items["image"], items["size"]):
                cache.write(mine[done], embedding)
                done += 1
                if progress is not None:
                    progress(done, len(mine))
    return digests, notes


class PaddedImages(Dataset[dict[str, Any]]):
    """Images as SAM takes them. Items: {"image": uint8 (3, S, S), "size": int64 (2,), height and width of it}."""

    def __init__(self, paths: Sequence[Path], image_size: int, depth: int | None = None) -> None:
        """Take files, the side S, and the range by which deep images are scaled."""
        self._paths, self._size, self._depth = list(paths), image_size, depth

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return read_padded(self._paths[index], self._size, self._depth)


def read_padded(path: Path, image_size: int, depth: int | None = None) -> dict[str, Any]:
    """Read an image, scale its longer side to `image_size` as Meta does, and pad it: an item of `PaddedImages`.

    Raises:
        ToolkitError: it cannot be read.
    """
    picture = np.ascontiguousarray(read_image(path, depth)[:, :, ::-1])
    scaled = ResizeLongestSide(image_size).apply_image(picture)
    height, width = scaled.shape[:2]
    padded = np.zeros((image_size, image_size, 3), np.uint8)
    padded[:height, :width] = scaled
    return {"image": torch.from_numpy(padded).permute(2, 0, 1).contiguous(), "size": torch.tensor([height, width])}
