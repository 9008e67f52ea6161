"""Files that name the classes of a dataset, one a line or each with its number, as various tools leave them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from toolkit.dataset.samples import is_background_word

__all__ = ["NAMES_FILES", "numberings", "read_names"]

NAMES_FILES = frozenset(
    {
        *("classes.txt", "class_names.txt", "classnames.txt", "labels.txt", "label_names.txt", "names.txt"),
        *("obj.names", "classes.names", "classes.csv", "_classes.csv", "class_names.csv", "labels.csv"),
    }
)
"""Names of such files, in lower case."""

_MOST_BYTES = 1 << 16
_NUMBERED = re.compile(r"(\d{1,5})\s*[:;,=\t ]\s*([^:;,=\t]+?)[\s,;]*")
_OF_IMAGES = re.compile(r"(?im)\.(png|jpe?g|bmp|tiff?|webp)\b")  # then it lists images
_PLAIN = re.compile(r"[^,;:=\t]{1,100}")


def read_names(path: Path) -> Sequence[str] | Mapping[int, str] | None:
    """The names in a file, in their order or by their numbers; None where it holds none.

    A first line that heads columns is passed over, and so are lines that begin with #.
    """
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return None
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not lines or len(data) > _MOST_BYTES or "\0" in text or _OF_IMAGES.search(text):
        return None
    for rows in (lines, lines[1:]):
        found = [match for row in rows if (match := _NUMBERED.fullmatch(row))]
        if rows and len(found) == len(rows):
            numbers = {int(match[1]): match[2].strip(" \"'") for match in found}
            return numbers if len(numbers) == len(rows) else None
    if not all(_PLAIN.fullmatch(line) for line in lines) or len(set(lines)) < len(lines):
        return None
    return lines


def numberings(names: Sequence[str] | Mapping[int, str]) -> list[dict[int, str]]:
    """What values in masks may mean, by such names: one way where they say it, else from 0 and from 1.

    Where the first of them is a word for background it is 0, and 0 is background in any case.
    """
    if isinstance(names, Mapping):
        return [dict(names)]
    from_0, from_1 = dict(enumerate(names)), dict(enumerate(names, 1))
    if is_background_word(names[0]):
        return [from_0]
    return [{value: name for value, name in from_0.items() if value}, from_1]
