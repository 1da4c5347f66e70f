from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_fair.masks.paired_masks import read_masks
from nnunet_fair.masks.reading import CaseProblemError

LESION = np.zeros((5, 8, 9), np.uint8)
LESION[1:4, 2:6, 3:7] = 1


def test_masks_are_cropped_to_both_with_spacing_in_array_order(tmp_path, save_mask):
    other = np.zeros_like(LESION)
    other[4, 7, 8] = 1
    reference, prediction, spacing, n_voxels = read_masks(
        save_mask(LESION, tmp_path / "r.nii.gz"), save_mask(other, tmp_path / "p.nii.gz")
    )
    assert spacing == (2.0, 1.0, 1.0) and n_voxels == LESION.size
    assert reference.shape == prediction.shape == (5, 7, 7)
    assert reference.sum() == LESION.sum() and prediction.sum() == 1 and prediction[-1, -1, -1]


def test_a_missing_prediction_is_empty(tmp_path, save_mask):
    reference, prediction, *_ = read_masks(save_mask(LESION, tmp_path / "r.nii.gz"), None)
    assert reference.sum() == LESION.sum() and not prediction.any() and prediction.shape == reference.shape


def test_headers_that_differ_by_rounding_are_one_grid(tmp_path, save_mask):
    reference = save_mask(LESION, tmp_path / "r.nii.gz", spacing=(1.0, 1.0, 2.0))
    prediction = save_mask(LESION, tmp_path / "p.nii.gz", spacing=(1.0001, 1.0, 2.00001), origin=(0.001, 0, 0))
    assert read_masks(reference, prediction)[1].sum() == LESION.sum()


@pytest.mark.parametrize(("shift", "one_grid"), [(0.09, True), (0.11, False), (0.4, False)])
def test_grids_may_differ_by_a_tenth_of_the_smallest_voxel_side(tmp_path, save_mask, shift, one_grid):
    reference = save_mask(LESION, tmp_path / "r.nii.gz", spacing=(0.5, 2.0, 2.0))
    prediction = save_mask(LESION, tmp_path / "p.nii.gz", spacing=(0.5, 2.0, 2.0), origin=(0.0, 0.5 * shift, 0.0))
    if one_grid:
        assert read_masks(reference, prediction)[1].sum() == LESION.sum()
    else:
        with pytest.raises(CaseProblemError, match=f"lies up to {shift} voxels away"):
            read_masks(reference, prediction)


@pytest.mark.parametrize(
    ("array", "spacing", "origin", "message"),
    [
        (LESION[:, :, :-1], (1.0, 1.0, 2.0), None, r"has size 8×8×5 where the reference has 9×8×5"),
        (LESION, (1.0, 1.0, 2.5), None, r"lies up to 2 voxels away"),
        (LESION, (1.0, 1.0, 2.0), (0.0, 3.0, 0.0), r"lies up to 3 voxels away"),
        (LESION[0], (1.0, 1.0), None, r"2-dimensional, its reference 3-dimensional"),
    ],
    ids=["size", "spacing", "origin", "dimension"],
)
def test_another_grid_is_refused(tmp_path, save_mask, array, spacing, origin, message):
    reference = save_mask(LESION, tmp_path / "r.nii.gz")
    prediction = save_mask(array, tmp_path / "p.nii.gz", spacing=spacing, origin=origin)
    with pytest.raises(CaseProblemError, match=message):
        read_masks(reference, prediction)


def test_another_grid_is_resampled_when_asked(tmp_path, save_mask):
    reference = save_mask(LESION, tmp_path / "r.nii.gz")
    coarse = save_mask(LESION[:, 2:, :], tmp_path / "p.nii.gz", origin=(0.0, 2.0, 0.0))
    reference_mask, prediction_mask, *_ = read_masks(reference, coarse, resample=True)
    assert np.array_equal(reference_mask, prediction_mask)


@pytest.mark.parametrize(("labels", "n_voxels"), [((1,), 48), ((2,), 1), ((1, 2), 49)])
def test_named_labels_are_the_foreground(tmp_path, save_mask, labels, n_voxels):
    two = LESION.copy()
    two[0, 0, 0] = 2
    path = save_mask(two, tmp_path / "r.nii.gz")
    assert read_masks(path, path, labels=labels)[0].sum() == n_voxels


def test_unexpected_labels_are_refused(tmp_path, save_mask):
    path = save_mask(LESION * 255, tmp_path / "r.nii.gz")
    with pytest.raises(CaseProblemError, match=r"values 0, 255 where 0 and 1 are expected; name the labels"):
        read_masks(path, None)


def test_unreadable_file_is_named(tmp_path, save_mask):
    (tmp_path / "p.nii.gz").write_bytes(b"not an image")
    with pytest.raises(CaseProblemError, match=r"p\.nii\.gz cannot be read"):
        read_masks(save_mask(LESION, tmp_path / "r.nii.gz"), tmp_path / "p.nii.gz")


def test_colour_image_is_refused(tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((4, 4, 3), np.uint8), isVector=True), str(tmp_path / "c.png"))
    with pytest.raises(CaseProblemError, match="3 channels"):
        read_masks(tmp_path / "c.png", None)


def test_two_dimensional_png(tmp_path, save_mask):
    path = save_mask(LESION[2], tmp_path / "m.png", spacing=(1.0, 1.0))
    reference, _, spacing, _ = read_masks(path, path)
    assert spacing == (1.0, 1.0) and reference.sum() == 16
