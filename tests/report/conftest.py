from datetime import datetime

import pytest

from cacseg.report import FORMS, write_all
from cacseg.report.specimen import specimen

KINDS = ("zero", "mild", "severe", "non-gated", "refused", "poor")


@pytest.fixture(scope="session")
def clock():
    return lambda: datetime(2026, 3, 1, 12, 30, 15)


@pytest.fixture(scope="session")
def made():
    """Specimens by kind, made once."""
    return {kind: specimen(kind) for kind in KINDS}


@pytest.fixture(scope="session")
def out(made, tmp_path_factory, clock):
    """Folders with every form, by kind."""
    root = tmp_path_factory.mktemp("reports")
    for kind in KINDS:
        write_all(made[kind], root / kind, tuple(FORMS), clock=clock)
    return root
