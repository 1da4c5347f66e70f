from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nnunet_fair.errors import UserError
from nnunet_fair.metadata.case_table import read_case_table
from nnunet_fair.metadata.coverage import attribute_counts
from nnunet_fair.metadata.mama_mia import attribute_names, build_attributes, challenge_groups

LMP = "since LMP AND no prior bilateral ovariectomy AND not on estrogen replacement)"
RAW = pd.DataFrame(
    {
        "age": [40.0, 40.5, 50.0, 60.0, 70.0, 71.0, np.nan],
        "menopause": [
            "post",
            "pre",
            f"pre (<6 months {LMP}",
            f"pre (< 6 months {LMP}",
            f"peri (6-12 months {LMP}",
            "Post",
            None,
        ],
        "breast_density": ["a", "B", "c", "d", None, "a", "a"],
    },
    index=[f"P{i}" for i in range(7)],
)


def test_challenge_groups_by_hand():
    groups = challenge_groups(RAW)
    assert list(groups.columns) == ["age", "menopausal_status", "breast_density"]
    assert groups["age"].tolist()[:6] == ["0-40", "41-50", "41-50", "51-60", "61-70", "71+"]
    assert pd.isna(groups.loc["P6", "age"])
    assert groups["menopausal_status"].tolist() == ["post", "pre", "pre", "pre", "pre", "post", "unknown"]
    assert groups["breast_density"].tolist()[:4] == ["a", "b", "c", "d"]
    assert pd.isna(groups.loc["P4", "breast_density"])


def test_challenge_groups_of_groups_are_the_same_groups():
    once = challenge_groups(RAW)
    pd.testing.assert_frame_equal(challenge_groups(once), once)


def test_groups_of_another_dataset_stay_as_they_are():
    frame = pd.DataFrame(
        {"age": [">0 to 40", ">40 to 60", "unknown"], "site": ["Site A", "a=b", "0"], "pr": ["1", "0", None]},
        dtype=object,
    )
    groups = challenge_groups(frame, ["age", "site", "pr"])
    assert groups["age"].tolist() == frame["age"].tolist()
    assert groups["site"].tolist() == frame["site"].tolist()
    assert groups["pr"].tolist()[:2] == ["1", "0"]


def test_ages_that_are_partly_text_are_refused():
    with pytest.raises(UserError, match="'age': 1 of 2"):
        challenge_groups(pd.DataFrame({"age": [41, "about 50"]}), ["age"])
    assert challenge_groups(pd.DataFrame({"age": [41, "unknown", "71+"]}), ["age"])["age"].tolist() == [
        "41-50",
        "unknown",
        "71+",
    ]


def test_training_groups_keep_missing_menopause_missing():
    assert pd.isna(build_attributes(RAW)["menopause"]["P6"])


def test_challenge_groups_take_other_variables_and_name_absent_ones():
    frame = RAW.assign(scanner=["x"] * 7, dataset=["DUKE"] * 7)
    groups = challenge_groups(frame, ["scanner", "centre"])
    assert groups["scanner"].unique().tolist() == ["x"]
    assert groups["centre"].unique().tolist() == ["DUKE"]
    with pytest.raises(UserError, match="did you mean 'scanner'"):
        challenge_groups(frame, ["scaner"])
    with pytest.raises(UserError, match="no column for 'breast_density'"):
        challenge_groups(frame.drop(columns="breast_density"))


@pytest.mark.parametrize(
    ("attribute", "column", "raw", "expected"),
    [
        ("site", "site", ["Site AAI", "AAI ", "AAI", 4493], ["AAI", "AAI", "AAI", "4493"]),
        (
            "ethnicity",
            "ethnicity",
            ["hawaian", "hawaiian/pacific islander", "native american", "american indian", "caucasian"],
            ["hawaiian/pacific islander"] * 2 + ["american indian/alaskan native"] * 2 + ["caucasian"],
        ),
        ("field_strength", "field_strength", [1.5, 3.0, 3], ["1.5 T", "3 T", "3 T"]),
        ("implant", "has_implant", [0, 1.0, "1"], ["no", "yes", "yes"]),
        ("plane", "view", ["axial", "sagittal"], ["axial", "sagittal"]),
        ("centre", "dataset", ["ISPY2", "NACT"], ["ISPY2", "NACT"]),
        ("manufacturer", "manufacturer", ["GE", "SIEMENS", "Philips "], ["GE", "SIEMENS", "Philips"]),
        ("subtype", "tumor_subtype", ["luminal_a"], ["luminal_a"]),
        ("bmi", "bmi_group", ["obesity_class_1"], ["obesity_class_1"]),
        # 20 mm and 50 mm spheres have 4188.8 and 65449.8 mm³
        (
            "tumor_size",
            "tumor_volume_mm3",
            [4188, 4190, 65449, 65451],
            ["T1: <=2 cm", "T2: >2-5 cm", "T2: >2-5 cm", "T3: >5 cm"],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_spellings_are_normalised(attribute, column, raw, expected):
    frame = pd.DataFrame({column: pd.Series([*raw, None], dtype=object)})
    groups = build_attributes(frame, [attribute])
    assert list(groups.columns) == [attribute]
    assert groups[attribute].tolist()[:-1] == expected
    assert pd.isna(groups[attribute].iloc[-1])


def test_a_release_without_the_column_gives_missing_values():
    assert build_attributes(RAW.drop(columns="breast_density"))["breast_density"].isna().all()


def test_unknown_attribute_and_unmeasured_volume_are_refused():
    with pytest.raises(UserError, match="did you mean 'manufacturer'"):
        build_attributes(RAW, ["manufacture"])
    with pytest.raises(UserError, match="nnunet_fair convert measures it"):
        build_attributes(RAW, ["tumor_size"])


# Counted from the published table with a spreadsheet's filters and from the dataset paper, not with this package.
PUBLISHED = {
    "centre": {"ISPY2": 980, "DUKE": 291, "ISPY1": 171, "NACT": 64},
    "plane": {"axial": 1271, "sagittal": 235},
    "field_strength": {"1.5 T": 1086, "3 T": 420},
    "manufacturer": {"GE": 966, "SIEMENS": 411, "Philips": 129},
    "multifocal_cancer": {"yes": 539, "no": 807, None: 160},
    "has_implant": {"yes": 30, "no": 1476},
    "menopause": {"post": 420, "pre": 166 + 335 + 142 + 35, None: 408},
}


@pytest.mark.parametrize("attribute", PUBLISHED)
def test_real_table_group_counts(real_table, attribute):
    counts = attribute_counts(build_attributes(read_case_table(real_table).frame, [attribute]))
    found = {None if pd.isna(group) else group: n for group, n in zip(counts["group"], counts["n"], strict=True)}
    assert found == PUBLISHED[attribute]


def test_real_table_ages_and_every_attribute(real_table):
    import openpyxl

    table = read_case_table(real_table)
    assert len(table.frame) == 1506
    workbook = openpyxl.load_workbook(real_table, read_only=True)
    rows = workbook["dataset_info"].iter_rows(values_only=True)
    column = next(rows).index("age")
    ages = [row[column] for row in rows]
    workbook.close()
    limits = {"0-40": (0, 40), "41-50": (40, 50), "51-60": (50, 60), "61-70": (60, 70), "71+": (70, 100)}
    expected = {name: sum(a is not None and low < a <= high for a in ages) for name, (low, high) in limits.items()}
    groups = build_attributes(table.frame, [name for name in attribute_names() if "size" not in name])
    assert groups["age"].value_counts().to_dict() == expected
    assert groups["age"].isna().sum() == 3
    assert not groups["site"].dropna().str.contains(" ").any()
    assert {"hawaian", "native american"}.isdisjoint(groups["ethnicity"].dropna())
