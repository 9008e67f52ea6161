"""A little of each check, with the same inputs each time: a module each, so that they run side by side.

Left to `make fuzz` are bombs, growth, checkpoints (torch alone takes seconds to load) and pages in a browser, of which
other tests hold the common cases.
"""
