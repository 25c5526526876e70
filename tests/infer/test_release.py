import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cacseg
from cacseg.errors import ReleaseError
from cacseg.infer import load_release, releases_dir
from cacseg.infer.bifurcation import describe as bifurcation_form
from cacseg.infer.closeup import describe as closeup_form
from cacseg.infer.grid import HEART_GRID


@pytest.fixture
def copied(tiny_release: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_release, tmp_path / "copied"))


def edit(folder: Path, **changes: Any) -> None:
    path = folder / "metadata.json"
    metadata = json.loads(path.read_text())
    metadata["cacseg"].update(changes)
    path.write_text(json.dumps(metadata))


def test_a_release_runs_any_batch(tiny_release: Path) -> None:
    release = load_release(tiny_release)
    calcium, territory = release.predict(np.zeros((2, 3, *HEART_GRID.shape), np.float32))
    assert calcium.shape == (2, 9, 48, 144, 144)
    assert territory.shape == (2, 5, 48, 72, 72)
    described = release.describe()
    assert described["sha256"] == release.sha256 == described["networks"]["calcium"]
    digest = hashlib.sha256((tiny_release / "scout.onnx").read_bytes()).hexdigest()
    assert described["networks"] == {"calcium": release.sha256, "scout": digest}


@pytest.mark.parametrize(
    ("across_mm", "width"), [(100.0, 112), (150.0, 112), (150.1, 128), (174.0, 128), (175.0, 144), (400.0, 144)]
)
def test_the_narrowest_grid_that_holds_the_heart_is_taken(tiny_release: Path, across_mm: float, width: int) -> None:
    release = load_release(tiny_release)
    assert release.grid_for((90.0, across_mm, 80.0)).shape == (48, width, width)
    assert release.grid_for((90.0, 80.0, across_mm)).shape == (48, width, width)


def test_a_release_of_one_grid_runs_on_that_one(copied: Path) -> None:
    path = copied / "metadata.json"
    metadata = json.loads(path.read_text())
    del metadata["cacseg"]["narrow_grids"]
    path.write_text(json.dumps(metadata))
    release = load_release(copied)
    assert release.grids == (HEART_GRID,)
    assert release.grid_for((90.0, 100.0, 100.0)) == HEART_GRID
    assert release.shifts_mm == ((0.0, 0.0, 0.0),)


@pytest.mark.parametrize("name", ["calcium.onnx", "scout.onnx"])
def test_an_altered_network_is_refused(copied: Path, name: str) -> None:
    content = bytearray((copied / name).read_bytes())
    content[-1] ^= 1
    (copied / name).write_bytes(bytes(content))
    with pytest.raises(ReleaseError, match=f"{name} is not the released file"):
        load_release(copied)


def test_a_missing_network_is_refused(copied: Path) -> None:
    (copied / "scout.onnx").unlink()
    with pytest.raises(ReleaseError, match="missing"):
        load_release(copied)


def test_metadata_of_another_form_is_refused(copied: Path) -> None:
    edit(copied, format_version="0")
    with pytest.raises(ReleaseError, match="format_version '0'"):
        load_release(copied)
    (copied / "metadata.json").write_text("{")
    with pytest.raises(ReleaseError, match="not the metadata"):
        load_release(copied)


def test_other_channels_are_refused(copied: Path) -> None:
    edit(copied, channels=["hu"])
    with pytest.raises(ReleaseError, match="expects channels"):
        load_release(copied)


@pytest.mark.parametrize(
    ("network", "ordinal", "form", "changed", "every"),
    [
        ("closeup", "second", closeup_form(), "facts", "patch, piece_mm, owners, facts"),
        ("bifurcation", "third", bifurcation_form(), "prior", "block, prior, arteries"),
    ],
)
def test_a_network_beside_the_first_of_another_form_is_refused(
    copied: Path, network: str, ordinal: str, form: dict, changed: str, every: str
) -> None:
    files = json.loads((copied / "metadata.json").read_text())["cacseg"]["files"]
    edit(copied, files={**files, network: f"{network}.onnx"}, **{network: {**form, changed: ["noise"]}})
    with pytest.raises(
        ReleaseError, match=rf"{ordinal} network was trained on cells of another form \({changed} differ"
    ):
        load_release(copied)
    edit(copied, **{network: {}})
    with pytest.raises(ReleaseError, match=every):
        load_release(copied)


def test_a_file_that_is_no_network_is_refused(copied: Path) -> None:
    (copied / "scout.onnx").write_bytes(b"not onnx")
    metadata = json.loads((copied / "metadata.json").read_text())
    digests = metadata["cacseg"]["sha256"] | {"scout.onnx": hashlib.sha256(b"not onnx").hexdigest()}
    edit(copied, sha256=digests)
    with pytest.raises(ReleaseError, match="cannot load"):
        load_release(copied)


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(ReleaseError, match="No release 'no-such'"):
        load_release("no-such")


def test_releases_come_from_the_wheel_first_then_from_the_checkout(tmp_path: Path) -> None:
    package = tmp_path / "site" / "cacseg"
    package.mkdir(parents=True)
    with pytest.raises(ReleaseError, match="No model releases"):
        releases_dir(package)
    (tmp_path / "site" / "models").mkdir()
    assert releases_dir(package) == tmp_path / "site" / "models"
    (package / "_releases").mkdir()
    assert releases_dir(package) == package / "_releases"


def test_the_light_install_is_enough() -> None:
    code = (
        "import sys, cacseg.infer; "
        "heavy = {'torch', 'monai', 'lightning', 'scipy', 'onnxruntime', 'cacseg.train', 'cacseg.models'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    root = Path(cacseg.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_running_a_release_imports_no_training_stack(tiny_release: Path) -> None:
    code = (
        "import sys; from cacseg.infer import load_release; load_release(sys.argv[1]); "
        "print(sorted({'torch', 'monai', 'lightning', 'scipy'} & set(sys.modules)))"
    )
    root = Path(cacseg.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code, str(tiny_release)], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
