"""Task 2 from two tables to a report: what is read, what is written, what may be published, the exit status."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score

from nnunet_fair.cli import main
from nnunet_fair.evaluation.reports.pcr_figures import calibration_figure, net_benefit_figure
from nnunet_fair.evaluation.scores.pcr_calibration import calibration_curve
from nnunet_fair.evaluation.scores.pcr_decision import decision_curve
from nnunet_fair.evaluation.scores.pcr_discrimination import paired_auc
from nnunet_fair.sharing.secrets import ways_to_write_date
from nnunet_fair.subgroups.disclosure import MIN_CASES, singles_out

N = 60


@pytest.fixture
def tables(tmp_path):
    """Sixty patients with an outcome, groups and secrets, and probabilities and decisions for them."""
    rng = np.random.default_rng(11)
    truth = rng.random(N) < 0.4
    patients = pd.DataFrame(
        {
            "patient_id": [f"PAT_{i:03d}" for i in range(N)],
            "pcr": truth.astype(int),
            "ward": rng.choice(["north", "south"], N),
            "size": ["large"] * 40 + ["small"] * 17 + ["tiny"] * 3,
            "born": [f"19{30 + i}-02-{1 + i % 28:02d}" for i in range(N)],
            "remark": ["fell off a horse", *["none"] * (N - 1)],
        }
    )
    value = np.clip(0.35 + 0.2 * truth + rng.normal(0, 0.2, N), 0.01, 0.99)
    predicted = pd.DataFrame({"case_id": patients["patient_id"], "probability": value})
    patients.attrs["folder"] = str(tmp_path)
    patients.to_csv(tmp_path / "patients.csv", index=False)
    predicted.to_csv(tmp_path / "predicted.csv", index=False)
    return tmp_path, patients, predicted


@pytest.fixture(autouse=True)
def no_figures(monkeypatch):
    """Leave the figures out of the pages: drawing them is most of a small evaluation's time."""
    reports = "nnunet_fair.evaluation.reports"
    for place in (f"{reports}.pcr_report.calibration_figure", f"{reports}.pcr_report.net_benefit_figure"):
        monkeypatch.setattr(place, lambda curves: b"<svg/>")
    monkeypatch.setattr(f"{reports}.pcr_comparison_report.net_benefit_figure", lambda curves: b"<svg/>")


def run(folder, *options, variables=("ward", "size"), resamples="60"):
    files = ["-pred", f"{folder}/predicted.csv", "-m", f"{folder}/patients.csv", "-o", f"{folder}/out"]
    return main(["evaluate", "--task", "pcr", *files, "--variables", *variables, "--resamples", resamples, *options])


def test_decisions_and_probabilities_each_from_their_column(tables):
    folder, _, predicted = tables
    decision = (predicted["probability"] > 0.7).astype(int)
    predicted.assign(prediction=decision).to_csv(folder / "predicted.csv", index=False)
    assert run(folder) == 0
    cases = pd.read_csv(folder / "out" / "cases.csv").set_index("case_id")
    assert cases["prediction"].tolist() == decision.tolist()
    assert cases["value"].tolist() == pytest.approx(predicted["probability"].tolist())
    predicted.to_csv(folder / "predicted.csv", index=False)
    assert run(folder, "--threshold", "0.7") == 0
    assert pd.read_csv(folder / "out" / "cases.csv")["prediction"].tolist() == decision.tolist()


@pytest.mark.parametrize("threshold", ["0", "-1", "2", "nan"])
def test_a_threshold_is_a_probability(tables, capsys, threshold):
    assert run(tables[0], "--threshold", threshold) == 1
    assert "--threshold is a probability above 0" in capsys.readouterr().err


def test_the_status_is_0_only_when_everything_was_done(tables, capsys):
    folder, patients, predicted = tables
    predicted.iloc[3:].to_csv(folder / "predicted.csv", index=False)
    patients.loc[[10, 11], "pcr"] = np.nan
    patients.iloc[:-1].to_csv(folder / "patients.csv", index=False)
    assert run(folder) == 1
    said = capsys.readouterr().err
    assert "exit status 1: 3 cases have no prediction (--missing accepts that)" in said
    assert "exit status 1: 3 cases have no row in the table (--accept-without-row accepts that)" in said
    assert run(folder, "--missing", "skip") == 1
    assert run(folder, "--missing", "skip", "--accept-without-row") == 0
    assert len(pd.read_csv(folder / "out" / "cases.csv")) == N - 3 - 2 - 1
    assert run(folder, "--missing", "empty", "--accept-without-row") == 0
    cases = pd.read_csv(folder / "out" / "cases.csv").set_index("case_id")
    assert cases.loc[["PAT_000", "PAT_001", "PAT_002"], "prediction"].tolist() == [0, 0, 0]
    assert cases.loc["PAT_000":"PAT_002", "value"].isna().all()


def test_nothing_about_few_patients_is_published(tables, capsys):
    folder, patients, predicted = tables
    patients.loc[1, "patient_id"] = "sub-PAT_001"  # a note on it names the row
    patients.to_csv(folder / "patients.csv", index=False)
    predicted.iloc[:-2].to_csv(folder / "predicted.csv", index=False)
    assert run(folder, "--anonymise", "--missing", "empty", variables=("ward", "size", "born", "remark")) == 0
    printed = capsys.readouterr()
    texts = {path.name: path.read_text() for path in (folder / "out").iterdir()}
    texts |= {"output": printed.out.replace(f"to {folder}/out", ""), "errors": printed.err}
    secrets = [*(way for born in patients["born"] for way in ways_to_write_date(born)), "horse", "tiny", str(folder)]
    for name, text in texts.items():
        assert not [secret for secret in secrets if secret in text], name
        assert not re.search(r"pat_\d", text, re.IGNORECASE), name
        assert not re.search(r"(?<![\d.])[1-4] (predicted )?cases", text), name
    groups = pd.read_csv(folder / "out" / "subgroups.csv")
    assert set(groups["group"]) == {"all cases", "north", "south", "large", "other groups"}
    assert (groups["n_pcr"] >= MIN_CASES).all() and (groups["n"] - groups["n_pcr"] >= MIN_CASES).all()
    shown = [patients["ward"] == "north", patients["ward"] == "south", patients["size"] == "large"]
    sets = np.column_stack([np.ones(N, bool), *shown, patients["size"] != "large"])
    for part in (patients["pcr"] == 1, patients["pcr"] == 0):
        assert not singles_out(sets[part])  # so nobody's outcome is a difference of what stands there
    document = json.loads((folder / "out" / "scores.json").read_text())
    assert "fewer than 5 cases have no prediction and count as no pCR, as in the challenge." in document["warnings"]
    assert document["balanced_accuracy"] == round(document["balanced_accuracy"], 3)
    cases = pd.read_csv(folder / "out" / "cases.csv")
    assert cases["pcr"].sum() == patients["pcr"].sum() and cases["case_id"].tolist() == sorted(cases["case_id"])
    assert cases["pcr"].tolist() != patients["pcr"].tolist()  # another order


def test_outcomes_of_fewer_than_five_patients_cannot_be_published(tables, capsys):
    folder, patients, _ = tables
    patients.assign(pcr=[1, 1, 1, 1] + [0] * (N - 4)).to_csv(folder / "patients.csv", index=False)
    assert run(folder, "--anonymise") == 1
    assert "fewer than 5 cases have, or have not, pCR" in capsys.readouterr().err
    assert not (folder / "out" / "cases.csv").exists()


def test_the_page_and_the_tables_tell_what_the_numbers_are(tables, capsys):
    folder, patients, predicted = tables
    assert run(folder, "--attributes", "remark", "--min-group", "1") == 0
    out = folder / "out"
    document = json.loads((out / "scores.json").read_text())
    truth, value = patients["pcr"], predicted["probability"]
    assert document["auc"] == pytest.approx(roc_auc_score(truth, value))
    assert document["probabilities"]["brier"]["estimate"] == pytest.approx(brier_score_loss(truth, value))
    assert document["n_pcr"] == truth.sum()
    assert set(document["chance"]) == {"balanced_accuracy", "fairness_disparity", "ranking", "auc"}
    groups = pd.read_csv(out / "subgroups.csv")
    assert groups.iloc[0][["variable", "group", "n"]].tolist() == ["all", "all cases", N]
    horse = groups[groups["group"] == "fell off a horse"].iloc[0]
    assert horse["n"] == 1 and np.isnan(horse["auc"]) and np.isnan(horse["balanced_accuracy"])
    assert pd.read_csv(out / "reliability.csv")["n"].sum() == N
    assert pd.read_csv(out / "net_benefit.csv")["threshold"].tolist()[::98] == [0.01, 0.99]
    page = (out / "report.html").read_text()
    assert "cannot be estimated" in page and page.count("data:image/svg") == 2
    assert f"AUC of {document['auc']:.3f}" in page and f"AUC of {document['auc']:.3f}" in capsys.readouterr().out
    decisions = predicted.assign(probability=(value > 0.5).astype(int))
    decisions.to_csv(folder / "predicted.csv", index=False)
    assert run(folder) == 0
    document = json.loads((out / "scores.json").read_text())
    assert document["auc"] is None and document["probabilities"] is None and "auc" not in document["chance"]
    assert not (out / "reliability.csv").exists() and not (out / "net_benefit.csv").exists()  # none of an earlier run


def test_a_disparity_that_hangs_on_few_patients_is_said(tables):
    folder, patients, _ = tables
    assert run(folder) == 0
    warnings = json.loads((folder / "out" / "scores.json").read_text())["warnings"]
    # all of ward's rates are of ten cases and more; the three tiny ones decide a rate of size
    assert [w for w in warnings if "hangs" in w] == [
        "The official disparity hangs on rates of groups with fewer than 10 cases with, or without, pCR: size "
        f"({hanging_groups(patients)})."
    ]
    assert run(folder, variables=("ward",)) == 0
    assert "hangs" not in (folder / "out" / "scores.json").read_text()


def hanging_groups(patients):
    """Groups of size with an extreme rate of fewer than ten patients, from plain loops over the decisions."""
    cases = pd.read_csv(Path(patients.attrs["folder"]) / "out" / "cases.csv")
    names = []
    for outcome in (1, 0):
        rates, counts = {}, {}
        for group in ("large", "small", "tiny"):
            inside = (patients["size"] == group).to_numpy() & (cases["pcr"] == outcome).to_numpy()
            counts[group] = int(inside.sum())
            rates[group] = cases["prediction"][inside].mean() if counts[group] else 0.0
        extremes = {max(rates, key=rates.get), min(rates, key=rates.get)}
        names += [group for group in rates if group in extremes and counts[group] < 10]
    return ", ".join(dict.fromkeys(names))


def compare(folder, *options):
    files = ["-a", f"{folder}/a.csv", "-b", f"{folder}/predicted.csv", "-m", f"{folder}/patients.csv"]
    names = ["--name-a", "subtype", "--name-b", "with the image", "--variables", "ward", "size"]
    return main(["compare", "--task", "pcr", *files, "-o", f"{folder}/c", *names, "--resamples", "60", *options])


@pytest.fixture
def two_models(tables):
    """A second model, that knows nothing."""
    folder, patients, predicted = tables
    noise = np.random.default_rng(5).uniform(0.1, 0.9, N)
    predicted.assign(probability=noise).to_csv(folder / "a.csv", index=False)
    return folder, patients, predicted, noise


def test_the_figures_are_drawn(tables, capsys):
    _, patients, predicted = tables
    truth, value = patients["pcr"].to_numpy(dtype=bool), predicted["probability"].to_numpy()
    curve = decision_curve(truth, value)
    for figure in (
        calibration_figure(calibration_curve(truth, value, confidence=0.95)),
        net_benefit_figure({"$a_1$": curve, "b": curve}),
    ):
        assert figure.startswith(b"<?xml") and len(figure) > 5000
    assert capsys.readouterr().err == ""


def test_the_increment_over_another_model(two_models, capsys):
    folder, patients, predicted, noise = two_models
    assert compare(folder) == 0
    truth = patients["pcr"].to_numpy(dtype=bool)
    document = json.loads((folder / "c" / "comparison.json").read_text())
    expected = paired_auc(truth, noise, predicted["probability"].to_numpy(), confidence=0.95)
    assert document["auc"]["difference"] == pytest.approx(expected.difference)
    assert (document["auc"]["low"], document["auc"]["p"]) == pytest.approx((expected.low, expected.p))
    assert document["auc"]["low"] > 0 and document["sentences"][0].startswith("with the image tells pCR better than su")
    printed = capsys.readouterr().out
    assert document["sentences"][0] in printed
    page = (folder / "c" / "report.html").read_text()
    assert document["sentences"][0] in page and page.count("data:image/svg") == 1
    cases = pd.read_csv(folder / "c" / "cases.csv")
    assert cases.columns.tolist() == ["case_id", "pcr", "prediction_a", "value_a", "prediction_b", "value_b"]
    assert pd.read_csv(folder / "c" / "levelling.csv")["metric"].unique().tolist() == ["balanced_accuracy"]
    assert compare(folder) == 0  # its own files are known again
    (folder / "a.csv").write_text((folder / "predicted.csv").read_text())
    assert compare(folder) == 0
    assert "adds anything to subtype cannot be shown" not in capsys.readouterr().out  # one model twice: no interval


def test_what_a_comparison_lacks_is_exit_status_1(two_models, capsys):
    folder, patients, predicted, _ = two_models
    predicted.iloc[2:].to_csv(folder / "predicted.csv", index=False)
    assert compare(folder) == 1
    assert "compare: exit status 1: 2 cases have no prediction" in capsys.readouterr().err
    assert compare(folder, "--missing", "skip") == 0
    assert len(pd.read_csv(folder / "c" / "cases.csv")) == N - 2
    assert compare(folder, "--missing", "empty", "-b", f"{folder}/a.csv", f"{folder}/a.csv") == 1
    assert "-a and -b take one table of predictions each" in capsys.readouterr().err
    patients.assign(pcr=1).to_csv(folder / "patients.csv", index=False)
    assert compare(folder, "--missing", "skip") == 1
    assert "cases that are compared have the same outcome" in capsys.readouterr().err


def test_a_comparison_can_be_published(two_models, capsys):
    folder, patients, predicted, _ = two_models
    predicted.iloc[:-1].to_csv(folder / "predicted.csv", index=False)
    assert compare(folder, "--anonymise", "--missing", "empty", "--attributes", "born", "remark") == 0
    printed = capsys.readouterr()
    texts = {path.name: path.read_text() for path in (folder / "c").iterdir()}
    texts |= {"output": printed.out.replace(f"to {folder}/c", ""), "errors": printed.err}
    secrets = [*(way for born in patients["born"] for way in ways_to_write_date(born)), "horse", "tiny", str(folder)]
    for name, text in texts.items():
        assert not [secret for secret in secrets if secret in text], name
        assert not re.search(r"pat_\d", text, re.IGNORECASE), name
    groups = pd.read_csv(folder / "c" / "subgroups.csv")
    assert (groups["n_pcr"] >= MIN_CASES).all() and (groups["n"] - groups["n_pcr"] >= MIN_CASES).all()
    assert groups.equals(groups.round(3))
