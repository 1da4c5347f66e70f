"""Anonymised results: no name, no group of a few patients, none by subtraction."""

import json

import numpy as np
import pandas as pd
import pytest

from nnunet_fair.cli import main
from nnunet_fair.evaluation.anonymise import publishable, without_combinations
from nnunet_fair.evaluation.scores.analysis import AnalysisOptions
from nnunet_fair.evaluation.scores.case_groups import CaseGroups
from nnunet_fair.subgroups.search import SubgroupOptions


def groups_of(frame, variables, official=True):
    return CaseGroups(frame=pd.DataFrame(frame, dtype=object), variables=variables, official=official, notes=())


def test_groups_of_the_scored_cases_are_merged_and_said():
    groups = groups_of({"age": ["old"] * 9 + ["young"] * 8 + ["x"] * 3 + ["y"] * 2, "born": range(22)}, ("age", "born"))
    shown = publishable(groups, groups.frame.index)
    assert shown.variables == ("age",)
    assert shown.frame["age"].value_counts().to_dict() == {"old": 9, "young": 8, "other groups": 5}
    assert not shown.official
    assert [note.split(":")[0] for note in shown.notes] == ["born is not shown", "age"]
    assert publishable(groups, groups.frame.index[:17]).frame["age"].value_counts().to_dict() == {"old": 9, "young": 8}


def test_a_score_of_which_nothing_may_be_shown_has_no_groups():
    groups = groups_of({"born": range(22)}, ("born",))
    shown = publishable(groups, groups.frame.index)
    assert shown.variables == ("born",)
    assert shown.frame["born"].isna().all()


def test_no_combinations():
    options = without_combinations(AnalysisOptions(lambda_=0.3, subgroups=SubgroupOptions(min_group=2, max_items=3)))
    assert (options.lambda_, options.subgroups.min_group, options.subgroups.max_items) == (0.3, 5, 1)


@pytest.mark.parametrize("command", ["evaluate", "compare"])
def test_planted_secrets_are_in_no_file(cohort, command):
    table = pd.read_csv(cohort / "table.csv")
    n = len(table)
    table["born"] = [f"1950-02-{1 + i:02d}" for i in range(n)]
    table["remark"] = ["fell off a horse", *["none"] * (n - 1)]
    table["ward"] = ["north"] * (n // 2) + ["south"] * (n - n // 2)
    table.to_csv(cohort / "table.csv", index=False)
    files = ["-ref", f"{cohort}/labels", "-m", f"{cohort}/table.csv", "-o", f"{cohort}/out", "-np", "1"]
    files += ["--variables", "ward", "born", "remark", "--resamples", "60", "--overlays", "0", "--anonymise"]
    models = ["-pred", f"{cohort}/pred"]
    if command == "compare":
        models = ["-a", f"{cohort}/pred", "-b", f"{cohort}/labels"]
    assert main([command, *files, *models]) == 0
    secrets = [*table["born"], "horse", *table["patient_id"].str.upper()]
    for path in (cohort / "out").iterdir():
        text = path.read_text()
        assert not [secret for secret in secrets if secret in text], path.name
    subgroups = pd.read_csv(cohort / "out" / "subgroups.csv")
    assert set(subgroups["subgroup"].iloc[1:]) == {"ward=north", "ward=south"}
    assert subgroups["n"].min() >= 5
    assert "ward" not in pd.read_csv(cohort / "out" / "cases.csv").columns
    if command == "evaluate":
        document = json.loads((cohort / "out" / "scores.json").read_text())
        assert document["gaps_by_tumour_size"] == []
        assert any("born is not shown" in sentence for sentence in document["warnings"])
        assert np.isfinite(document["fairness"])
