"""``nnunet_fair hidden-groups`` from tables to tables."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from nnunet_fair.cli import main


@pytest.fixture
def tables(tmp_path):
    rng = np.random.default_rng(4)
    second = np.arange(50) < 20
    ids = [f"Case {i:02d}" for i in range(50)]
    features = pd.DataFrame(rng.normal(size=(50, 6)) + 5 * second[:, None], columns=[f"mean_{k:04d}" for k in range(6)])
    features.insert(0, "network", "fold_0")
    features.insert(0, "case_id", [name.lower() for name in ids])
    features.to_csv(tmp_path / "features.csv", index=False)
    dsc = np.clip(0.85 - 0.3 * second + rng.normal(0, 0.05, 50), 0, 1)
    cases = {"case_id": ids, "dsc": dsc, "norm_hd": 0.1, "volume_reference_mm3": 500.0, "problem": ""}
    pd.DataFrame(cases).to_csv(tmp_path / "cases.csv", index=False)
    return tmp_path


def _run(folder, *extra: str) -> int:
    files = ["-x", f"{folder}/features.csv", "-s", f"{folder}/cases.csv", "-o", f"{folder}/out"]
    return main(["hidden-groups", *files, "--permutations", "199", *extra])


def test_a_planted_group_is_found_and_can_be_evaluated(tables, capsys):
    assert _run(tables) == 0
    printed = capsys.readouterr().out
    assert "20 cases" in printed and "p 0.005" in printed and "--variables cluster" in printed
    clusters = pd.read_csv(tables / "out" / "clusters.csv")
    assert clusters.loc[0, "n"] == 20 and clusters.loc[0, "p"] == 1 / 200
    groups = pd.read_csv(tables / "out" / "hidden_groups.csv", index_col="case_id")
    assert set(groups.index[groups["cluster"] == clusters.loc[0, "cluster"]]) == {f"Case {i:02d}" for i in range(20)}
    record = json.loads((tables / "out" / "hidden_groups.json").read_text())
    assert record["n_permutations"] == 199 and record["clusters"][0]["n"] == 20


def test_no_name_is_written_where_none_may_be(tables):
    assert _run(tables) == 0
    assert _run(tables, "--anonymise") == 0
    assert sorted(path.name for path in (tables / "out").iterdir()) == ["clusters.csv", "hidden_groups.json"]
    assert not any("ase 0" in path.read_text() for path in (tables / "out").iterdir())


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("features.csv", "case_id,a\nA,1\n", "has no columns case_id and network"),
        ("features.csv", "case_id,network,a\nA,f,x\n", "a feature is no number"),
        ("features.csv", "case_id,network,a\nA,f,1\nA,f,2\n", "occurs more than once"),
        ("features.csv", "case_id,network,a\nA,f,1\nB,f,inf\n", "missing or infinite"),
        ("features.csv", "case_id,network,a\nA,f,1\nB,f,2\n", "at least two groups of 10 are needed"),
        ("cases.csv", "case_id,mine\nA,1\n", "has no columns dsc and norm_hd"),
    ],
)
def test_tables_that_are_none_are_refused(tables, capsys, name, text, message):
    (tables / name).write_text(text)
    assert _run(tables) == 1
    assert message in capsys.readouterr().err
