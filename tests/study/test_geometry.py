"""Where slices lie: order, increment, affine, and what is refused."""

import numpy as np
import pytest
import study_build as build

from cacseg.findings import refused
from cacseg.study import read_study


def read(folder, headers):
    return read_study(build.study(folder / "study", headers))


def oriented(column_axis, row_axis, first, step):
    """A chest written with given directions: along a row, down a column, position of slice 0, step per slice."""
    hu = build.chest()
    return build.series(
        hu,
        ImageOrientationPatient=lambda i: [*column_axis, *row_axis],
        ImagePositionPatient=lambda i: [float(f + i * s) for f, s in zip(first, step, strict=True)],
    )


ORIENTATIONS = {
    "head-first-supine": ((1, 0, 0), (0, 1, 0), (-120, -120, 0), (0, 0, 3)),
    "feet-first, written downwards": ((1, 0, 0), (0, 1, 0), (-120, -120, 105), (0, 0, -3)),
    "prone": ((-1, 0, 0), (0, -1, 0), (120, 120, 0), (0, 0, 3)),
    "decubitus-left": ((0, 1, 0), (-1, 0, 0), (120, -120, 0), (0, 0, 3)),
    "decubitus-right": ((0, -1, 0), (1, 0, 0), (-120, 120, 0), (0, 0, 3)),
    "seen from above": ((-1, 0, 0), (0, 1, 0), (120, -120, 0), (0, 0, 3)),
}


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_every_voxel_lies_where_its_own_header_says(name, tmp_path):
    headers = oriented(*ORIENTATIONS[name])
    reading = read(tmp_path, headers)
    volume = reading.chosen.volume
    axes = volume.affine[:3, :3]
    assert np.dot(np.cross(axes[:, 2], axes[:, 1]), axes[:, 0]) > 0, "slices ascend along row x column direction"
    for slice_index in (0, 7, 35):
        source = reading.chosen.sources[slice_index]
        expected = np.array(source.ImagePositionPatient, float)
        np.testing.assert_allclose(volume.to_world([[slice_index, 0, 0]])[0], expected, atol=1e-9)
        right = np.array(source.ImageOrientationPatient[:3], float) * build.PIXEL_MM
        down = np.array(source.ImageOrientationPatient[3:], float) * build.PIXEL_MM
        np.testing.assert_allclose(
            volume.to_world([[slice_index, 2, 5]])[0], expected + 5 * right + 2 * down, atol=1e-9
        )
        original = next(h for h in headers if h.SOPInstanceUID == source.SOPInstanceUID)
        stored = np.frombuffer(original.PixelData, "<u2").reshape(96, 96).astype(int) - 1024
        np.testing.assert_array_equal(volume.voxels[slice_index], stored)


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_a_lying_body_is_read_without_refusal_in_every_position(name, tmp_path):
    assert not refused(read(tmp_path, oriented(*ORIENTATIONS[name])).findings)


@pytest.mark.parametrize("degrees", [3, 9])
def test_oblique_slices_keep_their_angle_in_the_affine(degrees, tmp_path):
    angle = np.radians(degrees)
    down = np.array([0, np.cos(angle), np.sin(angle)])
    normal = np.cross([1, 0, 0], down)
    reading = read(tmp_path, oriented((1, 0, 0), tuple(down), (-120, -120, 0), tuple(3 * normal)))
    volume = reading.chosen.volume
    np.testing.assert_allclose(volume.affine[:3, 0], 3 * normal, atol=1e-9)
    np.testing.assert_allclose(volume.spacing_mm, (3, 2.5, 2.5), atol=1e-9)


def test_slices_beyond_the_tolerance_are_not_axial(tmp_path):
    angle = np.radians(12)
    down = np.array([0, np.cos(angle), np.sin(angle)])
    reading = read(tmp_path, oriented((1, 0, 0), tuple(down), (-120, -120, 0), tuple(3 * np.cross([1, 0, 0], down))))
    assert {f.code for f in reading.findings if f.severity == "refusal"} == {"not-axial"}
    assert reading.chosen is None


def test_increment_comes_from_positions_not_from_thickness(tmp_path):
    headers = build.series(SliceThickness="3", ImagePositionPatient=lambda i: [-120.0, -120.0, 1.5 * i])
    reading = read(tmp_path, [*headers])
    codes = {f.code for f in reading.findings}
    assert reading.chosen.volume.spacing_mm[0] == pytest.approx(1.5)
    assert "overlapping-slices" in codes


def test_gaps_between_thin_slices_are_found(tmp_path):
    reading = read(tmp_path, build.series(SliceThickness="1"))
    assert {"gapped-slices", "thickness-not-standard"} <= {f.code for f in reading.findings}


def test_non_square_pixels_and_other_matrices(tmp_path):
    hu = build.chest()[:, 8:88, 4:92]
    reading = read(tmp_path, build.series(hu, PixelSpacing=[2.5, 2.4]))
    assert reading.chosen.volume.shape == (36, 80, 88)
    assert reading.chosen.volume.spacing_mm == pytest.approx((3, 2.5, 2.4))


def test_a_large_matrix_is_not_cropped(tmp_path):
    hu = np.repeat(np.repeat(build.chest(), 8, axis=1), 8, axis=2)
    reading = read(tmp_path, build.series(hu, PixelSpacing=[2.5 / 8, 2.5 / 8]))
    assert reading.chosen.volume.shape == (36, 768, 768)


def test_order_of_files_and_their_names_change_nothing(tmp_path):
    rng = np.random.default_rng(3)
    headers = build.series()
    first = read(tmp_path / "a", headers)
    order = rng.permutation(len(headers))
    for index, header in zip(rng.permutation(len(headers)), headers, strict=True):
        header.InstanceNumber = int(index) + 1
    names = [f"{rng.integers(1 << 60):x}" for _ in headers]
    second = read_study(build.study(tmp_path / "b", [headers[i] for i in order], lambda i: names[i]))
    np.testing.assert_array_equal(first.chosen.volume.voxels, second.chosen.volume.voxels)
    np.testing.assert_array_equal(first.chosen.volume.affine, second.chosen.volume.affine)
    assert first.ledger == second.ledger


def test_a_tie_of_two_equal_series_is_always_broken_alike(tmp_path):
    def both(order):
        series = [build.series(uid=f"{build.STUDY}.{n}") for n in (5, 6)]
        folder = tmp_path / "".join(map(str, order))
        for place, which in enumerate(order):
            build.study(folder / str(place), series[which])
        return read_study(folder)

    assert both((0, 1)).chosen.acquisition == both((1, 0)).chosen.acquisition


def test_gantry_tilt_is_refused_by_name(tmp_path):
    angle = np.radians(5)
    headers = oriented((1, 0, 0), (0, float(np.cos(angle)), float(np.sin(angle))), (-120, -120, 0), (0, 0, 3))
    finding = next(f for f in read(tmp_path, headers).findings if f.severity == "refusal")
    assert finding.code == "gantry-tilt"
    assert "5.0 degrees" in finding.message


@pytest.mark.parametrize(
    ("permutation", "flips"), [((0, 1, 2), (1, 1, 1)), ((1, 0, 2), (-1, 1, 1)), ((2, 1, 0), (1, -1, -1))]
)
def test_nifti_is_turned_to_axial_whatever_its_axes(permutation, flips, tmp_path):
    path = build.nifti(tmp_path / "scan.nii.gz", permutation=permutation, flips=flips)
    volume = read_study(path).chosen.volume
    np.testing.assert_array_equal(volume.voxels, np.maximum(build.chest(), -1024))
    np.testing.assert_allclose(volume.affine[:3, 3], (-120, -120, 0), atol=1e-4)
    np.testing.assert_allclose(volume.spacing_mm, (3, 2.5, 2.5), atol=1e-5)


def test_nifti_keeps_fractions_as_float32(tmp_path):
    hu = build.chest().astype(np.float32) + 0.25
    volume = read_study(build.nifti(tmp_path / "scan.nii", hu, dtype=np.float32)).chosen.volume
    assert volume.voxels.dtype == np.float32
    np.testing.assert_allclose(volume.voxels, np.maximum(hu, -1024))


def test_nifti_says_that_nothing_is_known_of_the_acquisition(tmp_path):
    reading = read_study(build.nifti(tmp_path / "scan.nii"))
    assert {"acquisition-unknown", "kvp-unknown"} <= {f.code for f in reading.findings}
    assert reading.chosen.sources == ()
    assert reading.study_instance_uid is None


def test_a_sheared_nifti_grid_is_refused(tmp_path):
    from cacseg.volume import Volume

    affine = Volume.axial(build.chest(), (3.0, 2.5, 2.5)).ras_affine()
    affine[1, 2] = 0.4
    codes = {
        f.code for f in read_study(build.nifti(tmp_path / "x.nii", affine=affine)).findings if f.severity == "refusal"
    }
    assert codes == {"gantry-tilt"}
