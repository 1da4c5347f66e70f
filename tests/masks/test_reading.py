import gzip

import nibabel
import numpy as np
import pytest

from nnunet_fair.errors import UserError
from nnunet_fair.masks.reading import read_mask


@pytest.fixture
def array():
    return np.random.default_rng(0).integers(0, 2, (5, 6, 7)).astype(np.uint8)


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
