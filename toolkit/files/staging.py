"""Folders appear whole or not at all: work goes on in a hidden folder, and is renamed into place when it is done.

    with staging(out) as stage:
        check_free(out, overwrite=overwrite)
        built = stage.begin() / "built"
        ...
        stage.publish(built)

Unfinished work lies beside OUT in `.OUT.defectkit-partial`, or inside it in `.defectkit-partial`: where several folders
are made in OUT, and where OUT cannot be renamed. An error removes it; a kill leaves it for the next run, which resumes
or removes it. One run writes at a time (`locks`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from toolkit.errors import ToolkitError
from toolkit.files.locks import LOCK, locked
from toolkit.files.publish import unwritable

__all__ = ["STAGING", "Staging", "check_apart", "check_free", "contents", "publish_folder", "staging"]

STAGING = ".defectkit-partial"
"""Name of the folder inside OUT in which unfinished work lies, and ending of one beside it."""

_ANEW = "choose another folder, or add --overwrite (or --resume)"


def check_apart(out: Path, root: Path) -> None:
    """Refuse an output inside its input and the reverse.

    Raises:
        ToolkitError: one of the two folders holds the other, or they are the same.
    """
    there, here = out.resolve(), root.resolve()
    if there.is_relative_to(here) or here.is_relative_to(there):
        inside = "is" if there == here else "lies inside" if there.is_relative_to(here) else "holds"
        raise ToolkitError(out, f"{inside} the input {root}", "choose an output folder apart from it")


def check_free(
    out: Path, names: Iterable[str] = (), *, overwrite: bool = False, resume: bool = False, remedy: str = _ANEW
) -> bool:
    """Refuse to write where something else stands.

    Args:
        out: the folder to write into.
        names: folders that will be written in it; those that stand there must be defectkit's.
        overwrite: whether what stands there may be replaced. Where all of `out` is, the caller looks whose it is.
        resume: whether `out` may hold finished or unfinished work.
        remedy: what to do about a folder that holds something; flags in it have to be those of the command.

    Returns:
        Whether `out` holds something. What killed runs left is nothing.

    Raises:
        ToolkitError: `out` is a file, holds something, or holds a folder that defectkit did not write.
    """
    if out.is_symlink() and not out.exists():
        raise ToolkitError(out, "is a link that leads nowhere", "remove it")
    if not out.exists():
        return False
    if not out.is_dir():
        raise ToolkitError(out, "is a file", "name a folder to write into")
    held = bool(contents(out))
    if held and not (overwrite or resume):
        raise ToolkitError(out, "is not empty", remedy)
    for name in names:
        folder = out / name
        if folder.exists() and not (folder / "manifest.json").is_file():
            raise ToolkitError(folder, "was not written by defectkit (it has no manifest.json)", "move it away")
    return held


def contents(folder: Path) -> list[Path]:
    """What is in a folder but for unfinished work and locks."""
    return [path for path in sorted(folder.iterdir()) if path.name != STAGING and not path.name.endswith(LOCK)]


class Staging:
    """Unfinished work on its way into an output folder.

    Attributes:
        out: the output folder, without links in its path.
        folder: where unfinished work lies; what an earlier run left there can be read before `begin`.
    """

    def __init__(self, out: Path, *, inside: bool) -> None:
        self.out = out.resolve()
        self._inside = inside or not _is_movable(self.out)
        self.folder = self.out / STAGING if self._inside else self.out.parent / f".{self.out.name}{STAGING}"
        self._made_out = False
        self.begun = False

    def begin(self, *, anew: bool = True) -> Path:
        """Make the folder of unfinished work; from now on an error removes it.

        Args:
            anew: empty it, rather than go on with what an earlier run left in it.
        """
        self.begun = True
        # A folder that holds nothing but unfinished work was made by a run that was killed.
        there = [path.name for path in self.out.iterdir()] if self.out.is_dir() else [STAGING]
        self._made_out = self.folder.parent == self.out and there == [STAGING]
        if anew:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder

    def publish(self, built: Path) -> None:
        """Move a finished folder into the place of the output folder.

        Where that one cannot be renamed, what is in the finished one is moved into it, a name at a time.
        """
        if not self._inside:
            publish_folder(built, self.out)
            return
        aside = self.folder / "old"
        aside.mkdir()
        for path in contents(self.out):
            os.rename(path, aside / path.name)
        for path in sorted(built.iterdir()):
            os.rename(path, self.out / path.name)

    def remove(self) -> None:
        """Remove unfinished work."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def abandon(self) -> None:
        """Remove unfinished work, and the output folder if it was made for it alone."""
        self.remove()
        if self._made_out:
            with suppress(OSError):  # it was never made, or something else is in it by now
                self.out.rmdir()


def _is_movable(out: Path) -> bool:
    """Whether a folder can make way for another: not where it is mounted, or where this process stands."""
    if not out.exists():
        return True
    try:
        here = Path.cwd()
    except OSError:  # it is gone
        here = out.parent
    return bool(out.name) and not out.is_mount() and not here.is_relative_to(out) and os.access(out.parent, os.W_OK)


@contextmanager
def staging(out: str | Path, *, inside: bool = False, resumable: bool = False) -> Iterator[Staging]:
    """Write an output folder, alone.

    Args:
        out: the folder.
        inside: unfinished work lies in `out` in any case, since folders in it are published one by one.
        resumable: Ctrl-C leaves unfinished work for a later run, as a kill always does.

    Raises:
        BusyError: another run writes there.
        ToolkitError: the disk is at fault. Nothing is left behind.
    """
    out = Path(out)
    with locked(out):
        stage = Staging(out, inside=inside)
        try:
            yield stage
        except BaseException as error:
            if stage.begun and (isinstance(error, Exception) or not resumable):
                stage.abandon()
            if stage.begun and isinstance(error, OSError):
                raise unwritable(out, error, hidden=stage.folder) from error
            raise
        if stage.begun:
            stage.remove()


def publish_folder(staged: Path, target: Path) -> None:
    """Move a finished folder into place, in place of an older one.

    The older one steps aside first and is deleted last, so that `target` is never a mixture of the two. It does so
    beside `staged`, which therefore has to lie in a folder of unfinished work, where nothing of the user's is.
    """
    aside = staged.parent / f"{target.name}.old"
    if target.exists():
        os.rename(target, aside)
    os.rename(staged, target)
    if aside.exists():
        shutil.rmtree(aside)
