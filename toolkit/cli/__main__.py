"""`python -m toolkit.cli`, where the console script is not on the path."""

from toolkit.cli import start

__all__ = ["start"]

if __name__ == "__main__":
    start()
