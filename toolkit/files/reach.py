"""How far a root reaches: what links in it lead to must lie in it, unless the user has said that links may be followed.

Whoever shares a dataset may put a link to any file of the reader's machine into it; what it leads to would be read, and
hard-linked or copied into outputs that are passed on. Trees of ours that were written with links lead into the source
that their manifest names, and are read without a word.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache, partial
from pathlib import Path

from toolkit.errors import ToolkitError

__all__ = ["JUNK", "LinkError", "check_files", "check_links", "following_links"]

JUNK = frozenset({"__MACOSX", "$RECYCLE.BIN", "System Volume Information", "@eaDir"})
"""Folders that operating systems leave behind, and that nobody looks into."""

_follow: ContextVar[bool] = ContextVar("follow_links", default=False)
_READ = frozenset(  # endings of what is read: a link to anything else is nobody's business
    f".{ending}"
    for ending in (
        *("png", "jpg", "jpeg", "bmp", "tif", "tiff", "webp"),
        *("json", "txt", "yaml", "yml", "csv", "xml", "data", "names", "labels", "mat"),
    )
)
_PICTURES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
_ABOVE = 3  # folders above a root in which a manifest may stand: images/train is a root too
_GENERATIONS = 8  # trees made of trees


class LinkError(ToolkitError):
    """A link leads out of where it should."""


@contextmanager
def following_links(follow: bool = True) -> Iterator[None]:
    """Within this, links that lead out of a root are followed (or not): what `--follow-links` does.

    Args:
        follow: False leaves things as they are.
    """
    token = _follow.set(follow or _follow.get())
    try:
        yield
    finally:
        _follow.reset(token)


def check_links(root: Path) -> None:
    """Refuse a folder in which links to folders, images or label files lead out of it. It may itself be a link.

    Raises:
        LinkError: there are any, but for those of a tree of ours that lead into its source.
    """
    if not _follow.get() and root.is_dir():
        _refuse(root, _links_out(root))


def check_files(home: Path, files: Iterable[Path]) -> None:
    """Refuse files that links lead to out of the folder that they should lie in.

    Args:
        home: the folder.
        files: as they are named; those that are not there do no harm.

    Raises:
        LinkError: there are any, as in `check_links`.
    """
    if _follow.get():
        return
    base = os.path.realpath(home)
    real: Callable[[Path], str] = lru_cache(maxsize=4096)(os.path.realpath)
    sources = _cached_sources(base)
    out = []
    for file in files:
        place = Path(real(file.parent), file.name)
        target = os.path.realpath(place) if place.is_symlink() else str(place)
        if not _lies_in(target, base) and place.exists() and not _is_allowed(target, sources(str(file.parent))):
            out.append((os.path.relpath(file, home), target))
    _refuse(home, out)


def _refuse(root: Path, out: Iterable[tuple[str, str]]) -> None:
    links = sorted(out)
    if links:
        link, target = links[0]
        more = f", and {len(links) - 1} more lead out of it" if len(links) > 1 else ""
        remedy = "add --follow-links if you trust the dataset and they may be read, or put the files in their place"
        raise LinkError(root, f"its {link} is a link that leads out of it, to {target}{more}", remedy)


def _links_out(root: Path) -> Iterator[tuple[str, str]]:
    """Links below a root that lead out of it, as paths from there on, and what they lead to."""
    base = os.path.realpath(root)
    real: Callable[[Path], str] = lru_cache(maxsize=4096)(os.path.realpath)
    sources = _cached_sources(base)
    waiting, seen = [str(root)], {base}
    while waiting:
        folder = waiting.pop()
        for entry in _entries(folder):
            if not entry.is_symlink():
                if entry.is_dir():
                    waiting.append(entry.path)
                continue
            is_folder = entry.is_dir()
            if not is_folder and _ending(entry.name) not in _READ:
                continue
            target = _target(entry.path, real)
            if _lies_in(target, base) or not Path(target).exists():
                continue
            if not _is_allowed(target, sources(folder), is_folder=is_folder):
                yield os.path.relpath(entry.path, root), target
            elif is_folder and target not in seen:
                seen.add(target)
                waiting.append(entry.path)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    """What is in a folder that is not hidden; nothing where it cannot be read, which its reader will say."""
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".") and entry.name not in JUNK]
    except OSError:
        return []


def _ending(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _target(link: str, real: Callable[[Path], str]) -> str:
    """The real path that a link leads to; the folders that links lead to are often the same."""
    path = Path(link)
    place = path.parent / path.readlink()
    if place.name in ("", ".."):
        return os.path.realpath(link)
    place = Path(real(place.parent), place.name)
    return os.path.realpath(place) if place.is_symlink() else str(place)


def _is_allowed(target: str, sources: tuple[str, ...], *, is_folder: bool = False) -> bool:
    """Whether what a link leads to is an image, or a folder, of one of the sources."""
    return (is_folder or _ending(target) in _PICTURES) and any(_lies_in(target, source) for source in sources)


def _lies_in(place: str, folder: str) -> bool:
    return place == folder or place.startswith(folder.rstrip(os.sep) + os.sep)


def _cached_sources(base: str) -> Callable[[str], tuple[str, ...]]:
    return lru_cache(maxsize=4096)(partial(_sources_of, base=base))


def _sources_of(folder: str, base: str) -> tuple[str, ...]:
    """The sources of the trees that a folder is part of, in a root whose real path is `base`, or little above it."""
    here = Path(os.path.realpath(folder))
    lowest = len(Path(base).parts) - _ABOVE
    trees = (place for place in (here, *here.parents) if len(place.parts) >= lowest)
    return tuple(source for tree in trees for source in _sources(tree, _GENERATIONS))


def _sources(tree: Path, generations: int) -> tuple[str, ...]:
    """The sources that the manifest of a folder names, and the sources of these; none where there is no manifest."""
    found: dict[str, None] = {}
    waiting = [tree]
    for _ in range(generations + 1):
        named = dict.fromkeys(source for place in waiting for source in _named_sources(place))
        waiting = [Path(source) for source in named if source not in found]
        found |= named
    return tuple(found)


def _named_sources(tree: Path) -> Iterator[str]:
    """The sources that a manifest names. One that holds the tree itself is none that `convert` would have written."""
    try:
        manifest = json.loads((tree / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return
    if not isinstance(manifest, dict) or manifest.get("tool") != "defectkit":
        return
    several = manifest.get("sources")
    for named in several if isinstance(several, list) else [manifest.get("source")]:
        if not isinstance(named, str) or not named or "\0" in named:
            continue
        source = Path(os.path.realpath(tree.parent / named))
        if source.is_file():
            source = source.parent.parent if source.parent.name.lower() == "annotations" else source.parent
        if not tree.is_relative_to(source):
            yield str(source)
