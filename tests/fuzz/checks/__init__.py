"""The checks: a module each, which ends in `CHECK = Check(...)`."""
