"""Hostile input, by chance and by hand, through the public functions: `python -m tests.fuzz CHECK --seed S --count N`.

Each input has a number, and its own random numbers come from the seed and that number, so that one input can be had
again by itself. A check runs in a process of its own: a crash, a hang or memory without bound is a finding like others.
"""
