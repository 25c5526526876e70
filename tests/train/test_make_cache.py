"""Each cached patient may have a heart unlike the mean one, and the folder says so."""

import json
import runpy
import sys
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

import cacseg.train.sample as sample
import cacseg.train.sources as sources
from cacseg.train.unusual import unusual_facts

SCRIPT = Path(__file__).parents[2] / "train" / "make_cache.py"


@pytest.mark.parametrize("options", [[], ["--unusual"], ["--unusual", "--set", "deformation_mm=9.5"]])
def test_unusual_hearts_are_drawn_for_each_seed(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[int, dict[str, Any]] = {}

    def made(family: str, seed: int, settings: dict[str, Any]) -> str:
        asked[seed] = settings
        return f"{family} {seed}"

    monkeypatch.setattr(sources, "patient_sample", made)
    monkeypatch.setattr(sample, "save", lambda text, path: path.write_text(text))
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(tmp_path), "--first-seed", "31", "--count", "2", *options])
    monkeypatch.setattr("concurrent.futures.ProcessPoolExecutor", _AtOnce)
    runpy.run_path(str(SCRIPT), run_name="__main__")
    for seed in (31, 32):
        expected = unusual_facts(seed) if "--unusual" in options else {}
        if "--set" in options:
            expected["deformation_mm"] = 9.5
        assert asked[seed] == {**expected, "extracoronary": "training"}
    written = json.loads((tmp_path / "cache.json").read_text())
    assert written["unusual"] == ("--unusual" in options)
    assert {path.name for path in tmp_path.glob("*.npz")} == {"gated-0000031.npz", "gated-0000032.npz"}


class _AtOnce:
    """Stands in for a pool of processes, which would not see what a test puts in place."""

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def __enter__(self) -> "_AtOnce":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def submit(self, task: Any, *given: Any) -> Any:
        done: Future[Any] = Future()
        done.set_result(task(*given))
        return done
