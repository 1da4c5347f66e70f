"""Checks of one case's files."""

import contextlib
import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nnunet_fair.dataset_conversion import findings
from nnunet_fair.dataset_conversion.checks import (
    check_file,
    check_label,
    needs_repair,
    read_grid,
    read_image,
)
from nnunet_fair.dataset_conversion.findings import CaseProblem, Finding
from nnunet_fair.masks.grid import Grid

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
GRID = Grid((11, 21, 5), (0.5, 0.5, 2.0), (-10.0, 0.0, 30.0), IDENTITY)


def rotated(angle: float) -> tuple[float, ...]:
    cosine, sine = np.cos(angle), np.sin(angle)
    return (cosine, -sine, 0.0, sine, cosine, 0.0, 0.0, 0.0, 1.0)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image.nii.gz"
    array = np.random.default_rng(0).integers(0, 1000, (6, 20, 20)).astype(np.int16)
    sitk.WriteImage(sitk.GetImageFromArray(array), str(path))
    return path


@pytest.mark.parametrize(
    ("change", "repair"),
    [
        ({}, False),
        ({"origin": (-10.0, 0.0, 30.0001)}, False),  # 0.0002 voxels
        ({"origin": (-10.0, 0.0, 30.001)}, True),
        ({"spacing": (0.5, 0.50001, 2.0)}, True),  # 0.0004 voxels, but nnU-Net compares the spacing itself
        ({"direction": rotated(1e-3)}, True),
    ],
    ids=["same", "tiny", "origin", "spacing", "direction"],
)
def test_rounding_is_repaired(change: dict, repair: bool) -> None:
    assert needs_repair(GRID, replace(GRID, **change)) is repair


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": (11, 21, 6)}, r"size \(11, 21, 6\) instead of \(11, 21, 5\)"),
        ({"origin": (-10.0, 0.0, 32.0)}, r"origin \(-10, 0, 32\) instead of \(-10, 0, 30\), off by 4 voxels"),
        ({"spacing": (0.5, 0.5, 2.2)}, "spacing"),
        ({"direction": (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)}, "direction"),
    ],
    ids=["size", "origin", "spacing", "direction"],
)
def test_another_grid_is_refused(change: dict, message: str) -> None:
    with pytest.raises(CaseProblem) as caught:
        needs_repair(GRID, replace(GRID, **change))
    assert caught.value.finding.kind == findings.GRID_MISMATCH
    with pytest.raises(CaseProblem, match=message):
        needs_repair(GRID, replace(GRID, **change))


def test_a_header_is_read_without_voxels(image: Path) -> None:
    assert read_grid(image) == Grid((20, 20, 6), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), IDENTITY)


@pytest.mark.parametrize(
    ("array", "is_vector"),
    [(np.zeros((4, 5), np.uint8), False), (np.zeros((2, 3, 4, 5), np.uint8), False), (np.zeros((3, 4, 5, 3)), True)],
    ids=["2D", "4D", "vector"],
)
def test_what_is_no_volume_is_refused(tmp_path: Path, array: np.ndarray, is_vector: bool) -> None:
    path = tmp_path / "image.nii.gz"
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=is_vector), str(path))
    with pytest.raises(CaseProblem) as caught:
        read_grid(path)
    assert caught.value.finding.kind == findings.NOT_3D


@pytest.mark.parametrize("read", [read_grid, read_image])
@pytest.mark.parametrize("content", [b"", b"no image at all"])
def test_an_unreadable_file_is_named(tmp_path: Path, read, content: bytes) -> None:
    path = tmp_path / "image.nii.gz"
    path.write_bytes(content)
    with pytest.raises(CaseProblem, match=r"image\.nii\.gz"):
        read(path)


@pytest.mark.parametrize("every_byte", [True, False])
def test_a_whole_file_passes(image: Path, every_byte: bool) -> None:
    check_file(image, every_byte=every_byte)


@pytest.mark.parametrize("every_byte", [True, False])
def test_a_file_of_several_gzip_members_passes(image: Path, every_byte: bool) -> None:
    raw = gzip.decompress(image.read_bytes())
    image.write_bytes(gzip.compress(raw[:1000]) + gzip.compress(raw[1000:]))
    check_file(image, every_byte=every_byte)


@pytest.mark.parametrize("every_byte", [True, False])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.999])
def test_a_download_cut_short_is_refused(image: Path, share: float, every_byte: bool) -> None:
    content = image.read_bytes()
    image.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CaseProblem) as caught:
        check_file(image, every_byte=every_byte)
    assert caught.value.finding.kind == findings.UNREADABLE


@pytest.mark.parametrize("every_byte", [True, False])
def test_missing_voxels_in_a_sound_gzip_file_are_refused(image: Path, every_byte: bool) -> None:
    image.write_bytes(gzip.compress(gzip.decompress(image.read_bytes())[:-100]))
    with pytest.raises(CaseProblem, match="its header asks for"):
        check_file(image, every_byte=every_byte)


def test_a_flipped_bit_is_found_where_every_byte_is_read(image: Path) -> None:
    content = bytearray(image.read_bytes())
    content[len(content) // 2] ^= 1
    image.write_bytes(bytes(content))
    with pytest.raises(CaseProblem):
        check_file(image, every_byte=True)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 351), st.integers(0, 255)), min_size=1, max_size=3), st.booleans())
def test_a_damaged_header_is_the_cases_problem_and_nothing_worse(
    tmp_path: Path, changes: list[tuple[int, int]], every_byte: bool
) -> None:
    path = tmp_path / "damaged.nii.gz"
    sitk.WriteImage(sitk.Image(3, 4, 5, sitk.sitkUInt8), str(path))
    content = bytearray(gzip.decompress(path.read_bytes()))
    for position, value in changes:
        content[position] = value
    path.write_bytes(gzip.compress(bytes(content), 1))
    with contextlib.suppress(CaseProblem):
        check_file(path, every_byte=every_byte)
        read_grid(path)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bad", [[np.nan], [np.inf], [-np.inf], [np.inf, -np.inf, np.nan]], ids=str)
def test_values_that_are_not_finite_are_counted(tmp_path: Path, bad: list[float], dtype: type) -> None:
    array = np.ones((2, 300, 400), dtype)  # longer than one piece
    array.flat[-len(bad) :] = bad
    path = tmp_path / "phase.nii.gz"
    sitk.WriteImage(sitk.GetImageFromArray(array), str(path))
    with pytest.raises(CaseProblem) as caught:
        check_file(path, every_byte=True)
    assert caught.value.finding == Finding(findings.NOT_FINITE, f"{len(bad)} voxels of phase.nii.gz")


def test_itk_hides_nan_which_is_why_the_bytes_are_read(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.full((2, 3, 4), np.nan, np.float32)), str(tmp_path / "a.nii.gz"))
    assert not sitk.GetArrayFromImage(read_image(tmp_path / "a.nii.gz")).any()


@pytest.mark.parametrize("array", [np.full((2, 3, 4), -1, np.int16), np.full((2, 3, 4), 3e38, np.float32)])
def test_finite_values_pass(tmp_path: Path, array: np.ndarray) -> None:
    path = tmp_path / "phase.nii.gz"
    sitk.WriteImage(sitk.GetImageFromArray(array), str(path))
    check_file(path, every_byte=True)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0, 1, 2], findings.LABEL_VALUES),
        ([0, 255], findings.LABEL_VALUES),
        ([0, 0.5], findings.LABEL_VALUES),
        ([0, -1], findings.LABEL_VALUES),
        ([1, np.nan], findings.LABEL_VALUES),
        ([0, 0], findings.EMPTY_LABEL),
    ],
    ids=str,
)
def test_labels_that_are_refused(values: list[float], kind: str) -> None:
    with pytest.raises(CaseProblem) as caught:
        check_label(np.array([[values]]))
    assert caught.value.finding.kind == kind


def test_an_empty_label_is_one_of_a_healthy_patient_where_asked() -> None:
    assert check_label(np.zeros((1, 1, 4)), allow_empty=True) == 0
    with pytest.raises(CaseProblem):
        check_label(np.array([[[0, 2]]]), allow_empty=True)


def test_the_ignore_label_is_one_value_more_and_no_part_of_the_tumour() -> None:
    assert check_label(np.array([[[0, 1, 255, 255, 1]]]), ignore_label=255) == 2
    for values, kind in (([0, 1, 2, 255], findings.LABEL_VALUES), ([0, 255], findings.EMPTY_LABEL)):
        with pytest.raises(CaseProblem) as caught:
            check_label(np.array([[values]]), ignore_label=255)
        assert caught.value.finding.kind == kind
    assert check_label(np.array([[[0, 255]]]), ignore_label=255, allow_empty=True) == 0
    with pytest.raises(CaseProblem, match="nobody annotated"):
        check_label(np.array([[[255, 255]]]), ignore_label=255, allow_empty=True)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_a_sound_label_of_any_dtype_is_counted(dtype: type) -> None:
    assert check_label(np.array([[[0, 1, 1, 0]]], dtype=dtype)) == 2
