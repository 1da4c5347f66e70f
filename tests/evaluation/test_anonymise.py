"""Anonymised results: no name, no group of a few patients, none by subtraction."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nnunet_fair.cli import main
from nnunet_fair.evaluation.anonymise import (
    anonymise_cases,
    neutral_names,
    public_notes,
    publishable,
    rounded,
    without_combinations,
)
from nnunet_fair.evaluation.scores.analysis import AnalysisOptions
from nnunet_fair.evaluation.scores.case_groups import CaseGroups
from nnunet_fair.masks.pairing import CasePair
from nnunet_fair.sharing.secrets import ways_to_write_date
from nnunet_fair.subgroups.search import SubgroupOptions


def groups_of(frame, variables, official=True):
    return CaseGroups(frame=pd.DataFrame(frame, dtype=object), variables=variables, official=official, notes=())


def test_no_case_id_is_left_and_scores_and_groups_go_with_their_case():
    problems = [
        "/data/labels/CASE_00.nii.gz cannot be read (cut short)",
        "CASE_01 has no prediction; /data/labels/CASE_01.nii.gz is kept, CASE_01 scored 0",
        *[""] * 10,
    ]
    ids = [f"CASE_{i:02d}" for i in range(12)]
    pairs = [CasePair(i, Path(f"/data/labels/{i}.nii.gz"), Path(f"/data/pred/{i}.nii.gz")) for i in ids]
    cases = pd.DataFrame({"dsc": np.linspace(0.1, 0.9, 12), "norm_hd": 0.1, "problem": problems}, index=ids)
    groups = CaseGroups(pd.DataFrame({"age": ["old", "young"] * 6}, ids, dtype=object), ("age",), False, ())
    names, renamed, shown = anonymise_cases(pairs, cases, groups)
    assert sorted(names.values()) == renamed.index.tolist() == shown.frame.index.tolist()
    assert renamed["dsc"].to_dict() == {names[case_id]: dsc for case_id, dsc in cases["dsc"].items()}
    assert shown.frame["age"].to_dict() == {names[case_id]: age for case_id, age in groups.frame["age"].items()}
    new = names["CASE_01"]
    assert renamed.loc[names["CASE_00"], "problem"] == "the reference cannot be read (cut short)"
    assert renamed.loc[new, "problem"] == f"{new} has no prediction; the reference is kept, {new} scored 0"


def test_neutral_names_do_not_give_the_order_away():
    ids = [f"c{i}" for i in range(200)]
    first, second = neutral_names(ids), neutral_names(ids)
    assert first != second
    assert sorted(first.values()) == [f"case-{number:04d}" for number in range(1, 201)]
    assert set(map(len, neutral_names([str(i) for i in range(10_000)]).values())) == {len("case-00001")}


def test_groups_of_the_scored_cases_are_merged_and_said():
    groups = groups_of({"age": ["old"] * 9 + ["young"] * 8 + ["x"] * 3 + ["y"] * 2, "born": range(22)}, ("age", "born"))
    shown = publishable(groups, groups.frame.index, [np.ones(22, bool)])
    assert shown.variables == ("age",)
    assert shown.frame["age"].value_counts().to_dict() == {"old": 9, "young": 8, "other groups": 5}
    assert not shown.official
    assert [note.split(":")[0] for note in shown.notes] == ["born is not shown", "age"]
    assert publishable(groups, groups.frame.index[:17], [np.ones(17, bool)]).frame["age"].value_counts().to_dict() == {
        "old": 9,
        "young": 8,
    }


def test_a_score_of_which_nothing_may_be_shown_has_no_groups():
    groups = groups_of({"born": range(22)}, ("born",))
    shown = publishable(groups, groups.frame.index, [np.ones(22, bool)])
    assert shown.variables == ("born",)
    assert shown.frame["born"].isna().all()


def test_healthy_patients_of_a_group_cannot_be_told_by_subtraction():
    """All of site b (11) less those of it with a lesion (10) is one healthy patient, and her false positive."""
    groups = groups_of({"site": ["a"] * 12 + ["b"] * 11}, ("site",))
    present = np.array([True] * 22 + [False])
    assert publishable(groups, groups.frame.index, [np.ones(23, bool)]).frame["site"].notna().all()
    assert publishable(groups, groups.frame.index, [present]).frame["site"].isna().all()
    present[:6] = False  # six of a, and five more of b: enough of each
    present[17:22] = False
    assert publishable(groups, groups.frame.index, [present]).frame["site"].notna().all()


def test_notes_on_rows_and_values_are_not_passed_on():
    notes = (
        "2 cases matched without leading zeros: '7' is 'case_007', '8' is 'case_008'.",
        "Column 'age': 99 (1 case) stands far outside the rest (23 to 61); if it is a code for missing, name it.",
        "born is left out: column 'born' holds '1961-03-05'.",
        "age: the groups are the table's own, not the challenge's.",
    )
    assert public_notes(notes) == (
        "born is left out.",
        "age: the groups are the table's own, not the challenge's.",
        "2 notes name rows or values of the table and are not shown here.",
    )
    assert public_notes(notes[2:]) == ("born is left out.", notes[3])


def test_exact_means_are_rounded():
    assert rounded({"a": [0.12345, np.float32(0.5), 3, None, "x", True]}) == {"a": [0.123, 0.5, 3, None, "x", True]}


def test_no_combinations():
    options = without_combinations(AnalysisOptions(lambda_=0.3, subgroups=SubgroupOptions(min_group=2, max_items=3)))
    assert (options.lambda_, options.subgroups.min_group, options.subgroups.max_items) == (0.3, 5, 1)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["evaluate", "compare"])
def test_planted_secrets_are_in_no_file(cohort, command, capsys):
    table = pd.read_csv(cohort / "table.csv")
    n = len(table)
    table["born"] = [f"1950-02-{1 + i:02d}" for i in range(n)]
    table["remark"] = ["fell off a horse", *["none"] * (n - 1)]
    table["ward"] = ["north"] * (n // 2) + ["south"] * (n - n // 2)
    table.loc[1, "patient_id"] = "sub-case_001"  # a note on it names the row
    table.to_csv(cohort / "table.csv", index=False)
    files = ["-ref", f"{cohort}/labels", "-m", f"{cohort}/table.csv", "-o", f"{cohort}/out", "-np", "1"]
    files += ["--variables", "ward", "born", "remark", "--resamples", "60", "--overlays", "0", "--anonymise"]
    models = ["-pred", f"{cohort}/pred"]
    if command == "compare":
        models = ["-a", f"{cohort}/pred", "-b", f"{cohort}/labels"]
    assert main([command, *files, *models]) == 0
    secrets = [*(text for born in table["born"] for text in ways_to_write_date(born)), "horse", str(cohort)]
    printed = capsys.readouterr()
    texts = {path.name: path.read_text() for path in (cohort / "out").iterdir()}
    texts |= {"output": printed.out.replace(f"to {cohort}/out", ""), "errors": printed.err}
    for name, text in texts.items():
        assert not [secret for secret in secrets if secret in text.lower()], name
        assert not re.search(r"case_\d", text, re.IGNORECASE), name
    subgroups = pd.read_csv(cohort / "out" / "subgroups.csv")
    assert (subgroups["n"] % 1 == 0).all() and subgroups.equals(subgroups.round(3))
    assert set(subgroups["subgroup"].iloc[1:]) == {"ward=north", "ward=south"}
    assert subgroups["n"].min() >= 5
    assert "ward" not in pd.read_csv(cohort / "out" / "cases.csv").columns
    if command == "evaluate":
        document = json.loads((cohort / "out" / "scores.json").read_text())
        assert document["gaps_by_tumour_size"] == []
        assert any("born is left out" in sentence for sentence in document["warnings"])
        assert any("remark is not shown" in sentence for sentence in document["warnings"])
        assert np.isfinite(document["fairness"])
