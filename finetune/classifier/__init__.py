"""The baseline classifier."""
