"""Learners: each trains on the labels that the converters write. Imports toolkit and converters."""
