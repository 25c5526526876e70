"""The command line: the only place that prints.

Messages for people go to standard error, results to standard output; ``--json`` makes the latter one JSON
document. Exit codes: 0 scored, 2 wrong usage, 3 refused, 4 unreadable input, 1 a fault of ours.
"""

from cacseg.cli.program import main

__all__ = ["main"]
