import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_fair.masks.reading import read_mask
from nnunet_fair.masks.writing import Patch, apply_patches, write_mask


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


def test_2d_png_round_trip(tmp_path, read_array):
    array = np.uint8([[0, 1, 0], [1, 1, 0]])
    sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / "a.png"))
    mask = read_mask(tmp_path / "a.png")
    assert mask.array.shape == (1, 2, 3)
    patch = Patch((slice(0, 1), slice(0, 2), slice(0, 3)), 1 - mask.array)
    write_mask(mask, tmp_path / "b.png", [patch])
    assert np.array_equal(read_array(tmp_path / "b.png"), 1 - array)
