"""An output folder is nobody's input and holds nobody else's file."""

import json
import shutil

import pandas as pd
import pytest

from nnunet_fair.cli import main
from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.outputs import CASES, COMPARISON, LEVELLING, REPORT, SCORES, SUBGROUPS, check_outputs

NAMES = (CASES, SCORES, SUBGROUPS, REPORT, COMPARISON, LEVELLING)


def test_an_input_is_not_overwritten(tmp_path):
    (tmp_path / "cases.csv").write_text("patient,age\n1,50\n")
    with pytest.raises(UserError, match=r"cases\.csv is read, and the results would overwrite it"):
        check_outputs(tmp_path, NAMES, [tmp_path / "sub" / ".." / "cases.csv"])
    (tmp_path / "labels").mkdir()
    with pytest.raises(UserError, match="results would be written into it"):
        check_outputs(tmp_path / "labels", NAMES, [None, tmp_path / "labels"])
    (tmp_path / "link").symlink_to(tmp_path / "labels")
    with pytest.raises(UserError, match="results would be written into it"):
        check_outputs(tmp_path / "link", NAMES, [tmp_path / "labels"])
    check_outputs(tmp_path / "labels" / "out", NAMES, [tmp_path / "labels"])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("content", ["mine", "{}", "[" * 100_000, "case_id,age\n1,50\n", "<html>mine</html>", "\x00"])
def test_nobody_elses_file_is_overwritten(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match="was not written by this command"):
        check_outputs(tmp_path, NAMES, [])
    (tmp_path / name).write_text("")
    check_outputs(tmp_path, NAMES, [])


@pytest.fixture
def evaluated(cohort):
    """Two evaluations and a comparison of them."""
    files = ["-m", f"{cohort}/table.csv", "-np", "1", "--resamples", "40", "--overlays", "0"]
    masks = ["-ref", f"{cohort}/labels", "-pred", f"{cohort}/pred"]
    for name in "ab":
        assert main(["evaluate", *masks, *files, "-o", f"{cohort}/{name}"]) == 0
    assert main(["compare", "-a", f"{cohort}/a", "-b", f"{cohort}/b", *files, "-o", f"{cohort}/c"]) == 0
    return cohort, files


def test_own_files_are_known_again(evaluated, capsys):
    cohort, files = evaluated
    check_outputs(cohort / "a", (CASES, SCORES, SUBGROUPS, REPORT), [])
    check_outputs(cohort / "c", (CASES, SUBGROUPS, LEVELLING, COMPARISON, REPORT), [])
    before = (cohort / "a" / "cases.csv").read_bytes()
    assert main(["compare", "-a", f"{cohort}/a", "-b", f"{cohort}/b", *files, "-o", f"{cohort}/a"]) == 1
    assert (cohort / "a" / "cases.csv").read_bytes() == before
    assert "is read, and results would be written into it; give another -o folder" in capsys.readouterr().err


def test_parts_of_another_model_are_not_merged(cohort, capsys):
    shutil.copytree(cohort / "pred", cohort / "other")
    shutil.copy(cohort / "pred" / "CASE_001.nii.gz", cohort / "other" / "CASE_000.nii.gz")
    call = ["-ref", f"{cohort}/labels", "-m", f"{cohort}/table.csv", "-o", f"{cohort}/out", "-np", "1"]
    call += ["--resamples", "40", "--overlays", "0"]
    for part, predictions in enumerate(("other", "pred")):
        parts = ["-num_parts", "2", "-part_id", str(part)]
        assert main(["evaluate", *call, "-pred", f"{cohort}/{predictions}", *parts]) == 0
    merge = ["evaluate", *call, "-pred", f"{cohort}/pred", "--merge"]
    assert main(merge) == 1
    assert "cases were scored from other files than are there now, the first 'CASE_000'" in capsys.readouterr().err
    assert not (cohort / "out" / "cases.csv").exists()

    again = ["evaluate", *call, "-pred", f"{cohort}/pred", "-num_parts", "2", "-part_id", "0"]
    assert main(again) == 0
    assert main(merge) == 0
    record = cohort / "out" / "parts" / "part_0_of_2.json"
    good = record.read_text()
    for content in ("", "{", "[]", "{}", '{"scoring": 1}', "[" * 100_000, "\x00"):
        record.write_text(content)
        assert main(merge) == 1
        assert "score that part again" in capsys.readouterr().err
    record.unlink()
    assert main(merge) == 1
    record.write_text(good)
    table = record.with_suffix(".csv")
    rows = pd.read_csv(table, dtype=str, keep_default_na=False)
    rows.assign(dsc="0.5").to_csv(table, index=False)  # a kill between the table and its record
    assert main(merge) == 1
    assert "a run was interrupted" in capsys.readouterr().err
    assert json.loads(good)["files"]["CASE_000"][0][0] == "CASE_000.nii.gz"
