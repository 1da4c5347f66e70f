from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from nnunet_fair.cli import main
from nnunet_fair.errors import UserError
from nnunet_fair.metadata.case_metadata import write_metadata
from nnunet_fair.metadata.case_table import TableReading
from nnunet_fair.metadata.fair_cases import read_fair_cases

CSV = """pid,sex,age,site,bmi
PAT_1,f,30,a=b,20
pat_2,m,40,a=b,21
pat_3,f,41,C,22
pat_4,,60,C,23
pat_5,m,61,C,24
pat_6,f,,C,25
pat_7,f,130,C,26
pat_8,m,50,C,27
pat_11,m,50,C,28
other,f,50,C,90
,,48,,
"""


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "patients.csv"
    path.write_text(CSV)
    return path


def test_fair_cases_of_any_dataset(heart_dataset, table):
    result = write_metadata(
        27, table, ["sex", "age:0,40,60,120", "site", "bmi:quantiles=3"], reading=TableReading("pid")
    )
    assert result.fair_cases == heart_dataset / "fair_cases.csv"
    groups = read_fair_cases(result.fair_cases)
    assert groups.index.tolist() == ["pat_1", *[f"pat_{i}" for i in range(2, 9)], "pat_11"]
    assert groups.loc["pat_1"].tolist() == ["f", "0 to 40", "a=b", "20 to 22.67"]
    assert groups.loc["pat_3", "age"] == ">40 to 60"
    # thirds of 20…28: 22.67 and 25.33; the other patient's 90 plays no part
    assert groups.loc["pat_11", "bmi"] == ">25.33 to 28"
    assert pd.isna(groups.loc["pat_4", "sex"])
    assert pd.isna(groups.loc["pat_6", "age"])
    assert pd.isna(groups.loc["pat_7", "age"])
    report = "\n".join(result.report)
    assert "11 cases (10 training, 1 test), 10 rows in the table: 9 cases have a row" in report
    assert "1 row without an ID left out" in report
    assert "2 cases without a row (training treats them neutrally): 'pat_10', 'pat_9'" in report
    assert "1 row of other cases: 'other'" in report
    assert "age: 1 value outside 0 to 120, taken as missing" in report
    assert "sex: f 4, m 4; 1 missing" in report
    assert "too small to matter: sex=f (4)" in report


def test_unknown_forms_a_group_only_where_asked(heart_dataset, table):
    groups = read_fair_cases(write_metadata(27, table, ["sex", "age:0,60,inf"], unknown=["sex"]).fair_cases)
    assert groups.loc["pat_4", "sex"] == "unknown"
    assert pd.isna(groups.loc["pat_6", "age"])


def test_stratify_covers_every_training_case(heart_dataset, table):
    result = write_metadata(27, table, ["sex", "site"], stratify=True, n_folds=5, seed=1)
    folds = json.loads(result.splits.read_text())
    assert result.splits == heart_dataset.parents[1] / "nnUNet_preprocessed" / "Dataset027_Heart" / "splits_final.json"
    assert sorted(case for fold in folds for case in fold["val"]) == sorted(f"pat_{i}" for i in range(1, 11))
    assert [len(fold["val"]) for fold in folds] == [2] * 5
    assert "validation cases of each fold:" in result.report


def test_patients_with_several_cases(heart_dataset, tmp_path):
    (tmp_path / "visits.csv").write_text(
        "id,patient,sex\n" + "".join(f"pat_{i},P{(i - 1) // 2},{'fm'[i % 2]}\n" for i in range(1, 11))
    )
    result = write_metadata(27, tmp_path / "visits.csv", ["sex"], stratify=True, patient_column="patient", n_folds=5)
    folds = json.loads(result.splits.read_text())
    assert {frozenset(fold["val"]) for fold in folds} == {
        frozenset({f"pat_{i}", f"pat_{i + 1}"}) for i in range(1, 11, 2)
    }


def test_label_volume_is_measured_on_the_labels(heart_dataset, table):
    for number in range(1, 11):
        mask = np.zeros((8, 8), dtype=np.uint8)
        mask.ravel()[: 4 * number] = 1
        sitk.WriteImage(sitk.GetImageFromArray(mask), str(heart_dataset / "labelsTr" / f"pat_{number}.png"))
    groups = read_fair_cases(write_metadata(27, table, ["label_volume:0,10,20,64"]).fair_cases)
    # 4, 8, 12, …, 32 pixels; the test case has no label
    assert groups["label_volume"].tolist()[:8] == ["0 to 10"] * 2 + [">10 to 20"] * 3 + [">20 to 64"] * 3
    assert pd.isna(groups.loc["pat_11", "label_volume"])


def test_groups_of_label_volumes_are_listed_by_value_and_readable(heart_dataset, table):
    """Labels of 4, 8, … voxels of 1 cm³: patient k has 4k mL."""
    (heart_dataset / "dataset.json").write_text(json.dumps({"file_ending": ".nii.gz", "labels": {"background": 0}}))
    for number in range(1, 11):
        (heart_dataset / "labelsTr" / f"pat_{number}.png").unlink()
        mask = np.zeros((4, 8, 8), dtype=np.uint8)
        mask.ravel()[: 4 * number] = 1
        image = sitk.GetImageFromArray(mask)
        image.SetSpacing((10.0, 10.0, 10.0))
        sitk.WriteImage(image, str(heart_dataset / "labelsTr" / f"pat_{number}.nii.gz"))
    result = write_metadata(27, table, ["label_volume:0,8000,30000,40000"], stratify=True, n_folds=2)
    # patients 1 to 8 have a row, and 4, 8, …, 32 mL
    assert "label_volume: 0 to 8 mL 2, >8 to 30 mL 5, >30 to 40 mL 1" in result.report
    balance = "\n".join(result.report).partition("validation cases")[2]
    assert balance.index("0 to 8 mL") < balance.index(">8 to 30 mL") < balance.index(">30 to 40 mL")
    assert read_fair_cases(result.fair_cases)["label_volume"]["pat_1"] == "0 to 8 mL"


def test_nothing_is_replaced_without_overwrite(heart_dataset, table):
    splits = heart_dataset.parents[1] / "nnUNet_preprocessed" / "Dataset027_Heart" / "splits_final.json"
    splits.parent.mkdir()
    splits.write_text("[]")
    with pytest.raises(UserError, match=r"splits_final\.json exists; `overwrite`"):
        write_metadata(27, table, ["sex"], stratify=True)
    assert splits.read_text() == "[]"
    assert not (heart_dataset / "fair_cases.csv").exists()
    write_metadata(27, table, ["sex"])
    with pytest.raises(UserError, match=r"fair_cases\.csv exists; `overwrite`"):
        write_metadata(27, table, ["age"])
    write_metadata(27, table, ["sex", "site"], stratify=True, overwrite=True)
    assert len(json.loads(splits.read_text())) == 5
    assert "site" in read_fair_cases(heart_dataset / "fair_cases.csv").columns


def test_overwrite_replaces_the_file_in_use(heart_dataset, table):
    preprocessed = heart_dataset.parents[1] / "nnUNet_preprocessed" / "Dataset027_Heart"
    preprocessed.mkdir()
    (preprocessed / "fair_cases.csv").write_text("case_id,x\npat_1,y\n")
    assert write_metadata(27, table, ["sex"], overwrite=True).fair_cases == preprocessed / "fair_cases.csv"
    assert not (heart_dataset / "fair_cases.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--attributes", "sexe"], "did you mean 'sex'"),
        (["--attributes", "age:0,40,30"], "increasing"),
        (["--attributes", "site:0,1"], "are not numbers"),
        (["--attributes", "sex", "sex"], "asked for twice"),
        (["--attributes", "sex", "--unknown", "age"], "none of the attributes"),
        (["--attributes", "sex", "--id-column", "site"], "occurs more than once"),
        (["--attributes", "sex", "--id-column", "bmi"], "none of the 11 cases has a row"),
        (["--attributes", "sex", "--id-column", "pidd"], "did you mean 'pid'"),
        (["--attributes", "label_volume:quantiles=2"], "pat_1.png cannot be read"),
        (["--attributes", "sex", "--patient-column", "sex"], "needs --stratify"),
        (["--attributes", "sex", "--patient-column", "sax", "--stratify"], "no patient column 'sax'"),
        (["--attributes", "sex", "--stratify", "--folds", "11"], "10 cases cannot fill 11 folds"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_bad_input_ends_in_one_sentence_and_writes_nothing(heart_dataset, table, capsys, arguments, message):
    assert main(["metadata", "-d", "27", "--table", str(table), *arguments]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert sum(line.startswith("nnunet_fair metadata: ") for line in error.splitlines()) == 1
    assert not (heart_dataset / "fair_cases.csv").exists()


def test_the_command_prints_coverage_and_where_it_wrote(heart_dataset, table, capsys):
    assert main(["metadata", "-d", "27", "--table", str(table), "--attributes", "sex", "bmi"]) == 0
    printed = capsys.readouterr().out
    assert "sex: f 4, m 4; 1 missing" in printed
    assert f"wrote {heart_dataset / 'fair_cases.csv'}" in printed


def test_a_mama_mia_table_is_grouped_as_in_the_challenge(heart_dataset, cohort):
    table = cohort / "clinical_and_imaging_info.xlsx"
    ids = pd.read_excel(table, sheet_name="dataset_info")["patient_id"].dropna()
    for case_id in ids:
        (heart_dataset / "labelsTr" / f"{case_id.lower()}.png").touch()
    result = write_metadata(27, table, ["age", "menopause", "centre", "site", "weight:quantiles=2"])
    groups = read_fair_cases(result.fair_cases)
    assert groups.index.tolist() == sorted(case_id.lower() for case_id in ids)
    assert set(groups["age"].dropna()) <= {"0-40", "41-50", "51-60", "61-70", "71+"}
    assert set(groups["menopause"].dropna()) == {"pre", "post"}
    assert not groups["site"].dropna().str.contains("Site").any()
    assert "note: 2 rows without an ID left out" in result.report
