from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

import nnunet_fair

IDS = [f"patient_{i:02d}" for i in range(48)]
RNG = np.random.default_rng(0)
METADATA = pd.DataFrame({"sex": ["f", "m"] * 24, "site": ["<s>"] * 24 + ["t"] * 23 + [None]}, IDS)
CASES = pd.DataFrame(
    {"dsc": RNG.uniform(0.4, 0.9, 48) - 0.2 * (METADATA["sex"] == "m"), "norm_hd": RNG.random(48)}, IDS
)
FAST = {"n_resamples": 60}


def test_the_package_offers_its_names_and_loads_them_when_used():
    assert set(nnunet_fair.__all__) <= set(dir(nnunet_fair))
    for name in nnunet_fair.__all__:
        assert getattr(nnunet_fair, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'evaluate_case'"):
        nnunet_fair.evaluate_case  # noqa: B018


@pytest.mark.slow
def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, nnunet_fair; print([m for m in ('numpy', 'pandas', 'torch', 'matplotlib') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_masks_in_memory_score_as_the_same_masks_in_files(tmp_path):
    pairs = {}
    for i in range(3):
        reference = np.zeros((6, 10, 12), np.uint8)
        reference[1:4, 2:7, 3:8] = 2 if i else 0
        prediction = np.roll(reference, i, axis=2)
        pairs[f"c{i}"] = (reference, prediction)
        for array, folder in ((reference, "reference"), (prediction, "prediction")):
            (tmp_path / folder).mkdir(exist_ok=True)
            image = sitk.GetImageFromArray(array)
            image.SetSpacing((0.5, 1.0, 3.0))
            sitk.WriteImage(image, str(tmp_path / folder / f"c{i}.nii.gz"))
    options = {"labels": [2], "empty": "perfect"}
    from_files = nnunet_fair.score_folder(tmp_path / "reference", tmp_path / "prediction", **options)
    in_memory = nnunet_fair.score_pairs(pairs, spacing=(3.0, 1.0, 0.5), **options)
    pd.testing.assert_frame_equal(from_files, in_memory)
    by_case = nnunet_fair.score_pairs(pairs, spacing=dict.fromkeys(pairs, (3.0, 1.0, 0.5)), **options)
    pd.testing.assert_frame_equal(by_case, in_memory)


@pytest.mark.parametrize(
    ("pair", "options", "sentence"),
    [
        ((np.ones((2, 2, 2)), np.ones((2, 2, 3))), {}, "case 'c'.*do not fit together"),
        ((np.full((2, 2, 2), 3), np.ones((2, 2, 2))), {}, "name the labels in `labels`"),
        ((np.ones((2, 2, 2)), np.ones((2, 2, 2))), {"empty": "good"}, "`empty` is one of challenge, perfect, exclude"),
    ],
)
def test_pairs_that_cannot_be_scored_are_refused(pair, options, sentence):
    with pytest.raises(nnunet_fair.UserError, match=sentence):
        nnunet_fair.score_pairs({"c": pair}, spacing=(1, 1, 1), **options)


def test_lesions_of_a_folder_are_described_by_group(tmp_path):
    for i in range(4):
        reference = np.zeros((4, 12, 12), np.uint8)
        reference[1:3, 1:4, 1:4] = 1
        reference[1:3, 8:10, 8:10] = 1
        prediction = reference.copy()
        prediction[:, 6:] = 0
        prediction[0, 11, i] = i > 1
        for array, folder in ((reference, "r"), (prediction, "p")):
            (tmp_path / folder).mkdir(exist_ok=True)
            sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / folder / f"c{i}.nii.gz"))
    cases = nnunet_fair.score_folder(tmp_path / "r", tmp_path / "p")
    lesions = nnunet_fair.score_lesions(tmp_path / "r", tmp_path / "p")
    assert lesions.groupby("kind").size().to_dict() == {"prediction": 6, "reference": 8}
    metadata = pd.DataFrame({"sex": ["f", "m"] * 2}, index=cases.index)
    found = nnunet_fair.evaluate_cases(cases, metadata, lesions=lesions, lesion_matching="one-to-one", **FAST)
    whole = found.lesions.iloc[0]
    assert whole[["size", "n_lesions", "n_found", "n_false"]].tolist() == ["all", 8, 4, 2]
    assert found.volume.iloc[0]["relative_error"] < 0 and "ndsc" in found.cases
    assert nnunet_fair.evaluate_cases(cases, metadata, **FAST).lesions.empty
    for wrong, sentence in (
        ({"lesion_matching": "nearest"}, "`lesion_matching` is one of touch, iou, one-to-one"),
        ({"reference_share": 2}, "`reference_share` is a share above 0 and below 1"),
        ({"lesions": cases}, "`lesions` has no column 'case_id'"),
    ):
        with pytest.raises(nnunet_fair.UserError, match=sentence):
            nnunet_fair.evaluate_cases(cases, metadata, **wrong, **FAST)


def test_an_analysis_in_a_notebook_on_a_page_and_as_data(tmp_path):
    analysis = nnunet_fair.evaluate_cases(CASES, METADATA, variables=["sex"], min_group=5, **FAST)
    male, female = (CASES["dsc"][METADATA["sex"] == sex].mean() for sex in "mf")
    assert analysis.by_variable.loc["sex", "gap_dsc"] == pytest.approx(female - male)
    assert analysis.scores["mean_dsc"] == pytest.approx(CASES["dsc"].mean())
    assert analysis.scores["worst_group_dsc"] == pytest.approx(min(male, female))
    row = analysis.intervals.loc["gap_dsc:sex"]
    assert row["low"] < row["estimate"] < row["high"]
    assert analysis.subgroups["subgroup"].tolist()[:5] == ["all", "sex=f", "sex=m", "site=<s>", "site=t"]
    assert analysis.cases.loc["patient_00", "site"] == "<s>"
    shown = analysis._repr_html_()
    assert "sex=m" in shown and "site=&lt;s&gt;" in shown
    page = analysis.to_html(tmp_path / "report.html", title="By hand")
    assert (tmp_path / "report.html").read_text() == page and "<h1>By hand</h1>" in page
    document = json.dumps(analysis.to_dict())
    assert "patient_" not in page and "patient_00" in analysis.to_html(with_cases=True)
    without_scripts = re.sub("<script.*?</script>", "", page, flags=re.DOTALL)  # a packed library holds any letters
    for text in (shown, repr(analysis), document, without_scripts):
        assert "patient_" not in text and "nan" not in text.replace("nnunet_fair", "")


def test_columns_that_were_measured_are_used_and_settings_are_told():
    masks = {case_id: (np.ones((3, 4, 5), bool), np.ones((3, 4, 5), bool)) for case_id in IDS[:12]}
    cases = nnunet_fair.score_pairs(masks, spacing=(1, 1, 1), tolerance_mm=1.5)
    analysis = nnunet_fair.evaluate_cases(cases, METADATA, variables=["sex"], min_group=2, **FAST)
    assert analysis.to_dict()["settings"]["tolerance_mm"] == 1.5
    assert "Surface DSC tolerance\n1.5 mm" in analysis.to_html()
    assert "Surface DSC tolerance" not in nnunet_fair.evaluate_cases(CASES, METADATA, **FAST).to_html()


def test_case_ids_may_be_a_column_and_are_matched_as_elsewhere():
    cases = CASES.rename_axis("case_id").reset_index()
    metadata = METADATA.rename(index=str.upper).rename_axis("case_id").reset_index()
    first = nnunet_fair.evaluate_cases(cases, metadata, variables=["sex"], **FAST)
    second = nnunet_fair.evaluate_cases(CASES, METADATA, variables=["sex"], **FAST)
    pd.testing.assert_frame_equal(first.subgroups, second.subgroups)


def test_the_variables_of_the_challenge_are_grouped_as_the_challenge_groups_them():
    raw = pd.DataFrame({"menopause": ["peri", "post (natural)"] * 24, "age": range(30, 78), "site": "s"}, IDS)
    analysis = nnunet_fair.evaluate_cases(CASES, raw, **FAST)
    assert list(analysis.by_variable.index) == ["age", "menopausal_status"]
    names = set(analysis.subgroups.loc[analysis.subgroups["kind"] == "group", "subgroup"])
    assert {"age=0-40", "age=71+", "menopausal_status=pre", "menopausal_status=post", "site=s"} <= names


@pytest.mark.parametrize(
    ("cases", "metadata", "options", "sentence"),
    [
        (CASES.drop(columns="norm_hd"), METADATA, {}, "`cases` has no column 'norm_hd'"),
        (pd.concat([CASES, CASES]), METADATA, {}, "case 'patient_00' occurs more than once"),
        (CASES, METADATA.rename(index=lambda name: f"x{name}"), {}, "no row for any of the 48 cases"),
        (CASES, METADATA, {"variables": ["sxe"]}, "no column for 'sxe'"),
        (CASES.assign(dsc=np.nan), METADATA, {}, "nothing to evaluate"),
        (CASES, METADATA.to_dict(), {}, "`metadata` is a DataFrame with one row a case, found dict"),
    ],
)
def test_tables_that_do_not_fit_are_refused(cases, metadata, options, sentence):
    with pytest.raises(nnunet_fair.UserError, match=sentence):
        nnunet_fair.evaluate_cases(cases, metadata, **options, **FAST)


def test_two_models_compared(tmp_path):
    better = CASES.assign(dsc=CASES["dsc"] + 0.1)
    comparison = nnunet_fair.compare_models(CASES, better, METADATA, names=("old", "new"), **FAST)
    assert comparison.differences.loc["mean_dsc", ["difference", "low", "high"]].tolist() == pytest.approx([0.1] * 3)
    assert comparison.subgroups.set_index("subgroup").loc["sex=m", "difference"] == pytest.approx(0.1)
    page = comparison.to_html(tmp_path / "report.html")
    assert "new minus old" in page and (tmp_path / "report.html").read_text() == page
    assert comparison.to_dict()["n_cases"] == 48
    for text in (comparison._repr_html_(), repr(comparison), json.dumps(comparison.to_dict())):
        assert "patient_" not in text


def test_seeds_are_tables_in_a_list():
    seeds = [CASES, CASES.assign(dsc=CASES["dsc"] + 0.02)]
    comparison = nnunet_fair.compare_models(CASES, seeds, METADATA, **FAST)
    assert comparison.differences.loc["mean_dsc", "difference"] == pytest.approx(0.01)
    with pytest.raises(nnunet_fair.UserError, match="A has 1, B 2"):
        nnunet_fair.compare_models(CASES, seeds, METADATA, paired_seeds=True, **FAST)


def test_subgroups_with_and_without_a_score():
    listed = nnunet_fair.find_subgroups(METADATA, min_group=5, min_support=0.2)
    assert listed["subgroup"].tolist() == [
        *("all", "sex=f", "sex=m", "site=<s>", "site=t"),
        *("sex=f, site=<s>", "sex=f, site=t", "sex=m, site=<s>", "sex=m, site=t"),
    ]
    scored = nnunet_fair.find_subgroups(METADATA, CASES["dsc"].drop("patient_00"), **FAST).set_index("subgroup")
    assert scored.loc["all", "n"] == 47
    assert scored.loc["sex=m", "mean_score"] == pytest.approx(CASES["dsc"][METADATA["sex"] == "m"].mean())
    assert scored.loc["sex=m", "low"] < scored.loc["sex=m", "mean_score"] < scored.loc["sex=m", "high"]
    assert scored.loc["sex=m", "q"] >= scored.loc["sex=m", "p"]


LABELS = {"labels": {"background": 0, "whole": [1, 2], "core": 2, "ignore": 3}}


@pytest.fixture(scope="module")
def scored_classes():
    """24 patients, a third without a core; half of the core is missed in men; what lies in the ignored plane is odd."""
    pairs = {}
    for i, case_id in enumerate(IDS[:24]):
        reference = np.zeros((4, 6, 6), np.uint8)
        reference[:3, 1:5, 1:5] = 1
        if i % 3:
            reference[0:2, 2:4, 2:4] = 2
        prediction = reference.copy()
        if i % 2:
            prediction[1][prediction[1] == 2] = 1
        reference[3], prediction[3] = 3, i % 3
        pairs[case_id] = (reference, prediction)
    return pairs, nnunet_fair.score_pairs(pairs, spacing=(2, 1, 1), dataset_json=LABELS)


def test_classes_are_scored_by_name_and_what_is_ignored_counts_nowhere(scored_classes, tmp_path):
    pairs, cases = scored_classes
    assert list(cases.columns[:2]) == ["class", "dsc"] and cases["class"].unique().tolist() == ["whole", "core"]
    core = cases[cases["class"] == "core"]
    assert (cases.loc[cases["class"] == "whole", "dsc"] == 1).all()
    assert core.loc["patient_01", ["dsc", "volume_reference_mm3"]].tolist() == pytest.approx([2 * 4 / 12, 16.0])
    assert core.loc["patient_02", "dsc"] == 1 and core.loc["patient_00", "volume_reference_mm3"] == 0
    for folder, position in (("labelsTs", 0), ("masks", 1)):
        (tmp_path / folder).mkdir()
        for case_id in IDS[:2]:
            image = sitk.GetImageFromArray(pairs[case_id][position])
            image.SetSpacing((1.0, 1.0, 2.0))
            sitk.WriteImage(image, str(tmp_path / folder / f"{case_id}.nii.gz"))
    (tmp_path / "dataset.json").write_text(json.dumps(LABELS))
    from_files = nnunet_fair.score_folder(tmp_path / "labelsTs", tmp_path / "masks")
    pd.testing.assert_frame_equal(from_files, cases.loc[IDS[:2]])
    merged = nnunet_fair.score_folder(tmp_path / "labelsTs", tmp_path / "masks", labels=[2])
    assert "class" not in merged.columns


def test_an_analysis_and_a_comparison_have_one_for_each_class(scored_classes):
    _, cases = scored_classes
    metadata = METADATA.loc[IDS[:24], ["sex"]]
    analysis = nnunet_fair.evaluate_cases(cases, metadata, min_group=5, **FAST)
    assert list(analysis.classes) == ["whole", "core"] and analysis.classes["whole"].classes == {}
    core = analysis.classes["core"].subgroups.set_index("subgroup")
    assert core.loc["sex=m", ["n", "mean_dsc"]].tolist() == pytest.approx([8, 2 / 3]) and core.loc["sex=f", "n"] == 8
    assert analysis.classes["core"].false_positives["n"].iloc[0] == 8
    # the mean of classes: 1 without a core, else the mean of 1 and 2/3
    assert analysis.subgroups.set_index("subgroup").loc["sex=m", "mean_dsc"] == pytest.approx((4 + 8 * 5 / 6) / 12)
    worst = analysis.furthest_below_its_class
    assert (worst["class"], worst["subgroup"], worst["divergence"]) == ("core", "sex=m", pytest.approx(-1 / 6))
    assert analysis.subgroups_of_classes["class"].unique().tolist() == ["mean of classes", "whole", "core"]
    assert list(analysis.to_dict()["classes"]) == ["whole", "core"] and "<strong>core</strong>" in analysis.to_html()
    assert "sex=m in core" in analysis._repr_html_()

    right = cases.assign(dsc=cases["dsc"].where(cases["class"] == "whole", 1.0))
    compared = nnunet_fair.compare_models(cases, right, metadata, names=("old", "new"), min_group=5, **FAST)
    assert compared.classes["core"].subgroups.set_index("subgroup").loc["sex=m", "difference"] == pytest.approx(1 / 3)
    assert compared.classes["whole"].differences.loc["mean_dsc", "difference"] == 0
    assert compared.furthest_below_its_class.loc["old", ["class", "subgroup"]].tolist() == ["core", "sex=m"]
    assert compared.to_dict()["classes"]["core"]["levelling_down"]["sentence"].startswith("new narrowed the gaps")
    assert "sex=m in core" in compared._repr_html_()
    with pytest.raises(nnunet_fair.UserError, match="with different classes: whole, core and one foreground"):
        nnunet_fair.compare_models(cases, CASES, metadata, **FAST)


@pytest.mark.parametrize("empty", ["challenge", "exclude"])
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_class_that_nobody_has_ends_neither_an_analysis_nor_a_comparison(scored_classes, empty):
    labels = {"labels": {**LABELS["labels"], "spleen": 4, "ignore": 9}}
    pairs = {
        case_id: tuple(np.where(array == 3, 9, array) for array in pair) for case_id, pair in scored_classes[0].items()
    }
    cases = nnunet_fair.score_pairs(pairs, spacing=(2, 1, 1), dataset_json=labels, empty=empty)
    invented = cases.assign(volume_prediction_mm3=1.0).where(cases["class"] == "spleen", cases)
    metadata = METADATA.loc[IDS[:24], ["sex"]]
    analysis = nnunet_fair.evaluate_cases(cases, metadata, min_group=5, **FAST)
    assert analysis.classes["spleen"].subgroups["n"].tolist() == [0]
    assert "spleen in 24 of 24 cases" in analysis.warnings[0] and f"'{empty}'" in analysis.warnings[0]
    spleen = nnunet_fair.compare_models(cases, invented, metadata, min_group=5, **FAST).classes["spleen"]
    assert spleen.subgroups["difference"].isna().all()
    assert spleen.false_positives.loc[0, ["n", "false_positive_rate_difference"]].tolist() == [24, 1]


def test_a_single_foreground_has_no_classes():
    analysis = nnunet_fair.evaluate_cases(CASES, METADATA, variables=["sex"], **FAST)
    assert analysis.classes == {} and analysis.furthest_below_its_class is None
    assert analysis.subgroups_of_classes is analysis.subgroups


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda cases: cases.iloc[1:], "case 'patient_00' has a row for one of the classes 'core' and 'whole' only"),
        (lambda cases: pd.concat([cases, cases.iloc[:1]]), "case 'patient_00' occurs more than once"),
        (lambda cases: cases.assign(**{"class": None}), "has a row without a class"),
    ],
)
def test_tables_of_classes_that_do_not_fit_are_refused(scored_classes, change, sentence):
    with pytest.raises(nnunet_fair.UserError, match=sentence):
        nnunet_fair.evaluate_cases(change(scored_classes[1]), METADATA, **FAST)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"labels": [1], "dataset_json": LABELS}, "give one of the two"),
        ({"dataset_json": {"labels": {"background": 0, "a": 1, "b": 2}}}, "value 3, which is no label of the dataset"),
        ({"dataset_json": {}}, "`dataset_json` does not declare labels"),
    ],
)
def test_classes_that_do_not_fit_the_arrays_are_refused(scored_classes, options, sentence):
    with pytest.raises(nnunet_fair.UserError, match=sentence):
        nnunet_fair.score_pairs(dict(list(scored_classes[0].items())[:1]), spacing=(1, 1, 1), **options)
