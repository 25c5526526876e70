"""Labelled datasets in their real forms become training samples, and the recipe of fine-tuning runs on them."""

import importlib.util
import json
import os
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import yaml
from scipy import ndimage

pytest.importorskip("torch")

from cacseg.data.readers import READERS, ManifestEntry, sources_of, split_of, write_manifest
from cacseg.data.readers.corrections import write_correction
from cacseg.errors import UnreadableError, UsageError
from cacseg.infer import load_release
from cacseg.train.cli import main as train
from cacseg.train.export import export
from cacseg.train.labelled import cache_studies, dataset_samples, table_samples, table_sources
from cacseg.train.sample import LM_OR_LAD, NOT_CORONARY, OTHER_OR_METAL, UNKNOWN, load
from cacseg.vessels import FULL_NAME, Label
from cacseg.volume import Volume

ROOT = Path(__file__).parents[2]


def module_at(path):
    spec = importlib.util.spec_from_file_location(f"labelled_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


READER_TESTS = ROOT / "tests" / "data" / "readers"
write_ct = module_at(READER_TESTS / "conftest.py").write_ct
write_mhd = module_at(READER_TESTS / "test_orcascore.py").write_mhd
write_seg = module_at(READER_TESTS / "test_dicom_seg.py").write_seg
coca = module_at(READER_TESTS / "test_coca.py")
recipe = module_at(ROOT / "train" / "finetune.py")

BLOCKS = {
    Label.LM: (62, 100),
    Label.LAD: (56, 110),
    Label.LCX: (90, 128),
    Label.RCA: (66, 66),
    Label.AORTIC_VALVE: (80, 90),
    Label.OTHER: (110, 90),
}


COCA_NAMES = {
    Label.LM: "Left Coronary Artery",
    Label.LAD: "Left Anterior Descending Artery",
    Label.LCX: "Left Circumflex Artery",
    Label.RCA: "Right Coronary Artery",
}


@pytest.fixture(scope="module")
def scan(scan_of):
    """A crude patient with calcium of each artery, of a valve and elsewhere in the heart; HU and labels."""
    made = scan_of(3)
    hu, labels = made.volume.voxels.copy(), made.labels.voxels.copy()
    for label, (row, column) in BLOCKS.items():
        hu[24:27, row : row + 5, column : column + 5] = 500
        labels[24:27, row : row + 5, column : column + 5] = label
    # Numbers that every format stores exactly, so that all give the same cells.
    return Volume.axial(hu, (3.0, 1.25, 1.25), (-112.0, -112.0, -70.5)), labels


@pytest.fixture(scope="module")
def release():
    return load_release()


def write_coca(root, name, volume, labels):
    images = []
    for index in range(volume.shape[0]):
        rois = []
        for label in (Label.LM, Label.LAD, Label.LCX, Label.RCA):
            for rows, columns in ndimage.find_objects(ndimage.label(labels[index] == label)[0]):
                corners = [(columns.start, rows.start), (columns.stop, rows.start), (columns.stop, rows.stop),
                           (columns.start, rows.stop)]  # fmt: skip
                rois.append(coca.roi(COCA_NAMES[label], corners, volume, index))
        images.append(coca.image(index, *rois))
    coca.Coca(root, write_ct, volume).add(name, *images)


def write_orcascore(root, name, volume, labels):
    marks = np.array([0, 1, 1, 2, 3, 0, 0, 0, 0], np.uint8)[labels]
    write_mhd(root / f"{name}CTI.mhd", volume.voxels, volume, "MET_SHORT")
    write_mhd(root / f"{name}R.mhd", marks, volume, "MET_UCHAR")


def write_nifti(root, name, volume, labels):
    for folder, voxels in (("images", volume.voxels), ("labels", labels)):
        (root / folder).mkdir(parents=True, exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(voxels.T, volume.ras_affine()), root / folder / f"{name}.nii.gz")


def write_dicom_seg(root, name, volume, labels):
    write_ct(root / name / "ct", volume, patient_id=name)
    images = [pydicom.dcmread(path) for path in sorted((root / name / "ct").glob("*.dcm"))]
    arteries = (Label.LM, Label.LAD, Label.LCX, Label.RCA)
    names = {int(label): FULL_NAME[label] for label in arteries}
    write_seg(root / name / "seg.dcm", images, {int(label): labels == label for label in arteries}, names)


def write_corrections(root, name, volume, labels):
    series = write_ct(root.parent / "studies" / name, volume, patient_id=name)
    write_correction(
        root / name,
        volume.with_voxels(labels),
        study_path=root.parent / "studies" / name,
        study_instance_uid=f"1.2.{name}",
        series_instance_uid=series,
        reader="R1",
        finished="2026-01-31T10:20:00Z",
        patient_id=name,
    )


WRITERS = {
    "coca": write_coca,
    "orcascore": write_orcascore,
    "nifti": write_nifti,
    "dicom-seg": write_dicom_seg,
    "corrections": write_corrections,
}


def named(dataset, part):
    """Name of a patient who falls into a part."""
    return next(str(n) for n in range(100) if split_of(str(n), dataset) == part)


def outcomes(samples, release):
    return {study.id: study.outcome for study in cache_studies(samples, release)}


@pytest.fixture(scope="module")
def complete(scan, release, tmp_path_factory):
    """Sample of labels that reach all calcium, with which the others are compared."""
    root = tmp_path_factory.mktemp("complete")
    name = named("nifti", "train")
    write_nifti(root / "in", name, *scan)
    ((_, path),) = samples = dataset_samples("nifti", root / "in", root / "out")
    assert outcomes(samples, release) == {name: "made"}
    return load(path)


def test_every_form_of_dataset_that_is_read_is_tested():
    assert set(WRITERS) == set(READERS)


@pytest.mark.parametrize("dataset", WRITERS)
def test_a_dataset_becomes_samples_by_patient(dataset, scan, release, complete, tmp_path):
    names = {part: named(dataset, part) for part in ("train", "validation", "test")}
    for part, name in names.items():
        if part != "validation":
            WRITERS[dataset](tmp_path / "in", name, *scan)
    samples = dataset_samples(dataset, tmp_path / "in", tmp_path / "out")
    assert [path.parent.name for _, path in samples] == ["train"]
    assert outcomes(samples, release) == {names["train"]: "made"}
    sample = load(samples[0][1])
    assert np.array_equal(sample.at, complete.at)
    known = complete.calcium != UNKNOWN
    for artery in (Label.LCX, Label.RCA):
        assert (sample.calcium[complete.calcium == artery] == artery).all()
    left = sample.calcium[np.isin(complete.calcium, (Label.LM, Label.LAD))]
    elsewhere = {Label.BACKGROUND, Label.AORTIC_VALVE, OTHER_OR_METAL}
    assert elsewhere <= set(np.unique(complete.calcium).tolist())
    others = sample.calcium[np.isin(complete.calcium, list(elsewhere))]
    if dataset in ("nifti", "corrections"):
        assert np.array_equal(sample.calcium, complete.calcium)
    else:
        assert set(np.unique(left).tolist()) == ({LM_OR_LAD} if dataset == "orcascore" else {Label.LM, Label.LAD})
        assert (others == NOT_CORONARY).all()
        assert NOT_CORONARY in sample.calcium[known]
    for dense in (sample.tissue, sample.territory, sample.heart):
        assert (dense == UNKNOWN).all()


def test_a_damaged_study_is_named_and_the_next_run_goes_on(scan, release, tmp_path):
    names = [str(n) for n in range(100) if split_of(str(n), "nifti") == "train"][:3]
    for name in names[:2]:
        write_nifti(tmp_path / "in", name, *scan)
    damaged = tmp_path / "in" / "images" / f"{names[0]}.nii.gz"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:2000])
    samples = dataset_samples("nifti", tmp_path / "in", tmp_path / "out")
    first, second = cache_studies(samples, release)
    assert (first.outcome, second.outcome) == ("left out", "made")
    assert damaged.name in first.reason
    damaged.write_bytes(whole)
    assert outcomes(samples, release) == {names[0]: "made", names[1]: "kept"}
    write_nifti(tmp_path / "in", names[2], scan[0].with_voxels(np.full_like(scan[0].voxels, -1000)), scan[1] * 0)
    newer = samples[1][1].stat().st_mtime + 10
    os.utime(tmp_path / "in" / "labels" / f"{names[1]}.nii.gz", (newer, newer))
    again = list(cache_studies(dataset_samples("nifti", tmp_path / "in", tmp_path / "out"), release))
    assert [study.outcome for study in again] == ["kept", "made", "left out"]
    assert "no heart was found" in again[2].reason


def test_labels_that_became_unreadable_leave_no_old_sample_behind(scan, release, tmp_path):
    name = named("nifti", "train")
    write_nifti(tmp_path / "in", name, *scan)
    samples = dataset_samples("nifti", tmp_path / "in", tmp_path / "out")
    assert outcomes(samples, release) == {name: "made"}
    labels = tmp_path / "in" / "labels" / f"{name}.nii.gz"
    labels.write_bytes(b"no label map")
    os.utime(labels, (2e9, 2e9))
    assert outcomes(samples, release) == {name: "left out"}
    assert not samples[0][1].exists()


def test_a_manifest_decides_and_a_study_never_moves_between_the_parts_unnoticed(scan, release, tmp_path):
    write_orcascore(tmp_path / "in", "A1", *scan)
    manifest = tmp_path / "split.csv"

    def samples_with(part):
        write_manifest([ManifestEntry("A1", "A1", part)], manifest)
        return dataset_samples("orcascore", tmp_path / "in", tmp_path / "out", manifest)

    assert samples_with("test") == ()
    assert [path.parent.name for _, path in samples_with("validation")] == ["validation"]
    assert outcomes(samples_with("train"), release) == {"A1": "made"}
    for part in ("validation", "test"):
        with pytest.raises(UsageError, match=f"belongs to {part}, but .*A1.npz was made for train"):
            samples_with(part)


def test_two_studies_of_one_name_are_refused(scan, release, tmp_path):
    write_orcascore(tmp_path / "in", "A1", *scan)
    (source,) = sources_of("orcascore", tmp_path / "in")
    with pytest.raises(UsageError, match="Two studies would share"):
        list(cache_studies([(source, tmp_path / "a.npz"), (source, tmp_path / "a.npz")], release))


def test_a_table_names_its_own_studies(scan, release, complete, tmp_path):
    write_nifti(tmp_path / "in", "one", *scan)
    table = tmp_path / "studies.csv"
    table.write_text("image,labels,label_scope,group\nin/images/one.nii.gz,in/labels/one.nii.gz,coronary,ward\n")
    samples = table_samples(table, tmp_path / "out")
    assert outcomes(samples, release) == {"in/images/one.nii.gz": "made"}
    assert outcomes(samples, release) == {"in/images/one.nii.gz": "kept"}
    sample = load(tmp_path / "out" / "in%2Fimages%2Fone.nii.gz.npz")
    assert (sample.calcium[complete.calcium == Label.BACKGROUND] == NOT_CORONARY).all()
    assert (sample.calcium[complete.calcium == Label.AORTIC_VALVE] == Label.AORTIC_VALVE).all()
    (source,) = table_sources(table)
    assert source.load().facts["group"] == "ward"


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ("a.nii.gz,", UnreadableError, "line 2: expected values for image and labels"),
        ("a,b,\na,c,", UsageError, "line 3: a stands there twice"),
        ("a,b,valves", UsageError, "line 2: label_scope 'valves'"),
    ],
)
def test_a_wrong_table_says_where(rows, error, message, tmp_path):
    table = tmp_path / "studies.csv"
    table.write_text(f"image,labels,label_scope\n{rows}\n")
    with pytest.raises(error, match=message):
        table_sources(table)
    with pytest.raises(UnreadableError, match="cannot be read"):
        table_sources(tmp_path / "none.csv")


def test_the_recipe_says_what_is_wrong(tmp_path, capsys):
    assert recipe.main(["cache", "--dataset", "coca", str(tmp_path), str(tmp_path / "out")]) == 4
    assert "is not COCA's gated release" in capsys.readouterr().err
    (tmp_path / "studies.csv").write_text("image,labels\nnone.nii.gz,none.nii.gz\n")
    assert recipe.main(["cache", str(tmp_path / "studies.csv"), str(tmp_path / "out")]) == 4
    said = capsys.readouterr()
    assert "none.nii.gz left out" in said.out
    assert "0 made, 0 kept, 1 left out" in said.out
    assert "none of 1 studies can be trained on" in said.err
    assert recipe.main(["guard", str(tmp_path / "studies.csv"), "cacseg-unet-1"]) == 2
    assert "There is no study to compare" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_whole_recipe_from_the_release_on_a_dataset(scan, cache_dir, tmp_path, capsys, monkeypatch):
    data, cache, after = tmp_path / "orcascore", tmp_path / "cache", tmp_path / "hospital"
    for part in ("train", "validation", "test"):
        write_orcascore(data, named("orcascore", part), *scan)
    assert recipe.main(["cache", "--dataset", "orcascore", str(data), str(cache)]) == 0
    assert "2 made, 0 kept, 0 left out" in capsys.readouterr().out
    settings = yaml.safe_load((ROOT / "configs" / "train" / "finetune.yaml").read_text())
    settings["trainer"] |= {"max_steps": 2, "log_every_n_steps": 1, "accelerator": "cpu"}
    settings["trainer"]["logger"] = settings["trainer"]["logger"][:1]
    settings["trainer"]["callbacks"][0]["init_args"]["every_n_train_steps"] = 1
    settings["model"]["start_from"] = str(ROOT / settings["model"]["start_from"])
    settings["data"] |= {
        "folders": {str(cache / "train"): 1.0, str(cache_dir): 1.0},
        "validation_folder": str(cache / "validation"),
        "steps_per_epoch": 2,
        "workers": 0,
        "widths": {112: 1.0},
    }
    monkeypatch.chdir(tmp_path)
    Path("finetune.yaml").write_text(yaml.safe_dump(settings))
    assert train(["--config", "finetune.yaml"]) == 0
    metrics = Path("runs/finetune/metrics.csv").read_text().splitlines()
    assert "val/f1_coronary" in metrics[0]
    export(Path("runs/finetune/checkpoints/last.ckpt"), after, name="hospital", volumes=1, patients=1)
    capsys.readouterr()
    code = recipe.main(["guard", "--dataset", "orcascore", str(data), str(after), "--before", "cacseg-unet-1"])
    table = json.loads(capsys.readouterr().out)
    assert code == (1 if table["worse"] or table["lost"] else 0)
    for side in ("before", "after"):
        assert table["groups"]["all"][side]["studies"] == 1
        assert table["groups"]["all"][side]["f1_lm"] == 1.0  # counted as LAD, so there is none to find or to miss
        assert 0 <= table["groups"]["all"][side]["f1_lad"] <= 1
