import gzip

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_fair.errors import UserError
from nnunet_fair.masks.mask_files import Patch, apply_patches, case_id_of, list_masks, read_mask, write_mask


@pytest.fixture
def array():
    return np.random.default_rng(0).integers(0, 2, (5, 6, 7)).astype(np.uint8)


def test_round_trip_keeps_geometry_header_and_type(tmp_path, write_image, array):
    source = write_image(array, tmp_path / "a.nii.gz")
    mask = read_mask(source)
    whole = mask.array.copy()
    assert mask.spacing == pytest.approx((2.5, 0.8, 0.7))
    assert mask.voxel_mm3 == pytest.approx(1.4)
    patches = [Patch((slice(1, 3), slice(2, 3), slice(0, 7)), np.full((2, 1, 7), 3, np.uint8))]
    changed = apply_patches(whole, patches)
    assert changed[1:3, 2].tolist() == [[3] * 7] * 2
    assert (changed != whole).sum() == 14
    write_mask(mask, tmp_path / "b.nii.gz", patches)
    before, after = nibabel.load(source), nibabel.load(tmp_path / "b.nii.gz")
    assert after.get_data_dtype() == np.uint8
    for field in before.header:
        if field not in ("scl_slope", "scl_inter"):  # NaN in both
            assert np.array_equal(before.header[field], after.header[field]), field
    assert np.array_equal(np.asarray(after.dataobj).T, changed)


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".nrrd", ".mha"])
def test_a_file_cut_short_is_refused(tmp_path, write_image, array, ending):
    whole = write_image(array, tmp_path / f"a{ending}")
    assert np.array_equal(read_mask(whole).array, array)
    cut = tmp_path / f"cut{ending}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 3 // 4])
    with pytest.raises(UserError, match="cut short"):
        read_mask(cut)


def test_a_gzip_file_of_several_streams_is_whole(tmp_path, write_image, array):
    content = gzip.decompress(write_image(array, tmp_path / "a.nii.gz").read_bytes())
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(content[:400]) + gzip.compress(content[400:]))
    assert np.array_equal(read_mask(tmp_path / "b.nii.gz").array, array)
    (tmp_path / "c.nii.gz").write_bytes(gzip.compress(content[:400]))
    with pytest.raises(UserError, match="cut short"):
        read_mask(tmp_path / "c.nii.gz")


@pytest.mark.parametrize(
    ("values", "expected"), [(np.float32([0, 1]), np.uint8), (np.float64([0, 300]), np.uint16)], ids=["1", "300"]
)
def test_whole_numbers_stored_as_floats_are_taken(tmp_path, write_image, values, expected):
    mask = read_mask(write_image(values.reshape(1, 1, 2), tmp_path / "a.nii.gz"))
    assert mask.array.dtype == expected
    assert mask.array.ravel().tolist() == values.tolist()
    assert not mask.as_stored


@pytest.mark.parametrize(
    "values", [np.float32([0, 0.5]), np.float32([0, np.nan]), np.int16([0, -1])], ids=["half", "nan", "negative"]
)
def test_other_values_are_refused(tmp_path, write_image, values):
    # Not NIfTI: its reader turns NaN into 0 before anyone sees it.
    with pytest.raises(UserError, match=r"0 or more"):
        read_mask(write_image(values.reshape(1, 1, 2), tmp_path / "a.mha"))


def test_four_axes_are_refused(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 2, 2, 3), np.uint8), np.eye(4)), tmp_path / "a.nii.gz")
    with pytest.raises(UserError, match="2D or 3D"):
        read_mask(tmp_path / "a.nii.gz")


def test_2d_png_round_trip(tmp_path, read_array):
    array = np.uint8([[0, 1, 0], [1, 1, 0]])
    sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / "a.png"))
    mask = read_mask(tmp_path / "a.png")
    assert mask.array.shape == (1, 2, 3)
    patch = Patch((slice(0, 1), slice(0, 2), slice(0, 3)), 1 - mask.array)
    write_mask(mask, tmp_path / "b.png", [patch])
    assert np.array_equal(read_array(tmp_path / "b.png"), 1 - array)


def test_list_masks_takes_masks_only(tmp_path):
    for name in ("B.nii.gz", "A.nii.gz", "dataset.json", "A.npz", "A.pkl", ".hidden.nii.gz"):
        (tmp_path / name).touch()
    assert list(list_masks(tmp_path)) == ["A", "B"]
    (tmp_path / "A.nrrd").touch()
    with pytest.raises(UserError, match="two masks of A"):
        list_masks(tmp_path)


def test_case_ids_keep_their_dots():
    assert case_id_of("x/ISPY1_1001.v2.nii.gz") == "ISPY1_1001.v2"
    assert case_id_of("dataset.json") is None
