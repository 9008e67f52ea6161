"""The dataset file of YOLO trees, written and read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BeforeValidator, Field, ValidationError

from converters.formats.label_tree import subset_of_name
from converters.formats.yolo.places import child, find_place, read_text
from toolkit.aliases import JsonObject
from toolkit.errors import ToolkitError
from toolkit.files.typed import Record, fault_of, yaml_line

__all__ = [
    "data_yaml",
    "find_data_yaml",
    "image_folders",
    "is_number",
    "keypoint_shape",
    "listed_places",
    "numbered_names",
    "read_data_yaml",
    "read_document",
    "subset_of_folder",
    "unusable",
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
    text = _dumped(document, allow_unicode=True)
    if yaml.reader.Reader.NON_PRINTABLE.search(text):  # libyaml writes some such letters as they are, as DEL
        text = _dumped(document, allow_unicode=False)
    return (comment + text).encode()


def _dumped(document: JsonObject, *, allow_unicode: bool) -> str:
    return str(yaml.dump(document, Dumper=_YamlDumper, sort_keys=False, allow_unicode=allow_unicode, width=1000))


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
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{min(mark.line + 1, len(text.splitlines()))}" if mark is not None else path
        raise ToolkitError(place, "is not readable YAML", f"correct it ({str(error).splitlines()[0]})") from error
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


def _whole(value: object) -> object:
    if not is_number(value):
        raise ValueError("should be a whole number from 0")
    return int(str(value))


def _listed(names: object) -> object:
    return dict(enumerate(names)) if isinstance(names, list) else names


_Whole = Annotated[int, BeforeValidator(_whole)]


class _Names(Record):
    names: Annotated[dict[_Whole, str], BeforeValidator(_listed)]


class _Keypoints(Record):
    kpt_shape: Annotated[list[_Whole], Field(min_length=2, max_length=2)]


_USABLE: dict[str, tuple[type[Record], str]] = {
    "names": (_Names, "give class names as a list, or as 0: name"),
    "kpt_shape": (_Keypoints, "give it as [keypoints, 2 or 3]"),
}


def unusable(path: Path, document: JsonObject, name: str) -> ToolkitError:
    """What to say of a file whose `names` or `kpt_shape` nothing can be made of: its line, and what is wrong."""
    kind, remedy = _USABLE[name]
    problem = f"has no usable `{name}`"
    try:
        kind.model_validate(document)
    except ValidationError as error:
        if name not in document:
            return ToolkitError(path, problem, remedy)
        steps = [part for part in error.errors()[0]["loc"] if part != "[key]"]
        problem = f"{problem}: {fault_of(error)}"
        if path.suffix.lower() in (".yaml", ".yml"):
            return ToolkitError(f"{path}:{yaml_line(read_text(path)[0], steps)}", problem, remedy)
    return ToolkitError(path, problem, remedy)


def numbered_names(names: object) -> dict[int, str] | None:
    """Class names as id -> name, out of a list or a mapping; None if they are neither."""
    try:
        return _Names.model_validate({"names": names}).names
    except ValidationError:
        return None


def keypoint_shape(document: JsonObject) -> list[int] | None:
    """Number of keypoints, and of the numbers of each, out of `kpt_shape`; None where that is no such pair."""
    try:
        return _Keypoints.model_validate(document).kpt_shape
    except ValidationError:
        return None


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
        raise unusable(path, document, "names")
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
