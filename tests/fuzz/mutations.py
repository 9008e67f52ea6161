"""Ways to damage bytes, documents and lines of text, by chance."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

from tests.fuzz.values import VALUES, WORDS, YAMLS

__all__ = ["damage_file", "damage_json", "damage_text", "damage_words", "mutate", "nested", "swap"]

_NUMBERS = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFF, 65536, 10**9)


def _flip(rng: random.Random, out: bytearray, place: int) -> None:
    out[place] ^= 1 << rng.randrange(8)


def _extreme(rng: random.Random, out: bytearray, place: int) -> None:
    out[place] = rng.choice((0, 1, 127, 128, 254, 255))


def _cut(rng: random.Random, out: bytearray, place: int) -> None:
    del out[place:]


def _take_out(rng: random.Random, out: bytearray, place: int) -> None:
    del out[place : place + rng.randint(1, 64)]


def _put_in(rng: random.Random, out: bytearray, place: int) -> None:
    out[place:place] = rng.randbytes(rng.randint(1, 64))


def _double(rng: random.Random, out: bytearray, place: int) -> None:
    out[place:place] = out[place : place + rng.randint(1, 200)]


def _number(rng: random.Random, out: bytearray, place: int) -> None:
    out[place : place + 4] = rng.choice(_NUMBERS).to_bytes(4, "big" if rng.random() < 0.5 else "little")


def _blank(rng: random.Random, out: bytearray, place: int) -> None:
    end = min(len(out), place + rng.randint(1, 64))
    out[place:end] = bytes(end - place)


def _move(rng: random.Random, out: bytearray, place: int) -> None:
    other, size = rng.randrange(len(out)), rng.randint(1, 32)
    out[place : place + size] = out[other : other + size]


_WAYS: tuple[Callable[[random.Random, bytearray, int], None], ...] = (
    *(_flip, _extreme, _cut, _take_out, _put_in, _double, _number, _blank, _move),
)


def mutate(rng: random.Random, data: bytes, most: int = 8) -> bytes:
    """Some bytes changed, cut, doubled or moved, up to `most` times."""
    out = bytearray(data)
    for _ in range(rng.randint(1, most)):
        if not out:
            out = bytearray(rng.randbytes(rng.randint(1, 40)))
        rng.choice(_WAYS)(rng, out, rng.randrange(len(out)))
    return bytes(out)


def nested(kind: str, depth: int) -> bytes:
    """JSON of lists in lists, or of objects in objects."""
    return b"[" * depth + b"]" * depth if kind == "list" else b'{"a":' * depth + b"1" + b"}" * depth


def _places(node: Any) -> list[tuple[Any, Any]]:
    """(holder, key or index) of every value in a document; of long lists, the first fifty."""
    found: list[tuple[Any, Any]] = []
    inner: list[Any] = [node]
    while inner:
        one = inner.pop()
        keys: list[Any] = list(one) if isinstance(one, dict) else list(range(min(len(one), 50)))
        for key in keys:
            found.append((one, key))
            if isinstance(one[key], dict | list):
                inner.append(one[key])
    return found


def _retyped(rng: random.Random, value: Any) -> Any:
    kind = rng.randrange(3)
    if kind == 0:
        return str(value)
    if kind == 1:
        return [value]
    return float(value) if isinstance(value, int) and abs(value) < 1 << 60 else value


def swap(rng: random.Random, node: Any) -> Any:
    """The document with up to three values swapped for others, left out, doubled, or of another type."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        places = _places(node) if isinstance(node, dict | list) else []
        named = [place for place in places if isinstance(place[1], str)]  # the numbers of a polygon would drown these
        if not places:
            return node
        holder, key = rng.choice(named if named and rng.random() < 0.7 else places)
        way = rng.randrange(6)
        if way <= 3:
            holder[key] = deepcopy(rng.choice(VALUES))  # it may be changed itself
        elif way == 4 and isinstance(holder, dict):
            del holder[key]
        elif way == 4:
            holder.insert(key, deepcopy(holder[key]))
        else:
            holder[key] = _retyped(rng, holder[key])
    return node


def damage_json(rng: random.Random, data: bytes) -> bytes:
    """A JSON document with other values in it, and now and then a key that stands twice."""
    document = swap(rng, json.loads(data))
    out = json.dumps(document, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
    return out.replace(b'"id":', b'"id": 7, "id":', 1) if rng.random() < 0.1 else out


def damage_words(rng: random.Random, data: bytes, between: str) -> bytes:
    """Lines of which some lack a word, or have one more, or others."""
    lines = data.decode("utf-8", "replace").split("\n")
    for _ in range(rng.randint(1, 3)):
        row = rng.randrange(len(lines))
        words = lines[row].split(between)
        place = rng.randrange(len(words))
        way = rng.randrange(5)
        if way == 0:
            del words[place]
        elif way == 1:
            words.insert(place, rng.choice(WORDS))
        elif way == 2:
            words = [rng.choice(WORDS) for _ in range(rng.choice((3, 5, 7, 9)))]
        else:
            words[place] = rng.choice(WORDS)
        lines[row] = between.join(words)
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def damage_text(rng: random.Random, data: bytes) -> bytes:
    """What editors, copiers and generators make of a text: marks, other encodings, NULs, nesting, nothing, twice."""
    kind, depth = rng.choice(("list", "dict")), rng.choice((10, 500, 2000, 100_000))
    ways: tuple[Callable[[], bytes], ...] = (
        lambda: b"\xef\xbb\xbf" + data,
        lambda: data.decode("utf-8", "replace").encode("utf-16"),
        lambda: data + b"\0" * rng.randint(1, 50),
        lambda: data.replace(b'"', b'"\\ud800', 1),
        lambda: data.replace(b",", b"," + nested(kind, depth) + b",", 1),
        lambda: nested(kind, 10 * depth),
        lambda: rng.choice((b"", b" " * 100, b"\n")),
        lambda: data * 2,
        lambda: data.replace(b"\n", rng.choice((b"\r\n", b"\r", b"\n\n"))),
        lambda: data[: len(data) // 2],
        lambda: data.replace(b"0", rng.choice((b"1e400", b"9" * 400, b"-", b"NaN")), rng.randint(1, 3)),
        lambda: "é\u2028\x85".encode("latin-1", "ignore") + data,
    )
    return rng.choice(ways)()


def damage_file(rng: random.Random, path: Path) -> None:
    """Damage a file as its ending asks for; now and then take it away, or put a folder in its place."""
    data = path.read_bytes()
    path.unlink()  # it may be a hard link
    how = rng.random()
    if how < 0.01:
        if rng.random() < 0.5:
            path.mkdir()
        return
    if path.suffix == ".png" or how < 0.15:
        data = mutate(rng, data)
    elif how < 0.25:
        data = damage_text(rng, data)
    elif path.suffix == ".json" and data:
        data = damage_json(rng, data)
    elif path.suffix == ".yaml":
        data = rng.choice(YAMLS) + (data if rng.random() < 0.2 else b"")
    else:
        data = damage_words(rng, data, {".csv": ",", ".xml": ">"}.get(path.suffix, " "))
    path.write_bytes(data)
