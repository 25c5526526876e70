"""Logs for machines: one JSON object a line on standard error, without anything that names a patient.

Only what a call passes as ``extra`` is written beside the message; request paths are logged as route templates, and
query strings, headers and messages of foreign exceptions never are.
"""

import json
import logging
import sys
import warnings
from datetime import UTC, datetime
from typing import Final

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class JsonLines(logging.Formatter):
    """One record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the line."""
        ours = record.name.startswith("cacseg")
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage() if ours else f"message of {record.module}:{record.lineno}",
            **({k: v for k, v in vars(record).items() if k not in _STANDARD} if ours else {}),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["fault"] = record.exc_info[0].__name__
        return json.dumps(line, default=str)


def log_as_json(level: int = logging.INFO) -> None:
    """Send our own records, and warnings of libraries without their text, to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("cacseg").setLevel(level)
    warnings.simplefilter("ignore")
