from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_fair.errors import UserError
from nnunet_fair.metadata.label_volume import label_volume, label_volumes


@pytest.fixture
def label(tmp_path):
    """3 voxels of label 1, 2 of label 2 and 5 of label 9 at 0.5 × 2 × 3 mm."""
    array = np.zeros((4, 5, 6), dtype=np.uint8)
    array.ravel()[:10] = [1, 1, 1, 2, 2, 9, 9, 9, 9, 9]
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((0.5, 2.0, 3.0))
    sitk.WriteImage(image, str(tmp_path / "a.nii.gz"))
    return tmp_path / "a.nii.gz"


def test_volume_in_cubic_millimetres(label):
    assert label_volume(label) == pytest.approx(10 * 3.0)
    assert label_volume(label, ignore_label=9) == pytest.approx(5 * 3.0)


def test_cases_without_a_reference_are_missing(label):
    volumes = label_volumes(["x", "a"], {"a": label}, ignore_label=9)
    assert volumes.index.tolist() == ["x", "a"]
    assert np.isnan(volumes["x"])
    assert volumes["a"] == pytest.approx(15)


def test_a_broken_file_is_named(tmp_path):
    (tmp_path / "b.nii.gz").write_bytes(b"not an image")
    with pytest.raises(UserError, match=r"b\.nii\.gz cannot be read"):
        label_volume(tmp_path / "b.nii.gz")
