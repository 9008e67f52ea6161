"""What the numbers in a mask file mean, where that is certain; where it is not, an error says what may be meant."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from toolkit.aliases import BoolArray
from toolkit.errors import ToolkitError
from toolkit.imaging.stored import Integers, Stored

__all__ = ["background_of", "check_binary", "distinct", "marked_by", "numbers_in"]

_FULL = 255  # of a byte
_WORD_VALUES = 65536
_MOST_IDS, _LARGEST_ID = 32, 63  # more values than that, or larger ones, are no class ids
_DARK = 64  # below this in every channel a palette's first colour may be meant for a background
_FAINT, _BRIGHT = 16, 128  # up to the one, where the other occurs, are the traces that lossy compression leaves
_SHOWN = 5  # values told in an error


def marked_by(
    path: Path, stored: Stored, reading: str, values: Sequence[int], threshold: int | None, *, lossy: bool
) -> BoolArray:
    """What is marked in a mask file, bool (H, W), under a reading that `read_mask` takes.

    Raises:
        ToolkitError: the reading does not fit the file, or more than one thing may be meant.
    """
    if reading == "alpha":
        return _by_alpha(path, stored, threshold)
    if reading == "values":
        return _among(path, numbers_in(path, stored), values, lossy=lossy)
    if reading == "colours":
        return _among(path, stored.packed(), values, lossy=lossy)
    _check_alpha_is_flat(path, stored)
    if reading == "nonzero":
        marked = _by_any_colour(path, stored, lossy=lossy)
    elif threshold is not None:
        grey = _grey_of(path, stored)
        marked = (grey * (_FULL // stored.full) if stored.full < threshold else grey) >= threshold
    else:
        marked = _by_full_value(path, stored, lossy=lossy)
    if stored.alpha is not None and marked.any() and stored.alpha.any() and not stored.alpha[marked].any():
        raise ToolkitError(path, "all that it marks is transparent", "say with --values alpha that what shows is meant")
    return marked


def numbers_in(path: Path, stored: Stored) -> Integers:
    """Grey values, or indices of a palette as they stand, (H, W).

    Raises:
        ToolkitError: the file has colours.
    """
    if stored.pixels.ndim == 2:
        return stored.pixels
    return _grey_of(path, stored)


def background_of(stored: Stored) -> int:
    """The number that means nothing: 0, or the index of a palette's black where index 0 has another colour."""
    if stored.palette is not None and stored.palette[0].any():
        black = [int(index) for index in stored.used() if not stored.palette[index].any()]
        if len(black) == 1:
            return black[0]
    return 0


def distinct(numbers: Integers) -> npt.NDArray[np.integer]:
    """The numbers that occur, rising."""
    if numbers.size and numbers.min() >= 0 and numbers.max() < _WORD_VALUES:
        return np.flatnonzero(np.bincount(numbers.ravel()))
    return np.unique(numbers)


def check_binary(path: Path, grey: Integers, full: int, *, lossy: bool = False) -> None:
    """Raise where a mask holds more than 0 and one value, or one that is neither 1, 255 nor the largest of its depth.

    Raises:
        ToolkitError: with the values, and what they look like.
    """
    largest = int(grey.max(initial=0))
    if not largest or (
        largest in (1, _FULL, full) and np.count_nonzero(grey != 0) == np.count_nonzero(grey == largest)
    ):
        return
    values = [value for value in distinct(grey).tolist() if value]
    raise ToolkitError(path, f"grey values in a mask that should be binary ({_listed(values)})", _way(values, lossy))


def _way(values: list[int], lossy: bool) -> str:
    """What may be meant by values that are not binary."""
    if lossy:
        return "they come of lossy compression: say with --threshold 128 which count as defect"
    if len(values) == 1:
        return f"say with --values nonzero that {values[0]} marks the defect, or with --values ids that it is a class"
    if _are_ids(values):
        return _as_ids(values)
    half = 1 << (max(values).bit_length() - 1)
    return f"say with --threshold N, or --values '>={half}', which count as defect"


def _are_ids(values: list[int]) -> bool:
    """Whether values look like class ids, beside which 255 may mean "ignored"."""
    ids = [value for value in values if value != _FULL]
    return 0 < len(ids) <= _MOST_IDS and max(ids) <= _LARGEST_ID


def _as_ids(values: list[int]) -> str:
    named = ",".join(f"{value}=NAME" for value in values[:2])
    return f"they look like class ids: say --values ids, or name them, as in --values '{named}'"


def _listed(values: list[int]) -> str:
    return ", ".join(str(value) for value in values[:_SHOWN]) + (", ..." if len(values) > _SHOWN else "")


def _by_full_value(path: Path, stored: Stored, *, lossy: bool) -> BoolArray:
    """What is not background in a mask that holds nothing but background and one full value."""
    if stored.palette is not None:
        return _by_palette(path, stored)
    grey = _grey_of(path, stored)
    check_binary(path, grey, stored.full, lossy=lossy)
    return grey > 0


def _by_palette(path: Path, stored: Stored) -> BoolArray:
    """What is not black in a palette file that holds black and one other colour."""
    colours = stored.colours()
    if colours[0] != 0:
        raise _no_black(path)
    if stored.is_grey:
        grey = stored.grey()
        check_binary(path, grey, stored.full)
        return grey > 0
    if len(colours) > 2:
        indices = [int(index) for index in stored.used() if index != background_of(stored)]
        problem = f"several colours in a palette mask that should be binary (indices {_listed(indices)})"
        raise ToolkitError(path, problem, _as_ids(indices))
    return stored.packed() > 0


def _no_black(path: Path) -> ToolkitError:
    problem = "no colour of its palette that occurs is black, so that its background is not certain"
    return ToolkitError(path, problem, "say with --values ids that its indices are classes, or save it as grey")


def _grey_of(path: Path, stored: Stored) -> Integers:
    """Grey values (H, W), in the range of the file.

    Raises:
        ToolkitError: the channels differ.
    """
    if not stored.is_grey:
        raise _differ(path, stored)
    return stored.grey()


def _differ(path: Path, stored: Stored) -> ToolkitError:
    """The error for colours where one channel was expected."""
    if stored.palette is not None:
        problem = "the colours of its palette are no greys"
        return ToolkitError(path, problem, "say with --values nonzero that what is not black counts")
    colours = stored.colours()
    if len(colours) == 2 and colours[0] == 0:
        remedy = f"say with --values nonzero that its #{colours[1]:06x} marks the defect"
    else:
        remedy = "name its colours in a layout file, say with --values nonzero that all but black counts"
    return ToolkitError(path, "the channels of this RGB mask differ", f"{remedy}, or save it as one channel")


def _by_any_colour(path: Path, stored: Stored, *, lossy: bool) -> BoolArray:
    """What is not background, whatever its value or colour."""
    if stored.palette is not None:
        if stored.colours()[0] == 0 or not stored.palette[0].any():
            return stored.packed() > 0
        if 0 in stored.used() and stored.palette[0].max() < _DARK:
            return stored.pixels > 0
        raise _no_black(path)
    largest = stored.pixels if stored.pixels.ndim == 2 else stored.pixels.max(axis=2)
    if lossy and largest.max(initial=0) >= _BRIGHT and ((largest > 0) & (largest <= _FAINT)).any():
        raise _traces(path)
    return largest > 0


def _traces(path: Path) -> ToolkitError:
    problem = "a mask whose values were changed by lossy compression"
    return ToolkitError(path, problem, "say with --threshold 128 which count as defect, or save it anew as PNG")


def _among(path: Path, numbers: Integers, values: Sequence[int], *, lossy: bool) -> BoolArray:
    """Where one of some values stands."""
    marked = np.isin(numbers, values)
    if lossy and ((numbers > 0) & ~marked).any():
        raise _traces(path)
    return marked


def _check_alpha_is_flat(path: Path, stored: Stored) -> None:
    """Raise where one colour is painted all over, and alpha alone has a shape."""
    if stored.alpha is None or stored.alpha.min() == stored.alpha.max() or not stored.is_flat:
        return
    problem = f"is #{stored.colours()[0]:06x} all over: what it marks may be in its alpha channel"
    raise ToolkitError(path, problem, "say with --values alpha that what is not transparent counts")


def _by_alpha(path: Path, stored: Stored, threshold: int | None) -> BoolArray:
    """What is not transparent."""
    if stored.alpha is None:
        raise ToolkitError(path, "has no alpha channel", "leave out --values alpha, or save the mask with transparency")
    alpha = stored.alpha
    if threshold is not None:
        return alpha >= threshold
    if alpha.min() > 0:
        problem = "nothing in it is transparent, so that its alpha channel marks nothing"
        raise ToolkitError(path, problem, "leave out --values alpha")
    values = [value for value in distinct(alpha).tolist() if value]
    if len(values) > 1:
        problem = f"is half transparent in places (alpha {_listed(values)})"
        raise ToolkitError(path, problem, "say with --threshold N which alpha counts as defect")
    return alpha > 0
