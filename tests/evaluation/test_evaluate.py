"""The commands from end to end on a small cohort, and what they do with bad input."""

from __future__ import annotations

import base64
import hashlib
import html.parser
import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from nnunet_fair.cli import main

FAST = ["-np", "1", "--resamples", "60"]


@pytest.fixture
def numbers_only(monkeypatch):
    """Leave the figures out where a test is about numbers: drawing them is most of a small evaluation's time."""
    nothing = {"groups": [], "heatmaps": [], "size": [], "lambda": []}
    monkeypatch.setattr("nnunet_fair.evaluation.reports.evaluation_report.evaluation_figures", lambda analysis: nothing)
    monkeypatch.setattr("nnunet_fair.evaluation.evaluate.draw_overlays", lambda *args, **kwargs: [])


def _evaluate(cohort, *extra: str, out: str = "out", ref: str = "labels", pred: str = "pred", table: str = "table.csv"):
    files = ["-ref", f"{cohort}/{ref}", "-pred", f"{cohort}/{pred}", "-m", f"{cohort}/{table}", "-o", f"{cohort}/{out}"]
    return main(["evaluate", *files, *FAST, *extra])


def _scores(cohort, out: str = "out") -> dict:
    return json.loads((cohort / out / "scores.json").read_text())


class _Page(html.parser.HTMLParser):
    """Collects tags, and checks that every opened element is closed."""

    VOID = frozenset({"meta", "img", "br", "hr", "link", "input"})

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, tag


def _assert_good_page(text: str) -> _Page:
    """Self-contained, accessible HTML, whose scripts stand in it and are named by its policy."""
    page = _Page(text)
    assert page.open == []
    for tag, attrs in page.tags:
        assert tag not in ("link", "iframe"), tag
        assert tag != "script" or attrs.keys() <= {"type", "id", "class"}, attrs
        for name in ("src", "href"):
            assert not (attrs.get(name) or "#").startswith(("http", "/", "file")), attrs
        if tag == "img":
            assert attrs["alt"] and attrs["src"].startswith("data:image/")
        if tag == "th":
            assert attrs.get("scope") in ("col", "row")
    assert dict(page.tags)["html"]["lang"] == "en"
    assert "url(" not in text and "@import" not in text
    policy = next(attrs["content"] for tag, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    for code in re.findall(r"<script>(.*?)</script>", text, flags=re.DOTALL):
        assert base64.b64encode(hashlib.sha256(code.encode()).digest()).decode() in policy
    words = re.sub(r'src="data:[^"]*"|<script.*?</script>', "", text, flags=re.DOTALL)
    assert not re.search(r"\bnan\b|\binf\b|Infinity|None|Undefined", words)
    for data in re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', text, flags=re.DOTALL):
        json.loads(data, parse_constant=pytest.fail)
    return page


def test_everything_is_written_and_equals_the_definition(cohort, challenge_reference, capsys):
    assert _evaluate(cohort, "-i", str(cohort / "images"), "--attributes", "site") == 0
    cases = pd.read_csv(cohort / "out" / "cases.csv", index_col="case_id")
    expected = {}
    for path in sorted((cohort / "labels").iterdir()):
        reference, prediction = (
            sitk.GetArrayFromImage(sitk.ReadImage(str(folder / path.name))) > 0
            for folder in (cohort / "labels", cohort / "pred")
        )
        expected[path.name[:-7]] = challenge_reference.case(reference, prediction)
    assert list(cases.index) == list(expected)
    for column, position in (("dsc", 0), ("hd95_voxel", 1), ("norm_hd", 2)):
        assert cases[column].to_numpy() == pytest.approx([row[position] for row in expected.values()], abs=1e-12)
    ages = ["0-40", "41-50", "51-60", "61-70"] * 6
    groups = {
        "age": ages,
        "menopausal_status": ["pre", "post", "unknown"] * 8,
        "breast_density": ["abcd"[(i // 2) % 4] for i in range(24)],
    }
    performance, by_variable, fairness, ranking = challenge_reference.task1(
        [row[0] for row in expected.values()], [row[2] for row in expected.values()], groups
    )
    scores = _scores(cohort)
    assert scores["n_cases"] == 24 and scores["official_variables"]
    assert scores["performance"] == pytest.approx(performance, abs=1e-12)
    assert scores["fairness"] == pytest.approx(fairness, abs=1e-12)
    assert scores["ranking"] == pytest.approx(ranking, abs=1e-12)
    assert scores["fairness_by_variable"] == pytest.approx(by_variable, abs=1e-12)
    assert scores["lambda_curve"]["0.0"] == pytest.approx(performance)
    page = (cohort / "out" / "report.html").read_text()
    _assert_good_page(page)
    assert "hospital &lt;1&gt;" in page and "hospital <1>" not in page
    assert "ranking" in capsys.readouterr().out


def test_a_summary_is_written_where_it_is_asked_for(numbers_only, cohort, capsys):
    assert _evaluate(cohort, "--intended-use", "Drafts outlines.") == 0
    assert (cohort / "out" / "summary.pdf").read_bytes().startswith(b"%PDF-")
    assert "subgroups.csv, the further tables, summary.pdf and report.html" in capsys.readouterr().out
    assert _evaluate(cohort) == 0  # numbers of another run would stay beside these
    assert not (cohort / "out" / "summary.pdf").exists()


def test_json_has_no_infinity_and_csv_has(numbers_only, cohort):
    _evaluate(cohort)
    text = (cohort / "out" / "scores.json").read_text()
    assert "NaN" not in text and "Infinity" not in text
    cases = pd.read_csv(cohort / "out" / "cases.csv", index_col="case_id")
    assert np.isinf(cases.loc["CASE_023", "hd95_voxel"]) and cases.loc["CASE_023", "norm_hd"] == 1.0


def test_missing_predictions_count_as_empty_and_extra_ones_are_listed(numbers_only, cohort, capsys):
    (cohort / "pred" / "CASE_004.nii.gz").unlink()
    shutil.copy(cohort / "pred" / "CASE_005.nii.gz", cohort / "pred" / "OTHER.nii.gz")
    assert _evaluate(cohort, "--missing", "empty", out="accepted") == 0
    assert _evaluate(cohort) == 1
    cases = pd.read_csv(cohort / "out" / "cases.csv", index_col="case_id")
    assert cases.loc["CASE_004", ["dsc", "norm_hd"]].tolist() == [0.0, 1.0]
    assert cases.loc["CASE_004", "status"] == "missing prediction"
    scores = _scores(cohort)
    assert scores["missing_predictions"] == ["CASE_004"] and scores["extra_predictions"] == ["OTHER.nii.gz"]
    printed = capsys.readouterr().out
    assert "1 without a prediction: CASE_004" in printed and "OTHER.nii.gz" in printed
    assert _scores(cohort, "accepted") == scores
    assert _evaluate(cohort, "--missing", "skip", out="skipped") == 0
    assert _scores(cohort, "skipped")["n_cases"] == 23


def test_bad_cases_are_listed_and_the_rest_goes_on(numbers_only, cohort, save_mask, capsys):
    (cohort / "pred" / "CASE_001.nii.gz").write_bytes(b"broken")
    save_mask(np.ones((3, 3, 3)), cohort / "pred" / "CASE_002.nii.gz")
    save_mask(np.full((6, 20, 20), 7), cohort / "labels" / "CASE_003.nii.gz")
    assert _evaluate(cohort) == 1
    printed = capsys.readouterr().out
    for text in ("CASE_001.nii.gz cannot be read", "has size 3×3×3", "holds the values 7 where 0 and 1 are expected"):
        assert text in printed
    scores = _scores(cohort)
    assert scores["n_cases"] == 21 and scores["n_not_scored"] == 3
    cases = pd.read_csv(cohort / "out" / "cases.csv", index_col="case_id")
    assert cases.loc["CASE_001", "status"] == "not scored" and np.isnan(cases.loc["CASE_001", "dsc"])
    _assert_good_page((cohort / "out" / "report.html").read_text())


@pytest.mark.parametrize("keep", [1, 2, 5])
def test_tiny_cohorts_say_what_cannot_be_computed(cohort, keep):
    for path in sorted((cohort / "labels").iterdir())[keep:]:
        path.unlink()
    assert _evaluate(cohort, "-i", str(cohort / "images")) == 0
    page = (cohort / "out" / "report.html").read_text()
    _assert_good_page(page)
    assert "No worst group is named" in page
    assert _scores(cohort)["n_cases"] == keep
    if keep == 1:
        assert "There is one scored case" in page


def test_one_group_only_and_empty_attributes(numbers_only, cohort):
    table = pd.read_csv(cohort / "table.csv").assign(age=45, breast_density=None, menopause="post")
    table.to_csv(cohort / "table.csv", index=False)
    assert _evaluate(cohort) == 0
    scores = _scores(cohort)
    assert scores["fairness"] == 1.0 and scores["fairness_by_variable"]["breast_density"] is None
    assert any("age has one group only" in sentence for sentence in scores["warnings"])
    _assert_good_page((cohort / "out" / "report.html").read_text())


def test_cases_without_metadata_are_said(numbers_only, cohort):
    pd.read_csv(cohort / "table.csv").iloc[:20].to_csv(cohort / "table.csv", index=False)
    assert _evaluate(cohort, "--accept-without-row") == 0
    assert _evaluate(cohort) == 1
    assert any("4 of 24 cases have no row in the table" in sentence for sentence in _scores(cohort)["warnings"])


def test_all_masks_empty(numbers_only, cohort, save_mask):
    for folder in ("labels", "pred"):
        for path in (cohort / folder).iterdir():
            save_mask(np.zeros((4, 5, 5)), path)
    assert _evaluate(cohort) == 0
    assert _scores(cohort)["performance"] == 0.5
    _assert_good_page((cohort / "out" / "report.html").read_text())
    assert _evaluate(cohort, "--empty", "perfect", out="perfect") == 0
    assert _scores(cohort, "perfect")["performance"] == 1.0
    assert _evaluate(cohort, "--empty", "exclude", out="exclude") == 1


@pytest.mark.slow
def test_healthy_patients_are_another_question(cohort, save_mask, capsys):
    for i in range(0, 24, 2):  # half of every age group is healthy, and one of them is not left alone
        save_mask(np.zeros((6, 20, 20)), cohort / "labels" / f"CASE_{i:03d}.nii.gz")
        if i:
            save_mask(np.zeros((6, 20, 20)), cohort / "pred" / f"CASE_{i:03d}.nii.gz")
    assert _evaluate(cohort, "--min-group", "3", "--attributes", "site") == 0
    assert "12 of 24 cases have an empty reference. By the policy 'challenge'" in capsys.readouterr().out
    table = pd.read_csv(cohort / "out" / "false_positives.csv").set_index("subgroup")
    numbers = table.loc["all", ["n", "false_positive_rate", "false_lesions"]].tolist()
    assert numbers == pytest.approx([12, 1 / 12, 1 / 12])
    assert table.loc["all", "false_volume_mm3"] == pytest.approx(3 * 8 * 8 * 2.0 / 12)
    page = (cohort / "out" / "report.html").read_text()
    _assert_good_page(page)
    assert "Where there is nothing to find" in page and "12 references are empty" in page
    assert _scores(cohort)["n_empty_references"] == 12
    assert pd.read_csv(cohort / "out" / "subgroups.csv")["n"][0] == 12
    files = ["-ref", f"{cohort}/labels", "-m", f"{cohort}/table.csv", "-o", f"{cohort}/c", "--overlays", "0", *FAST]
    assert main(["compare", *files, "-a", f"{cohort}/pred", "-b", f"{cohort}/labels", "--min-group", "3"]) == 0
    differences = pd.read_csv(cohort / "c" / "false_positives.csv").set_index("subgroup")
    assert differences.loc["all", "false_positive_rate_difference"] == pytest.approx(-1 / 12)
    page = (cohort / "c" / "report.html").read_text()
    _assert_good_page(page)
    assert "Where there is nothing to find" in page and "By the policy &#39;challenge&#39;" in page
    for path in (cohort / "labels").iterdir():  # a later run without empty references leaves no table of them behind
        save_mask(np.ones((6, 20, 20)), path)
    assert _evaluate(cohort) == 0 and not (cohort / "out" / "false_positives.csv").exists()


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--variables", "agee"], "agee"),
        (["--model", "nowhere"], "there is no training folder"),
        (["-i", "nowhere"], "there is no folder of images"),
        (["-num_parts", "2"], "belong together"),
        (["-num_parts", "2", "-part_id", "2"], "counts from 0"),
        (["--merge"], "there is no part"),
        (["--lambda", "2"], "--lambda takes a value between 0 and 1, found 2"),
        (["--min-group", "0"], "--min-group takes a value of 1 or more, found 0"),
        (["--margin", "1"], "--margin takes a value above 0 and below 1, found 1"),
        (["--reference-share", "0"], "--reference-share takes a value above 0 and below 1, found 0"),
        (["--confidence", "95"], "--confidence takes a value between 0.5 and 0.9999"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_are_one_sentence(cohort, capsys, extra, message):
    assert _evaluate(cohort, *extra) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("nnunet_fair evaluate:") and message in error
    assert not (cohort / "out" / "scores.json").exists()


@pytest.mark.parametrize("folder", ["labels", "pred"])
def test_an_empty_folder_is_a_clear_sentence(cohort, capsys, folder):
    for path in (cohort / folder).iterdir():
        path.unlink()
    assert _evaluate(cohort) == 1
    assert "was found" in capsys.readouterr().err


def test_parts_merge_to_the_same_files(numbers_only, cohort):
    _evaluate(cohort)
    for part in range(3):
        assert _evaluate(cohort, "-num_parts", "3", "-part_id", str(part), out="merged") == 0
    assert _evaluate(cohort, "--merge", out="merged") == 0
    names = (
        "cases.csv",
        "scores.json",
        "subgroups.csv",
        "lesions.csv",
        "lesion_groups.csv",
        "volume.csv",
    )
    for name in names:
        assert (cohort / "merged" / name).read_bytes() == (cohort / "out" / name).read_bytes()


def test_the_lesions_of_a_part_belong_to_it(numbers_only, cohort, capsys):
    assert _evaluate(cohort, "-num_parts", "1", "-part_id", "0") == 0
    path = cohort / "out" / "parts" / "lesions_0_of_1.csv"
    path.write_text(path.read_text().replace("True", "False"))
    assert _evaluate(cohort, "--merge") == 1
    assert "a run was interrupted" in capsys.readouterr().err


def test_further_measures_are_written(numbers_only, cohort):
    assert _evaluate(cohort, "--margin", "0.4", "--reference-share", "0.5", "--min-group", "5", "--seed", "3") == 0
    out = cohort / "out"
    cases = pd.read_csv(out / "cases.csv", index_col="case_id")
    assert list(cases.columns[:2]) == ["dsc", "ndsc"] and set(cases["volume_image_mm3"]) == {6 * 20 * 20 * 2.0}
    moved = cases.loc["CASE_001"]  # 24 of 192 voxels moved by one: as many missed as invented
    kappa = 192 / (2400 - 192)
    assert moved["ndsc"] == pytest.approx(2 * 168 / (2 * 168 + kappa * 24 + 24))
    lesions = pd.read_csv(out / "lesions.csv")
    assert (lesions["kind"] == "reference").sum() == 24 and not lesions.loc[
        lesions["case_id"] == "CASE_023", "touches"
    ].any()
    groups = pd.read_csv(out / "lesion_groups.csv").set_index(["size", "subgroup"])
    assert groups.loc[("all", "all"), "sensitivity"] == pytest.approx(23 / 24)
    scores = _scores(cohort)
    assert scores["reference_share"] == 0.5 and scores["lesion_matching"] == "touch"
    assert {row["attributes"] for row in scores["equity"]} >= {"age", "menopausal_status", "breast_density"}
    equivalence = pd.read_csv(out / "equivalence.csv")
    assert set(equivalence["margin"]) == {0.4} and equivalence["equivalent"].any()
    assert scores["volume"][0]["relative_error"] == pytest.approx(-1 / 24)
    subgroups = pd.read_csv(out / "subgroups.csv").set_index("subgroup")
    assert subgroups.loc["age=51-60", "smallest_detectable"] > 0
    assert subgroups.loc["all", "worst_tenth_dsc"] < subgroups.loc["all", "mean_dsc"]
    assert subgroups.loc["all", "mean_ndsc"] == pytest.approx(cases["ndsc"].mean())
    assert _evaluate(cohort, "--min-group", "5") == 0 and not (out / "equivalence.csv").exists()


def test_parts_of_other_options_or_divisions_are_refused(numbers_only, cohort, capsys):
    for part in range(2):
        _evaluate(cohort, "-num_parts", "2", "-part_id", str(part))
    assert _evaluate(cohort, "--merge", "--tolerance", "5") == 1
    assert "other options" in capsys.readouterr().err
    _evaluate(cohort, "-num_parts", "3", "-part_id", "0")
    assert _evaluate(cohort, "--merge") == 1
    assert "different divisions" in capsys.readouterr().err


def _assert_no_case_to_explore(page: str) -> None:
    """What the page's script reads holds groups only, and no slices of a case."""
    (data,) = re.findall(r'<script type="application/json" id="explore-data">(.*?)</script>', page, flags=re.DOTALL)
    explored = json.loads(data)
    assert explored["cases"] is None and explored["scatter"] is None
    assert explored["classes"] and not any(entry["values"] for entry in explored["classes"])
    assert all(row["n"] >= 5 for entry in explored["classes"] for row in entry["groups"])
    assert 'class="slices"' not in page and "<figure data-case" in page  # the picture under its neutral name is there


def test_anonymised_outputs_hold_no_case_id(cohort, capsys):
    (cohort / "pred" / "CASE_001.nii.gz").write_bytes(b"broken")
    (cohort / "pred" / "CASE_002.nii.gz").unlink()
    shutil.copy(cohort / "pred" / "CASE_005.nii.gz", cohort / "pred" / "CASE_999.nii.gz")
    assert _evaluate(cohort, "--anonymise", "-i", str(cohort / "images")) == 1
    for path in (cohort / "out").iterdir():
        assert "CASE_" not in path.read_text().replace("CASE_0000", ""), path.name
    assert "CASE_" not in capsys.readouterr().out
    _assert_no_case_to_explore((cohort / "out" / "report.html").read_text())
    assert "case-0001" in (cohort / "out" / "cases.csv").read_text()
    assert _scores(cohort)["extra_predictions"] == 1


@pytest.mark.parametrize("given", ["model", "model/fold_0"])
def test_training_records_are_shown(numbers_only, cohort, given):
    fold = cohort / "model" / "fold_0"
    fold.mkdir(parents=True)
    pd.DataFrame(
        [(2, "age=old", 9, 0.3, 0.5, -0.1, -2.0), (4, "age=old", 9, 0.3, 0.6, -0.05, -1.0)],
        columns=["epoch", "subgroup", "n", "support", "mean_score", "divergence", "t"],
    ).to_csv(fold / "fair_history.csv", index=False)
    pd.DataFrame(
        [("CASE_000", 1.6, "age=old"), ("CASE_001", 0.8, None)], columns=["case_id", "weight", "subgroup"]
    ).to_csv(fold / "fair_weights.csv", index=False)
    assert _evaluate(cohort, "--model", str(cohort / given)) == 0
    page = (cohort / "out" / "report.html").read_text()
    _assert_good_page(page)
    assert "Training: divergence and weights" in page and "1.60" in page


def test_compare_from_masks(cohort):
    shutil.copytree(cohort / "labels", cohort / "better")
    files = ["-ref", f"{cohort}/labels", "-m", f"{cohort}/table.csv", "-i", f"{cohort}/images", *FAST]
    code = main(
        ["compare", *files, "-a", f"{cohort}/pred", "-b", f"{cohort}/better", "-o", f"{cohort}/c", "--min-group", "6"]
    )
    assert code == 0
    document = json.loads((cohort / "c" / "comparison.json").read_text())
    assert document["statistics"]["mean_dsc"]["b"] == 1.0
    assert "lifting the worst groups" in document["levelling_down"]["sentence"]
    page = (cohort / "c" / "report.html").read_text()
    _assert_good_page(page)
    assert page.count("data:image/png") == 6  # overlays of the most changed cases


def test_compare_reads_evaluations_and_several_seeds(numbers_only, cohort, capsys):
    shutil.copytree(cohort / "labels", cohort / "better")
    _evaluate(cohort, out="a")
    _evaluate(cohort, out="b", pred="better")
    files = ["-m", f"{cohort}/table.csv", "-o", f"{cohort}/d", "--min-group", "6", *FAST]
    assert main(["compare", "-a", f"{cohort}/a", "-b", f"{cohort}/b", f"{cohort}/b", *files]) == 0
    document = json.loads((cohort / "d" / "comparison.json").read_text())
    assert document["n_seeds_b"] == 2
    expected = 1.0 - _scores(cohort, "a")["fairness"]
    assert document["statistics"]["fairness"]["difference"] == pytest.approx(expected, abs=1e-12)
    assert "wrote comparison.json" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("option", "said", "unsaid"),
    [
        ([], "those of each model independently", "a pair as one"),
        (["--paired-seeds"], "a pair as one", "independently"),
    ],
)
def test_the_report_says_how_the_seeds_were_drawn(cohort, option, said, unsaid):
    files = ["-ref", f"{cohort}/labels", "-m", f"{cohort}/table.csv", "-o", f"{cohort}/c", "--overlays", "0", *FAST]
    seeds = ["-a", f"{cohort}/pred", f"{cohort}/pred", "-b", f"{cohort}/labels", f"{cohort}/labels"]
    assert main(["compare", *files, *seeds, *option]) == 0
    page = (cohort / "c" / "report.html").read_text()
    assert said in page and unsaid not in page


def test_seeds_can_be_paired_only_where_there_are_as_many(cohort, capsys):
    files = ["-ref", f"{cohort}/labels", "-m", f"{cohort}/table.csv", "-o", f"{cohort}/c", *FAST]
    seeds = ["-a", f"{cohort}/pred", f"{cohort}/pred", "-b", f"{cohort}/labels"]
    assert main(["compare", *files, *seeds, "--paired-seeds"]) == 1
    assert "A has 2, B 1" in (message := capsys.readouterr().err) and "leave out --paired-seeds" in message


def test_the_defaults_of_the_command_line_are_those_of_the_library():
    from nnunet_fair.cli import build_parser
    from nnunet_fair.commands import evaluation_arguments as shared
    from nnunet_fair.evaluation.metrics.options import ScoringOptions
    from nnunet_fair.evaluation.scores.options import AnalysisOptions

    args = build_parser().parse_args(["compare", "-a", "x", "-b", "y", "-m", "m", "-o", "o"])
    assert shared.scoring_options(args) == ScoringOptions()
    assert shared.analysis_options(args) == AnalysisOptions()


def test_compare_can_be_anonymised(cohort):
    files = ["-ref", f"{cohort}/labels", "-m", f"{cohort}/table.csv", "-o", f"{cohort}/c", *FAST]
    assert main(["compare", *files, "-a", f"{cohort}/pred", "-b", f"{cohort}/labels", "--anonymise"]) == 0
    for path in (cohort / "c").iterdir():
        assert "CASE_" not in path.read_text(), path.name
    _assert_no_case_to_explore((cohort / "c" / "report.html").read_text())


def test_compare_is_done_only_when_every_case_was_compared(cohort, capsys, monkeypatch):
    monkeypatch.setattr("nnunet_fair.evaluation.compare_folders.comparison_report", lambda *args, **kwargs: "")
    shutil.copytree(cohort / "pred", cohort / "b")
    files = ["-ref", f"{cohort}/labels", "-m", f"{cohort}/table.csv", "-o", f"{cohort}/c", "--overlays", "0", *FAST]
    compare = ["compare", *files, "-a", f"{cohort}/pred", "-b", f"{cohort}/b"]
    (cohort / "b" / "CASE_003.nii.gz").unlink()
    (cohort / "b" / "CASE_005.nii.gz").write_bytes(b"cut short")
    assert main(compare) == 1  # counted as an empty mask
    said = capsys.readouterr().err
    assert "compare: exit status 1: 1 cases have no prediction (--missing accepts that)" in said
    assert "exit status 1: 1 cases were not scored" in said and "have no row" not in said
    pd.read_csv(cohort / "table.csv").iloc[:-2].to_csv(cohort / "table.csv", index=False)
    shutil.copy(cohort / "pred" / "CASE_005.nii.gz", cohort / "b" / "CASE_005.nii.gz")
    assert main([*compare, "--missing", "skip", "--anonymise"]) == 1
    said = capsys.readouterr()
    assert "1 cases without a score in some folder were left out; evaluate says why" in said.out
    assert said.err.count("exit status 1") == 1
    assert "2 cases have no row in the table (--accept-without-row accepts that)" in said.err


def test_compare_needs_labels_for_masks(cohort, capsys):
    files = ["-m", f"{cohort}/table.csv", "-o", f"{cohort}/c", *FAST]
    assert main(["compare", *files, "-a", f"{cohort}/pred", "-b", f"{cohort}/pred"]) == 1
    assert "-ref, the folder of the labels, is needed" in capsys.readouterr().err


def test_pcr_table(cohort, capsys):
    table = pd.read_csv(cohort / "table.csv").assign(pcr=["yes", "no", "no"] * 8)
    table.to_csv(cohort / "table.csv", index=False)
    predictions = pd.DataFrame({"case_id": table["patient_id"].str.upper(), "probability": [0.9, 0.2, 0.6, 0.1] * 6})
    predictions.iloc[:-1].to_csv(cohort / "pcr.csv", index=False)
    files = ["-pred", f"{cohort}/pcr.csv", "-m", f"{cohort}/table.csv", "-o", f"{cohort}/p", *FAST]
    assert main(["evaluate", "--task", "pcr", *files]) == 1
    assert "1 cases have no prediction (--missing accepts that)" in capsys.readouterr().err
    assert main(["evaluate", "--task", "pcr", *files, "--missing", "empty"]) == 0
    scores = json.loads((cohort / "p" / "scores.json").read_text())
    assert scores["balanced_accuracy"] == pytest.approx((4 / 8 + 8 / 16) / 2)
    assert "1 cases have no prediction" in scores["warnings"][0]
    _assert_good_page((cohort / "p" / "report.html").read_text())
    predictions.assign(probability=0.1).to_csv(cohort / "pcr.csv", index=False)
    assert main(["evaluate", "--task", "pcr", *files]) == 1
    assert "constant predictions" in capsys.readouterr().err
    predictions.assign(probability="maybe").to_csv(cohort / "pcr.csv", index=False)
    assert main(["evaluate", "--task", "pcr", *files]) == 1
    assert "'maybe'" in capsys.readouterr().err
