"""Where a mask would be, in words that a person can follow: a path, and no regular expression."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import islice
from pathlib import Path

from toolkit.dataset.layouts.description import Description
from toolkit.dataset.layouts.patterns import ANY_ENDING, pieces_of
from toolkit.dataset.layouts.resolving import FoundFile

__all__ = ["MaskPlaces", "plain_pattern"]

_LOOKED_AT = 8


class MaskPlaces:
    """Where the masks of images would be that have none: as the masks of others are, where there are some."""

    def __init__(self, root: Path, description: Description, images: Iterable[FoundFile]) -> None:
        self._root, self._description = root, description
        self._images = images

    @cached_property
    def _known(self) -> list[tuple[FoundFile, str]]:
        """Some masks, each with its image."""
        return list(islice(((one, mask) for one in self._images for mask in one.masks), _LOOKED_AT))

    def of(self, file: FoundFile) -> str:
        """The path of the mask of an image; alternatives where no mask is there to go by."""
        groups = {**({"class": "CLASS"} if self._description.masks_tell_classes else {}), **file.groups}
        fitting = [text for text in self._description.mask if all(name in groups for name in _names(text))]
        for text in fitting:
            for one, mask in self._known:
                found = _nameless(text, one.groups, mask)
                if found is not None:
                    return str(self._root / _written_out(text, groups, found))
        return " or ".join(str(self._root / _written_out(text, groups, {})) for text in fitting[:2])


def plain_pattern(text: str) -> str:
    """A pattern without its regular expressions: masks/{name}.png."""
    return _written_out(text, {ANY_ENDING: "{ext}"}, {})


def _written_out(text: str, groups: Mapping[str, str], nameless: Mapping[int, str]) -> str:
    """A path that a pattern matches.

    Args:
        text: the pattern.
        groups: what its groups are; others stay as {name}.
        nameless: what pieces without a name are, by their numbers.
    """
    pieces = enumerate(written for written, _ in pieces_of(text))
    return "".join(nameless.get(number) or _piece(written, groups) for number, written in pieces)


def _piece(written: str, groups: Mapping[str, str]) -> str:
    if written[0] != "{":
        return written
    name, _, own = written[1:-1].partition(":")
    if not name:
        return _example(own)
    return groups.get(name, "png" if name == ANY_ENDING else f"{{{name}}}")


def _example(regex: str) -> str:
    """Something short that a simple regular expression matches: its first alternative; * where it is not simple."""
    plain = re.sub(r"\[(.)[^]]*\]", r"\1", regex.replace("(?i:", "("))
    plain = re.sub(r"\(([^|()]*)[^()]*\)", r"\1", plain).partition("|")[0].replace("?", "")
    return plain if re.fullmatch(r"[\w .*{}-]*", plain) else "*"


def _names(text: str) -> Iterator[str]:
    for written, _ in pieces_of(text):
        name = written[1:-1].partition(":")[0] if written[0] == "{" else ""
        if name and name != ANY_ENDING:
            yield name


def _nameless(text: str, groups: Mapping[str, str], path: str) -> dict[int, str] | None:
    """What the pieces of a pattern without a name are in the path of a mask, by their numbers; None if it has another.

    Args:
        text: the pattern.
        groups: of the mask's image.
        path: of the mask.
    """
    regex = ""
    for number, (written, piece) in enumerate(pieces_of(text)):
        name = written[1:-1].partition(":")[0] if written[0] == "{" else ""
        if name in groups:
            regex += re.escape(groups[name])
        else:
            regex += f"(?P<_{number}>{piece})" if written[0] in "*{" and name in ("", ANY_ENDING) else piece
    found = re.fullmatch(regex, path, re.DOTALL)
    return found and {int(name[1:]): value for name, value in found.groupdict().items() if name[0] == "_"}
