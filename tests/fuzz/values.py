"""Values, words and YAML texts that readers stumble over."""

from __future__ import annotations

from typing import Any

from tests.fuzz.judge import TRAP

__all__ = ["VALUES", "WORDS", "YAMLS"]

_NUMBERS: tuple[Any, ...] = (
    *(0, 1, -1, 2, 255, 256, 10**9, 2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1, -(2**63), 10**30),
    *(0.5, -0.0, 1.0, 3.7, 1e308, -1e308, 1e-320, float("nan"), float("inf"), float("-inf")),
)
_TEXTS = (
    *("", " ", "0", "1", "abc", "é", "e\u0301", "\u2028", "\x00", "a\nb", "\x1b[2J", "\ud800", "x" * 5000, "good"),
    *("a/b", "../../x", "/etc/passwd", "..", ".", "C:\\x", "CON", "<script>alert(1)</script>", "=1+1", "{x}", "%s"),
)
_SHAPES: tuple[Any, ...] = (
    *([], {}, [[]], [{}], {"a": 1}, [1], [0, 0], [[0, 0]], [None], ["a", "a"], [[0, 0, 5, 0, 5, 5]]),
    *([[1e9, 0, 5, 0, 5, 1e9]], [[-1e9, -1e9, 1e9, -1e9, 1e9, 1e9]], [[1e308] * 6], [["1"] * 6], [[None] * 6]),
    *([[2147483647, 0, 0, 2147483647, 5, 5]], [[1e7, 5, 5, 5, 5, 1e7]], [[True] * 6], [[0] * 7], [[5, 5] * 4000]),
    *([0, 0, 1e7, 1e7], [-5, -5, 2, 2], [float("nan")] * 4, [1e308, 1e308, 1e308, 1e308], [3, 3, 0, 0]),
)
_RUNS: tuple[Any, ...] = tuple(
    {"size": size, "counts": counts}
    for size, counts in (
        *(([32, 40], [1280]), ([32, 40], [10**9]), ([32, 40], [-1, 1281]), ([32, 40], [2**32, 5]), ([32, 40], [])),
        *(([32, 40], [1.5, 2]), ([32, 40], [True, True]), ([32, 40], [0] * 10000), ([32, 40], [5, 10])),
        *(([32, 40], "abc"), ([32, 40], "0" * 5000), ([32, 40], "~" * 16), ([32, 40], "PPPP`````````")),
        *(([32, 40], "é"), ([32, 40], "5:"), ([32, 40], "oooooo0" * 3), ([32, 40], "`"), ([32, 40], None)),
        *(([10**5, 10**5], [10**10]), ([2**31, 40], [0, 28]), ([32], [1]), ("32", [1]), (None, [1])),
        *(([32.0, 40.0], [1000, 280]), ([40, 32], [1280]), ([0, 0], []), ([-32, -40], [1280])),
    )
)

VALUES: tuple[Any, ...] = (None, True, False, *_NUMBERS, *_TEXTS, *_SHAPES, *_RUNS)
"""For JSON: everything that a number, a name, a list or run lengths may not be, and some that they may."""

WORDS = (
    *("0", "1", "-1", "1.0", "0.5", "1e308", "-1e308", "nan", "inf", "-inf", "1e9", "1e7", "1e-45", "1e400", "9" * 400),
    *("²", "٣", "１", "1_0", "0x10", "1,5", "+0.5", ".5", "5.", "1e", "--1", "99999999999999999999", "0.5" * 50),
    *("abc", "", "é", "\x00", "True", "0.1 0.1 0.2 0.2", "0.1 0.1 0.2 0.2 0.3 0.3", '"', "\t", "=1+1", "../x", "#"),
)
"""For lines of words: numbers in every spelling, and none."""

_CODE = (
    f"names: !!python/object/apply:os.system ['touch {TRAP}']\n",
    f"names: !!python/object/new:os.system ['touch {TRAP}']\n",
    f"!!python/object/apply:os.system ['touch {TRAP}']\n",
)
_TAGS = (
    *("names: !!binary abc\n", "names: !!set {a, b}\n", "names: !!omap [a: 1]\n", "names: !!timestamp 2020-99-99\n"),
    *("names: [2020-99-99]\n", "names: 2020-13-45\n", "names: [1e400, .inf, .nan, 0b11, 1:30:00]\n"),
)
_LEVELS = "".join(
    f"{name}: &{name} [{','.join(f'*{before}' if before else 'x' for _ in range(9))}]\n"
    for before, name in zip(("", *"abcd"), "abcde", strict=True)
)
_ALIASES = (
    *(_LEVELS + "names: [s]\n", _LEVELS + "names: *e\ntrain: images/train\n", "names: &a [*a]\n", "<<: *x\n"),
    *("names: &a {0: *a}\n", "&a names: *a\n", "<<: {names: [a]}\n", "<<: [1]\n"),
)
_NAMES = (
    *("names: {? {a: b} : c}\n", "names: {? [a] : c}\n", "names: {0: a, 0: b}\n", "names: {0: a, '0': b}\n"),
    *("names: {-1: a}\n", "names: {1.0: a}\n", "names: {true: a}\n", "names: {0: null}\n", "names: {=: a}\n"),
    *("names: [null, 1, 2.5, true, [a], {b: c}]\n", "names: {99999999999999999999999: a}\n", "names: {²: a}\n"),
    *("names: {'٣': a}\n", "names: ''\n", "names: abc\n", "names: 5\n", "names: []\n", "names: {}\n", "names:\n"),
    *('names: ["\\ud800"]\n', 'names: "\\ud800"\n', "0o7: a\nnames: [a]\n", 'names: ["a\\nb"]\n', "names: [a, a]\n"),
    "names: {" + ",".join(f"{number}: c{number}" for number in range(5000)) + "}\n",
)
_PATHS = tuple(
    f"names: [a]\n{rest}\n"
    for rest in (
        *("train: 5", "train: [1,2]", "train: {a: b}", "train: ../../../../../etc", "train: /etc", "train: /"),
        *("path: /etc\ntrain: .", "train: /dev/zero", "train: data.yaml", "train: ''", "train: '\\0'"),
        *('train: "a\\0b"', 'path: "a\\0b"\ntrain: images/train', 'masks_dir: "a\\0b"', "masks_dir: ../.."),
        *("masks_dir: /etc", "masks_dir: 5", "masks_dir: ''", "path: 5\ntrain: images/train", "path: [a]\ntrain: b"),
    )
)
_SYNTAX = (
    *("? ", "%YAML 9.9\n---\nnames: [a]\n", "--- a\n--- b\n", "\t- a", "names: [a\n", "\x00", "[" * 3000),
    *("{a: " * 3000, "- " * 3000, "names: " + "[" * 900 + "]" * 900 + "\n", "", "- a\n", "5\n", "null\n"),
)

YAMLS = tuple(text.encode("utf-8", "surrogatepass") for text in (*_CODE, *_TAGS, *_ALIASES, *_NAMES, *_PATHS, *_SYNTAX))
"""Files of settings, classes and paths: code, aliases that multiply, odd names, and paths that lead out."""
