"""Label trees on disk: the one writer that serves every format, and the manifest.

Label files of single images are written as they come. What goes into one file for a whole subset (JSON lists, tables)
is collected in append-only spools beside them and put together at the end, so that memory stays flat; and a
checkpoint is no more than the lengths of the spools and a few counts.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, unquote

import orjson

from converters.formats.base import Encoded, Settings, TreeShape, digest_line, present_subsets
from converters.writing.checkpoint import SubsetCounts, Totals, WriterState, spool_file
from converters.writing.ownership import PathOwners
from toolkit import __version__
from toolkit.aliases import JsonObject
from toolkit.files.publish import write_json

__all__ = ["LeftOut", "TreeWriter"]

_BLOCK = 1 << 20
_DIGEST = re.compile(rb"[^\0]*\0[0-9a-f]{64}\n")  # a line of `digest_line`; names may hold line ends
_LINES = "lines."  # begins the name of a spool whose lines become a file: its path follows


LeftOut = tuple[str, int]
"""Why a component is not written, and its area in pixels."""


class TreeWriter:
    """Writes one format's tree into a staging folder, image by image, in order."""

    def __init__(self, folder: Path, name: str, settings: Settings) -> None:
        self.folder = folder
        self.name = name
        self._settings = settings
        self._prefix = f"{folder}/"
        self._spools: dict[str, IO[bytes]] = {}
        self._kept: dict[str, int] = {}  # lengths of those that an earlier run has written to
        self._folders: set[str] = set()
        self.owners = PathOwners(folder, name, claimed=self._owned)
        self._subsets: dict[str, dict[str, int]] = {}
        self._totals = dict.fromkeys(Totals.model_fields, 0)
        self._dropped: Counter[str] = Counter()
        self._declared: set[tuple[str, str]] = set()
        self._iou_sum = 0.0
        self._min_iou = 1.0
        folder.mkdir(parents=True, exist_ok=True)

    def add(
        self, encoded: Encoded, shape: TreeShape, *, key: str, subset: str, found: int, left_out: tuple[LeftOut, ...]
    ) -> None:
        """Write one image's labels and count them.

        Args:
            encoded: the image in this format.
            shape: as the codec gave it.
            key, subset: of the image.
            found: components in its mask, or objects that its labels list.
            left_out: those of them that no format gets.

        Raises:
            ToolkitError: a file of another image has the same path, or this system cannot have it.
        """
        self._claim(encoded, key)
        for path, data in encoded.files:
            self._write(path, data)
            self._spool("digests", digest_line(path, hashlib.sha256(data).hexdigest()))
        counts = self._subsets.get(subset)
        if counts is None:
            counts = self._subsets[subset] = {"images": 0, "instances": 0, "background": 0, "annotations": 0}
        if shape.json_file is not None:
            self._add_json(encoded, subset, counts, shape)
        self._add_shared(encoded, subset, counts["images"])
        counts["images"] += 1
        counts["instances"] += encoded.objects
        counts["background"] += encoded.objects == 0
        if found:
            self.count_components(key, found, (*left_out, *encoded.skipped))
            self._totals["bridges"] += encoded.bridges
        self._totals["rectangles"] += encoded.rectangles
        self._totals["covered"] += encoded.covered
        self._totals["covered_images"] += encoded.covered > 0
        self._dropped.update(encoded.dropped)
        if encoded.fidelity is not None:
            self._totals["compared"] += 1
            self._totals["exact"] += encoded.fidelity.intersection == encoded.fidelity.union
            self._iou_sum += encoded.fidelity.iou
            self._min_iou = min(self._min_iou, encoded.fidelity.iou)

    def _claim(self, encoded: Encoded, key: str) -> None:
        """Note whose the files of an image are; refuse to write one path twice."""
        for path in dict.fromkeys((encoded.image, *(path for path, _ in encoded.files))):
            self.owners.claim(path, key)
            self._spool("owners", orjson.dumps([path, key]) + b"\n")

    def exclude(self, key: str, reason: str, found: int, left_out: tuple[LeftOut, ...]) -> None:
        """Leave an image out, for a reason that is no fault of it; its components count as found and not written."""
        self._spool("excluded", orjson.dumps({"key": key, "reason": reason}) + b"\n")
        self.count_components(key, found, left_out)

    def count_components(self, key: str, found: int, skipped: tuple[LeftOut, ...]) -> None:
        """Say that of an image so many components were found, and which of them no format gets."""
        for reason, area in skipped:
            self._spool("skipped", orjson.dumps({"key": key, "reason": reason, "area": area}) + b"\n")
        self._totals["found"] += found
        self._totals["skipped"] += len(skipped)

    def _add_shared(self, encoded: Encoded, subset: str, number: int) -> None:
        """Keep what an image has in files that it shares with others."""
        if encoded.entry is not None:
            before, after = encoded.entry
            self._spool(f"entries.{subset}", b"%b%d%b" % (before, number, after))
        for pair in {*encoded.declares} - self._declared:
            self._declared.add(pair)
            self._spool("declared", orjson.dumps(pair) + b"\n")
        if encoded.row:
            self._spool("table", encoded.row + b"\n")
        for path, line in encoded.lines:
            self._spool(_LINES + quote(path, safe=""), line + b"\n")

    def _add_json(self, encoded: Encoded, subset: str, counts: dict[str, int], shape: TreeShape) -> None:
        image_id = counts["images"] + 1
        comma = b"," if image_id > 1 else b""
        self._spool(f"images.{subset}", b'%b\n{"id":%d,%b}' % (comma, image_id, encoded.header))
        for annotation in encoded.annotations:
            counts["annotations"] += 1
            comma = b"," if counts["annotations"] > 1 else b""
            own = b'"id":%d,' % counts["annotations"] if shape.numbered else b""
            line = b'%b\n{%b"image_id":%d,%b}' % (comma, own, image_id, annotation)
            self._spool(f"annotations.{subset}", line)

    def count_image(self, size: int, *, upright: bool) -> None:
        """Say that an image file of so many bytes was put into the tree, as it is or as a copy that stands upright."""
        self._totals["images"] += 1
        self._totals["upright"] += upright
        self._totals["image_bytes"] += size

    def prepare(self, path: str) -> str:
        """Where a file of the tree goes, its folder made."""
        parent = path.rpartition("/")[0]
        if parent not in self._folders:
            (self.folder / parent).mkdir(parents=True, exist_ok=True)
            self._folders.add(parent)
        return self._prefix + path

    def _write(self, path: str, data: bytes) -> None:
        binary = getattr(os, "O_BINARY", 0)  # Windows ends lines in two bytes unless told not to, in pictures too
        file = os.open(self.prepare(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | binary, 0o644)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(file, view) :]
        finally:
            os.close(file)

    def _spool(self, name: str, data: bytes) -> None:
        if name not in self._spools:
            self._spools[name] = open(spool_file(self.folder, name), "ab", buffering=_BLOCK)  # noqa: SIM115
        self._spools[name].write(data)

    def checkpoint(self) -> WriterState:
        """All that `restore` needs to go on from here."""
        for spool in self._spools.values():
            spool.flush()
        return WriterState(
            spools={**self._kept, **{name: spool.tell() for name, spool in self._spools.items()}},
            subsets={name: SubsetCounts(**counts) for name, counts in self._subsets.items()},
            totals=Totals(**self._totals),
            dropped=dict(self._dropped),
            iou_sum=self._iou_sum.hex(),
            min_iou=self._min_iou.hex(),
        )

    def restore(self, state: WriterState) -> None:
        """Go back to a checkpoint: cut the spools to their lengths then, take the counts from it."""
        for spool in self.folder.glob(".*.spool"):
            name = spool.name[1 : -len(".spool")]
            os.truncate(spool, state.spools.get(name, 0))
        self._kept = dict(state.spools)
        self.owners = PathOwners(self.folder, self.name, claimed=self._owned)
        for path, key in self._owned():
            self.owners.claim(path, key)
        self._subsets = {name: counts.model_dump() for name, counts in state.subsets.items()}
        self._totals = state.totals.model_dump()
        self._dropped = Counter(state.dropped)
        self._declared = {tuple(pair) for pair in self._listed("declared")}
        self._iou_sum = float.fromhex(state.iou_sum)
        self._min_iou = float.fromhex(state.min_iou)

    def finish(
        self, shape_of: Callable[[list[str]], TreeShape], *, tiled: Mapping[str, int], **remarks: Any
    ) -> JsonObject:
        """Put the files of whole subsets together, hash the labels, write the manifest and return it.

        Args:
            shape_of: the shape of the tree by its subsets.
            tiled: what was counted of the images that were cut.
            remarks: what else the manifest says.
        """
        subsets = present_subsets(list(self._subsets))
        shape = shape_of(subsets)
        for subset in subsets if shape.json_file is not None else []:
            self._close_json(shape, subset)
        for subset, file in shape.subset_files.items():
            digest = self._assemble(
                file.path, [file.head(sorted(self._declared)), *self._stored(f"entries.{subset}"), file.tail]
            )
            self._spool("digests", digest_line(file.path, digest))
        if shape.table is not None:
            name, first_line = shape.table
            digest = self._assemble(name, [first_line.encode() + b"\n", *self._stored("table")])
            if shape.table_is_label:
                self._spool("digests", digest_line(name, digest))
        for spool in sorted({*self._kept, *self._spools}):
            if spool.startswith(_LINES):
                path = unquote(spool.removeprefix(_LINES))
                self._spool("digests", digest_line(path, self._assemble(path, self._stored(spool))))
        for path, data in shape.closing:
            self._write(path, data)
        manifest = self._manifest(subsets, remarks | self._tiled(tiled))
        for name in list(self._spools):
            self._spools.pop(name).close()
        write_json(self.folder / "manifest.json", manifest)
        return manifest

    def remove_spools(self) -> None:
        """Take away what the finished tree no longer needs."""
        for spool in self.folder.glob(".*.spool"):
            spool.unlink()

    def abandon(self) -> None:
        """Close what is open, without finishing."""
        for name in list(self._spools):
            with suppress(OSError):  # a full disk has been reported by then
                self._spools.pop(name).close()

    def _close_json(self, shape: TreeShape, subset: str) -> None:
        info = {"description": "Written by defectkit", "version": __version__}
        rest = {"info": info, "licenses": [], **shape.json_lists}
        pieces: list[bytes | Iterator[bytes]] = [
            b'{"images":[',
            self._stored(f"images.{subset}"),
            b'],\n"annotations":[',
        ]
        pieces += [self._stored(f"annotations.{subset}"), b"],\n" + orjson.dumps(rest)[1:] + b"\n"]
        if shape.json_tasks:
            pieces = [b"[", self._stored(f"images.{subset}"), b"\n]\n"]
        path = str(shape.json_file).format(subset)
        chunks = (chunk for piece in pieces for chunk in ([piece] if isinstance(piece, bytes) else piece))
        self._spool("digests", digest_line(path, self._assemble(path, chunks)))

    def _assemble(self, path: str, chunks: Any) -> str:
        """Write a file from chunks; its SHA-256."""
        digest = hashlib.sha256()
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target, "wb", buffering=_BLOCK) as file:
            for chunk in chunks:
                digest.update(chunk)
                file.write(chunk)
        return digest.hexdigest()

    def _stored(self, name: str) -> Iterator[bytes]:
        """What a spool holds, in blocks."""
        if name in self._spools:
            self._spools[name].flush()
        with suppress(FileNotFoundError), open(spool_file(self.folder, name), "rb") as file:
            while block := file.read(_BLOCK):
                yield block

    def _owned(self) -> Iterator[tuple[str, str]]:
        """All paths that were claimed so far, and whose they are."""
        if "owners" in self._spools:
            self._spools["owners"].flush()
        with suppress(FileNotFoundError), open(spool_file(self.folder, "owners"), "rb") as file:
            for line in file:
                path, key = orjson.loads(line)
                yield path, key

    def _manifest(self, subsets: list[str], remarks: JsonObject) -> JsonObject:
        digest = hashlib.sha256()
        for line in sorted(_DIGEST.findall(b"".join(self._stored("digests")))):
            digest.update(line)
        skipped, excluded = self._listed("skipped"), self._listed("excluded")
        totals = self._totals
        manifest: JsonObject = {
            "schema": 2,
            "tool": "defectkit",
            "version": __version__,
            "format": self.name,
            "classes": list(self._settings.classes),
            "subsets": {
                name: {part: self._subsets[name][part] for part in ("images", "instances", "background")}
                for name in subsets
            },
            "components": {
                "found": totals["found"],
                "written": totals["found"] - totals["skipped"],
                "skipped": skipped,
            },
            "fidelity": self._fidelity(),
            "options": self._settings.described(),
            "images": self._images(),
            **({"left_out": excluded} if excluded else {}),
            "labels_sha256": digest.hexdigest(),
            **remarks,
        }
        if self._settings.join_parts:
            manifest["bridge_pixels"] = totals["bridges"]
        return manifest

    def _tiled(self, counts: Mapping[str, int]) -> JsonObject:
        """What a manifest says of tiles; nothing where there are none.

        An object of an image is whole in a tile at least, or is cut: found = whole + cut. What is written are its parts
        in all tiles.
        """
        if self._settings.tiles is None:
            return {}
        told = Counter(counts)
        sums = {part: sum(one[part] for one in self._subsets.values()) for part in SubsetCounts.model_fields}
        parts = {"found": told["found"], "whole": told["whole"], "cut": told["found"] - told["whole"]}
        return {
            "tiles": {
                **{part: told[part] for part in ("images", "uncut")},
                "tiles": sums["images"],
                "background": sums["background"],
                "left_out": told["left_out"],
                **({"not_asked_for": told["not_asked_for"]} if told["not_asked_for"] else {}),
                "parts": {**parts, "written": sums["instances"]},
            }
        }

    def _listed(self, name: str) -> list[Any]:
        """The lines of a spool."""
        return [orjson.loads(line) for line in b"".join(self._stored(name)).splitlines()]

    def _images(self) -> JsonObject:
        """How many image files were put into the tree, their bytes, and the copies that stand upright, if any."""
        count, size, upright = (self._totals[name] for name in ("images", "image_bytes", "upright"))
        return {"count": count, "bytes": size, **({"upright": upright} if upright else {})}

    def _fidelity(self) -> JsonObject:
        """How well the labels show what they were made of; no figure where there was nothing to hold them against."""
        compared, rectangles = self._totals["compared"], self._totals["rectangles"]
        covered = {"pixels": self._totals["covered"], "images": self._totals["covered_images"]}
        return {
            "mean_iou": self._iou_sum / compared if compared else None,
            "min_iou": self._min_iou if compared else None,
            "exact": self._totals["exact"],
            "images": compared,
            **({"rectangles": rectangles} if rectangles else {}),
            **({"covered": covered} if covered["pixels"] else {}),
            **({"dropped": dict(sorted(self._dropped.items()))} if self._dropped else {}),
        }
