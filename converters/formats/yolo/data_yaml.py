"""The dataset file of YOLO trees, written and read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from converters.formats.label_tree import subset_of_name
from toolkit.aliases import JsonObject
from toolkit.errors import ToolkitError

__all__ = ["data_yaml", "find_data_yaml", "image_folders", "listed_places", "read_data_yaml"]


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
    for name in ("data.yaml", "data.yml", "dataset.yaml"):
        if (root / name).is_file():
            return root / name
    candidates = [path for path in sorted(root.iterdir()) if path.suffix.lower() in (".yaml", ".yml")]
    return next((path for path in candidates if "names" in read_data_yaml(path, strict=False)), None)


def read_data_yaml(path: Path, *, strict: bool = True) -> JsonObject:
    """The content of a dataset file, `names` as id -> name.

    Raises:
        ToolkitError: it is not YAML, or has no usable `names` (unless not `strict`).
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        if not strict:
            return {}
        raise ToolkitError(path, "is not readable YAML", f"correct it ({str(error).splitlines()[0]})") from error
    if not isinstance(document, dict):
        document = {}
    names = document.get("names")
    if isinstance(names, list):
        names = dict(enumerate(names))
    if isinstance(names, dict) and all(str(number).isdigit() for number in names):
        document["names"] = {int(number): str(name) for number, name in names.items()}
    elif strict:
        raise ToolkitError(path, "has no usable `names`", "give class names as a list, or as 0: name")
    return document


_SPELLINGS = {"train": "train", "test": "test", "val": "val", "valid": "val", "validation": "val"}


def listed_places(root: Path, document: JsonObject) -> Iterator[tuple[str, Path]]:
    """Subset and place of what a dataset file lists, as far as it is there.

    A `path` that leads nowhere is passed over; so is "../" as Roboflow writes it.
    """
    bases = [root]
    if isinstance(document.get("path"), str):
        bases += [Path(document["path"]), root / document["path"]]
    for spelling, subset in _SPELLINGS.items():
        value = document.get(spelling)
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str):
                stripped = text.removeprefix("../").removeprefix("./")
                places = [base / name for name in (stripped, text) for base in bases]
                place = next((place.resolve() for place in places if place.exists()), None)
                if place is not None:
                    yield subset, place


def image_folders(root: Path, document: JsonObject, part: str = "images") -> list[tuple[str, Path]]:
    """Subsets and their folders of images. Of a folder that stands in for another subset its own name decides."""
    listed = list(listed_places(root, document))
    if listed:
        subsets: dict[Path, list[str]] = {}
        for subset, place in listed:
            if place.is_dir():
                subsets.setdefault(place / part if (place / part).is_dir() else place, []).append(subset)
        named = ((folder, _subset_of_folder(folder, part), found) for folder, found in subsets.items())
        return [(own if own in found else found[0], folder) for folder, own, found in named]
    guesses = [
        (guess, folder)
        for folder in sorted({*root.glob(f"{part}/*"), *root.glob(f"*/{part}")})
        if folder.is_dir() and (guess := _subset_of_folder(folder, part)) is not None
    ]
    return guesses or ([("train", root / part)] if (root / part).is_dir() else [])


def _subset_of_folder(folder: Path, part: str) -> str | None:
    """Subset that images/train or train/images speaks of."""
    return subset_of_name(folder.parent.name if folder.name == part else folder.name)
