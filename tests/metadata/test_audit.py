from __future__ import annotations

import gzip
import json

import nibabel
import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from scipy import stats

from nnunet_fair.cli import main
from nnunet_fair.errors import UserError
from nnunet_fair.metadata.audit.association import association_table, cramers_v
from nnunet_fair.metadata.audit.audit import AuditOptions, audit_dataset
from nnunet_fair.metadata.audit.case_files import same_images
from nnunet_fair.metadata.audit.detectable_gap import detectable_gaps, smallest_gap
from nnunet_fair.metadata.audit.group_tables import (
    class_table,
    missingness,
    pair_counts,
    size_table,
    triple_counts,
)

GROUPS = pd.DataFrame(
    {"sex": ["f", "f", "f", "m", "m", None], "density": ["a", None, None, "a", "b", "b"]},
    index=[f"c{k}" for k in range(6)],
    dtype=object,
)


def test_cramers_v_by_hand():
    """10, 20 / 20, 10: χ² = 60·(100 − 400)²/30⁴ = 20/3, φ² = 1/9; corrected (1/9 − 1/59) / (1 − 1/59)."""
    first = pd.Series(["a"] * 30 + ["b"] * 30 + ["a", None])
    second = pd.Series(["x"] * 10 + ["y"] * 20 + ["x"] * 20 + ["y"] * 10 + [None, "x"])
    v, corrected, n = cramers_v(first, second)
    assert (v, corrected, n) == pytest.approx((1 / 3, ((1 / 9 - 1 / 59) / (1 - 1 / 59)) ** 0.5, 60))


def test_cramers_v_at_its_ends():
    letters = pd.Series(list("abcabcabc"))
    assert cramers_v(letters, letters.str.upper())[:2] == pytest.approx((1, 1))
    assert cramers_v(pd.Series(list("aabb")), pd.Series(list("xyxy")))[0] == 0
    assert np.isnan(cramers_v(letters, pd.Series(["x"] * 9))[0])
    assert association_table(GROUPS).iloc[0, :3].tolist() == ["sex", "density", 3]


@pytest.mark.parametrize(("n", "effect"), [(394, 0.2), (64, 0.5), (26, 0.8)])
def test_the_smallest_gap_is_cohens(n, effect):
    """Cohen's table for two groups, two-sided 5 %, power 80 %: n = 393, 64 and 26 find d = 0.2, 0.5 and 0.8."""
    assert smallest_gap(n, n, 1.0) == pytest.approx(effect, rel=0.01)
    assert smallest_gap(n, n, 0.25) == pytest.approx(0.25 * smallest_gap(n, n, 1.0))


def test_large_groups_follow_the_short_formula():
    # 1.95996 + 0.84162 = 2.80158 standard errors
    assert smallest_gap(40_000, 10_000, 0.2) == pytest.approx(
        2.80158 * 0.2 * (1 / 40_000 + 1 / 10_000) ** 0.5, rel=1e-4
    )
    assert np.isnan(smallest_gap(1, 50, 0.2))
    with pytest.raises(UserError, match="`sd` is a standard deviation above 0, found 0"):
        smallest_gap(5, 5, 0)


def test_the_smallest_gap_is_found_in_four_of_five_studies():
    rng, gap = np.random.default_rng(1), smallest_gap(50, 150, 0.2)
    found = [stats.ttest_ind(rng.normal(gap, 0.2, 50), rng.normal(0, 0.2, 150)).pvalue < 0.05 for _ in range(2000)]
    assert np.mean(found) == pytest.approx(0.8, abs=0.03)


def test_gaps_of_an_attribute_are_of_its_largest_and_smallest_groups():
    counts = pd.DataFrame({"attribute": ["s"] * 4 + ["t"], "group": list("abcde"), "n": [50, 4, 20, 30, 60]})
    (row,) = detectable_gaps(counts, 0.2, min_group=5).to_dict("records")
    assert row["largest"] == "a (50) and d (30)" and row["smallest"] == "c (20) and d (30)" and row["n_groups"] == 3
    assert row["gap_largest"] == smallest_gap(50, 30, 0.2) and row["gap_one_to_others"] == smallest_gap(20, 80, 0.2)


def test_intersections_and_missing_values_by_hand():
    patients = pd.Series(list("ppqrrs"), index=GROUPS.index)
    pairs = pair_counts(GROUPS, patients).set_index(["group", "other_group"])
    assert pairs.loc[("f", "(missing)"), ["n", "patients"]].tolist() == [2, 2]  # c1 and c2, of p and q
    of_others = pair_counts(GROUPS, pd.Series("p", index=GROUPS.index)).set_index(["group", "other_group"])
    assert of_others.loc[("f", "(missing)"), ["n", "patients"]].tolist() == [2, 1]
    pairs = pair_counts(GROUPS).set_index(["group", "other_group"])["n"]
    assert pairs.to_dict() == {
        ("(missing)", "(missing)"): 0,
        ("(missing)", "a"): 0,
        ("(missing)", "b"): 1,
        ("f", "(missing)"): 2,
        ("f", "a"): 1,
        ("f", "b"): 0,
        ("m", "(missing)"): 0,
        ("m", "a"): 1,
        ("m", "b"): 1,
    }
    table = missingness(GROUPS).set_index(["other", "group"])
    assert table.loc[("density", "f"), ["n", "n_missing"]].tolist() == [3, 2]
    assert table.loc[("density", "m"), "share"] == 0 and table.loc[("sex", "b"), "share"] == 0.5


def test_intersections_of_three_by_hand():
    groups = GROUPS.assign(site=list("xxxyyy"))
    patients = pd.Series(list("ppqrrs"), index=groups.index)
    table = triple_counts(groups, patients)
    assert table["attribute"].unique().tolist() == ["sex × density × site"]
    assert table[["group", "n", "patients"]].to_numpy().tolist() == [
        *(["f × a × x", 1, 1], ["m × a × y", 1, 1], ["m × b × y", 1, 1]),
    ]


def test_classes_by_group_by_hand():
    volumes = pd.DataFrame({"liver": [8.0, 6, 4, 2, np.nan, 9], "tumour": [0.0, 2, 0, 2, np.nan, 3]}, GROUPS.index)
    table = class_table(GROUPS[["sex"]], volumes).set_index(["group", "class"])
    assert table.loc[("f", "tumour"), ["n", "n_with", "volume_mm3_median"]].tolist() == [3, 1, 2]
    assert table.loc[("m", "liver"), ["n", "n_with"]].tolist() == [1, 1]  # the other man has no label
    assert table.loc[("all cases", "tumour"), ["n", "n_with", "volume_mm3_median"]].tolist() == [5, 3, 2]


def test_sizes_by_group_leave_empty_labels_out_of_the_volume():
    measured = pd.DataFrame(
        {"label_volume_mm3": [0.0, 10, 30, 50, np.nan, 7], "voxel_mm3": [1.0, 1, 2, 3, np.nan, 9]}, index=GROUPS.index
    )
    table = size_table(GROUPS[["sex"]], measured).set_index("group")
    women = table.loc["f"]
    assert (women["n"], women["n_empty"], women["label_volume_mm3_median"], women["voxel_mm3_median"]) == (3, 1, 20, 1)
    assert women["label_volume_mm3_lower"] == 15 and table.loc["m", "n"] == 1 and table.loc["all cases", "n"] == 5


@pytest.fixture
def dataset(tmp_path, monkeypatch):
    """Eight training cases of five patients and a test case; case 7 has the image of case 6; case 0 is healthy."""
    for variable in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        (tmp_path / variable).mkdir()
        monkeypatch.setenv(variable, str(tmp_path / variable))
    raw = tmp_path / "nnUNet_raw" / "Dataset031_Liver"
    for folder in ("imagesTr", "labelsTr", "imagesTs"):
        (raw / folder).mkdir(parents=True)
    content = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1}, "file_ending": ".nii.gz"}
    (raw / "dataset.json").write_text(json.dumps({**content, "numTraining": 8}))
    for number in range(9):
        image = sitk.GetImageFromArray(np.full((4, 6, 6), min(number, 6) if number < 8 else 9, dtype=np.uint8))
        mask = np.zeros((4, 6, 6), dtype=np.uint8)
        mask.ravel()[:number] = 1
        label = sitk.GetImageFromArray(mask)
        label.SetSpacing((1.0, 1.0, 5.0 if number % 2 else 2.0))
        sitk.WriteImage(image, str(raw / ("imagesTr" if number < 8 else "imagesTs") / f"c{number}_0000.nii.gz"))
        if number < 8:
            sitk.WriteImage(label, str(raw / "labelsTr" / f"c{number}.nii.gz"))
    lines = ["case_id,sex,site,density"]
    lines += [f"c{k},{'fm'[k % 2]},{'AB'[k % 2]},{'a' if k < 3 else ''}" for k in range(9)]
    (raw / "fair_cases.csv").write_text("\n".join(lines) + "\n")
    folder = tmp_path / "nnUNet_preprocessed" / "Dataset031_Liver"
    folder.mkdir()
    folds = [
        {"train": [f"c{k}" for k in range(4, 8)], "val": [f"c{k}" for k in range(4)]},
        {"train": [f"c{k}" for k in range(4)], "val": [f"c{k}" for k in range(4, 8)]},
    ]
    (folder / "splits_final.json").write_text(json.dumps(folds))
    (tmp_path / "patients.csv").write_text("case_id,pid\n" + "".join(f"c{k},p{(k + 1) // 2}\n" for k in range(9)))
    return tmp_path


def test_the_audit_of_a_dataset(dataset):
    options = AuditOptions(table=dataset / "patients.csv", patient_column="pid", sd=0.3, min_group=2)
    audit = audit_dataset(31, options)
    assert (audit.n_training, audit.n_test, audit.n_patients) == (8, 1, 5)
    assert audit.duplicates == (("c6", "c7"),)
    # c3 and c4 are p2, on both sides of the folds; c7 and the test case c8 are p4
    assert audit.split_patients == ("p2", "p4")
    sizes = audit.sizes.set_index("group")
    # voxels of 2 mm³ in c0, c2, c4, c6 (0, 2, 4, 6 voxels), of 5 mm³ in c1, c3, c5, c7
    assert sizes.loc["f", ["n", "n_empty", "label_volume_mm3_median", "slice_mm_median"]].tolist() == [4, 1, 8, 2]
    assert sizes.loc["m", "label_volume_mm3_median"] == 20 and sizes.loc["B", "voxel_mm3_median"] == 5
    assert audit.scanners == ("site",) and audit.folds.loc[("sex", "f")].tolist() == [2, 2]
    groups = audit.groups.set_index(["attribute", "group"])
    assert groups.loc[("sex", "f"), ["n", "patients"]].tolist() == [5, 5]
    assert groups.loc[("sex", "m"), ["n", "patients"]].tolist() == [4, 4]
    # Of the women c0 is healthy: a gap in DSC is one of the other four. The test case c8 has no label: it may hold it.
    assert groups.loc[("sex", "f"), "patients_labelled"] == 4
    assert audit.gaps.set_index("attribute").loc["sex", "gap_largest"] == smallest_gap(4, 4, 0.3)
    assert audit.class_gaps.empty and audit.classes.empty  # one class
    notes = " ".join(audit.notes)
    assert "sex and site say almost the same" in notes and "density is known for only 3 of 9 cases" in notes
    assert "c6" not in repr(audit).replace(hex(id(audit)), "")  # its address may hold the letters


def test_a_copy_is_found_under_another_header_and_compression(tmp_path):
    array = np.zeros((30, 60, 300), dtype=np.int16)  # longer than what is compared first
    other = array.copy()
    other[-1, -1, -1] += 1
    for name, values, description in (("a", array, "of Monday"), ("b", array, "of Tuesday"), ("c", other, "of Monday")):
        image = nibabel.Nifti1Image(values, np.diag([1.0, 1.0, 2.0, 1.0]))
        image.header["descrip"] = description
        nibabel.save(image, tmp_path / f"{name}_0000.nii.gz")
    content = gzip.decompress((tmp_path / "a_0000.nii.gz").read_bytes())
    (tmp_path / "d_0000.nii.gz").write_bytes(gzip.compress(content, 1))
    (tmp_path / "e_0000.nii.gz").write_bytes(b"no image")
    (tmp_path / "f_0000.nii.gz").write_bytes(b"no image")
    assert same_images([tmp_path, tmp_path / "absent"]) == [("a", "b", "d"), ("e", "f")]


def test_classes_have_smallest_gaps_of_their_own(dataset, monkeypatch, capsys):
    """Class 2 in every second case, c1, c3, c5, c7, all of them men: only one group can be looked at."""
    raw = dataset / "nnUNet_raw" / "Dataset031_Liver"
    content = json.loads((raw / "dataset.json").read_text())
    (raw / "dataset.json").write_text(json.dumps({**content, "labels": {"background": 0, "liver": 1, "tumour": 2}}))
    for number in range(1, 8, 2):
        path = raw / "labelsTr" / f"c{number}.nii.gz"
        label = sitk.ReadImage(str(path))
        label[5, 5, 3] = 2
        sitk.WriteImage(label, str(path))
    audit = audit_dataset(31, AuditOptions(sd=0.3, min_group=2))
    of_groups = audit.classes.set_index(["group", "class"])
    assert of_groups.loc[("m", "tumour"), ["n", "n_with", "volume_mm3_median"]].tolist() == [4, 4, 5]
    assert of_groups.loc[("f", "tumour"), "n_with"] == 0 and of_groups.loc[("f", "liver"), "n_with"] == 3
    gaps = audit.class_gaps.set_index(["class", "attribute"])
    assert gaps.loc[("liver", "sex"), "gap_largest"] == smallest_gap(4, 4, 0.3)
    assert ("tumour", "sex") not in gaps.index  # one woman only may have one: the test case without a label
    monkeypatch.chdir(dataset)
    assert main(["audit", "-d", "31", "--min-group", "2", "-o", "out"]) == 0
    assert "tumour" in (dataset / "out" / "audit.html").read_text()
    table = pd.read_csv(dataset / "out" / "audit.csv")
    held = table[(table["section"] == "classes") & (table["other"] == "tumour") & (table["group"] == "m")]
    assert held.set_index("measure").loc["n_with", "value"] == 4


def test_the_standard_deviation_can_be_measured(dataset):
    (dataset / "cases.csv").write_text("case_id,dsc\na,0.2\nb,0.4\nc,0.9\nd,\n")
    audit = audit_dataset(31, AuditOptions(scores=dataset / "cases.csv", min_group=2))
    assert audit.sd == pytest.approx(0.36056, abs=1e-5) and audit.sd_source == "measured on 3 cases of cases.csv"
    assert audit.n_patients is None and any("every case counts as one" in note for note in audit.notes)


def test_the_command_writes_one_page_and_one_table(dataset, monkeypatch, capsys):
    monkeypatch.chdir(dataset)
    assert main(["audit", "-d", "31", "--min-group", "2"]) == 0
    folder = dataset / "audit_Dataset031_Liver"
    assert sorted(path.name for path in folder.iterdir()) == ["audit.csv", "audit.html"]
    page = (folder / "audit.html").read_text()
    assert "http" not in page.replace("http-equiv", "") and page.count("<script") == 1  # which the policy names
    assert "default-src &#39;none&#39;; script-src &#39;sha256-" in page
    for heading in ("Can a gap be seen", "Patients by group", "Scanners and sites", "What is missing", "Folds"):
        assert heading in page
    table = pd.read_csv(folder / "audit.csv")
    found = table[(table["section"] == "intersections") & (table["group"] == "f") & (table["other_group"] == "A")]
    assert found["value"].tolist() == [5] and set(table["section"]) >= {"groups", "missing", "folds", "smallest gaps"}
    assert "sex: m (4) and f (4) can show a gap in DSC of" in capsys.readouterr().out


def test_names_in_the_page_are_text(dataset):
    raw = dataset / "nnUNet_raw" / "Dataset031_Liver" / "fair_cases.csv"
    raw.write_text(raw.read_text().replace(",A,", ",<b>$x_1$,"))
    assert main(["audit", "-d", "31", "-o", str(dataset / "out")]) == 0
    page = (dataset / "out" / "audit.html").read_text()
    assert "<b>" not in page and "&lt;b&gt;$x_1$" in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--attributes", "sexe"], "did you mean 'sex'"),
        (["--patient-column", "pid"], "--table and --patient-column belong together"),
        (["--sd", "-1"], "--sd is a standard deviation above 0"),
        (["--scores", "TABLE"], "has no column 'dsc'"),
        (["--table", "TABLE", "--patient-column", "patient"], "has no patient column 'patient'"),
    ],
)
def test_bad_input_ends_in_one_sentence(dataset, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(dataset)
    table = str(dataset / "patients.csv")
    assert main(["audit", "-d", "31", *(table if word == "TABLE" else word for word in arguments)]) == 1
    assert message in capsys.readouterr().err
