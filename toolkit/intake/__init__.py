"""From an archive, a download or a folder to a dataset root: unpacked safely, and checked."""

from toolkit.intake.preparing import PrepareReport, prepare

__all__ = ["PrepareReport", "prepare"]
