"""Words for a detector: class names become phrases, and phrases become the features of a text encoder.

Features come from open_clip, from a table that was written before, or, for tests, from the letters alone.
"""

from __future__ import annotations

import hashlib
import io
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from finetune.detection.data import DetectionData
from finetune.engine.checkpoints import read_tensors
from finetune.engine.config import nearest
from finetune.yolo_world.config import YoloWorldConfig
from finetune.yolo_world.encoder import open_encoder
from toolkit.dataset.samples import GOOD, ClassScheme, instance_class
from toolkit.errors import BadInputError, Problem, ToolkitError
from toolkit.files.publish import write_whole
from toolkit.files.typed import parse_yaml

__all__ = [
    "HASH",
    "WIDTH",
    "Phrases",
    "TextEmbeddings",
    "each_phrase",
    "encode_phrases",
    "every_phrase",
    "phrases_of",
    "phrases_of_data",
    "read_table",
    "tree_names",
    "write_table",
]

HASH = "hash"
"""Name of the encoder that makes features from letters alone."""

WIDTH = 512
"""Numbers in the features of a phrase, of every encoder that YOLO-World and YOLOE are made for."""

Phrases = Mapping[str, str | list[str]]
"""Class -> its phrase, or its phrases where it has several."""

_FORMAT = "defectkit-prompts-1"
_UNKNOWN_PRODUCTS = ("", "product")
_SIZES = ("large", "small", "big", "tiny", "deep", "long", "short")
_NO_NOUNS = ("bent", "broken", "cracked", "damaged", "defective", "dirty", "faulty", "missing", "misplaced", "rough")


@dataclass(frozen=True, eq=False)
class TextEmbeddings:
    """Features of phrases.

    Attributes:
        encoder: "model/weights" of open_clip, or "hash".
        features: phrase -> float32 (WIDTH,), of unit length.
    """

    encoder: str
    features: Mapping[str, torch.Tensor]

    def stacked(self, phrases: Sequence[str]) -> torch.Tensor:
        """Features of some phrases, float32 (N, WIDTH).

        Raises:
            ToolkitError: a phrase is not in the table.
        """
        missing = [phrase for phrase in phrases if phrase not in self.features]
        if missing:
            more = f" (nor of {len(missing) - 1} others)" if len(missing) > 1 else ""
            remedy = "add them with 'defectkit train yolo-world DATA --export-prompts FILE', or use prompts=clip"
            raise ToolkitError(f"the phrase {missing[0]!r}", f"has no features in the table{more}", remedy)
        return torch.stack([self.features[phrase] for phrase in phrases])


# Class names -> phrases


def each_phrase(phrases: Phrases) -> list[tuple[str, ...]]:
    """The phrases of each class, in the order of the classes."""
    return [(told,) if isinstance(told, str) else tuple(told) for told in phrases.values()]


def every_phrase(phrases: Phrases) -> list[str]:
    """The phrases of all classes, one after the other."""
    return [phrase for told in each_phrase(phrases) for phrase in told]


def tree_names(phrases: Phrases) -> list[str]:
    """What classes are called in a tree that ultralytics trains on: it takes what "/" parts for synonyms."""
    return ["/".join(told) for told in each_phrase(phrases)]


def phrases_of(
    classes: Sequence[str],
    products: Mapping[str, set[str]],
    *,
    scheme: ClassScheme = "defect",
    template: str = "{defect} of {product}",
    better: Phrases | Path | None = None,
) -> dict[str, str | list[str]]:
    """Class -> phrase, or phrases where several are given, in the order of the classes.

    Args:
        classes: class names; "good" is none.
        products: class -> products that show it; the phrase names the product where there is one alone.
        scheme: how the classes were named.
        template: phrase of a class, out of {defect} and {product}.
        better: class -> phrase or list of them, or a YAML file of such lines; they go before the template.

    Raises:
        ToolkitError: a phrase is empty, holds "/", or stands for two classes or twice; a class in `better` is unknown.
    """
    given, source = _read_better(better)
    problems = [
        Problem(source, f"{name!r} is no class", nearest(name, [one for one in classes if one != GOOD]))
        for name in given
        if name not in classes or name == GOOD
    ]
    phrases: dict[str, str | list[str]] = {}
    taken: dict[str, str] = {}
    for name in classes:
        if name == GOOD:
            continue
        told = given[name] if name in given else phrase_of(name, products.get(name, set()), scheme, template)
        several = told if isinstance(told, list | tuple) and told else [told]
        for phrase in several:
            problems += _faults(name, phrase, taken, source if name in given else "phrases")
            taken[" ".join(str(phrase).split())] = name
        cleaned = [" ".join(str(phrase).split()) for phrase in several]
        phrases[name] = cleaned[0] if len(cleaned) == 1 else cleaned
    if problems:
        raise BadInputError(problems)
    return phrases


def phrases_of_data(data: DetectionData, config: YoloWorldConfig) -> dict[str, str | list[str]]:
    """Class -> phrase or phrases of the classes of some data, in their order.

    Raises:
        ToolkitError: as `phrases_of`.
    """
    products: dict[str, set[str]] = {}
    everything: set[str] = set()
    for sample in data.source.dataset:
        products.setdefault(instance_class(sample, config.classes), set()).add(sample.category)
        everything.add(sample.category)
    return phrases_of(
        data.classes,
        {name: products.get(name, everything) for name in data.classes},
        scheme=config.classes,
        template=config.template,
        better=config.phrases,
    )


def phrase_of(name: str, products: set[str], scheme: ClassScheme = "defect", template: str = "{defect}") -> str:
    """The phrase of a class: "broken_teeth" of a zipper -> "broken teeth of a zipper".

    Raises:
        ToolkitError: the template has other fields than {defect} and {product}.
    """
    known = products - set(_UNKNOWN_PRODUCTS)
    product = next(iter(known)) if len(known) == 1 else ""
    if scheme == "category":
        return _words(name)
    if scheme == "category-defect" and product and name.startswith(f"{product}-"):
        name = name.removeprefix(f"{product}-")
    defect = _noun(_words(name))
    try:
        fields = {field for _, field, _, _ in string.Formatter().parse(template) if field is not None}
        if fields <= {"defect", "product"}:
            whole = template.format(defect=defect, product=_with_article(_words(product)))
            return whole if product or "product" not in fields else defect
    except ValueError:
        pass
    raise ToolkitError(f"template {template!r}", "has other fields than {defect} and {product}", "correct it")


def _words(name: str) -> str:
    return " ".join(re.sub(r"[_\-/\s]+", " ", name).split()).lower()


def _noun(words: str) -> str:
    """A size goes first, and what names no thing gets one: "broken large" -> "large broken area"."""
    parts = words.split()
    if len(parts) > 1 and parts[-1] in _SIZES:
        parts = [parts[-1], *parts[:-1]]
    if parts and parts[-1] in _NO_NOUNS:
        parts.append("area")
    return "combined defects" if parts == ["combined"] else " ".join(parts)


def _with_article(noun: str) -> str:
    return f"{'an' if noun[:1] in 'aeiou' else 'a'} {noun}" if noun else ""


def _faults(name: str, phrase: object, taken: Mapping[str, str], source: str) -> list[Problem]:
    """What keeps a phrase from being one of a class; `taken` are those before it, and whose they are."""
    if not isinstance(phrase, str) or not phrase.strip():
        return [Problem(source, f"the phrase of {name!r} is empty or no text", "write a phrase")]
    if "/" in phrase:
        remedy = "leave it out (the detector would take the parts for synonyms)"
        return [Problem(source, f"the phrase of {name!r} holds '/' ({phrase!r})", remedy)]
    twin = taken.get(" ".join(phrase.split()))
    if twin == name:
        return [Problem(source, f"the phrase {phrase!r} of {name!r} stands there twice", "leave one out")]
    if twin is not None:
        remedy = "give one of them another with phrases: {class: phrase}"
        return [Problem(source, f"{twin!r} and {name!r} have the same phrase {phrase!r}", remedy)]
    return []


def _read_better(better: Phrases | Path | None) -> tuple[Mapping[str, object], str]:
    if not isinstance(better, Path):
        return better or {}, "phrases"
    told = parse_yaml(better, "write lines such as 'scratch: long scratch'")
    if not isinstance(told, dict) or not all(isinstance(name, str) for name in told):
        raise ToolkitError(better, "holds no phrases", "write lines such as 'scratch: long scratch'")
    return told, str(better)


# Phrases -> features


def encode_phrases(
    phrases: Sequence[str], prompts: str, *, encoder: str = "ViT-B-32-quickgelu", weights: str = "openai"
) -> TextEmbeddings:
    """Features of phrases.

    Args:
        phrases: what to look for.
        prompts: "clip", "hash", or a table file.
        encoder: name of an open_clip model, for "clip".
        weights: a name that open_clip fetches once, or a local file, for "clip".

    Raises:
        ToolkitError: the table or the weights cannot be read or had, or a phrase is not in the table.
    """
    for phrase in phrases:
        if "/" in phrase or not phrase.strip():
            raise ToolkitError(f"the phrase {phrase!r}", "is empty or holds '/'", "write words")
    if prompts == HASH:
        return TextEmbeddings(HASH, {phrase: _hashed(phrase) for phrase in phrases})
    if prompts == "clip":
        name, encode = open_encoder(encoder, weights)
        found = encode(phrases)
        if found.shape[1] != WIDTH:
            raise ToolkitError(f"encoder {encoder}", f"makes {found.shape[1]} features, not {WIDTH}", "use another")
        return TextEmbeddings(name, dict(zip(phrases, found, strict=True)))
    table = read_table(Path(prompts))
    table.stacked(phrases)
    return table


def read_table(file: Path) -> TextEmbeddings:
    """Read a table of features. Code in the file is refused, not run.

    Raises:
        ToolkitError: it cannot be read, is no table, or its features have another width or are no numbers.
    """
    remedy = "write it with 'defectkit train yolo-world DATA --export-prompts FILE'"
    problem = "is no table of features: damaged, or made to run code"
    told = read_tensors(file, problem=problem, remedy=remedy, unread="name 'clip', 'hash' or a table file")
    if not isinstance(told, dict) or told.get("format") != _FORMAT:
        raise ToolkitError(file, "is no table of features", remedy)
    features = told.get("features")
    if not isinstance(features, dict) or not features or not isinstance(told.get("encoder"), str):
        raise ToolkitError(file, "is no table of features", remedy)
    for phrase, vector in features.items():
        if not isinstance(phrase, str) or not isinstance(vector, torch.Tensor) or vector.ndim != 1:
            raise ToolkitError(file, "is no table of features", remedy)
        if vector.shape[0] != WIDTH:
            raise ToolkitError(file, f"holds {vector.shape[0]} features a phrase, not {WIDTH}", remedy)
        if not torch.isfinite(vector).all():
            raise ToolkitError(file, f"the features of {phrase!r} are no numbers", remedy)
    return TextEmbeddings(told["encoder"], {phrase: vector.float() for phrase, vector in features.items()})


def write_table(table: TextEmbeddings, file: Path) -> None:
    """Write a table of features; the same table gives the same bytes."""
    packed = io.BytesIO()
    features = {phrase: vector.float().contiguous().clone() for phrase, vector in sorted(table.features.items())}
    torch.save({"format": _FORMAT, "encoder": table.encoder, "width": WIDTH, "features": features}, packed)
    write_whole(file, packed.getvalue())


def _hashed(phrase: str) -> torch.Tensor:
    """Features that depend on the letters alone, and not on what they mean."""
    seed = int.from_bytes(hashlib.sha256(phrase.encode(errors="backslashreplace")).digest()[:8])
    vector = np.random.default_rng(seed).standard_normal(WIDTH)
    return torch.from_numpy((vector / np.linalg.norm(vector)).astype(np.float32))
