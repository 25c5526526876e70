"""Reading rules from a YAML file: the one place of this room that touches a file."""

from collections.abc import Mapping
from pathlib import Path

from cacseg.errors import UnreadableError
from cacseg.scoring.rule import Rule
from cacseg.scoring.rules import rules_from_mapping


def load_rules(path: Path | str) -> Mapping[str, Rule]:
    """Read rules from a file such as those in ``configs/scoring``.

    Parameters
    ----------
    path : YAML of the form of :func:`~cacseg.scoring.rules.rules_from_mapping`.

    Raises
    ------
    UnreadableError : the file is absent or not YAML.
    UsageError : it does not hold rules, with the key at fault.
    """
    import yaml

    file = Path(path)
    try:
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UnreadableError(f"The rules of {file.name} cannot be read: {error}. Expected a YAML file.") from error
    return rules_from_mapping(data, where=file.name)
