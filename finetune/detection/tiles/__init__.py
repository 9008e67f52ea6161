"""Photos that are looked at in tiles."""
