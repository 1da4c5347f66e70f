"""Which files belong to which case."""

from pathlib import Path

import pytest

from nnunet_fair.dataset_conversion.layout import discover_cases, find_table
from nnunet_fair.errors import UserError


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.mark.parametrize(
    ("folder", "stem"), [("DUKE_001", "duke_001"), ("DUKE_001", "DUKE_001"), ("duke_001", "Duke_001")]
)
def test_upper_and_lower_case_make_one_upper_case_id(tmp_path: Path, folder: str, stem: str) -> None:
    image = tmp_path / "images" / folder / f"{stem}_0000.nii.gz"
    label = tmp_path / "segmentations" / "expert" / f"{stem}.nii.gz"
    info = tmp_path / "patient_info_files" / f"{stem}.json"
    touch(image, label, info)
    cases = discover_cases(tmp_path)
    assert list(cases) == ["DUKE_001"]
    case = cases["DUKE_001"]
    assert (case.phases, case.label, case.patient_info, case.conflicts) == ({0: image}, label, info, ())


def test_neither_table_nor_labels_nor_boxes_are_needed(tmp_path: Path) -> None:
    touch(tmp_path / "images" / "NACT_01" / "nact_01_0000.nii.gz")
    case = discover_cases(tmp_path)["NACT_01"]
    assert case.label is None
    assert case.patient_info is None


def test_eleven_phases_come_in_order_and_a_gap_stays_a_gap(tmp_path: Path) -> None:
    folder = tmp_path / "images" / "ISPY2_1"
    touch(*(folder / f"ispy2_1_{phase:04d}.nii.gz" for phase in (10, 0, 9, 1, 2, 4, 5, 6, 7, 8)))
    assert list(discover_cases(tmp_path)["ISPY2_1"].phases) == [0, 1, 2, 4, 5, 6, 7, 8, 9, 10]


def test_other_files_are_no_phases(tmp_path: Path) -> None:
    folder = tmp_path / "images" / "ISPY2_1"
    touch(
        folder / "ispy2_1_0000.nii.gz",
        folder / "._ispy2_1_0001.nii.gz",
        folder / "ispy2_1_0001.json",
        folder / "ispy2_1.nii.gz",
        tmp_path / "images" / ".DS_Store" / "x_0000.nii.gz",
    )
    cases = discover_cases(tmp_path)
    assert list(cases) == ["ISPY2_1"]
    assert list(cases["ISPY2_1"].phases) == [0]


def test_two_files_for_one_phase_are_a_conflict(tmp_path: Path) -> None:
    folder = tmp_path / "images" / "DUKE_001"
    touch(folder / "DUKE_001_0000.nii.gz", folder / "duke_001_0000.nii.gz")
    (conflict,) = discover_cases(tmp_path)["DUKE_001"].conflicts
    assert conflict == "two files for phase 0: DUKE_001_0000.nii.gz and duke_001_0000.nii.gz"


def test_two_folders_for_one_id_are_a_conflict(tmp_path: Path) -> None:
    touch(tmp_path / "images/DUKE_001/a_0000.nii.gz", tmp_path / "images/duke_001/a_0000.nii.gz")
    (conflict,) = discover_cases(tmp_path)["DUKE_001"].conflicts
    assert conflict == "two folders that differ only in upper and lower case: DUKE_001 and duke_001"


def test_a_label_without_images_is_a_case_without_phases(tmp_path: Path) -> None:
    touch(tmp_path / "images/DUKE_001/a_0000.nii.gz", tmp_path / "segmentations/expert/duke_002.nii.gz")
    assert dict(discover_cases(tmp_path)["DUKE_002"].phases) == {}


def test_labels_of_another_reader(tmp_path: Path) -> None:
    automatic = tmp_path / "segmentations/automatic/duke_001.nii.gz"
    touch(tmp_path / "images/DUKE_001/a_0000.nii.gz", automatic, tmp_path / "segmentations/expert/duke_001.nii.gz")
    assert discover_cases(tmp_path, segmentations="automatic")["DUKE_001"].label == automatic


@pytest.mark.parametrize("made", [(), ("images",)], ids=["no images folder", "empty images folder"])
def test_a_folder_that_is_no_cohort_is_refused(tmp_path: Path, made: tuple[str, ...]) -> None:
    for folder in made:
        (tmp_path / folder).mkdir()
    with pytest.raises(UserError, match="expected"):
        discover_cases(tmp_path)


def test_the_table_is_found_in_any_format(tmp_path: Path) -> None:
    assert find_table(tmp_path) is None
    touch(tmp_path / "clinical_and_imaging_info.csv")
    assert find_table(tmp_path).suffix == ".csv"
    touch(tmp_path / "clinical_and_imaging_info.xlsx")
    assert find_table(tmp_path).suffix == ".xlsx"
