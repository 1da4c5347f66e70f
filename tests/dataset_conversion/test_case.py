"""What becomes of one case: sound, repaired, or skipped for a reason that is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_fair.dataset_conversion import findings
from nnunet_fair.dataset_conversion.case import CaseResult, CaseTask, case_outputs, convert_case
from nnunet_fair.dataset_conversion.layout import discover_cases
from nnunet_fair.dataset_conversion.recipes import RecipeSettings

CASE = "DUKE_002"
VOXEL = 0.5 * 0.75 * 2  # mm³


@pytest.fixture
def convert(cohort, tmp_path: Path) -> Callable[..., CaseResult]:
    """Converts ``CASE`` into ``tmp_path/out`` after the test has changed it."""

    def run(settings: RecipeSettings | None = None, **options) -> CaseResult:
        folder = tmp_path / "out"
        for part in ("imagesTr", "labelsTr", "imagesTs", "labelsTs"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        options = {"split": "Tr", "link": "symlink", "check": "voxels", **options}
        files = discover_cases(cohort.root)[CASE]
        return convert_case(CaseTask(files=files, settings=settings or RecipeSettings(), folder=folder, **options))

    return run


def written(tmp_path: Path) -> list[str]:
    return sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.nii.gz"))


def shift_origin(distance: float) -> Callable[[sitk.Image], None]:
    return lambda image: image.SetOrigin([value + distance for value in image.GetOrigin()])


def set_label(values: dict[tuple, int]) -> Callable[[sitk.Image], None]:
    def change(image: sitk.Image) -> None:
        for (z, y, x), value in values.items():
            image[x, y, z] = value

    return change


def test_a_sound_case_is_linked(cohort, convert, tmp_path: Path) -> None:
    result = convert()
    assert result.converted
    assert result.findings == ()
    assert result.box == ((0, 4), (2, 9), (3, 11))
    assert result.tumor_volume_mm3 == pytest.approx(12 * VOXEL)
    assert written(tmp_path) == [
        *(f"imagesTr/DUKE_002_{channel:04d}.nii.gz" for channel in range(3)),
        "labelsTr/DUKE_002.nii.gz",
    ]
    link = tmp_path / "out" / "imagesTr" / "DUKE_002_0001.nii.gz"
    assert link.is_symlink()
    assert link.readlink() == cohort.phase(CASE, 1).resolve()


@pytest.mark.parametrize(("link", "same_file"), [("hardlink", True), ("copy", False)])
def test_other_ways_to_place_a_file(cohort, convert, tmp_path: Path, link: str, same_file: bool) -> None:
    convert(link=link)
    placed = tmp_path / "out" / "imagesTr" / "DUKE_002_0000.nii.gz"
    assert not placed.is_symlink()
    assert placed.samefile(cohort.phase(CASE, 0)) is same_file
    assert placed.read_bytes() == cohort.phase(CASE, 0).read_bytes()


def test_channels_follow_the_phases_asked_for(cohort, convert, tmp_path: Path) -> None:
    convert(RecipeSettings(phases=("last", 0)))
    assert (tmp_path / "out/imagesTr/DUKE_002_0000.nii.gz").readlink() == cohort.phase(CASE, 2).resolve()
    assert (tmp_path / "out/imagesTr/DUKE_002_0001.nii.gz").readlink() == cohort.phase(CASE, 0).resolve()


def test_a_computed_recipe_writes_new_images_and_links_the_label(cohort, convert, tmp_path: Path) -> None:
    assert convert(RecipeSettings(recipe="subtraction", phases=(0, 1))).converted
    assert written(tmp_path) == ["imagesTr/DUKE_002_0000.nii.gz", "labelsTr/DUKE_002.nii.gz"]
    difference = sitk.ReadImage(str(tmp_path / "out/imagesTr/DUKE_002_0000.nii.gz"))
    label = sitk.ReadImage(str(cohort.label(CASE)))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(difference), 40.0 * sitk.GetArrayFromImage(label))
    assert difference.GetOrigin() == pytest.approx(label.GetOrigin())
    assert (tmp_path / "out/labelsTr/DUKE_002.nii.gz").is_symlink()


def with_nan(image: sitk.Image) -> sitk.Image:
    array = sitk.GetArrayFromImage(image).astype(np.float32)
    array[0, 0, 0] = np.nan
    changed = sitk.GetImageFromArray(array)
    changed.CopyInformation(image)
    return changed


FAULTS = {
    "phase cut short": (
        lambda cohort: cohort.phase(CASE, 1).write_bytes(cohort.phase(CASE, 1).read_bytes()[:-40]),
        findings.UNREADABLE,
        "duke_002_0001.nii.gz",
    ),
    "label is no image": (lambda c: c.label(CASE).write_bytes(b"x"), findings.UNREADABLE, "duke_002.nii.gz"),
    "phase missing": (lambda c: c.phase(CASE, 1).unlink(), findings.MISSING_PHASE, "has phases 0 2, needs 0 1 2"),
    "two files for a phase": (
        lambda c: c.phase(CASE, 1).with_name("DUKE_002_0001.NII.GZ").write_bytes(b""),
        findings.AMBIGUOUS_FILES,
        "phase 1",
    ),
    "label missing": (lambda c: c.label(CASE).unlink(), findings.NO_LABEL, ""),
    "empty label": (
        lambda c: c.change_image(c.label(CASE), lambda image: image * 0),
        findings.EMPTY_LABEL,
        "",
    ),
    "label with a 2": (
        lambda c: c.change_image(c.label(CASE), set_label({(0, 0, 0): 2})),
        findings.LABEL_VALUES,
        "found 2",
    ),
    "phase of another size": (
        lambda c: c.change_image(c.phase(CASE, 2), lambda image: image[:, :, :-1]),
        findings.GRID_MISMATCH,
        "size (12, 10, 3) instead of (12, 10, 4)",
    ),
    "label elsewhere": (
        lambda c: c.change_image(c.label(CASE), shift_origin(1.0)),
        findings.GRID_MISMATCH,
        "origin",
    ),
    "phase with NaN": (
        lambda c: c.change_image(c.phase(CASE, 1), with_nan),
        findings.NOT_FINITE,
        "duke_002_0001.nii.gz",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("recipe", ["phases", "zscore-pre"])
def test_every_fault_is_named_and_leaves_nothing(cohort, convert, tmp_path: Path, fault: str, recipe: str) -> None:
    damage, kind, detail = FAULTS[fault]
    damage(cohort)
    result = convert(RecipeSettings(recipe=recipe))
    assert not result.converted
    (finding,) = result.findings
    assert finding.kind == kind
    assert detail in finding.detail
    assert written(tmp_path) == []


def test_a_fault_removes_what_an_earlier_run_wrote(cohort, convert, tmp_path: Path) -> None:
    convert()
    assert len(written(tmp_path)) == 4
    FAULTS["empty label"][0](cohort)
    convert()
    assert written(tmp_path) == []


def test_a_case_with_an_empty_label_is_converted_where_asked(cohort, convert, tmp_path: Path) -> None:
    FAULTS["empty label"][0](cohort)
    assert not convert().converted
    result = convert(allow_empty_labels=True)
    assert result.converted
    assert result.tumor_volume_mm3 == 0
    assert findings.EMPTY_LABEL_KEPT in {finding.kind for finding in result.findings}
    assert len(written(tmp_path)) == 4


@pytest.mark.parametrize("value", [2, 255])
def test_the_ignore_label_becomes_nnunets_and_is_no_part_of_the_tumour(
    cohort, convert, tmp_path: Path, read_array, value: int
) -> None:
    """The tumour is 12 voxels; the ignored ones lie outside the breast box, which only the tumour must not."""
    sound = read_array(cohort.label(CASE))
    cohort.change_image(cohort.label(CASE), set_label({(0, 0, 0): value, (0, 0, 1): value}))
    assert convert().findings[0].kind == findings.LABEL_VALUES
    result = convert(ignore_label=value)
    assert result.converted and result.findings == ()
    assert result.tumor_volume_mm3 == pytest.approx(12 * VOXEL)
    output = tmp_path / "out" / "labelsTr" / "DUKE_002.nii.gz"
    assert output.is_symlink() is (value == 2)
    sound[0, 0, :2] = 2
    assert np.array_equal(read_array(output), sound)
    cropped = convert(RecipeSettings(crop_margin_mm=0.0), ignore_label=value)
    assert cropped.converted and read_array(output).sum() == 12


def test_headers_alone_do_not_find_nan_but_labels_are_still_read(cohort, convert) -> None:
    FAULTS["phase with NaN"][0](cohort)
    assert convert(check="headers").converted
    FAULTS["empty label"][0](cohort)
    assert not convert(check="headers").converted


@pytest.mark.parametrize("which", ["phase", "label"])
def test_header_rounding_is_repaired_in_a_copy(cohort, convert, tmp_path: Path, which: str) -> None:
    source = cohort.phase(CASE, 1) if which == "phase" else cohort.label(CASE)
    output = tmp_path / "out" / ("imagesTr/DUKE_002_0001.nii.gz" if which == "phase" else "labelsTr/DUKE_002.nii.gz")
    cohort.change_image(source, shift_origin(0.01))
    before = source.read_bytes()
    result = convert()
    assert result.converted
    assert [str(finding) for finding in result.findings] == [f"header rounding repaired: {source.name}"]
    assert source.read_bytes() == before
    assert not output.is_symlink()
    repaired, reference = sitk.ReadImage(str(output)), sitk.ReadImage(str(cohort.phase(CASE, 0)))
    assert repaired.GetOrigin() == reference.GetOrigin()
    assert repaired.GetSpacing() == reference.GetSpacing()
    np.testing.assert_array_equal(sitk.GetArrayFromImage(repaired), sitk.GetArrayFromImage(sitk.ReadImage(str(source))))
    assert (tmp_path / "out/imagesTr/DUKE_002_0000.nii.gz").is_symlink()


def test_a_computed_recipe_takes_rounding_too(cohort, convert, tmp_path: Path) -> None:
    cohort.change_image(cohort.phase(CASE, 0), shift_origin(0.01))
    result = convert(RecipeSettings(recipe="subtraction", phases=(0, 1)))
    assert result.converted
    image = sitk.ReadImage(str(tmp_path / "out/imagesTr/DUKE_002_0000.nii.gz"))
    label = sitk.ReadImage(str(tmp_path / "out/labelsTr/DUKE_002.nii.gz"))
    assert image.GetOrigin() == label.GetOrigin() == sitk.ReadImage(str(cohort.phase(CASE, 0))).GetOrigin()


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (lambda c: c.info(CASE).unlink(), findings.NO_BREAST_BOX),
        (lambda c: c.info(CASE).write_text("{}"), findings.NO_BREAST_BOX),
        (lambda c: c.write_box(CASE, ((4, 8), (0, 5), (0, 5))), findings.NO_BREAST_BOX),
        (lambda c: c.write_box(CASE, ((0, 5), (2, 9), (3, 11))), findings.BOX_CLIPPED),
        (lambda c: c.write_box(CASE, ((0, 4), (5, 9), (3, 11))), findings.LABEL_OUTSIDE_BOX),
    ],
    ids=["no file", "no box", "box outside", "box too large", "label outside"],
)
def test_boxes_are_reported_and_the_case_goes_on(cohort, convert, damage, kind: str) -> None:
    damage(cohort)
    result = convert()
    assert result.converted
    assert [finding.kind for finding in result.findings] == [kind]
    assert (result.box is None) is (kind == findings.NO_BREAST_BOX)


def test_a_label_outside_the_box_is_counted(cohort, convert) -> None:
    cohort.write_box(CASE, ((0, 4), (5, 9), (3, 11)))  # row 4 of the tumour's rows 4 and 5 is outside
    (finding,) = convert().findings
    assert finding.detail == "6 of 12 voxels"


def test_a_test_case_needs_no_label(cohort, convert, tmp_path: Path) -> None:
    cohort.label(CASE).unlink()
    result = convert(split="Ts")
    assert result.converted
    assert result.tumor_volume_mm3 is None
    assert [finding.kind for finding in result.findings] == [findings.TEST_CASE_WITHOUT_LABEL]
    assert written(tmp_path) == [f"imagesTs/DUKE_002_{channel:04d}.nii.gz" for channel in range(3)]


@pytest.mark.parametrize("recipe", ["phases", "zscore-all"])
def test_cropping_and_pasting_back_is_exact(cohort, convert, tmp_path: Path, recipe: str) -> None:
    result = convert(RecipeSettings(recipe=recipe, phases=(1,), crop_margin_mm=1.0))
    # The box [0:4, 2:9, 3:11] grown by 1 mm: 1 slice of 2 mm, 2 rows of 0.75 mm, 2 columns of 0.5 mm, clipped
    assert result.crop["start"] == [0, 0, 1]
    assert result.crop["stop"] == [4, 10, 12]
    cropped = sitk.ReadImage(str(tmp_path / "out/imagesTr/DUKE_002_0000.nii.gz"))
    label = sitk.ReadImage(str(tmp_path / "out/labelsTr/DUKE_002.nii.gz"))
    assert cropped.GetSize() == label.GetSize() == (11, 10, 4)
    original = sitk.ReadImage(str(cohort.label(CASE)))
    assert cropped.GetOrigin() == pytest.approx(original.TransformIndexToPhysicalPoint((1, 0, 0)))
    pasted = np.zeros(result.crop["size"][::-1], np.uint8)
    pasted[tuple(slice(*limits) for limits in zip(result.crop["start"], result.crop["stop"], strict=True))] = (
        sitk.GetArrayFromImage(label)
    )
    np.testing.assert_array_equal(pasted, sitk.GetArrayFromImage(original))
    assert result.crop["spacing"] == pytest.approx(original.GetSpacing())
    assert result.crop["origin"] == pytest.approx(original.GetOrigin())
    assert result.crop["direction"] == pytest.approx(original.GetDirection())
    assert result.tumor_volume_mm3 == pytest.approx(12 * VOXEL)


def test_statistics_are_those_of_the_cropped_images(cohort, convert, tmp_path: Path) -> None:
    convert(RecipeSettings(recipe="zscore-pre", phases=(0,), percentiles=(0, 100), crop_margin_mm=0.0))
    array = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out/imagesTr/DUKE_002_0000.nii.gz")))
    assert array.shape == (4, 7, 8)
    assert array.mean(dtype=float) == pytest.approx(0, abs=1e-6)
    assert array.std(dtype=float) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (lambda c: c.info(CASE).unlink(), findings.NO_BREAST_BOX_TO_CROP),
        (lambda c: c.write_box(CASE, ((0, 4), (5, 9), (3, 11))), findings.LABEL_OUTSIDE_CROP),
    ],
    ids=["no box", "label outside"],
)
def test_a_crop_never_cuts_a_label(cohort, convert, tmp_path: Path, damage, kind: str) -> None:
    damage(cohort)
    result = convert(RecipeSettings(crop_margin_mm=0.0))
    assert [finding.kind for finding in result.findings] == [kind]
    assert written(tmp_path) == []


def test_a_margin_keeps_the_label(cohort, convert) -> None:
    cohort.write_box(CASE, ((0, 4), (5, 9), (3, 11)))
    result = convert(RecipeSettings(crop_margin_mm=0.75))
    assert result.converted
    assert [finding.kind for finding in result.findings] == [findings.LABEL_OUTSIDE_BOX]


def test_a_crop_record_holds_geometry_only(cohort, convert) -> None:
    cohort.info(CASE).write_text(
        json.dumps({**json.loads(cohort.info(CASE).read_text()), "clinical_data": {"age": 41}})
    )
    crop = convert(RecipeSettings(crop_margin_mm=0.0)).crop
    assert set(crop) == {"size", "spacing", "origin", "direction", "start", "stop"}


def test_failing_to_write_is_not_the_fault_of_the_case(cohort, convert, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "imagesTr").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OSError, match="imagesTr"):
        convert()


def test_what_nobody_foresaw_costs_one_case(cohort, convert, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_, **__) -> None:
        raise ZeroDivisionError("odd")

    monkeypatch.setattr("nnunet_fair.dataset_conversion.case.check_label", fail)
    result = convert()
    assert [str(finding) for finding in result.findings] == ["unexpected error: ZeroDivisionError: odd"]
    assert written(tmp_path) == []


def test_outputs_are_one_image_a_channel_and_the_label(cohort, tmp_path: Path) -> None:
    task = CaseTask(
        files=discover_cases(cohort.root)[CASE],
        split="Ts",
        settings=RecipeSettings(recipe="subtraction", phases=(0, 1, 2)),
        link="symlink",
        check="voxels",
        folder=tmp_path,
    )
    assert [str(path.relative_to(tmp_path)) for path in case_outputs(task)] == [
        "imagesTs/DUKE_002_0000.nii.gz",
        "imagesTs/DUKE_002_0001.nii.gz",
        "labelsTs/DUKE_002.nii.gz",
    ]
