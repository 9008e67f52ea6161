"""Which attribute of VIA's regions is their class, and what it says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from converters.formats.coco.document import shown
from converters.formats.foreign.values import told_value
from toolkit.aliases import JsonObject
from toolkit.errors import ToolkitError

__all__ = ["ONLY_CLASS", "class_attribute", "class_of", "option_texts"]

ONLY_CLASS = "defect"
"""The class of all regions, where none has an attribute."""

_FIRST, _OTHERS = "class", ("label", "name", "type", "defect")


def class_attribute(root: Path, regions: Iterable[JsonObject]) -> str:
    """The attribute that is the class: the only one, else the one called class, else the one called as classes are.

    Args:
        root: the tree, for messages.
        regions: all that are in it.

    Returns:
        "" where no region has an attribute.

    Raises:
        ToolkitError: nothing tells which it is.
    """
    used = Counter(name for region in regions for name in region["region_attributes"])
    names: list[str] = sorted(used)
    if len(names) < 2:
        return names[0] if names else ""
    for words in ((_FIRST,), _OTHERS):
        told = [name for name in names if name.strip().casefold() in words]
        if len(told) == 1:
            return told[0]
        if told:
            break
    listed = ", ".join(map(repr, names[:8])) + (", ..." if len(names) > 8 else "")
    problem = f"its regions have the attributes {listed}: which is the class is not known"
    raise ToolkitError(root, problem, f"rename the one that is to {_FIRST!r}, in VIA or in the file")


def option_texts(root: Path, listed: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Id of each option of an attribute -> its text, which is what people choose by, out of all files that tell it.

    Raises:
        ToolkitError: two files call an option otherwise.
    """
    texts: dict[str, str] = {}
    for options in listed:
        for name, text in options.items():
            if texts.setdefault(name, text) != text:
                problem = f"the option {name!r} is {texts[name]!r} in one of its files and {text!r} in another"
                raise ToolkitError(root, problem, "name one of the files, or make the two equal")
    return texts


def class_of(place: str, region: JsonObject, attribute: str, texts: Mapping[str, str]) -> str:
    """The class of a region.

    Args:
        place: of the region, for messages.
        region: it.
        attribute: its class; "" where all regions are of one.
        texts: of its options, by their ids.

    Raises:
        ToolkitError: it names none, or several.
    """
    if not attribute:
        return ONLY_CLASS
    value = region["region_attributes"].get(attribute)
    chosen = _chosen(value) if isinstance(value, Mapping) else [told_value(value).strip()]
    chosen = [name for name in chosen if name]
    if len(chosen) == 1 and not isinstance(value, list):
        return texts.get(chosen[0], chosen[0])
    what = f"has the {attribute} {shown(value)}, which names {'several classes' if chosen else 'no class'}"
    raise ToolkitError(place, what, "choose one in VIA, or remove the region")


def _chosen(value: Mapping[str, Any]) -> list[str]:
    """The options of a checkbox that are ticked."""
    return [name.strip() for name, ticked in value.items() if ticked is True or ticked in ("true", "1", 1)]
