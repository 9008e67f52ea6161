"""Words for a detector: class names become phrases, and phrases become the features of a text encoder.

Features come from open_clip, from a table that was written before, or, for tests, from the letters alone.
"""

from __future__ import annotations

import hashlib
import io
import re
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from finetune.detection.data import DetectionData
from finetune.engine.checkpoints import read_tensors
from finetune.engine.config import nearest
from finetune.engine.runs import file_sha256
from finetune.yolo_world.config import YoloWorldConfig
from toolkit.dataset.samples import GOOD, ClassScheme, instance_class
from toolkit.errors import BadInputError, Problem, ToolkitError
from toolkit.files.publish import write_whole
from toolkit.files.typed import parse_yaml

__all__ = [
    "HASH",
    "WIDTH",
    "TextEmbeddings",
    "encode_phrases",
    "phrases_of",
    "phrases_of_data",
    "read_table",
    "write_table",
]

HASH = "hash"
"""Name of the encoder that makes features from letters alone."""

WIDTH = 512
"""Numbers in the features of a phrase, of every encoder that YOLO-World and YOLOE are made for."""

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


def phrases_of(
    classes: Sequence[str],
    products: Mapping[str, set[str]],
    *,
    scheme: ClassScheme = "defect",
    template: str = "{defect} of {product}",
    better: Mapping[str, str] | Path | None = None,
) -> dict[str, str]:
    """Class -> phrase, in the order of the classes.

    Args:
        classes: class names; "good" is none.
        products: class -> products that show it; the phrase names the product where there is one alone.
        scheme: how the classes were named.
        template: phrase of a class, out of {defect} and {product}.
        better: class -> phrase, or a YAML file of such lines; they go before the template.

    Raises:
        ToolkitError: a phrase is empty, holds "/", or stands for two classes; a class in `better` is unknown.
    """
    given, source = _read_better(better)
    problems = [
        Problem(source, f"{name!r} is no class", nearest(name, [one for one in classes if one != GOOD]))
        for name in given
        if name not in classes or name == GOOD
    ]
    phrases: dict[str, str] = {}
    for name in classes:
        if name == GOOD:
            continue
        phrase = given[name] if name in given else phrase_of(name, products.get(name, set()), scheme, template)
        problems += _faults(name, phrase, phrases, source if name in given else "phrases")
        phrases[name] = " ".join(str(phrase).split())
    if problems:
        raise BadInputError(problems)
    return phrases


def phrases_of_data(data: DetectionData, config: YoloWorldConfig) -> dict[str, str]:
    """Class -> phrase of the classes of some data, in their order.

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


def _faults(name: str, phrase: object, before: Mapping[str, str], source: str) -> list[Problem]:
    if not isinstance(phrase, str) or not phrase.strip():
        return [Problem(source, f"the phrase of {name!r} is empty or no text", "write a phrase")]
    if "/" in phrase:
        remedy = "leave it out (the detector would take the parts for synonyms)"
        return [Problem(source, f"the phrase of {name!r} holds '/' ({phrase!r})", remedy)]
    twin = next((other for other, taken in before.items() if taken == " ".join(phrase.split())), None)
    if twin is not None:
        remedy = "give one of them another with phrases: {class: phrase}"
        return [Problem(source, f"{twin!r} and {name!r} have the same phrase {phrase!r}", remedy)]
    return []


def _read_better(better: Mapping[str, str] | Path | None) -> tuple[Mapping[str, object], str]:
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
        name, encode = _open_clip(encoder, weights)
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


def _open_clip(encoder: str, weights: str) -> tuple[str, Callable[[Sequence[str]], torch.Tensor]]:
    """The name of an encoder with its weights, and what it does."""
    try:
        import open_clip
    except ModuleNotFoundError as error:
        remedy = "pip install 'defectkit[yolo]', or use a table that --export-prompts wrote elsewhere"
        raise ToolkitError("prompts clip", f"needs the package {error.name}", remedy) from error

    if encoder not in open_clip.list_models():
        raise ToolkitError(f"encoder {encoder}", "open_clip has no such model", nearest(encoder, _known(open_clip)))
    local = Path(weights)
    tags = open_clip.list_pretrained_tags_by_model(encoder)
    if not local.is_file() and weights not in tags:
        known = ", ".join(tags) or "none"
        raise ToolkitError(
            f"encoder_weights {weights}", "is no file, and no weights of this encoder", f"its weights are: {known}"
        )
    try:
        model = open_clip.create_model(encoder, pretrained=weights, weights_only=True).eval()
        tokenizer = open_clip.get_tokenizer(encoder)
    except Exception as error:  # torch, the hub and open_clip have no error in common
        told = (str(error).splitlines() or [type(error).__name__])[0][:160]
        remedy = "name a file of its weights (--set encoder_weights=FILE)"
        raise ToolkitError(f"encoder_weights {weights}", f"cannot be had or do not fit ({told})", remedy) from error
    name = f"{encoder}/{file_sha256(local)[:12] if local.is_file() else weights}"
    return name, partial(_encode, model, tokenizer)


def _encode(model: torch.nn.Module, tokenizer: Callable[..., torch.Tensor], phrases: Sequence[str]) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model.encode_text(tokenizer(list(phrases)), normalize=True)  # type: ignore[operator]
    return found.float().clone()


def _known(open_clip: Any) -> list[str]:
    return [str(name) for name in open_clip.list_models()]
