"""Tables of features of any origin, put together by case ID."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nnunet_fair.errors import UserError
from nnunet_fair.files import write_csv
from nnunet_fair.metadata.outcome import outcome_values
from nnunet_fair.pcr.clinical_columns import attribute_groups, clinical_values
from nnunet_fair.pcr.feature_tables import read_features
from nnunet_fair.pcr.lesion_features import EMPTY, MASKS


def test_pyradiomics_and_ours_side_by_side(tmp_path):
    ours, theirs = tmp_path / "ours.csv", tmp_path / "radiomics.csv"
    pd.DataFrame(
        {"case_id": ["DUKE_001", "DUKE_002", "DUKE_003"], MASKS: "given", EMPTY: [0, 0, 1], "volume_ml": [1, 2, None]}
    ).to_csv(ours, index=False)
    pd.DataFrame(
        {
            "ID": ["duke_002", "duke_001", "duke_009"],
            "Image": ["a.nrrd", "b.nrrd", "c.nrrd"],
            "diagnostics_Versions_Python": "3.9.1",
            "original_glcm_Contrast": [20.5, 10.5, 90.5],
        }
    ).to_csv(theirs, index=False)
    found = read_features([ours, theirs], "pcr")
    assert found.frame.to_dict("index") == {
        "DUKE_001": {"volume_ml": 1.0, "original_glcm_Contrast": 10.5},
        "DUKE_002": {"volume_ml": 2.0, "original_glcm_Contrast": 20.5},
    }
    assert found.masks == ("given",)
    assert "radiomics.csv: columns that are no numbers are left out: Image, diagnostics_Versions_Python" in found.notes
    assert "1 cases have no row in every table of features and are left out" in found.notes


def test_case_ids_that_look_like_formulas_are_what_they_were(tmp_path):
    write_csv(pd.DataFrame({"case_id": ["=1+1", "-a", "b"], "volume_ml": [1.0, 2.0, 3.0]}), tmp_path / "f.csv")
    assert read_features([tmp_path / "f.csv"]).frame.index.tolist() == ["=1+1", "-a", "b"]


MAMA_MIA = pd.DataFrame(
    {
        "dataset": ["DUKE", "DUKE", "ISPY2"],
        "menopause": ["post", "pre (<6 months since LMP …)", np.nan],
        "tumor_subtype": ["luminal", "her2_pure", "luminal_a"],
        "bilateral_mri": [1, 1, 0],
        "acquisition_times": "[0, 90]",
        "age": [44.0, np.nan, 71.0],
        "pcr": ["yes", "No", np.nan],
    },
    index=["a", "b", "c"],
    dtype=object,
)


def test_clinical_columns_are_numbers_or_categories_in_one_spelling():
    assert clinical_values(MAMA_MIA, "age", "t").tolist() == pytest.approx([44, np.nan, 71], nan_ok=True)
    menopause = clinical_values(MAMA_MIA, "menopause", "t")
    assert menopause.tolist()[:2] == ["post", "pre"]
    assert pd.isna(menopause["c"])
    assert clinical_values(MAMA_MIA, "bilateral_mri", "t", is_category=False).tolist() == [1, 1, 0]
    with pytest.raises(UserError, match="case 'a' has 'post' in column 'menopause', where the model reads a number"):
        clinical_values(MAMA_MIA, "menopause", "t", is_category=False)


def test_outcomes_in_words():
    assert outcome_values(MAMA_MIA, "pcr", "t").tolist() == pytest.approx([1, 0, np.nan], nan_ok=True)


def test_groups_of_mama_mia_and_of_bins():
    groups = attribute_groups(MAMA_MIA, ["menopause", "age:0,50,100"])
    assert groups["menopause"].tolist()[:2] == ["post", "pre"]
    assert groups["age"].tolist()[::2] == ["0 to 50", ">50 to 100"]
    assert pd.isna(groups.loc["b", "age"])
