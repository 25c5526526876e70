"""What every test may use."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("house", deadline=None)
settings.load_profile("house")

ROOT = Path(__file__).resolve().parents[1]

# Debian keeps PostgreSQL's server programs out of the PATH.
os.environ["PATH"] = os.pathsep.join([os.environ["PATH"], *map(str, Path("/usr/lib/postgresql").glob("*/bin"))])


@pytest.fixture(scope="session")
def shared_dir():
    """Reference material beside the checkout; never part of it."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the reference material ../shared is not beside this checkout")
    return folder


def pytest_collection_modifyitems(items):
    """Skip tests whose system program is absent, naming it; CI turns such a skip into a failure."""
    for item in items:
        for mark in item.iter_markers("system"):
            if os.environ.get("CACSEG_CI"):
                continue
            absent = [program for program in mark.args if shutil.which(program) is None]
            if absent:
                item.add_marker(pytest.mark.skip(reason=f"system program absent: {', '.join(absent)}"))
