"""A whole conversion: what is written, continued, replaced, refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from nnunet_fair.cli import main
from nnunet_fair.dataset_conversion import run as run_module
from nnunet_fair.dataset_conversion.convert import Conversion, ConversionOptions, convert_cohort
from nnunet_fair.dataset_conversion.recipes import RecipeSettings, read_recipe
from nnunet_fair.errors import UserError
from nnunet_fair.metadata.fair_cases import read_fair_cases

NAME = "Dataset950_TEST"
TRAINING = ["DUKE_001", "DUKE_002", "DUKE_003", "ISPY1_1001", "ISPY1_1002", "ISPY2_100899"]
TESTING = ["ISPY2_101000", "NACT_01"]
CROPPED = RecipeSettings(recipe="zscore-pre", crop_margin_mm=0.0)


@pytest.fixture
def convert(cohort, nnunet: Path) -> Callable[..., Conversion]:
    def run(**options) -> Conversion:
        return convert_cohort(cohort.root, NAME, ConversionOptions(**{"n_folds": 3, **options}))

    return run


@pytest.fixture
def raw(nnunet: Path) -> Path:
    return nnunet / "nnUNet_raw" / NAME


@pytest.fixture
def splits(nnunet: Path) -> Path:
    return nnunet / "nnUNet_preprocessed" / NAME / "splits_final.json"


@pytest.fixture
def converted_cases(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The IDs of the cases that are really converted, as they are."""
    seen: list[str] = []
    original = run_module.convert_case

    def spy(task):
        seen.append(task.files.case_id)
        return original(task)

    monkeypatch.setattr(run_module, "convert_case", spy)
    return seen


def report(raw: Path) -> pd.DataFrame:
    return pd.read_csv(raw / "conversion_report.csv", keep_default_na=False).set_index("case_id")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_sound_cohort_gives_everything_the_other_commands_read(convert, raw: Path, splits: Path) -> None:
    done = convert()
    assert done.n_skipped == 0
    assert done.folder == raw
    assert names(raw / "imagesTr") == [f"{case}_{channel:04d}.nii.gz" for case in TRAINING for channel in range(3)]
    assert names(raw / "labelsTr") == [f"{case}.nii.gz" for case in TRAINING]
    assert names(raw / "imagesTs") == [f"{case}_{channel:04d}.nii.gz" for case in TESTING for channel in range(3)]
    assert names(raw / "labelsTs") == [f"{case}.nii.gz" for case in TESTING]
    assert report(raw)["status"].tolist() == ["converted"] * 8
    assert report(raw)["reason"].tolist() == [""] * 8
    attributes = read_fair_cases(raw / "fair_cases.csv")
    assert sorted(attributes.index) == sorted(TRAINING + TESTING)
    assert attributes.loc["DUKE_001"].tolist()[:2] == ["0-40", "pre"]
    boxes = json.loads((raw / "breast_boxes.json").read_text())["boxes"]
    assert boxes["NACT_01"] == [[0, 4], [2, 9], [3, 11]]
    folds = json.loads(splits.read_text())
    assert sorted(case for fold in folds for case in fold["val"]) == TRAINING
    assert all(sorted(fold["train"] + fold["val"]) == TRAINING for fold in folds)
    assert not (raw / "breast_crops.json").exists()


def test_dataset_json_is_nnunets_and_names_no_case(convert, raw: Path) -> None:
    convert()
    text = (raw / "dataset.json").read_text()
    content = json.loads(text)
    assert content["channel_names"] == {"0": "phase_0", "1": "phase_1", "2": "phase_2"}
    assert content["labels"] == {"background": 0, "tumor": 1}
    assert (content["numTraining"], content["file_ending"]) == (6, ".nii.gz")
    recipe = (raw / "nnunet_fair_recipe.json").read_text()
    assert not any(case in text + recipe for case in TRAINING + TESTING)


@pytest.mark.slow
def test_nnunet_finds_nothing_wrong(cohort, convert, raw: Path) -> None:
    from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity

    cohort.change_image(cohort.label(TRAINING[0]), lambda image: image.SetPixel(3, 2, 0, 255))
    done = convert(settings=CROPPED, ignore_label=255)
    assert done.n_skipped == 0 and json.loads((raw / "dataset.json").read_text())["labels"]["ignore"] == 2
    verify_dataset_integrity(str(raw), num_processes=1)
    with pytest.raises(UserError, match="with ignore label 255 and not None"):
        convert(settings=CROPPED)


@pytest.mark.parametrize("settings", [RecipeSettings(phases=(0, "last")), CROPPED], ids=["phases", "cropped"])
def test_the_recipe_is_found_beside_the_data_and_in_what_nnunet_copies(
    convert, raw: Path, tmp_path: Path, settings: RecipeSettings
) -> None:
    convert(settings=settings)
    assert read_recipe(raw) == settings
    model = tmp_path / "model"
    model.mkdir()
    shutil.copy(raw / "dataset.json", model)
    assert read_recipe(model) == settings


def test_crops_are_recorded_for_every_case_and_nothing_else(convert, raw: Path) -> None:
    convert(settings=CROPPED)
    content = json.loads((raw / "breast_crops.json").read_text())
    assert sorted(content["cases"]) == sorted(TRAINING + TESTING)
    assert content["cases"]["DUKE_001"]["start"] == [0, 2, 3]
    assert content["cases"]["DUKE_001"]["stop"] == [4, 9, 11]
    assert content["cases"]["DUKE_001"]["size"] == [12, 10, 4]
    assert json.loads((raw / "dataset.json").read_text())["channel_names"] == dict.fromkeys("012", "noNorm")


def test_attributes_by_name_with_the_size_measured_here(cohort, convert, raw: Path) -> None:
    big = np.ones((4, 10, 12), np.uint8)
    image = sitk.ReadImage(str(cohort.label("DUKE_001")))
    label = sitk.GetImageFromArray(big)
    label.CopyInformation(image)
    label.SetSpacing((5.0, 5.0, 5.0))  # 480 voxels of 125 mm³: 60,000 mm³, a sphere of 49 mm
    sitk.WriteImage(label, str(cohort.label("DUKE_001")))
    for phase in range(3):
        cohort.change_image(cohort.phase("DUKE_001", phase), lambda image: image.SetSpacing((5.0, 5.0, 5.0)))
    convert(attributes=("centre", "tumor_size"))
    attributes = read_fair_cases(raw / "fair_cases.csv")
    assert list(attributes.columns) == ["centre", "tumor_size"]
    assert attributes.loc["DUKE_001", "tumor_size"] == "T2: >2-5 cm"
    assert attributes.loc["DUKE_002", "tumor_size"] == "T1: <=2 cm"  # 9 mm³
    assert attributes.loc["NACT_01", "centre"] == "NACT"


def test_an_unknown_attribute_is_refused_before_any_work(convert, raw: Path) -> None:
    with pytest.raises(UserError, match="menopaus"):
        convert(attributes=("menopaus",))
    assert not raw.exists()


def damage_some(cohort) -> dict[str, str]:
    """Damage cases in ways that need no image to be opened; expected reason by case."""
    shutil.rmtree(cohort.root / "images" / "DUKE_001")
    cohort.write_table([case for case in cohort.case_ids if case != "DUKE_002"] + ["ISPY2_999"])
    cohort.write_splits(["DUKE_001", "DUKE_002", "DUKE_003", "ISPY1_1001", "ISPY1_1002"], ["ISPY1_1002", "NACT_01"])
    return {
        "DUKE_001": "no images",
        "DUKE_002": "no table row",
        "ISPY2_999": "no images",
        "ISPY1_1002": "not in one split: listed as training and as test case",
        "ISPY2_100899": "not in one split: not listed",
        "ISPY2_101000": "not in one split: not listed",
    }


def test_cases_that_do_not_fit_together_are_named_and_none_is_lost(cohort, convert, raw: Path) -> None:
    expected = damage_some(cohort)
    done = convert(n_folds=2)
    found = report(raw)
    assert sorted(found.index) == sorted([*cohort.case_ids, "ISPY2_999"])
    assert found[found["status"] == "converted"].index.tolist() == ["DUKE_003", "ISPY1_1001", "NACT_01"]
    for case_id, reason in expected.items():
        assert found.loc[case_id, "reason"].startswith(reason)
    assert done.n_skipped == 6
    assert sorted(read_fair_cases(raw / "fair_cases.csv").index) == ["DUKE_003", "ISPY1_1001", "NACT_01"]
    assert json.loads((raw / "dataset.json").read_text())["numTraining"] == 2


@pytest.mark.slow
def test_two_processes_do_what_one_does(convert, raw: Path) -> None:
    convert(settings=CROPPED)
    before = {path.name: path.read_bytes() for path in raw.iterdir() if path.suffix in (".csv", ".json")}
    convert(settings=CROPPED, n_processes=2, overwrite=True)
    assert {path.name: path.read_bytes() for path in raw.iterdir() if path.suffix in (".csv", ".json")} == before


def test_without_a_split_file_every_case_trains(cohort, convert) -> None:
    (cohort.root / "train_test_splits.csv").unlink()
    done = convert()
    assert {result.split for result in done.results} == {"Tr"}


def test_a_test_fraction_wins_over_the_split_file(convert, raw: Path) -> None:
    done = convert(test_fraction=0.5, n_folds=2)
    assert sum(result.split == "Ts" for result in done.results) == 4
    assert len(names(raw / "labelsTs")) == 4


def test_a_second_run_does_nothing_again(convert, converted_cases: list[str], raw: Path) -> None:
    convert()
    assert len(converted_cases) == 8
    done = convert()
    assert len(converted_cases) == 8
    assert done.n_resumed == 8
    assert report(raw)["status"].tolist() == ["converted"] * 8


def test_an_interrupted_run_is_continued_and_nothing_was_in_its_place(
    convert, raw: Path, monkeypatch: pytest.MonkeyPatch, converted_cases: list[str]
) -> None:
    spied = run_module.convert_case

    def interrupt(task):
        if task.files.case_id == "ISPY1_1001":
            raise KeyboardInterrupt
        return spied(task)

    monkeypatch.setattr(run_module, "convert_case", interrupt)
    with pytest.raises(KeyboardInterrupt):
        convert()
    assert not raw.exists()
    monkeypatch.setattr(run_module, "convert_case", spied)
    done = convert()
    assert converted_cases == ["DUKE_001", "DUKE_002", "DUKE_003", *TRAINING[3:], *TESTING]
    assert done.n_resumed == 3
    assert len(names(raw / "labelsTr")) == 6


def test_only_changed_lost_and_new_cases_are_done_again(
    cohort, convert, converted_cases: list[str], raw: Path, splits: Path
) -> None:
    convert()
    converted_cases.clear()
    cohort.write_box("DUKE_001", ((0, 3), (2, 9), (3, 11)))
    (raw / "labelsTr" / "DUKE_003.nii.gz").unlink()
    cohort.write_case("NACT_02", 20)
    cohort.write_table([*cohort.case_ids, "NACT_02"])
    cohort.write_splits([*TRAINING, "NACT_02"], TESTING)
    convert()
    assert converted_cases == ["DUKE_001", "DUKE_003", "NACT_02"]
    assert json.loads((raw / "breast_boxes.json").read_text())["boxes"]["DUKE_001"][0] == [0, 3]
    assert json.loads((raw / "dataset.json").read_text())["numTraining"] == 7
    assert "NACT_02" in splits.read_text()
    assert "NACT_02" not in splits.with_name("splits_final.previous.json").read_text()


def test_a_case_that_changes_sides_or_vanishes_leaves_nothing_behind(cohort, convert, raw: Path) -> None:
    convert()
    shutil.rmtree(cohort.root / "images" / "DUKE_001")
    cohort.label("DUKE_001").unlink()
    cohort.write_table(cohort.case_ids[1:])
    cohort.write_splits(TRAINING[2:], [*TESTING, "DUKE_002"])
    convert(n_folds=2)
    assert names(raw / "labelsTr") == [f"{case}.nii.gz" for case in TRAINING[2:]]
    assert names(raw / "labelsTs") == [f"{case}.nii.gz" for case in ["DUKE_002", *TESTING]]
    assert not [name for name in names(raw / "imagesTr") if name.startswith(("DUKE_001", "DUKE_002"))]


def test_files_of_others_are_left_alone(convert, raw: Path) -> None:
    convert()
    extra = raw / "imagesTs" / "MINE_1_0000.nii.gz"
    extra.write_bytes(b"")
    convert()
    assert extra.exists()


def test_another_recipe_needs_overwrite(convert, raw: Path, converted_cases: list[str]) -> None:
    convert()
    with pytest.raises(UserError, match="was converted with recipe phases and not zscore-pre; `overwrite` replaces it"):
        convert(settings=CROPPED)
    converted_cases.clear()
    convert(settings=CROPPED, overwrite=True)
    assert len(converted_cases) == 8
    assert read_recipe(raw) == CROPPED
    assert names(raw.parent) == [NAME]


def test_overwriting_that_fails_keeps_the_old_dataset(convert, raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    convert()

    def fail(task):
        raise OSError("No space left on device")

    monkeypatch.setattr(run_module, "convert_case", fail)
    with pytest.raises(UserError, match="No space left"):
        convert(settings=CROPPED, overwrite=True)
    assert read_recipe(raw) == RecipeSettings()
    assert len(names(raw / "labelsTr")) == 6


def test_folds_that_fit_are_kept_and_overwrite_replaces_them(convert, splits: Path) -> None:
    convert()
    mine = [{"train": TRAINING[1:], "val": TRAINING[:1]}]
    splits.write_text(json.dumps(mine))
    assert not convert().folds.written
    assert json.loads(splits.read_text()) == mine
    assert convert(overwrite=True).folds.written
    assert len(json.loads(splits.read_text())) == 3


def test_folds_can_be_drawn_anew_by_seed(convert, splits: Path) -> None:
    convert()
    first = splits.read_text()
    convert(overwrite=True)
    assert splits.read_text() == first
    others = set()
    for seed in (3, 4, 5, 6):  # of so few cases, one seed may draw the same folds by chance
        convert(overwrite=True, seed=seed)
        others.add(splits.read_text())
    assert others - {first}


def test_an_outdated_fingerprint_is_announced_once_something_changed(cohort, convert, splits: Path) -> None:
    assert convert().outdated is None
    fingerprint = splits.with_name("dataset_fingerprint.json")
    fingerprint.write_text("{}")
    assert convert().outdated is None
    cohort.write_box("DUKE_001", ((0, 3), (2, 9), (3, 11)))
    assert convert().outdated == fingerprint


def test_a_folder_of_others_is_never_replaced(convert, raw: Path) -> None:
    (raw / "imagesTr").mkdir(parents=True)
    for overwrite in (False, True):
        with pytest.raises(UserError, match="was not made by nnunet_fair convert"):
            convert(overwrite=overwrite)


def test_a_taken_number_is_refused(convert, nnunet: Path) -> None:
    (nnunet / "nnUNet_preprocessed" / "Dataset950_OTHER").mkdir()
    with pytest.raises(UserError, match="Dataset950_OTHER has the same number"):
        convert()


def test_nothing_converted_is_an_error_that_says_why(cohort, convert, raw: Path) -> None:
    for case in cohort.case_ids:
        cohort.label(case).unlink()
    with pytest.raises(UserError, match=r"no label: 6 \(DUKE_001"):
        convert()
    assert not raw.exists()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda c: c.table.unlink(), "has no table"),
        (lambda c: shutil.rmtree(c.root / "segmentations"), "has no folder segmentations/expert"),
        (lambda c: shutil.rmtree(c.root / "images"), "has no folder 'images'"),
        (lambda c: (c.root / "train_test_splits.csv").write_text("a,b\n1,2\n"), "has no column 'train_split'"),
    ],
    ids=["table", "segmentations", "images", "splits"],
)
def test_a_cohort_that_lacks_something_is_refused(cohort, convert, damage, message: str) -> None:
    damage(cohort)
    with pytest.raises(UserError, match=message):
        convert()


def test_a_table_elsewhere_in_another_format(cohort, convert, tmp_path: Path, raw: Path) -> None:
    table = tmp_path / "patients.xlsx"
    with pd.ExcelWriter(table) as writer:
        pd.read_csv(cohort.table).to_excel(writer, sheet_name="dataset_info", index=False)
    cohort.table.unlink()
    convert(table=table)
    assert len(read_fair_cases(raw / "fair_cases.csv")) == 8


class TestCommand:
    """``nnunet_fair convert`` as it is typed."""

    @pytest.fixture
    def command(self, cohort, nnunet: Path) -> Callable[..., int]:
        return lambda *words: main(["convert", "-i", str(cohort.root), "-d", "950", "--folds", "2", "-np", "1", *words])

    def test_a_sound_cohort_exits_with_zero(self, command, capsys: pytest.CaptureFixture) -> None:
        assert command() == 0
        out = capsys.readouterr().out
        assert "8 cases: 8 converted (6 training, 2 test), 0 skipped" in out
        assert "fold_1" in out
        assert out.rstrip().endswith("conversion_report.csv")

    def test_skips_exit_with_one_unless_allowed(self, cohort, command, capsys: pytest.CaptureFixture) -> None:
        damage_some(cohort)
        assert command() == 1
        assert "  skipped, no images: 2 (DUKE_001, ISPY2_999)" in capsys.readouterr().out
        assert command("--allow-skips") == 0

    def test_a_sparse_attribute_is_announced(self, cohort, command, capsys: pytest.CaptureFixture) -> None:
        frame = pd.read_csv(cohort.table)
        frame["breast_density"] = ["a"] + [None] * 7
        frame.to_csv(cohort.table, index=False)
        command()
        assert "breast_density is known for only 1 of 8 cases" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("words", "names"),
        [
            ((), ["phase_0", "phase_1", "phase_2"]),
            (("--phases", "0", "last"), ["phase_0", "phase_last"]),
            (("--recipe", "subtraction"), ["phase_1_minus_phase_0"]),
            (("--recipe", "zscore-all"), ["noNorm"]),
            (("--recipe", "zscore-pre", "--percentiles", "1", "99", "--crop-breast"), ["noNorm"] * 3),
        ],
        ids=["default", "last", "subtraction", "zscore-all", "zscore-pre"],
    )
    def test_recipes_bring_their_own_phases(self, command, nnunet: Path, words: tuple, names: list[str]) -> None:
        assert command(*words) == 0
        content = json.loads((nnunet / "nnUNet_raw" / "Dataset950_MAMAMIA" / "dataset.json").read_text())
        assert list(content["channel_names"].values()) == names

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (("-d", "0"), "number from 1 to 999"),
            (("--name", "a b"), "expected a name"),
            (("-np", "0"), "-np of 1 or more"),
            (("--phases", "0", "two"), "found 'two'"),
            (("--percentiles", "1", "99"), "belongs to the recipe zscore-pre"),
            (("--test-fraction", "1"), "test fraction"),
            (("--folds", "7"), "cannot fill 7 folds"),
            (("--folds", "1"), "2 or more folds"),
        ],
        ids=" ".join,
    )
    def test_mistakes_are_one_sentence(
        self, command, capsys: pytest.CaptureFixture, words: tuple[str, ...], message: str
    ) -> None:
        assert command(*words) == 1
        assert message in capsys.readouterr().err


def test_what_others_added_to_a_dataset_is_not_replaced_with_it(convert, raw):
    convert()
    for mine in ("thesis.tex", "imagesTs/NEW_1_0000.nii.gz", "labelsTr/notes.txt"):
        (raw / mine).write_text("mine")
        with pytest.raises(UserError, match=f"{mine} was not written by this command and would be lost; move it away"):
            convert(overwrite=True)
        assert (raw / mine).read_text() == "mine"
        (raw / mine).unlink()
