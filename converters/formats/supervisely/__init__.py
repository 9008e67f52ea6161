"""Supervisely projects: `meta.json`, and in each dataset folder `img/NAME` and `ann/NAME.json`."""
