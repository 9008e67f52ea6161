"""Sound files to start from, and files that nobody but an attacker would write."""
