"""The words of a report: per category from cited guidelines, and every label for translation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Self

from cacseg.errors import UsageError


@dataclass(frozen=True, slots=True)
class Statement:
    """What one guideline says, as information for the physician.

    Parameters
    ----------
    confidence : how the statement was checked: verified, secondary (read in a digest), memory.
    """

    text: str
    source: str
    confidence: str


@dataclass(frozen=True, slots=True)
class Wording:
    """A table of words.

    Parameters
    ----------
    language : BCP 47 tag.
    severity : word for each Agatston category.
    statements : per Agatston category, what guidelines say.
    strings : translation of the report's own English labels; a label without one stays English.
    department : name and text of the department, printed where present.
    """

    language: str = "en"
    severity: Mapping[str, str] = field(default_factory=dict)
    statements: Mapping[str, tuple[Statement, ...]] = field(default_factory=dict)
    strings: Mapping[str, str] = field(default_factory=dict)
    department: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, english: str) -> str:
        """Translate a label."""
        return self.strings.get(english, english)

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """Build from the content of a YAML table.

        Raises
        ------
        UsageError : a part is missing or has another form.
        """
        try:
            return cls(
                language=str(data["language"]),
                severity={str(key): str(value) for key, value in data["severity"].items()},
                statements={
                    str(key): tuple(Statement(**entry) for entry in entries)
                    for key, entries in data["statements"].items()
                },
                strings={str(key): str(value) for key, value in (data.get("strings") or {}).items()},
                department={str(key): str(value) for key, value in (data.get("department") or {}).items()},
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise UsageError(
                f"A wording table needs language, severity and statements ({error!r}). "
                "Copy configs/report/wording.yaml and change the texts only."
            ) from error


def load_wording(path: Path | None = None) -> Wording:
    """Read a wording table; without a path, the one that ships with cacseg.

    Raises
    ------
    UsageError : the file is missing or is no such table.
    """
    return Wording.of(load_table("wording.yaml", path))


def load_table(name: str, path: Path | None = None) -> dict[str, Any]:
    """Read a YAML table of this package, or somebody's own in its place.

    Raises
    ------
    UsageError : the file is missing or is no YAML mapping.
    """
    if path is None:
        return _shipped(name)
    import yaml

    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise UsageError(
            f"Cannot read the table {path}: {error}. Give a YAML file like configs/report/{name}."
        ) from error
    if not isinstance(data, dict):
        raise UsageError(
            f"The table {path} holds a {type(data).__name__}; expected a mapping like configs/report/{name}."
        )
    return data


@cache
def _shipped(name: str) -> dict[str, Any]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = (resources.files("cacseg.report.tables") / name).read_text(encoding="utf-8")
    data: dict[str, Any] = yaml.load(text, Loader=loader)  # noqa: S506 (a safe loader in either case)
    return data
