"""Several labels, regions and the ignore label, from files laid as nnU-Net leaves them to the report."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from scipy import stats

from nnunet_fair import evaluate_cases
from nnunet_fair.cli import main
from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.metrics.options import ScoringOptions
from nnunet_fair.evaluation.metrics.score_cases import score_case, score_cases
from nnunet_fair.evaluation.scores.analysis import analyse
from nnunet_fair.evaluation.scores.case_groups import CaseGroups
from nnunet_fair.evaluation.scores.classes import (
    class_tables,
    corrected_over_classes,
    mean_of_classes,
    worst_group_of_all_classes,
)
from nnunet_fair.evaluation.scores.options import AnalysisOptions
from nnunet_fair.masks.label_classes import LabelClasses, read_label_classes
from nnunet_fair.masks.pairing import CasePair
from nnunet_fair.subgroups.options import SubgroupOptions

REGIONS = {"background": 0, "whole tumour": [1, 2], "core": 2, "ignore": 3}
CLASSES = (("whole tumour", (1, 2)), ("core", (2,)))
MODEL = "nnUNetTrainerFairDiv__nnUNetPlans__3d_fullres"
FAST = ["-np", "1", "--resamples", "60", "--overlays", "0", "--min-group", "5"]


def _save(array: np.ndarray, path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(array.astype(np.uint8))
    image.SetSpacing((1.0, 1.0, 2.0))
    sitk.WriteImage(image, str(path))


def _reference(i: int) -> np.ndarray:
    """A tumour of 4 × 6 × 6 voxels with a core of 2 × 2 × 2, which every third patient lacks, and an ignored slice."""
    array = np.zeros((8, 16, 16))
    array[2:6, 4:10, 4:10] = 1
    if i % 3:
        array[3:5, 6:8, 6:8] = 2
    array[7] = 3
    return array


def _prediction(i: int) -> np.ndarray:
    """Right but for the core of odd patients, half of which is missed, and for what lies in the ignored slice."""
    array = np.where(_reference(i) == 3, 0, _reference(i))
    if i % 3 and i % 2:
        array[3, 6:8, 6:8] = 1
    array[7, 0:3, 0:3] = 1 + i % 2
    return array


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """A model of two folds on 24 patients, with regions and an ignore label."""
    folders = {}
    for variable in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        folders[variable] = tmp_path / variable / "Dataset951_R"
        folders[variable].mkdir(parents=True)
        monkeypatch.setenv(variable, str(tmp_path / variable))
    ids = [f"p{i:02d}" for i in range(24)]
    dataset = {"channel_names": {"0": "MR"}, "labels": REGIONS, "regions_class_order": [1, 2], "numTraining": 24}
    model = folders["nnUNet_results"] / MODEL
    for folder in (folders["nnUNet_raw"], model):
        folder.mkdir(exist_ok=True)
        (folder / "dataset.json").write_text(json.dumps({**dataset, "file_ending": ".nii.gz"}))
    splits = [{"train": ids[12:], "val": ids[:12]}, {"train": ids[:12], "val": ids[12:]}]
    (folders["nnUNet_preprocessed"] / "splits_final.json").write_text(json.dumps(splits))
    table = pd.DataFrame({"case_id": ids, "side": ["left", "right"] * 12, "ward": ["a"] * 12 + ["b"] * 12})
    table.to_csv(folders["nnUNet_preprocessed"] / "fair_cases.csv", index=False)
    for i, case_id in enumerate(ids):
        _save(_reference(i), folders["nnUNet_raw"] / "labelsTr" / f"{case_id}.nii.gz")
        _save(_prediction(i), model / f"fold_{i // 12}" / "validation" / f"{case_id}.nii.gz")
    for fold in (0, 1):
        (model / f"fold_{fold}" / "validation" / "summary.json").write_text("{}")
    return model


@pytest.fixture
def numbers_only(monkeypatch):
    """Leave the figures out where a test is about numbers: drawing them is most of a small evaluation's time."""
    nothing = {"groups": [], "heatmaps": [], "size": [], "lambda": []}
    room = "nnunet_fair.evaluation.reports.evaluation_report"
    monkeypatch.setattr(f"{room}.evaluation_figures", lambda analysis: nothing)
    monkeypatch.setattr(f"{room}.class_figures", lambda classes: [])


def test_regions_and_the_ignore_label_from_crossval_to_report(trained, capsys):
    assert main(["evaluate", "--crossval", "-d", "951", *FAST]) == 0
    out = trained / "crossval_fairness"
    cases = pd.read_csv(out / "cases.csv").set_index(["class", "case_id"])
    assert cases.index.get_level_values("class").unique().tolist() == ["whole tumour", "core"]
    assert (cases.loc["whole tumour", "dsc"] == 1).all() and (cases["lesions_false"] == 0).all()
    assert cases.loc[("core", "p01"), "dsc"] == pytest.approx(2 * 4 / (8 + 4))
    assert cases.loc[("core", "p01"), "volume_reference_mm3"] == 8 * 2.0
    assert cases.loc[("core", "p03"), "volume_reference_mm3"] == 0  # no core, and what the ignored slice holds is none

    subgroups = pd.read_csv(out / "subgroups.csv").set_index(["class", "subgroup"])
    right = cases.loc["core"].loc[[f"p{i:02d}" for i in range(24) if i % 3 and i % 2]]
    assert subgroups.loc[("core", "side=right"), "n"] == len(right) == 8
    assert subgroups.loc[("core", "side=right"), "mean_dsc"] == pytest.approx(2 / 3)
    assert subgroups.loc[("core", "side=left"), "mean_dsc"] == 1
    assert subgroups.loc[("mean of classes", "side=right"), "mean_dsc"] == pytest.approx((4 + 8 * (1 + 2 / 3) / 2) / 12)
    absent = pd.read_csv(out / "false_positives.csv").set_index(["class", "subgroup"])
    assert absent.loc[("core", "all"), ["n", "false_positive_rate"]].tolist() == [8, 0]
    scores = json.loads((out / "scores.json").read_text())
    assert list(scores["classes"]) == ["whole tumour", "core"]
    page = (out / "report.html").read_text()
    assert "<strong>side=right</strong> in\n<strong>core</strong>" in page
    assert page.count('<details name="class">') == 2 and "class 1" not in page
    printed = capsys.readouterr().out
    assert "core: mean DSC" in printed
    lacking = "a class: core in 8 of 24 cases. By the policy 'challenge' two empty masks score DSC 0"
    assert lacking in printed and lacking in page.replace("&#39;", "'")


def test_folders_find_the_classes_beside_the_predictions_and_labels_still_merge(numbers_only, trained, tmp_path):
    raw = tmp_path / "nnUNet_raw" / "Dataset951_R" / "labelsTr"
    files = ["-ref", f"{raw}", "-pred", f"{trained}/fold_0/validation", "-o", f"{tmp_path}/out", "--missing", "skip"]
    files += ["-m", f"{tmp_path}/nnUNet_preprocessed/Dataset951_R/fair_cases.csv", *FAST]
    assert main(["evaluate", *files]) == 0
    assert "class" in pd.read_csv(tmp_path / "out" / "cases.csv").columns
    assert main(["evaluate", *files[:-2], "--labels", "2"]) == 0
    merged = pd.read_csv(tmp_path / "out" / "cases.csv")
    assert "class" not in merged.columns and len(merged) == 12


def test_parts_of_several_classes_are_merged(numbers_only, trained, tmp_path):
    files = ["--crossval", "-d", "951", "-o", f"{tmp_path}/out", *FAST]
    assert main(["evaluate", *files]) == 0
    whole = (tmp_path / "out" / "cases.csv").read_text()
    for part in ("0", "1"):
        assert main(["evaluate", *files, "-num_parts", "2", "-part_id", part]) == 0
    assert main(["evaluate", *files, "--merge"]) == 0
    assert (tmp_path / "out" / "cases.csv").read_text() == whole


@pytest.mark.slow
def test_two_models_are_compared_class_by_class(trained, tmp_path, capsys):
    raw = tmp_path / "nnUNet_raw" / "Dataset951_R" / "labelsTr"
    for i in range(12):
        _save(np.where(_reference(i) == 3, 0, _reference(i)), tmp_path / "right" / f"p{i:02d}.nii.gz")
    files = ["-ref", f"{raw}", "-a", f"{trained}/fold_0/validation", "-b", f"{tmp_path}/right", "--missing", "skip"]
    files += ["-m", f"{tmp_path}/nnUNet_preprocessed/Dataset951_R/fair_cases.csv", "-o", f"{tmp_path}/out", *FAST]
    files += ["--min-group", "4"]
    assert main(["compare", *files]) == 0
    printed = capsys.readouterr().out
    assert "core: mean DSC +0.1667" in printed
    assert "furthest below its class under A: side=right in core, mean DSC 0.6667, 0.1667 below" in printed
    table = pd.read_csv(tmp_path / "out" / "subgroups.csv").set_index(["class", "subgroup"])
    assert table.loc[("core", "all"), "n"] == 8  # of twelve patients, those with a core; half of them are odd
    assert table.loc[("core", "all"), "difference"] == pytest.approx(4 * (1 / 3) / 8)
    assert table.loc[("whole tumour", "all"), "difference"] == 0
    assert table.loc[("mean of classes", "all"), "n"] == 12
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count('<details name="class">') == 2
    assert "Some references lack a class: core in 4 of 12 cases" in page
    assert "furthest below its class is <strong>side=right</strong> in\n<strong>core</strong>" in page
    assert page.count("Heat map of the difference of the mean DSC by class and side") == 1
    cases = pd.read_csv(tmp_path / "out" / "cases.csv").set_index(["class", "case_id"])
    assert cases.index.get_level_values("class").unique().tolist() == ["mean of classes", "whole tumour", "core"]
    assert cases.loc[("core", "p01"), ["dsc_a", "dsc_b"]].tolist() == pytest.approx([2 / 3, 1])
    assert cases.loc[("mean of classes", "p01"), "difference"] == pytest.approx(1 / 6)
    audit = pd.read_csv(tmp_path / "out" / "levelling.csv").set_index(["class", "variable", "metric"])
    row = audit.loc[("core", "side", "dsc")]
    assert row[["gap_a", "gap_b", "worst_change", "best_change"]].tolist() == pytest.approx([1 / 3, 0, 1 / 3, 0])
    assert row["verdict"] == "levelled up" and audit.loc[("whole tumour", "side", "dsc"), "verdict"] == "gap unchanged"
    document = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert document["furthest_below_its_class"]["a"]["class"] == "core"
    evaluations = []
    for name, predictions in (("a", f"{trained}/fold_0/validation"), ("b", f"{tmp_path}/right")):
        evaluations.append(f"{tmp_path}/{name}")
        of_one = ["-ref", f"{raw}", "-pred", predictions, "-o", evaluations[-1], *files[6:10], *FAST]
        assert main(["evaluate", *of_one]) == 0
    assert main(["compare", "-a", evaluations[0], "-b", evaluations[1], *files[8:]]) == 0
    again = pd.read_csv(tmp_path / "out" / "subgroups.csv").set_index(["class", "subgroup"])
    pd.testing.assert_frame_equal(again, table)


def test_anonymised_classes_name_no_patient(numbers_only, trained, tmp_path):
    assert main(["evaluate", "--crossval", "-d", "951", "-o", f"{tmp_path}/out", *FAST, "--anonymise"]) == 0
    for path in (tmp_path / "out").iterdir():
        # The charting library is packed into letters and digits, in which "p07" comes up by itself.
        text = re.sub(r'<script type="text/plain".*?</script>', "", path.read_text(), flags=re.DOTALL)
        assert not any(f"p{i:02d}" in text.replace("style", "") for i in range(24)), path.name
    cases = pd.read_csv(tmp_path / "out" / "cases.csv")
    assert sorted(cases["dsc"]) == pytest.approx(sorted([1.0] * 24 + [0.0] * 8 + [2 / 3] * 8 + [1.0] * 8))


def test_a_label_the_dataset_does_not_name_is_a_problem_of_that_case(tmp_path):
    array = _reference(1)
    array[0, 0, 0] = 9
    _save(array, tmp_path / "r.nii.gz")
    options = ScoringOptions(classes=CLASSES, ignore=3)
    rows, lesions = score_case(CasePair("c", tmp_path / "r.nii.gz", None), options)
    assert not lesions
    assert [row["class"] for row in rows] == ["whole tumour", "core"]
    assert all("holds the value 9, which is no label of the dataset (1, 2, 3)" in str(row["problem"]) for row in rows)


def test_the_mean_of_classes_is_over_those_a_case_holds(tmp_path):
    pairs = []
    for i in (0, 1):  # without a core; with a core half missed
        for array, name in ((_reference(i), "r"), (_prediction(i), "p")):
            _save(array, tmp_path / f"{name}{i}.nii.gz")
        pairs.append(CasePair(f"c{i}", tmp_path / f"r{i}.nii.gz", tmp_path / f"p{i}.nii.gz"))
    cases = score_cases(pairs, ScoringOptions(classes=CLASSES, ignore=3), progress=False)
    tables = class_tables(cases)
    assert tables["core"]["dsc"].tolist() == pytest.approx([0.0, 2 / 3])  # both empty: 0 by the challenge's policy
    mean = mean_of_classes(tables)
    assert mean["dsc"].tolist() == pytest.approx([1.0, (1 + 2 / 3) / 2])
    assert mean["lesions_reference"].tolist() == [1, 2]


def test_q_is_corrected_over_the_subgroups_of_all_classes():
    rng = np.random.default_rng(0)
    ids = [f"c{i}" for i in range(40)]
    groups = CaseGroups(pd.DataFrame({"side": ["l", "r"] * 20}, ids, dtype=object), ("side",), False, ())
    options = AnalysisOptions(subgroups=SubgroupOptions(n_resamples=20))
    analyses = {}
    for name, gap in (("liver", 0.0), ("spleen", 0.3)):
        cases = pd.DataFrame({"dsc": rng.uniform(0.4, 0.6, 40) - gap * (np.arange(40) % 2), "norm_hd": 0.1}, ids)
        cases = cases.assign(hd95_mm=1.0, volume_reference_mm3=100.0, status="scored", problem="")
        analyses[name] = analyse(cases, groups, options)
    p = np.concatenate([found.subgroups["p"].dropna() for found in analyses.values()])
    corrected = corrected_over_classes(analyses)
    q = np.concatenate([found.subgroups["q"].dropna() for found in corrected.values()])
    assert len(p) == 4 and q == pytest.approx(stats.false_discovery_control(p))
    worst = worst_group_of_all_classes(corrected)
    assert (worst["class"], worst["subgroup"]) == ("spleen", "side=r")


@pytest.mark.parametrize(
    ("names", "sentence"),
    [(["liver"], "has one class, <strong>liver</strong>"), (["liver", "spleen"], "the 2 classes")],
)
def test_a_page_says_what_its_numbers_are_about(numbers_only, names, sentence):
    ids = [f"c{i}" for i in range(20)]
    table = pd.DataFrame({"side": ["l", "r"] * 10}, pd.Index(ids, name="case_id"))
    cases = pd.DataFrame({"case_id": ids, "dsc": np.linspace(0.4, 0.8, 20), "norm_hd": 0.1})
    cases = pd.concat([cases.assign(**{"class": name}) for name in names])
    page = evaluate_cases(cases, table, n_resamples=20).to_html()
    assert sentence in page
    assert ("one class" in page) == (len(names) == 1)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"background": 0, "liver": 1, "spleen": 2}, LabelClasses((("liver", (1,)), ("spleen", (2,))))),
        (REGIONS, LabelClasses(CLASSES, ignore=3)),
    ],
)
def test_classes_are_read_as_nnunet_declares_them(tmp_path, labels, expected):
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels}))
    assert read_label_classes(tmp_path / "dataset.json") == expected
    assert not expected.is_plain and LabelClasses((("tumour", (1,)),)).is_plain


@pytest.mark.parametrize("content", ["{", "{}", '{"labels": {"a": "x"}}', '{"labels": {"background": 0}}'])
def test_labels_that_cannot_be_read_are_refused(tmp_path, content):
    (tmp_path / "dataset.json").write_text(content)
    with pytest.raises(UserError, match=r"dataset.json (does not declare labels|declares no class)"):
        read_label_classes(tmp_path / "dataset.json")
