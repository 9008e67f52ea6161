"""Objects that vanish when images are resized."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from converters.formats.base import Settings
from finetune.engine.config import LearnerConfig
from finetune.engine.splits import ImageRecords
from toolkit.dataset.samples import GOOD
from toolkit.errors import BadInputError, Problem, ToolkitError
from toolkit.geometry.instances import parse_grouping
from toolkit.imaging.images import ImageHeader

__all__ = ["object_notes"]

_MOST_READ = 240  # images whose labels are read
_SPECK = 2  # px; what is narrower is a blur of its surroundings, and detectors drop it


def object_notes(
    examples: ImageRecords, config: LearnerConfig, headers: Mapping[str, ImageHeader | None]
) -> Iterator[str]:
    """What to know of the objects of images: how many are too small to be seen at `image_size`.

    Args:
        examples: the images.
        config: settings, which say how images are resized and what an object is.
        headers: key -> size of the image.

    Raises:
        BadInputError: labels cannot be read, and the learner learns from them or is tested by them.
    """
    source = examples.source
    if source is None or source.holds == "classes":
        return
    grouping = parse_grouping(getattr(config, "instances", "components"))
    least = getattr(config, "min_area", 0) if config.learns == "instances" else 0
    settings = Settings((), grouping=grouping, min_area=least)
    telling = [one.key for one in examples.examples if one.label != GOOD]
    wanted = {telling[index * len(telling) // _MOST_READ] for index in range(_MOST_READ)} if telling else set()
    read = specks = objects = blind = 0
    problems: list[Problem] = []
    for member in source.members:
        key, header = member.sample.key, headers.get(member.sample.key)
        if key not in wanted or header is None:
            continue
        try:
            instances = member.read(settings).image.instances
        except ToolkitError as error:
            problems += error.problems
            continue
        wider, higher = config.scaled(header.width, header.height)
        small = [
            min((x1 - x0) * wider, (y1 - y0) * higher) < _SPECK for x0, y0, x1, y1 in (one.bbox for one in instances)
        ]
        read, objects, specks = read + 1, objects + len(small), specks + sum(small)
        blind += bool(small) and all(small)
    if problems and config.learns != "classes":
        raise BadInputError(dict.fromkeys(problems))
    if problems:
        yield f"the labels of {len(problems)} images cannot be read, such as {problems[0].file}: {problems[0].problem}"
    if blind or (specks and config.learns != "classes"):
        yield _told(config, specks, objects, blind, f"{read} of {len(telling)}" if read < len(telling) else f"{read}")


def _told(config: LearnerConfig, specks: int, objects: int, blind: int, looked: str) -> str:
    tiles = getattr(config, "tiles", None)
    ways = ["lower tiles.side"] if tiles is not None and tiles.side else []
    ways += ["raise image_size"] if config.image_size < _largest(config) else []
    missed = "they cannot be told from their surroundings"
    if config.learns == "instances":
        missed = "they cannot be learnt, and count as missed"
        ways += ["join them (instances=merge:8)", "leave them out (min_area=PX)"]
    ways = ways or ["cut the images into tiles"]
    all_of_them = f", in {blind} {'image' if blind == 1 else 'images'} all of them" if blind else ""
    seen = f"once {'tiles' if tiles is not None and tiles.side else 'images'} are resized to {config.image_size}"
    return (
        f"{specks} of {objects} objects in {looked} images with defects are narrower than 2 px {seen}{all_of_them}: "
        f"{missed}; {', or '.join(ways)}"
    )


def _largest(config: LearnerConfig) -> int:
    """The largest `image_size` that a learner takes."""
    for one in type(config).model_fields["image_size"].metadata:
        if (most := getattr(one, "le", None)) is not None:
            return int(most)
    return 1 << 30
