"""``python -m cacseg``: the command line, where the script is not on the path."""

from cacseg.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
