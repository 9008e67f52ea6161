"""The dataset file of YOLO trees, written and read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from converters.formats.label_tree import subset_of_name
from converters.formats.yolo.places import child, find_place, read_text
from toolkit.aliases import JsonObject
from toolkit.errors import ToolkitError

__all__ = [
    "data_yaml",
    "find_data_yaml",
    "image_folders",
    "is_number",
    "listed_places",
    "numbered_names",
    "read_data_yaml",
    "read_document",
    "subset_of_folder",
]


_YamlDumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # libyaml's writes the same, ten times as fast


def data_yaml(classes: Sequence[str], subsets: Sequence[str], **more: str) -> bytes:
    """The dataset file that ultralytics reads. Without `path`, so that folders are found beside the file itself."""
    folders = {name: f"images/{name}" for name in subsets}
    if "train" not in folders:
        folders["train"] = f"images/{subsets[0]}"
    comment = ""
    if "val" not in folders:
        stand_in = "test" if "test" in folders else "train"
        folders["val"] = f"images/{stand_in}"
        comment = f"# no val subset: {stand_in} stands in for it, since ultralytics asks for one\n"
    document: dict[str, object] = {name: folders[name] for name in ("train", "val", "test") if name in folders}
    document |= {**more, "names": dict(enumerate(classes))}
    text = yaml.dump(document, Dumper=_YamlDumper, sort_keys=False, allow_unicode=True, width=1000)
    return (comment + str(text)).encode()


def find_data_yaml(root: Path) -> Path | None:
    """The dataset file of a YOLO tree: data.yaml, or the one YAML file with `names`."""
    for name in ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml"):
        found = child(root, name)
        if found is not None and found.is_file():
            return found
    candidates = [path for path in sorted(root.iterdir()) if path.suffix.lower() in (".yaml", ".yml")]
    return next((path for path in candidates if "names" in read_data_yaml(path, strict=False)), None)


_DEEPEST = 100
_DIGITS = 10  # of a number that counts something

# Reads all values as text: other loaders take the class names no, 010 and null for False, 8 and None.
_YamlLoader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def read_document(path: Path) -> tuple[JsonObject, list[str]]:
    """The content of a dataset file, all values as text; and notes.

    Raises:
        ToolkitError: it is not YAML.
    """
    try:
        text, notes = read_text(path)
        _check_depth(text)
        loader = _YamlLoader(text)
        try:
            document = loader.get_single_data()
        finally:
            loader.dispose()
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise ToolkitError(path, "is not readable YAML", f"correct it ({str(error).splitlines()[0]})") from error
    return (document if isinstance(document, dict) else {}), notes


def _check_depth(text: str) -> None:
    """Refuse what is nested deeply: libyaml composes it by recursion, which nobody stops before the stack ends.

    Raises:
        ValueError: it is.
    """
    depth = 0
    for event in yaml.parse(text, Loader=_YamlLoader) if len(text) > _DEEPEST else ():
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise ValueError("it is nested too deeply")


def numbered_names(names: object) -> dict[int, str] | None:
    """Class names as id -> name, out of a list or a mapping; None if they are neither."""
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        return None
    if not all(is_number(number) for number in names):
        return None
    return {int(number): name for number, name in names.items()}


def is_number(text: object) -> bool:
    """Whether a text is a whole number from 0 that something can be counted by."""
    return str(text).isdecimal() and len(str(text)) < _DIGITS


def read_data_yaml(path: Path, *, strict: bool = True) -> JsonObject:
    """The content of a dataset file, `names` as id -> name.

    Raises:
        ToolkitError: it is not YAML, or has no usable `names` (unless not `strict`).
    """
    try:
        document, _ = read_document(path)
    except ToolkitError:
        if strict:
            raise
        return {}
    names = numbered_names(document.get("names"))
    if names is not None:
        document["names"] = names
    elif strict:
        raise ToolkitError(path, "has no usable `names`", "give class names as a list, or as 0: name")
    return document


_SPELLINGS = {"train": "train", "test": "test", "val": "val", "valid": "val", "validation": "val"}


def listed_places(root: Path, document: JsonObject) -> Iterator[tuple[str, str, Path | None]]:
    """Subset, text and place of what a dataset file lists; None where nothing is there.

    Nothing outside `root` is looked at: a `path` that leads elsewhere is passed over; so is "../" that Roboflow writes.
    """
    base = document.get("path")
    named = {str(key).lower(): value for key, value in document.items()}
    for spelling, subset in _SPELLINGS.items():
        value = named.get(spelling)
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and text not in ("", "~", "null"):
                yield subset, text, find_place(root, text, base if isinstance(base, str) else "")


def image_folders(root: Path, document: JsonObject, part: str = "images") -> list[tuple[str, Path]]:
    """Subsets and their folders of images. Of a folder that stands in for another subset its own name decides."""
    listed = [(subset, place) for subset, _, place in listed_places(root, document) if place is not None]
    if listed:
        subsets: dict[Path, list[str]] = {}
        for subset, place in listed:
            if place.is_dir():
                subsets.setdefault(_inner(place, part) or place, []).append(subset)
        named = ((folder, subset_of_folder(folder, part), found) for folder, found in subsets.items())
        return [(own if own in found else found[0], folder) for folder, own, found in named]
    top = _inner(root, part)
    inner = [path for path in top.iterdir() if path.is_dir()] if top is not None else []
    inner += [folder for path in root.iterdir() if path.is_dir() and (folder := _inner(path, part)) is not None]
    guesses = [(guess, folder) for folder in sorted({*inner}) if (guess := subset_of_folder(folder, part)) is not None]
    return guesses or ([("train", top)] if top is not None else [])


def _inner(folder: Path, part: str) -> Path | None:
    """The folder of that name in another, in whatever letter case."""
    found = child(folder, part)
    return found if found is not None and found.is_dir() else None


def subset_of_folder(folder: Path, part: str = "images") -> str | None:
    """Subset that images/train or train/images speaks of."""
    return subset_of_name(folder.parent.name if folder.name.lower() == part.lower() else folder.name)
