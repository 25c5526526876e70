import sys
from pathlib import Path

import numpy as np
import pytest

from cacseg.data.phantom import digital_patient
from cacseg.engines import ENGINES, Engine
from cacseg.errors import MissingExtraError, ReleaseError, UsageError
from cacseg.infer import assign, load_release
from cacseg.infer.engine import open_session
from cacseg.infer.grid import HEART_GRID, SCOUT_GRID
from cacseg.scoring import RULES, score
from cacseg.volume import Volume


@pytest.mark.parametrize("threads", [1, 2])
def test_engines_agree(threads: int) -> None:
    rng = np.random.default_rng(3)
    cells = rng.normal(40, 120, (1, 3, *HEART_GRID.shape)).astype(np.float32)
    scout = rng.normal(0, 300, (1, 1, *SCOUT_GRID.shape)).astype(np.float32)
    one, other = (load_release(threads=threads, engine=engine) for engine in ENGINES)
    for mine, theirs in zip(one.predict(cells), other.predict(cells), strict=True):
        assert mine.shape == theirs.shape
        assert np.abs(mine - theirs).max() < 0.02
    assert np.abs(one.predict_heart(scout) - other.predict_heart(scout)).max() < 1e-3


def test_an_answer_stays_as_it_was_when_the_next_is_computed() -> None:
    release = load_release(engine="openvino")
    cells = np.zeros((1, 3, *HEART_GRID.shape), np.float32)
    first = release.predict(cells)[0]
    kept = first.copy()
    release.predict(cells + 500)
    assert np.array_equal(first, kept)


@pytest.mark.parametrize("seed", [10_000_001, 10_000_002])
def test_engines_give_the_same_score(seed: int) -> None:
    scan = digital_patient(seed, "gated", target_agatston=200.0)
    rule = RULES["literature"]
    found = [assign(scan.volume, load_release(engine=engine)).labels for engine in ENGINES]
    assert np.array_equal(*found)
    totals = [score(scan.volume, Volume(labels, scan.volume.affine), rule).total.agatston for labels in found]
    assert totals[0] == totals[1] > 0


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_no_network_is_refused(engine: Engine) -> None:
    with pytest.raises(ReleaseError, match=f"{engine} cannot load the network"):
        open_session(b"no network", 1, engine)


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(UsageError, match="onnxruntime, openvino"):
        open_session(b"", 1, "tensorrt")  # type: ignore[arg-type]


def test_an_engine_that_is_not_installed_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r"pip install \"cacseg\[openvino\]\""):
        load_release(engine="openvino")


def test_a_result_records_the_engine(tmp_path: Path) -> None:
    from cacseg.data.phantom.dicom import write_study
    from cacseg.pipeline import Settings, score_study

    study = write_study(digital_patient(10_000_001, "gated"), tmp_path, extras=False)
    provenance = score_study(study, Settings(engine="openvino")).result.provenance
    assert provenance["settings"]["engine"] == "openvino"
    assert "openvino" in provenance["packages"]
    assert "onnxruntime" not in provenance["packages"]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_engine_typed_reaches_the_pipeline(engine: Engine) -> None:
    from cacseg.cli.options import settings
    from cacseg.cli.program import build_parser

    typed = build_parser().parse_args(["infer", "study", "-o", "out", "--engine", engine, "--threads", "1"])
    assert (settings(typed).engine, settings(typed).threads) == (engine, 1)
