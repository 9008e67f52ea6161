"""The flags of the command line, and what they are called in Python.

Texts that tell of a setting are written for the terminal (`add --overwrite`), where most readers are. This table makes
of them what a reader of Python needs (`add overwrite=True`); commands in quotes (`'defectkit train ...'`) stay.
"""

from __future__ import annotations

import re

__all__ = ["FLAGS", "in_python"]

_NUMBER = r"-?\d+(?:\.\d+)?|nan|[A-Z]+"
_WORD = r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*"
_PLACE = r"[A-Z][A-Z.a-z]*"
_LIST = rf"'[^']*'|{_WORD}(?:,{_WORD})*"
_SWITCH = "switch"

FLAGS: dict[str, tuple[str, str]] = {
    "--against": ("against", _PLACE),
    "--as": ("seen_by", _WORD),
    "--category": ("categories", ""),
    "--classes": ("classes", _WORD),
    "--cluster": ("cluster", ""),
    "--confidence": ("confidence", _NUMBER),
    "--defect-size": ("defect_size", _NUMBER),
    "--export-prompts": ("export_prompts", ""),
    "--drop-empty": ("drop_empty", _SWITCH),
    "--extend": ("extend", _PLACE),
    "--fail-on": ("fail_on", ""),
    "--fold": ("fold", _NUMBER),
    "--folds": ("folds", _NUMBER),
    "--follow-links": ("follow_links", _SWITCH),
    "--good": ("good", rf"'[^']*'|{_PLACE}|{_WORD}"),
    "--group": ("group", r"'[^']*'|near-duplicates"),
    "--guess": ("guess", _PLACE),
    "--image": ("image", rf"'[^']*'|{_PLACE}"),
    "--image-size": ("image_size", _NUMBER),
    "--images": ("images", _WORD),
    "--instances": ("instances", _WORD),
    "--join-parts": ("join_parts", _SWITCH),
    "--json": ("as_json()", ""),
    "--labels": ("labels", _PLACE),
    "--layout": ("layout", rf"'[^']*'|{_PLACE}"),
    "--leave-out": ("leave_out", _LIST),
    "--limit": ("limit", _NUMBER),
    "--map": ("places", ""),
    "--mask": ("mask", rf"'[^']*'|{_PLACE}"),
    "--max-area": ("max_area", _NUMBER),
    "--max-escape": ("max_escape", _NUMBER),
    "--max-false-reject": ("max_false_reject", _NUMBER),
    "--max-size": ("limits", ""),
    "--min-area": ("min_area", _NUMBER),
    "--min-iou": ("min_iou", _NUMBER),
    "--near-duplicates": ("near", _SWITCH),
    "--on-problem": ("on_problem", "fail|skip"),
    "--only": ("only", _LIST),
    "--out": ("out", _PLACE),
    "--overwrite": ("overwrite", _SWITCH),
    "--overlap": ("overlap", _NUMBER),
    "--panoptic-layout": ("panoptic_layout", "flat|coco"),
    "--per-class": ("per_class", _NUMBER),
    "--promise": ("promise", "expected|sure"),
    "--product": ("product", ""),
    "--rejected": ("rejected", "drop|good"),
    "--rename": ("rename", ""),
    "--resume": ("resume", _SWITCH),
    "--seed": ("seed", _NUMBER),
    "--segmentation": ("segmentation", "polygon|rle"),
    "--segmenter": ("segmenter", _PLACE),
    "--split": ("split", _PLACE),
    "--strategy": ("strategy", "native|stratified|uniform|kfold"),
    "--suspects": ("suspects", _PLACE),
    "--tasks": ("tasks", _WORD),
    "--test": ("test", _NUMBER),
    "--test-per-class": ("test_per_class", _NUMBER),
    "--threshold": ("threshold", _NUMBER),
    "--tiles": ("tiles", _NUMBER),
    "--tiles-background": ("background", _NUMBER),
    "--timm": ("timm", ""),
    "--to": ("formats", _LIST),
    "--train-good": ("train_good", _NUMBER),
    "--undecided": ("undecided", "keep|drop"),
    "--val": ("val", _NUMBER),
    "--values": ("values", rf"'[^']*'|{_WORD}"),
    "--voc-boxes": ("voc_boxes", "inclusive1|edges0"),
    "--without-label": ("without_label", "good|unlabelled"),
    "--words": ("words", _LIST),
    "--workers": ("workers", _NUMBER),
}
"""Flag -> keyword argument, and a pattern of the values that stand behind it in texts; `--set` is read by itself."""

_COMMAND = r"'(?:defectkit|dask) [^']*'"
_SETTING = r"(?<!\S)\(?--set (?P<path>[a-z_0-9.]*[a-z_0-9])(?:=(?P<set>[^\s,;:()]+))?"
_FLAG = r"(?<![^\s(])(?P<flag>--[a-z]+(?:-[a-z]+)*)"
_LITERAL = re.compile(rf"\.\.\.|-?\d+(?:\.\d+)?(?:e-?\d+)?|nan|{_PLACE}")
_YAML = {"null": "None", "true": "True", "false": "False"}
_BEHIND = {flag: re.compile(rf" ({pattern})(?![\w.]*\w)") for flag, (_, pattern) in FLAGS.items() if pattern}
_ANY = re.compile(rf"{_COMMAND}|{_SETTING}|{_FLAG}")


def in_python(text: str) -> str:
    """A text that tells of flags, in the words of Python: ``--to coco,voc`` becomes ``formats=["coco", "voc"]``.

    A flag that is switched on or has a value becomes an assignment; one that is only named, as at the head of
    an error (``--min-iou: ...``), the name of the argument. What the table does not know stays as it is.
    """
    parts, place = [], 0
    while (found := _ANY.search(text, place)) is not None:
        parts.append(text[place : found.start()])
        told, place = _translated(text, found)
        parts.append(told)
    return "".join(parts) + text[place:]


def _translated(text: str, found: re.Match[str]) -> tuple[str, int]:
    """What to say, and where the text goes on."""
    if found["path"] is not None:
        bracket = "(" if found[0].startswith("(") else ""
        return bracket + _setting(found["path"], found["set"]), found.end()
    if found["flag"] not in FLAGS:
        return found[0], found.end()
    flag = found["flag"]
    name, pattern = FLAGS[flag]
    if pattern == _SWITCH:
        return f"{name}=True", found.end()
    value = _BEHIND[flag].match(text, found.end()) if pattern else None
    if value is None:
        return name, found.end()
    return f"{name}={_literal(value[1], several=pattern == _LIST)}", value.end()


def _setting(path: str, value: str | None) -> str:
    name, *groups = path.split(".")
    if value is None:
        return path
    inner = _literal(value)
    for group in reversed(groups):
        inner = f'{{"{group}": {inner}}}'
    return f"{name}={inner}"


def _literal(value: str, *, several: bool = False) -> str:
    """A value as it is written in Python; placeholders (FILE, N) stay."""
    value = value.strip("'")
    if value in _YAML:
        return _YAML[value]
    if several and "," in value:
        return "[" + ", ".join(_literal(part) for part in value.split(",")) + "]"
    return value if _LITERAL.fullmatch(value) else f'"{value}"'
