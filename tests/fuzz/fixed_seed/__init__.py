"""A little of each check, with the same inputs each time: a module each, so that they run side by side."""
