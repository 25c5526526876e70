import copy
import json
import runpy
import shutil
import sys
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import numpy as np
import onnx
import pytest
import torch

from cacseg.errors import CacsegError, UsageError
from cacseg.infer import load_release
from cacseg.infer.decide import Decision
from cacseg.infer.grid import HEART_GRID, NARROW_GRIDS, SCOUT_GRID
from cacseg.infer.release import DEFAULT_RELEASE, Release
from cacseg.train import export as export_module
from cacseg.train.bundle import OPSET
from cacseg.train.export import ARCHITECTURE, ServedCalcium, ServedHeart, decision_source, export, main, settings_of
from cacseg.train.loop import lightened
from cacseg.train.module import CalciumModule
from cacseg.train.parity import Difference, compare_logits, compare_scores, digital_patients, in_torch, vessel_scores
from cacseg.vessels import Label

pytestmark = pytest.mark.filterwarnings("ignore")

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "models" / DEFAULT_RELEASE
TINY = {"channels": [4, 4], "strides": [2], "residual_units": 1, "feature_channels": 4, "head_channels": 4}
FILES = ("calcium.onnx", "scout.onnx", "weights.pt")
LARGEST_RELEASE_BYTES = 25e6


def bundle_schema() -> jsonschema.Draft202012Validator:
    schema = json.loads(Path(__file__).with_name("monai_bundle.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def metadata_of(folder: Path) -> dict:
    return json.loads((folder / "metadata.json").read_text())


@pytest.fixture(scope="module")
def module() -> CalciumModule:
    torch.manual_seed(1)
    return CalciumModule(**TINY).eval()


@pytest.fixture(scope="module")
def checkpoint(module: CalciumModule, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "last.ckpt"
    stored = {"hyper_parameters": TINY, "state_dict": module.state_dict(), "global_step": 7, "epoch": 1}
    torch.save(stored, path)
    return path


@pytest.fixture(scope="module")
def made(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("releases") / "tiny"
    export(checkpoint, folder, name="tiny", volumes=3, patients=1)
    return folder


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Leave out what takes long, writing and comparing the networks; what was compared can be set."""
    said = SimpleNamespace(
        logits={"largest_relative_difference": 0.0, "largest_relative_territory_difference": 0.0},
        scores={"scores_changed": 0},
    )
    monkeypatch.setattr(export_module, "write_onnx", lambda *given, **_: None)
    monkeypatch.setattr(export_module, "compare_logits", lambda *_: said.logits)
    monkeypatch.setattr(export_module, "compare_scores", lambda *_: said.scores)
    return said


@pytest.mark.parametrize("which", ["made", "shipped"])
def test_the_metadata_have_the_form_of_a_monai_bundle(which: str, request: pytest.FixtureRequest) -> None:
    metadata = metadata_of(SHIPPED if which == "shipped" else request.getfixturevalue("made"))
    assert [error.message for error in bundle_schema().iter_errors(metadata)] == []
    for network in ("network_data_format", "scout_data_format"):
        for tensor in (*metadata[network]["inputs"].values(), *metadata[network]["outputs"].values()):
            assert list(tensor["channel_def"]) == [str(number) for number in range(tensor["num_channels"])]


@pytest.mark.parametrize("lacking", ["type", "value_range", "is_patch_data", "channel_def"])
def test_a_tensor_that_is_not_described_is_noticed(made: Path, lacking: str) -> None:
    metadata = copy.deepcopy(metadata_of(made))
    del metadata["network_data_format"]["outputs"]["territory"][lacking]
    assert [error.message for error in bundle_schema().iter_errors(metadata)] == [f"'{lacking}' is a required property"]


def test_the_described_tensors_are_those_of_the_networks(made: Path) -> None:
    metadata = metadata_of(made)
    for file, network in (("calcium.onnx", "network_data_format"), ("scout.onnx", "scout_data_format")):
        graph = onnx.load(made / file).graph
        for tensors, described in ((graph.input, "inputs"), (graph.output, "outputs")):
            assert [tensor.name for tensor in tensors] == list(metadata[network][described])
            for tensor in tensors:
                sizes = [each.dim_value or each.dim_param for each in tensor.type.tensor_type.shape.dim]
                said = metadata[network][described][tensor.name]
                assert sizes[1:3] == [said["num_channels"], said["spatial_shape"][0]]
                fixed = [isinstance(size, int) for size in sizes[2:]]
                assert fixed == [isinstance(size, int) for size in said["spatial_shape"]]


@pytest.mark.parametrize("which", ["made", "shipped"])
@pytest.mark.parametrize("file", FILES)
def test_every_file_has_its_checksum(which: str, file: str, request: pytest.FixtureRequest) -> None:
    folder = SHIPPED if which == "shipped" else request.getfixturevalue("made")
    block = metadata_of(folder)["cacseg"]
    content = (folder / file).read_bytes()
    assert block["sha256"].get(file) == sha256(content).hexdigest()
    assert block["size_bytes"].get(file) == len(content)


def test_running_a_release_does_not_need_its_weights_for_fine_tuning(made: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(made, tmp_path / "copied"))
    (copied / "weights.pt").unlink()
    assert load_release(copied).name == "tiny"


@pytest.mark.parametrize("which", ["made", "shipped"])
@pytest.mark.parametrize("file", FILES[:2])
def test_the_networks_have_the_stated_opset(which: str, file: str, request: pytest.FixtureRequest) -> None:
    folder = SHIPPED if which == "shipped" else request.getfixturevalue("made")
    opsets = {each.domain: each.version for each in onnx.load(folder / file).opset_import}
    assert opsets[""] == OPSET == metadata_of(folder)["cacseg"]["opset"]


def test_the_shipped_release_is_small() -> None:
    assert sum(path.stat().st_size for path in SHIPPED.rglob("*") if path.is_file()) <= LARGEST_RELEASE_BYTES


def test_the_shipped_release_scores_as_pytorch_did() -> None:
    parity = metadata_of(SHIPPED)["cacseg"]["parity"]
    assert parity["volumes"] >= 20
    assert parity["largest_relative_difference"] <= export_module.LARGEST_DIFFERENCE
    assert parity["largest_relative_territory_difference"] <= export_module.LARGEST_DIFFERENCE
    assert parity["patients_scored"] >= 1
    assert parity["scores_changed"] == 0
    assert parity["largest_score_change"] == 0.0


@pytest.mark.slow
def test_the_shipped_weights_score_a_patient_as_the_shipped_networks_do() -> None:
    release = load_release(SHIPPED)
    run = release.metadata["cacseg"]["run"]
    trained = CalciumModule(**{name: run[name] for name in ARCHITECTURE}, start_from=str(SHIPPED / "weights.pt"))
    in_pytorch = in_torch(release, ServedCalcium(trained.net), ServedHeart(trained.scout))
    assert compare_scores(in_pytorch, release, digital_patients(1)) == {
        "patients": 1,
        "patients_scored": 1,
        "scores_changed": 0,
        "largest_score_change": 0.0,
    }


@pytest.mark.parametrize("grid", [*NARROW_GRIDS, HEART_GRID], ids=lambda grid: str(grid.shape[-1]))
def test_two_volumes_at_once_give_what_each_gives_alone(made: Path, grid) -> None:
    release = load_release(made)
    rng = np.random.default_rng(4)
    cells = rng.uniform(-1000, 400, (2, 3, *grid.shape)).astype(np.float32)
    cells[:, 1:] = rng.random((2, 2, *grid.shape), np.float32) * (cells[:, :1] > 130)
    together = release.predict(cells)
    alone = [release.predict(cells[n : n + 1]) for n in range(2)]
    for head, answer in enumerate(together):
        assert not np.allclose(answer[0], answer[1], atol=1e-3)
        np.testing.assert_allclose(answer, np.concatenate([each[head] for each in alone]), atol=1e-4)


def test_two_scouts_at_once_give_what_each_gives_alone(made: Path) -> None:
    release = load_release(made)
    cells = np.random.default_rng(5).uniform(-1000, 400, (2, 1, *SCOUT_GRID.shape)).astype(np.float32)
    alone = np.concatenate([release.predict_heart(cells[n : n + 1]) for n in range(2)])
    np.testing.assert_allclose(release.predict_heart(cells), alone, atol=1e-5)


def test_both_heads_and_the_scores_are_compared(made: Path) -> None:
    parity = metadata_of(made)["cacseg"]["parity"]
    assert (parity["volumes"], parity["patients"], parity["first_seed"]) == (3, 1, 900_901)
    assert 0 < parity["largest_territory_difference"] < 1e-3
    assert 1000 < parity["territory_cells"] < parity["candidate_cells"]
    assert (parity["cells_changed"], parity["arteries_changed"], parity["scores_changed"]) == (0, 0, 0)


def test_a_changed_territory_is_noticed(made: Path, module: CalciumModule) -> None:
    release = load_release(made)
    changed = copy.deepcopy(module.net)
    changed.load_state_dict(lightened(changed.state_dict()))
    with torch.no_grad():
        changed.territory.bias += torch.tensor([0.0, 50.0, 0.0, 0.0, 0.0])
    parity = compare_logits(in_torch(release, ServedCalcium(changed), ServedHeart(module.scout)), release, None, 1)
    assert parity["cells_changed"] == 0
    assert parity["largest_territory_difference"] > 40
    assert parity["arteries_changed"] > 0.9 * parity["territory_cells"]


def test_cells_without_candidates_do_not_count() -> None:
    cells = np.zeros((1, 3, 1, 2, 4), np.float32)
    cells[0, 1, 0, 1, 2] = 0.5
    expected = np.zeros((1, 2, 1, 1, 2), np.float32)
    expected[:, 0] = 2.0
    found = expected.copy()
    found[:, 1] = 3.0
    head = Difference()
    head.add(expected, found, cells)
    assert (head.largest, head.relative, head.cells, head.changed) == (3.0, 1.5, 1, 1)


class Painted:
    """A network that calls every candidate one artery, and heart what is denser than 0 HU."""

    def __init__(self, vessel: Label = Label.LAD) -> None:
        self.vessel = vessel

    def run(self, outputs: list[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        cells = inputs["cells"]
        if outputs == ["heart"]:
            return [(1 / (1 + np.exp(-0.1 * cells))).astype(np.float32)]
        calcium = np.full((1, len(Label), *cells.shape[2:]), -20.0, np.float32)
        calcium[:, self.vessel] = np.where(cells[:, 1] > 0, 20.0, -20.0)
        calcium[:, Label.BACKGROUND] = -calcium[:, self.vessel]
        return [calcium, np.zeros((1, 5, cells.shape[2], cells.shape[3] // 2, cells.shape[4] // 2), np.float32)]


def painted(made: Path, vessel: Label) -> Release:
    return replace(load_release(made), calcium_session=Painted(vessel), scout_session=Painted())


def test_another_artery_is_another_score(made: Path, scan_of) -> None:
    lad, rca = painted(made, Label.LAD), painted(made, Label.RCA)
    scans = [scan_of(seed).volume for seed in (0, 1)]
    scores = [vessel_scores(scan, lad) for scan in scans]
    assert all(each["LAD"] > 0 and each["RCA"] == 0 for each in scores)
    same = compare_scores(lad, lad, scans)
    assert (same["patients_scored"], same["scores_changed"], same["largest_score_change"]) == (2, 0, 0.0)
    other = compare_scores(lad, rca, scans)
    assert other["scores_changed"] == 2
    assert other["largest_score_change"] == pytest.approx(max(each["LAD"] for each in scores), rel=0.2)


def test_a_refusal_of_one_engine_alone_is_a_change(made: Path, scan_of) -> None:
    scan = scan_of(0).volume
    lad = painted(made, Label.LAD)
    blind = replace(lad, scout_session=SimpleNamespace(run=lambda _, inputs: [np.zeros_like(inputs["cells"])]))
    assert vessel_scores(scan, blind) is None
    assert compare_scores(lad, blind, [scan])["scores_changed"] == 1
    both = compare_scores(blind, blind, [scan])
    assert (both["patients"], both["patients_scored"], both["scores_changed"]) == (1, 0, 0)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"largest_relative_difference": 0.1}, "differs from PyTorch"),
        ({"largest_relative_territory_difference": 0.1}, "differs from PyTorch"),
        ({"scores_changed": 1}, "other scores than PyTorch"),
    ],
)
def test_an_export_that_differs_is_an_error_and_says_so_in_its_metadata(
    made: Path, checkpoint: Path, tmp_path: Path, no_work: SimpleNamespace, changed: dict, message: str
) -> None:
    folder = Path(shutil.copytree(made, tmp_path / "release"))
    no_work.scores |= changed
    with pytest.raises(CacsegError, match=message):
        export(checkpoint, folder)
    assert metadata_of(folder)["cacseg"]["parity"].items() >= changed.items()


def with_settings(made: Path, folder: Path, **decision: float) -> Path:
    shutil.copytree(made, folder)
    metadata = metadata_of(folder)
    metadata["cacseg"] |= {"decision": asdict(replace(Decision(), **decision)), "shifts_mm": [[0.0, 1.0, 2.0]]}
    (folder / "metadata.json").write_text(json.dumps(metadata))
    return folder


def test_a_release_exported_again_keeps_its_settings(
    made: Path, checkpoint: Path, tmp_path: Path, no_work: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = with_settings(made, tmp_path / "release", keep_probability=0.61)
    assert main([str(checkpoint), str(folder), "--version", "1.1.0"]) == 0
    assert f"kept from {folder}" in capsys.readouterr().err
    metadata = metadata_of(folder)
    assert metadata["cacseg"]["decision"] == asdict(replace(Decision(), keep_probability=0.61))
    assert metadata["cacseg"]["shifts_mm"] == [[0.0, 1.0, 2.0]]
    assert list(metadata["changelog"]) == ["1.1.0", "1.0.0"]


@pytest.mark.parametrize("ending", ["", "metadata.json"])
def test_settings_are_taken_from_another_release(
    made: Path, checkpoint: Path, tmp_path: Path, no_work: SimpleNamespace, ending: str
) -> None:
    folder = with_settings(made, tmp_path / "release", keep_probability=0.61)
    other = with_settings(made, tmp_path / "other", keep_probability=0.62)
    main([str(checkpoint), str(folder), "--decision", str(other / ending)])
    assert metadata_of(folder)["cacseg"]["decision"]["keep_probability"] == 0.62


def test_a_new_release_has_the_default_settings(made: Path, tmp_path: Path) -> None:
    assert decision_source(tmp_path, None) is None
    assert metadata_of(made)["cacseg"]["decision"] == asdict(Decision())


@pytest.mark.parametrize("content", [None, "{", "{}", '{"cacseg": {"decision": {"strange": 1}}}'])
def test_settings_that_cannot_be_read_are_an_error(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "metadata.json").write_text(content)
    with pytest.raises(UsageError, match="no settings of the decision"):
        settings_of(tmp_path)


def test_a_folder_with_unreadable_metadata_is_not_exported_into(tmp_path: Path, made: Path, checkpoint: Path) -> None:
    (tmp_path / "metadata.json").write_text("{")
    with pytest.raises(UsageError, match="remove it"):
        export(checkpoint, tmp_path, decision=made)
    assert [path.name for path in tmp_path.iterdir()] == ["metadata.json"]


def test_weights_between_two_trainings_are_exported(
    checkpoint: Path, module: CalciumModule, no_work: SimpleNamespace, made: Path, tmp_path: Path
) -> None:
    before = {name: value + 1.0 for name, value in module.state_dict().items()}
    torch.save({"state_dict": before}, tmp_path / "weights.pt")
    folder = shutil.copytree(made, tmp_path / "release")
    mixing = ["--mixed-with", str(tmp_path / "weights.pt"), "--share", "0.25"]
    assert main([str(checkpoint), str(folder), "--version", "2.0.0", *mixing]) == 0
    written = torch.load(folder / "weights.pt", weights_only=True)["state_dict"]
    assert all(
        torch.allclose(written[name].float(), value + 0.25, rtol=1e-3) for name, value in module.state_dict().items()
    )
    recorded = metadata_of(folder)["cacseg"]["run"]["mixed_with"]
    assert recorded == {"sha256": sha256((tmp_path / "weights.pt").read_bytes()).hexdigest(), "share": 0.25}


def test_weights_of_another_form_are_not_mixed(checkpoint: Path, tmp_path: Path) -> None:
    other = CalciumModule(**TINY | {"feature_channels": 6})
    torch.save({"state_dict": other.state_dict()}, tmp_path / "weights.pt")
    with pytest.raises(UsageError, match="another form"):
        export(checkpoint, tmp_path / "release", mixed_with=tmp_path / "weights.pt")
    with pytest.raises(UsageError, match="No weights"):
        export(checkpoint, tmp_path / "release", mixed_with=tmp_path / "none.pt")


@pytest.mark.parametrize("typed", ["1.5", "-0.1", "half"])
def test_a_share_lies_between_0_and_1(typed: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["last.ckpt", "release", "--share", typed])
    assert ended.value.code == UsageError("").exit_code
    assert "--share" in capsys.readouterr().err


@pytest.mark.slow
def test_the_variants_of_a_release_are_compared_by_scores(
    made: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["compare_exports.py", str(made), str(cache_dir), "--volumes", "1", "--patients", "1"]
    monkeypatch.setattr(sys, "argv", words)
    runpy.run_path(str(ROOT / "train" / "compare_exports.py"), run_name="__main__")
    rows = {row["variant"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert list(rows) == ["fp32", "fp16", "int8", "pruned", "openvino-fp32"]
    assert rows["fp32"]["largest_difference"] == rows["fp32"]["scores_changed"] == 0
    assert rows["pruned"]["largest_difference"] > 0
    assert rows["pruned"]["patients"] == 1
    assert all({"scores_changed", "largest_score_change"} <= set(row) for row in rows.values() if "failed" not in row)
