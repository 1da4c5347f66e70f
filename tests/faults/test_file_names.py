"""Names that are not UTF-8: the case is named and skipped, and nothing ends the process."""

import os

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_fair.cli import main
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


@pytest.mark.slow
def test_evaluate_scores_the_others_and_counts_that_case_once(tmp_path, capsys):
    array = np.zeros((4, 6, 6), np.uint8)
    array[1:3, 1:4, 1:4] = 1
    for folder in ("ref", "pred"):
        for case in ("A_0", "A_1", "A_2", "A_3", "B"):
            (tmp_path / folder).mkdir(exist_ok=True)
            sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / folder / f"{case}.nii.gz"))
        try:
            os.rename(tmp_path / folder / "B.nii.gz", os.fsencode(tmp_path / folder) + b"/B\xff.nii.gz")  # noqa: PTH104
        except OSError:
            pytest.skip("this file system takes UTF-8 names only")
    (tmp_path / "t.csv").write_text("case_id,age\nA_0,old\nA_1,young\nA_2,old\n")
    arguments = ["-ref", tmp_path / "ref", "-pred", tmp_path / "pred", "-m", tmp_path / "t.csv", "-o", tmp_path / "out"]
    options = ["--variables", "age", "-np", "1", "--overlays", "0", "--resamples", "20", "--min-group", "1"]
    assert main(["evaluate", *map(str, arguments), *options]) == 1
    printed = capsys.readouterr()
    text = printed.out + printed.err
    assert "its name is not UTF-8; rename it" in text
    assert "1 of 5 cases could not be scored" in text
    assert "1 of 5 cases have no row in the table" in text  # A_3; no table can name the other
    assert "Traceback" not in text
