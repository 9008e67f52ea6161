"""Measurements: run as `python -m benchmarks.NAME`; the figures go into docs/benchmarks.md."""
