"""A cohort with every planted difficulty: expected masks are put together from the drawn shapes, by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from nnunet_fair.masks.breast_boxes import Boxes
from nnunet_fair.postprocessing.postprocess_folder import postprocess_folder
from nnunet_fair.postprocessing.settings import PostprocessingSettings

SHAPE = (8, 16, 24)
SPACING = (1.0, 1.0, 2.0)  # x, y, z in mm: a voxel has 2 mm³
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
SAGITTAL = (0.0, 0.0, -1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
LEFT_BREAST = ((0, 8), (2, 14), (0, 12))
EXCEEDS = ((-1, 9), (2, 17), (-1, 12))

# name: (half-open limits along the axes, voxels)
SHAPES = {
    "lesion": (((2, 5), (4, 7), (3, 6)), 27),
    "second": (((2, 4), (10, 13), (6, 8)), 12),
    "third": (((6, 7), (3, 5), (8, 11)), 6),
    "speck": (((7, 8), (8, 9), (1, 2)), 1),
    "other breast": (((1, 5), (5, 9), (15, 19)), 64),
    "edge": (((7, 8), (14, 16), (0, 3)), 6),
}
PREDICTED = {
    "AX_OTHER": ("lesion", "other breast"),
    "AX_MULTI": ("lesion", "second", "third", "speck"),
    "SAG_EDGE": ("edge", "second", "other breast"),
    "AX_EMPTY_MASS": (),
    "SAG_EMPTY_NOTHING": (),
    "AX_BOXED_OUT": ("other breast",),
    "AX_NO_BOX": ("lesion", "other breast"),
}
BOXES = {case: EXCEEDS if case.startswith("SAG") else LEFT_BREAST for case in PREDICTED if case != "AX_NO_BOX"}
# Foreground probability of shapes the prediction left out: the other breast holds more of it than the boxed one.
PROBABILITIES = {
    "AX_EMPTY_MASS": {"second": 0.3, "other breast": 0.45},
    "SAG_EMPTY_NOTHING": {"second": 0.04},
    "AX_BOXED_OUT": {"third": 0.2, "second": 0.12},
}
WHOLE = {case: PREDICTED[case] for case in PREDICTED}
BOXED = {
    "AX_OTHER": ("lesion",),
    "AX_MULTI": ("lesion", "second", "third", "speck"),
    "SAG_EDGE": ("edge", "second"),
    "AX_EMPTY_MASS": (),
    "SAG_EMPTY_NOTHING": (),
    "AX_BOXED_OUT": (),
    "AX_NO_BOX": ("lesion", "other breast"),
}
TABLE = [
    ("nothing", {}, WHOLE, {}),
    ("box", {"box": True}, BOXED, {}),
    ("box, then the largest", {"box": True, "keep": 1}, BOXED
     | {"AX_MULTI": ("lesion",), "SAG_EDGE": ("second",), "AX_NO_BOX": ("other breast",)}, {}),
    ("the largest without a box", {"keep": 1}, WHOLE
     | {"AX_OTHER": ("other breast",), "AX_MULTI": ("lesion",), "SAG_EDGE": ("other breast",),
        "AX_NO_BOX": ("other breast",)}, {}),
    ("box, then two", {"box": True, "keep": 2}, BOXED | {"AX_MULTI": ("lesion", "second")}, {}),
    ("box, 12 mm³ or more", {"box": True, "min_volume_mm3": 12.0}, BOXED
     | {"AX_MULTI": ("lesion", "second", "third")}, {}),
    ("box, 12.1 mm³ or more", {"box": True, "min_volume_mm3": 12.1}, BOXED
     | {"AX_MULTI": ("lesion", "second"), "SAG_EDGE": ("second",)}, {}),
    ("unboxed", {"box": True, "on_empty": "unboxed"}, BOXED | {"AX_BOXED_OUT": ("other breast",)}, {}),
    ("lower threshold", {"box": True, "on_empty": "lower-threshold"}, BOXED
     | {"AX_EMPTY_MASS": ("second",), "AX_BOXED_OUT": ("third",)}, {"AX_EMPTY_MASS": 0.3, "AX_BOXED_OUT": 0.2}),
    # The component of the peak in AX_BOXED_OUT is too small, and no lower threshold lets it grow.
    ("lower threshold, 20 mm³", {"box": True, "on_empty": "lower-threshold", "min_volume_mm3": 20.0}, BOXED
     | {"AX_EMPTY_MASS": ("second",), "AX_MULTI": ("lesion", "second"), "SAG_EDGE": ("second",)},
     {"AX_EMPTY_MASS": 0.3}),
    ("lower threshold, not below 0.25", {"box": True, "on_empty": "lower-threshold", "min_probability": 0.25}, BOXED
     | {"AX_EMPTY_MASS": ("second",)}, {"AX_EMPTY_MASS": 0.3}),
    ("lower threshold without a box", {"on_empty": "lower-threshold"}, WHOLE
     | {"AX_EMPTY_MASS": ("other breast",)}, {"AX_EMPTY_MASS": 0.45}),
]  # fmt: skip


def draw(names):
    mask = np.zeros(SHAPE, np.uint8)
    for name in names:
        limits, voxels = SHAPES[name]
        region = tuple(slice(*axis) for axis in limits)
        mask[region] = 1
        assert mask[region].size == voxels
    return mask


@pytest.fixture
def cohort(tmp_path, write_image):
    folder = tmp_path / "pred"
    for case, names in PREDICTED.items():
        direction = SAGITTAL if case.startswith("SAG") else AXIAL
        write_image(draw(names), folder / f"{case}.nii.gz", spacing=SPACING, direction=direction)
        foreground = np.where(draw(names), 0.9, 0.0).astype(np.float32)
        for name, value in PROBABILITIES.get(case, {}).items():
            foreground[draw([name]) > 0] = value
        np.savez_compressed(folder / f"{case}.npz", probabilities=np.stack([1 - foreground, foreground]))
    return SimpleNamespace(folder=folder, boxes=Boxes(BOXES))


@pytest.mark.parametrize(("settings", "expected", "thresholds"), [row[1:] for row in TABLE], ids=[r[0] for r in TABLE])
def test_expected_masks(tmp_path, cohort, read_array, settings, expected, thresholds):
    settings = PostprocessingSettings(**settings)
    kwargs = {"boxes": cohort.boxes, "probabilities": cohort.folder}
    summary = postprocess_folder(cohort.folder, tmp_path / "out", settings, **kwargs)
    assert not summary.errors
    for case, names in expected.items():
        assert np.array_equal(read_array(tmp_path / "out" / f"{case}.nii.gz"), draw(names)), case
    assert set(summary.empty) == {case for case, names in expected.items() if not names}
    assert set(summary.altered) == {case for case, names in expected.items() if set(names) != set(PREDICTED[case])}
    assert summary.with_box("clipped") == (("SAG_EDGE", "SAG_EMPTY_NOTHING") if settings.box else ())
    found = summary.table.dropna(subset="threshold").set_index("case_id")["threshold"]
    assert found.to_dict() == pytest.approx(thresholds)


def test_the_table_says_what_was_done(tmp_path, cohort):
    settings = PostprocessingSettings(box=True, keep=1, on_empty="lower-threshold")
    kwargs = {"boxes": cohort.boxes, "probabilities": cohort.folder}
    table = postprocess_folder(cohort.folder, tmp_path / "out", settings, **kwargs).table.set_index("case_id")
    columns = ["result", "done", "voxels_before", "voxels_after", "removed_by_box", "removed_by_components"]
    assert {case: tuple(row) for case, row in table[columns].iterrows()} == {
        "AX_OTHER": ("altered", "box", 91, 27, 64, 0),
        "AX_MULTI": ("altered", "components", 46, 27, 0, 19),
        "SAG_EDGE": ("altered", "box; components", 82, 12, 64, 6),
        "AX_EMPTY_MASS": ("filled", "lower-threshold", 0, 12, 0, 0),
        "SAG_EMPTY_NOTHING": ("empty", "", 0, 0, 0, 0),
        "AX_BOXED_OUT": ("filled", "box; lower-threshold", 64, 6, 64, 0),
        "AX_NO_BOX": ("altered", "components", 91, 64, 0, 27),
    }
    assert "highest foreground probability 0.04" in table.loc["SAG_EMPTY_NOTHING", "note"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "no probabilities at"),
        (lambda path: path.write_bytes(path.read_bytes()[:100]), "cannot be read"),
        (lambda path: np.savez(path, probabilities=np.zeros((2, 8, 24, 16))), "belong to another prediction"),
        (lambda path: np.savez(path, probabilities=np.zeros((3, 8, 16, 24))), None),
        (lambda path: np.savez(path, softmax=np.zeros((2, 8, 16, 24))), "cannot be read"),
    ],
    ids=["missing", "cut", "other axes", "one channel more", "other key"],
)
def test_wrong_probabilities_skip_their_case_only(tmp_path, cohort, damage, message):
    damage(cohort.folder / "AX_EMPTY_MASS.npz")
    settings = PostprocessingSettings(on_empty="lower-threshold")
    summary = postprocess_folder(cohort.folder, tmp_path / "out", settings, probabilities=cohort.folder)
    assert {case: message in reason for case, reason in summary.errors.items()} == (
        {"AX_EMPTY_MASS": True} if message else {}
    )
