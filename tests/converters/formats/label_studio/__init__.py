"""Tests of Label Studio's tasks."""
