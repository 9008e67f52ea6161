"""Where the images of a label tree come from: what its manifest says of that, and how the way back is found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from converters.merging import MergedSource, open_sources, roots_of
from converters.reviewed import ReviewedSource, reviewed
from converters.sources import LayoutLike, Source, SourceLike, open_source
from toolkit.aliases import JsonObject
from toolkit.files.portable import relative_path

__all__ = ["name_in_roots", "named_roots", "open_named", "source_remarks"]


def name_in_roots(file: str, source: Source) -> str:
    """A file from the root that it lies in, behind the name of that where there are several."""
    names = source.names if isinstance(source, MergedSource) else ("",)
    for root, name in zip(roots_of(source), names, strict=True):
        home = root.parent if root.is_file() else root
        if Path(file).is_relative_to(home):
            inner = relative_path(Path(file), home)
            return f"{name}/{inner}" if name else inner
    return file


def source_remarks(source: Source, out: Path) -> JsonObject:
    """What a manifest says of where its images come from, as paths from `out`."""
    if not isinstance(source, MergedSource):
        told = source.dataset.description
        found: JsonObject = {"source": relative_path(source.root.resolve(), out.resolve())}
        review = {"review": dict(source.review)} if isinstance(source, ReviewedSource) else {}
        return found | ({"layout": dict(told)} if told is not None else {}) | review
    layouts = [one.dataset.description for one in source.sources]
    found = {"sources": [relative_path(root.resolve(), out.resolve()) for root in roots_of(source)]}
    if source.prefixes:
        found["prefixes"] = list(source.prefixes)
    if any(told is not None for told in layouts):
        found["layouts"] = [None if told is None else dict(told) for told in layouts]
    return found


def named_roots(manifest: Mapping[str, Any] | None, out: Path) -> list[Path]:
    """The roots that the manifest of a tree in `out` names; none where it names none."""
    told = manifest or {}
    named = told.get("sources") or [told.get("source")]
    return [(out.resolve() / str(one)).resolve() for one in named if one]


def open_named(manifest: Mapping[str, Any], roots: Sequence[SourceLike], layout: LayoutLike = None) -> Source:
    """The source of a tree, at the places that its manifest names, or at others.

    Args:
        manifest: of the tree.
        roots: where its roots are now.
        layout: of all of them; what the manifest says if None.

    Raises:
        ToolkitError: one of them cannot be opened, or a review was of other labels.
    """
    if len(roots) == 1:
        return reviewed(open_source(roots[0], manifest.get("layout") if layout is None else layout), manifest)
    layouts = manifest.get("layouts") if layout is None else None
    if len(roots) != len(manifest.get("sources", ())):
        return open_sources(list(roots), layout)
    known = layouts or ([None] * len(roots) if layout is None else None)
    return open_sources(list(roots), layout, layouts=known, prefixes=manifest.get("prefixes", ()))
