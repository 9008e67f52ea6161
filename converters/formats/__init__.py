"""The label formats, a file or a folder each."""
