"""Dataset + split + formats -> label trees."""
