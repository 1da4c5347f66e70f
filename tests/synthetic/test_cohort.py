from __future__ import annotations

import hashlib
import json

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from nnunet_fair.cli import main
from nnunet_fair.errors import UserError
from nnunet_fair.metadata.case_table import read_case_table
from nnunet_fair.metadata.mama_mia import build_attributes
from nnunet_fair.synthetic.cohort import CohortOptions, write_cohort
from nnunet_fair.synthetic.patients import draw_patients


def find(folder, case_id: str, ending: str):
    """The only file of that case, whatever the case of its name."""
    (path,) = [path for path in folder.iterdir() if path.name.lower() == f"{case_id}{ending}".lower()]
    return path


def read_case(root, case_id: str):
    """Phases, label and breast box (three slices) of one case."""
    images = sorted((root / "images" / case_id).iterdir())
    phases = [sitk.ReadImage(str(path)) for path in images]
    label = sitk.ReadImage(str(find(root / "segmentations" / "expert", case_id, ".nii.gz")))
    info = json.loads(find(root / "patient_info_files", case_id, ".json").read_text())
    box = info["primary_lesion"]["breast_coordinates"]
    return phases, label, tuple(slice(box[f"{axis}_min"], box[f"{axis}_max"]) for axis in "xyz")


@pytest.fixture(scope="session")
def rows(cohort) -> pd.DataFrame:
    return read_case_table(cohort / "clinical_and_imaging_info.xlsx").frame


def test_every_case_is_complete_and_on_one_grid(cohort, rows):
    assert sorted(path.name for path in (cohort / "images").iterdir()) == sorted(rows.index)
    for case_id, row in rows.iterrows():
        phases, label, box = read_case(cohort, case_id)
        assert len(phases) == row["num_phases"] >= 3
        assert [path.name[-12:-7] for path in sorted((cohort / "images" / case_id).iterdir())] == [
            f"_{phase:04d}" for phase in range(len(phases))
        ]
        for image in phases:
            assert image.GetSize() == label.GetSize() == (40, 40, 16)
            assert image.GetSpacing() == label.GetSpacing()
            assert image.GetDirection() == label.GetDirection()
            np.testing.assert_allclose(image.GetOrigin(), label.GetOrigin(), atol=1e-4)
        assert phases[0].GetSpacing()[2] > phases[0].GetSpacing()[0]
        mask = sitk.GetArrayFromImage(label)
        assert set(np.unique(mask)) == {0, 1}
        assert mask[box].sum() == mask.sum()
        assert json.loads(row["acquisition_times"])[0] == 0


def test_lesions_take_up_contrast_more_than_their_surroundings(cohort, rows):
    for case_id in rows.index:
        phases, label, box = read_case(cohort, case_id)
        mask = sitk.GetArrayFromImage(label) == 1
        breast = np.zeros(mask.shape, dtype=bool)
        breast[box] = True
        uptake = sitk.GetArrayFromImage(phases[1]).astype(float) - sitk.GetArrayFromImage(phases[0])
        assert uptake[mask].mean() > 1.5 * uptake[breast & ~mask].mean()


def test_planes_centres_and_directions(cohort, rows):
    sagittal = rows["view"] == "sagittal"
    assert sagittal.any()
    assert set(rows["dataset"][sagittal]) <= {"ISPY1", "NACT"}
    assert (rows["bilateral_mri"][rows["dataset"] == "DUKE"] == 1).all()
    for case_id, is_sagittal in sagittal.items():
        direction = np.array(read_case(cohort, case_id)[1].GetDirection()).reshape(3, 3)
        # the slices' normal: left-right in sagittal images, foot-head in axial ones
        assert abs(direction[0 if is_sagittal else 2, 2]) == 1
        assert np.linalg.det(direction) == pytest.approx(1)


def test_multifocal_cases_have_several_components(cohort):
    frame = pd.read_excel(cohort / "clinical_and_imaging_info.xlsx", sheet_name="dataset_info").dropna(
        subset="patient_id"
    )
    multifocal = frame.loc[frame["multifocal_cancer"] == 1, "patient_id"]
    assert len(multifocal) >= 3
    for case_id in multifocal:
        components = sitk.ConnectedComponent(read_case(cohort, case_id)[1])
        assert sitk.GetArrayFromImage(components).max() >= 2


def test_names_split_and_table_follow_the_layout(cohort, rows):
    names = [path.stem for path in (cohort / "patient_info_files").iterdir()]
    assert any(name.isupper() for name in names)
    assert any(name.islower() for name in names)
    split = pd.read_csv(cohort / "train_test_splits.csv")
    assert list(split.columns) == ["train_split", "test_split"]
    train, test = set(split["train_split"].dropna()), set(split["test_split"].dropna())
    assert train | test == set(rows.index)
    assert not train & test
    assert len(test) < len(train)
    table = pd.read_excel(cohort / "clinical_and_imaging_info.xlsx", sheet_name=None)
    assert list(table) == ["dataset_info", "legend"]
    assert table["dataset_info"].shape == (len(rows) + 2, 50)
    assert table["dataset_info"]["patient_id"].isna().tolist()[-2:] == [True, True]


def test_the_planted_group_is_the_one_documented(tmp_path):
    write_cohort(tmp_path / "c", n_cases=15, seed=1, size=(16, 32, 32), max_phases=3, missing="none")
    planted = json.loads((tmp_path / "c" / "disparity.json").read_text())
    groups = build_attributes(read_case_table(tmp_path / "c" / "clinical_and_imaging_info.xlsx").frame)
    definition = planted["group"]["definition"]
    members = groups.index[(groups[list(definition)] == pd.Series(definition)).all(axis=1)]
    assert sorted(members) == sorted(planted["group"]["cases"])
    assert len(members) == 3
    assert planted["group"]["cases_with_a_defining_value_missing"] == []


def digests(root) -> dict[str, str]:
    """SHA-256 of every file below ``images``, ``segmentations`` and ``patient_info_files``."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in ("images", "segmentations", "patient_info_files")
        for path in (root / folder).rglob("*.*")
        if path.is_file()
    }


def test_same_seed_same_bytes_and_cases_do_not_depend_on_their_number(tmp_path):
    for name, n_cases, seed in (("a", 4, 7), ("b", 6, 7), ("c", 4, 8)):
        write_cohort(tmp_path / name, n_cases=n_cases, seed=seed, size=(16, 24, 24), max_phases=3)
    four, six, other = (digests(tmp_path / name) for name in "abc")
    assert four.items() <= six.items()
    assert len(six) > len(four)
    assert set(four.values()).isdisjoint(other.values())
    tables = [read_case_table(tmp_path / name / "clinical_and_imaging_info.xlsx").frame for name in "ab"]
    pd.testing.assert_frame_equal(tables[0], tables[1].iloc[:4])


def test_disparity_kinds_and_gaps_leave_the_other_cases_alone(tmp_path):
    for name, kind, missing in (("a", "small", "none"), ("b", "balanced", "random")):
        write_cohort(
            tmp_path / name, n_cases=6, seed=7, size=(16, 24, 24), max_phases=3, disparity=kind, missing=missing
        )
    members = json.loads((tmp_path / "a" / "disparity.json").read_text())["group"]["cases"]
    assert members
    small, balanced = (digests(tmp_path / name) for name in "ab")
    changed = {key.split("/")[1] for key in small if key.startswith("images") and small[key] != balanced[key]}
    assert changed == set(members)


def test_two_processes_write_the_same_cohort(tmp_path, capsys):
    arguments = ["synth", "-n", "3", "--size", "16", "24", "24", "--max-phases", "3", "-o"]
    assert main([*arguments, str(tmp_path / "a")]) == 0
    assert main([*arguments, str(tmp_path / "b"), "-np", "2"]) == 0
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert f"3 synthetic cases in {tmp_path / 'a'}" in capsys.readouterr().out


def test_existing_folders_are_kept(tmp_path):
    options = {"n_cases": 1, "size": (16, 16, 16), "max_phases": 3}
    write_cohort(tmp_path / "c", **options)
    with pytest.raises(UserError, match="`overwrite`"):
        write_cohort(tmp_path / "c", **options)
    write_cohort(tmp_path / "c", overwrite=True, seed=5, **options)
    assert json.loads((tmp_path / "c" / "disparity.json").read_text())["seed"] == 5
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.tex").touch()
    with pytest.raises(UserError, match="holds no synthetic cohort"):
        write_cohort(tmp_path / "precious", overwrite=True, **options)
    assert (tmp_path / "precious" / "thesis.tex").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c", "precious"]


@pytest.mark.parametrize(
    "option",
    [
        {"n_cases": 0},
        {"seed": -1},
        {"size": (8, 64, 64)},
        {"max_phases": 2},
        {"strength": 2.0},
        {"group_fraction": 0.5},
        {"test_fraction": 1.0},
        {"missing_rate": 1.0},
        {"disparity": "none"},
        {"missing": "some"},
        {"file_names": "title"},
    ],
    ids=lambda option: next(iter(option)),
)
def test_options_out_of_range_are_named(option):
    with pytest.raises(UserError, match=f"expected {next(iter(option))} "):
        CohortOptions(**option)


def test_healthy_patients_have_no_lesion_and_nothing_else_changes(tmp_path):
    options = {"size": (16, 24, 24), "max_phases": 3, "test_fraction": 0.5, "missing": "none"}
    for name, healthy in (("all", 0.0), ("half", 0.5)):
        write_cohort(tmp_path / name, 12, 3, healthy=healthy, **options)
    planted = json.loads((tmp_path / "half" / "disparity.json").read_text())
    healthy = set(planted["healthy_cases"])
    assert "healthy_cases" not in json.loads((tmp_path / "all" / "disparity.json").read_text())
    table = read_case_table(tmp_path / "half" / "clinical_and_imaging_info.xlsx").frame
    assert 0 < len(healthy) < 12
    for case_id, row in table.iterrows():
        label = sitk.GetArrayFromImage(read_case(tmp_path / "half", case_id)[1])
        assert label.any() == (case_id not in healthy)
        assert pd.isna(row["pcr"]) == pd.isna(row["tumor_subtype"]) == (case_id in healthy)
        files = [sorted((tmp_path / name / "images" / case_id).iterdir()) for name in ("all", "half")]
        same = [first.read_bytes() == second.read_bytes() for first, second in zip(*files, strict=True)]
        assert all(same) == (case_id not in healthy)


def test_healthy_patients_are_as_frequent_in_every_part_of_a_cohort():
    draw = {"disparity": "distinct", "missing": "none", "missing_rate": 0.25, "group_fraction": 0.2}
    patients = list(draw_patients(400, seed=1, test_fraction=0.5, healthy=0.5, **draw))
    for part in (lambda p: p.is_test, lambda p: not p.is_test, lambda p: p.stratum.in_group):
        of_part = [p.healthy for p in patients if part(p)]
        assert np.mean(of_part) == pytest.approx(0.5, abs=0.05)
    shown = [p.missing for p in patients if p.healthy]
    assert all("tumor_subtype" in missing for missing in shown)
