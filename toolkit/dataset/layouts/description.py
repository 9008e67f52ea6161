"""A layout as data: which files are images, where their masks are, what the values in them mean."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from toolkit.dataset.layouts.patterns import Pattern, compile_pattern
from toolkit.dataset.samples import is_good_word
from toolkit.errors import ToolkitError
from toolkit.files.typed import read_text, yaml_line, yaml_value

__all__ = [
    "SUBSET_WORDS",
    "Description",
    "ImageTable",
    "ValuesFile",
    "check_class_name",
    "checked",
    "colour_of",
    "describe_pairs",
    "parse_values",
    "read_description",
]

SUBSET_WORDS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing", "test_public"), "test"),
}
"""Names of subsets that need no translation, in lower case."""

Meaning = str | dict[int | str, str]
Missing = Literal["error", "good", "unlabelled"]


_LONGEST_NAME = 200  # bytes; most file systems allow 255, and names of files have more in them
_PRODUCT = re.compile(r"\{category(?::([^{}]*))?\}/")


class ValuesFile(BaseModel):
    """A JSON list, or a CSV file, whose records name the values in masks: MVTec LOCO's defects_config.json."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str = Field(description="its path below the root; {category} and the like are filled in.")
    name: str = Field(description="member of a record that is the class.")
    value: str = Field(description="member of a record that is the value.")


class ImageTable(BaseModel):
    """A table that names images: their subsets, and masks that must be there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str = Field(description="its path below the root; {category} and the like are filled in.")
    image: str = Field(description="column with the path of an image.")
    split: str = Field(default="", description="column with its subset.")
    mask: str = Field(default="", description="column with the path of its mask, empty where there is none.")
    image_folder: str = Field(default="", description="folder from which paths of images are told; the root if none.")
    mask_folder: str = Field(default="", description="folder from which paths of masks are told; the root if none.")
    columns: list[str] = Field(default_factory=list, description="names of columns divided by tabs, without a header.")
    skip: int = Field(default=0, ge=0, description="lines before the first that counts.")
    optional: bool = Field(default=False, description="whether a dataset may lack the file.")


class Description(BaseModel):
    """How a dataset is laid out."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    name: str = ""
    about: str = Field(default="", description="what it is the layout of.")
    source: str = Field(default="", description="where the dataset is described.")
    images: list[str] = Field(default_factory=list, description="patterns of the images.")
    mask: list[str] = Field(default_factory=list, description="patterns of the masks of an image, with its groups.")
    values: ValuesFile | Meaning | None = Field(
        default=None,
        union_mode="left_to_right",
        description="nonzero, '>=N', alpha, ids, or value: class. By default masks hold 0 and one full value.",
    )
    names: dict[int | str, Any] = Field(default_factory=dict, description="of ids: id: class, or category: {id: class}")
    class_name: str = Field(default="defect", alias="class", description="where no pattern has a {class}.")
    good: list[str] | None = Field(default=None, description="classes that mean no defect; by default known words.")
    splits: dict[str, Literal["train", "val", "test"]] = Field(default_factory=dict, description="word: subset")
    tables: list[ImageTable] = Field(default_factory=list, description="CSV files that tell the subsets of images.")
    group: list[str] = Field(default_factory=list, description="groups that a split must not tear apart.")
    missing_mask: Missing | dict[Literal["train", "val", "test"], Missing] = Field(
        default="error", description="what an image without a mask is: error, good, unlabelled; or subset: one of them"
    )
    mask_folder: str = Field(
        default="", description="folder without which an image without a mask is not good; {category} is filled in."
    )
    empty_mask: Literal["error", "good"] | None = Field(default=None, description="good where no pattern has a {class}")
    exclude: list[str] = Field(default_factory=list, description="patterns of images that are none of the dataset's.")
    unlabelled: list[str] = Field(default_factory=list, description="patterns of images that nobody labelled.")
    notes: list[str] = Field(default_factory=list, description="what a user should know of such a dataset.")
    shared_masks: bool = Field(default=False, description="whether one mask may be that of several images.")
    sign: list[str] = Field(default_factory=list, description="folders or files, any of which shows such a dataset.")
    root_name: str = Field(default="", description="regular expression of the root's name, without which none is.")
    needs: Literal["masks", "good", "nothing"] | None = Field(
        default=None,
        description="what must be there for a folder to be taken for one: by default masks, if any are named.",
    )
    single: bool = Field(default=True, description="whether a root may be one product of it.")
    rank: int = Field(default=50, description="of several that fit alike the lowest has it.")
    category: str = Field(default="", description="product of a root that is one.")

    @field_validator("images", "mask", "good", "exclude", "unlabelled", "group", "notes", "sign", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value

    def image_patterns(self) -> list[Pattern]:
        """The patterns of the images.

        Raises:
            ToolkitError: one is faulty.
        """
        return [compile_pattern(text, place=self._place) for text in self.images]

    def mask_patterns(self, image: Pattern) -> list[Pattern]:
        """The patterns of the masks of the images that `image` matches.

        Raises:
            ToolkitError: one is faulty, or has a group that the image does not bind, other than a {class} of its own.
        """
        found = [compile_pattern(text, image.bindings, place=self._place) for text in self.mask]
        bound = {*image.bindings, *(("class",) if self.masks_tell_classes else ())}
        fitting = [pattern for pattern in found if set(pattern.groups) <= bound]
        if found and not fitting:
            free = next(name for name in found[0].groups if name not in bound)
            problem = f"the mask {found[0].text!r} has {{{free}}}, which the image {image.text!r} does not bind"
            remedy = f"give the image a {{{free}}}, write * in the mask, or list the image under `unlabelled`"
            raise ToolkitError(self._place, problem, remedy)
        return fitting

    def other_patterns(self, texts: Sequence[str]) -> list[Pattern]:
        """Patterns of `exclude` or `unlabelled`.

        Raises:
            ToolkitError: one is faulty.
        """
        return [compile_pattern(text, place=self._place) for text in texts]

    def below(self, category: str) -> Description | None:
        """The same layout from a folder of one category on; None if not all patterns begin with {category}/."""

        def cut(texts: Sequence[str]) -> list[str]:
            return [_PRODUCT.sub("", text, count=1).replace("{category}", category) for text in texts]

        patterns = [*self.images, *self.mask, *self.unlabelled, *self.sign]
        starts = [_PRODUCT.match(text) for text in patterns]
        if not self.single or not all(start and re.fullmatch(start[1] or ".*", category) for start in starts):
            return None
        values = self.values
        if isinstance(values, ValuesFile):
            values = values.model_copy(update={"file": cut([values.file])[0]})
        names = self.names.get(category, self.names)
        lists = {name: cut(getattr(self, name)) for name in ("images", "mask", "unlabelled", "exclude", "sign")}
        place = cut([self.mask_folder])[0]
        return self.model_copy(
            update={**lists, "mask_folder": place, "values": values, "names": names, "category": category}
        )

    @property
    def _place(self) -> str:
        return f"the layout {self.name}" if self.name else "the layout"

    def without_mask(self, split: str) -> Missing:
        """What an image of a subset is that has no mask."""
        rules = self.missing_mask
        return rules if isinstance(rules, str) else rules.get(split, "error")  # type: ignore[call-overload]

    @property
    def masks_tell_classes(self) -> bool:
        """Whether masks alone have a {class}: then each of an image's masks marks the class that its name tells."""
        return _has_class(self.mask) and not _has_class(self.images)

    @property
    def tells_classes(self) -> bool:
        """Whether the values in its masks say which class is marked."""
        return self.values == "ids" or isinstance(self.values, dict | ValuesFile)

    def as_yaml(self) -> str:
        """The description as a file that `read_description` reads."""
        told = self.model_dump(by_alias=True, exclude_defaults=True, mode="json")
        shown = {name: value[0] if _alone(name, value) else value for name, value in told.items()}
        return yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, width=110)


def _has_class(patterns: Sequence[str]) -> bool:
    return any(re.search(r"\{class[:}]", text) for text in patterns)


def _alone(name: str, value: object) -> bool:
    return name in ("images", "mask") and isinstance(value, list) and len(value) == 1


def read_description(path: str | Path) -> Description:
    """A description out of a YAML file.

    Raises:
        ToolkitError: it cannot be read, or is none.
    """
    path = Path(path)
    text = read_text(path, "name a YAML file")
    document = yaml_value(text, path, "name a YAML file")
    if not isinstance(document, dict):
        raise ToolkitError(path, "is no description of a layout", "see 'defectkit layouts' for some")
    return checked(document, path, path.stem, text)


def checked(document: Mapping[str, Any], place: str | Path, name: str = "", text: str = "") -> Description:
    """A description out of a mapping, its patterns tried; `text` is the YAML that it stood in, if it did.

    Raises:
        ToolkitError: it is none; `place` is who is to blame.
    """
    try:
        found = Description.model_validate({"name": name, **document})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][:1]) or "it"
        known = ", ".join(field.alias or key for key, field in Description.model_fields.items())
        remedy = f"known keys are {known}" if first["type"] == "extra_forbidden" else "correct it"
        blamed = f"{place}:{yaml_line(text, first['loc'])}" if text else place
        raise ToolkitError(blamed, f"{where}: {first['msg'].lower()}", remedy) from error
    if is_good_word(found.class_name):
        problem = f"class: what is marked cannot be called {found.class_name!r}, which means that there is no defect"
        raise ToolkitError(place, problem, "name the defect")
    if isinstance(found.values, str):
        parse_values(found.values, str(place))
    elif isinstance(found.values, dict):
        _check_named(found.values, place)
    for group in [found.names, *(names for names in found.names.values() if isinstance(names, dict))]:
        for one in group.values():
            check_class_name("" if isinstance(one, dict) else str(one), place)
    check_class_name(found.class_name, place)
    if not found.images and not found.unlabelled:
        raise ToolkitError(place, "images: names no pattern", "give at least one")
    if found.masks_tell_classes and found.tells_classes:
        problem = "names classes by the values in masks, and by a {class} in their names"
        raise ToolkitError(place, problem, "write * for {class}, or leave the values out")
    for image in found.image_patterns():
        found.mask_patterns(image)
        _check_filled(found.mask_folder, "mask_folder", image, place)
        _check_values_file(found, image, place)
    found.other_patterns([*found.exclude, *found.unlabelled])
    return found


def _check_values_file(found: Description, image: Pattern, place: str | Path) -> None:
    """Raise where an image does not tell which file names the values in its mask."""
    if isinstance(found.values, ValuesFile):
        _check_filled(found.values.file, "values.file", image, place)


def _check_filled(text: str, key: str, image: Pattern, place: str | Path) -> None:
    free = [name for name in re.findall(r"\{(\w*)\}", text) if name not in image.bindings]
    if free:
        problem = f"{key} has {{{free[0]}}}, which the image {image.text!r} does not bind"
        raise ToolkitError(place, problem, f"give the image a {{{free[0]}}}, or name one file")


def parse_values(text: str, place: str = "--values") -> str | dict[int | str, str]:
    """What `--values` may be: nonzero, '>=128', alpha, ids, or '1=scratch,2=dent' and '#ff0000=scratch'.

    Raises:
        ToolkitError: it is none of these.
    """
    if text in ("nonzero", "alpha", "ids") or re.fullmatch(r">=\s*\d{1,5}", text):
        return text
    named: dict[int | str, str] = {}
    for part in text.split(","):
        value, sign, name = (piece.strip() for piece in part.partition("="))
        if not sign or not name or not re.fullmatch(r"\d{1,5}|#[0-9A-Fa-f]{6}", value):
            remedy = "use nonzero, '>=128', ids, alpha, or '1=scratch,2=dent'"
            raise ToolkitError(place, f"{text!r} says nothing of values", remedy)
        key = int(value) if value.isdigit() else value.lower()
        if key in named:
            raise ToolkitError(place, f"{value} is named twice, {named[key]} and {name}", "name it once")
        named[key] = name
    _check_named(named, place)
    return named


def _check_named(values: Mapping[int | str, str], place: str | Path) -> None:
    """Raise where values are no numbers or colours of one kind, one is named twice, or a name is too long."""
    kinds = set()
    seen: dict[int | str, str] = {}
    for value, name in values.items():
        text = str(value).strip().lower()
        if not re.fullmatch(r"\d{1,5}|#[0-9a-f]{6}", text):
            raise ToolkitError(place, f"values: {value!r} is no value of a mask", "give numbers, or colours as #rrggbb")
        kinds.add(text[0] == "#")
        key = text if text[0] == "#" else int(text)
        if key in seen:
            raise ToolkitError(place, f"{text} is named twice, {seen[key]} and {name}", "name it once")
        seen[key] = name
        check_class_name(name, place)
    if len(kinds) > 1:
        raise ToolkitError(place, "values: names numbers and colours side by side", "name one kind of them")


def check_class_name(name: str, place: str | Path) -> None:
    """Raise where the name of a class is longer than names of files may be, or no text."""
    try:
        length = len(name.encode(errors="surrogateescape"))
    except UnicodeEncodeError as error:
        raise ToolkitError(place, f"the class name {name[:20]!r} is no text", "give it another one") from error
    if length > _LONGEST_NAME:
        problem = f"a class name of more than {_LONGEST_NAME} bytes ({name[:20]}...)"
        raise ToolkitError(place, problem, "give it a shorter one")


def describe_pairs(
    image: str, mask: str | None = None, values: str | None = None, good: Sequence[str] | None = None
) -> Description:
    """The description that flags on the command line stand for.

    Raises:
        ToolkitError: a pattern or the values are faulty.
    """
    document: dict[str, Any] = {"images": [image], "mask": [mask] if mask else [], "good": list(good) if good else None}
    if values is not None:
        document["values"] = parse_values(values)
    return checked(document, "--image" if mask is None else "--image and --mask")


def colour_of(value: int | str) -> int | None:
    """0xRRGGBB of "#rrggbb"; None of another value."""
    match = re.fullmatch(r"#([0-9A-Fa-f]{6})", str(value))
    return int(match[1], 16) if match else None
