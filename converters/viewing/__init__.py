"""Labels as they were written, as the items of a gallery."""
