"""What other programs make of the files that are written here, and defectkit of theirs."""
