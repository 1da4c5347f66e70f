"""Names that are not UTF-8: the case is named and skipped, and nothing ends the process."""

import os

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_fair.dataset_conversion.checks import read_grid, read_image
from nnunet_fair.dataset_conversion.findings import CaseProblem
from nnunet_fair.files import is_utf8
from nnunet_fair.masks.reading import CaseProblemError, read_mask


@pytest.fixture
def odd(tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((2, 3, 4), np.uint8)), str(tmp_path / "a.nii.gz"))
    name = os.fsencode(tmp_path) + b"/B\xff.nii.gz"
    try:
        os.rename(os.fsencode(tmp_path / "a.nii.gz"), name)  # noqa: PTH104 (a name as bytes)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    return next(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "expected"), [("a", True), ("Größe\n", True), ("B\udcff", False), ("\ud800", False)])
def test_which_names_are_utf8(name, expected):
    assert is_utf8(name) is expected


def test_a_case_with_such_a_name_is_a_problem_of_that_case(odd):
    with pytest.raises(CaseProblemError, match="its name is not UTF-8; rename it"):
        read_mask(odd)
    for read in (read_grid, read_image):
        with pytest.raises(CaseProblem) as caught:
            read(odd)
        assert "not UTF-8" in caught.value.finding.detail
