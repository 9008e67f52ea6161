"""`python -m toolkit.cli`, where the console script is not on the path."""

from toolkit.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
