from __future__ import annotations

import io

import matplotlib.image
import numpy as np
import pytest
import SimpleITK as sitk
from matplotlib.colors import to_rgb

from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.metrics.options import ScoringOptions
from nnunet_fair.evaluation.reports.case_volumes import (
    Contour,
    check_overlay_options,
    find_channel,
    read_case_volumes,
)
from nnunet_fair.evaluation.reports.figures import ORANGE, SKY
from nnunet_fair.evaluation.reports.options import OverlayOptions
from nnunet_fair.evaluation.reports.overlays import overlay_picture
from nnunet_fair.masks.reading import CaseProblemError

LESION = np.zeros((6, 80, 80), np.uint8)
LESION[1:5, 20:40, 20:40] = 1
LESION[4, 20:60, 20:60] = 1  # the slice with most of the lesion


def _pixels(png: bytes) -> np.ndarray:
    return matplotlib.image.imread(io.BytesIO(png))[..., :3]


def _count(pixels: np.ndarray, colour: str) -> int:
    return int((np.abs(pixels - to_rgb(colour)).max(axis=-1) < 0.05).sum())


def _drawn(*case) -> bytes:
    return overlay_picture(read_case_volumes(*case))


def _picture(tmp_path, save_mask, prediction, **options) -> np.ndarray:
    reference = save_mask(LESION, tmp_path / "labels" / "c1.nii.gz")
    path = None if prediction is None else save_mask(prediction, tmp_path / "pred" / "c1.nii.gz")
    return _pixels(_drawn("c1", reference, [Contour("prediction", path)], OverlayOptions(**options), ScoringOptions()))


def test_both_contours_are_drawn(tmp_path, save_mask):
    pixels = _picture(tmp_path, save_mask, np.roll(LESION, 12, axis=2))
    assert _count(pixels, ORANGE) > 200 and _count(pixels, SKY) > 100


def test_a_missing_prediction_has_no_contour(tmp_path, save_mask):
    both = _picture(tmp_path, save_mask, LESION * 0 + np.roll(LESION, 12, axis=2))
    only = _picture(tmp_path, save_mask, None)
    assert _count(only, ORANGE) > 200 and _count(only, SKY) < 0.5 * _count(both, SKY)


def test_an_empty_reference_shows_the_prediction(tmp_path, save_mask):
    reference = save_mask(np.zeros_like(LESION), tmp_path / "labels" / "c1.nii.gz")
    prediction = save_mask(LESION, tmp_path / "pred" / "c1.nii.gz")
    pixels = _pixels(_drawn("c1", reference, [Contour("prediction", prediction)], OverlayOptions(), ScoringOptions()))
    assert _count(pixels, SKY) > 100


def test_the_image_lies_under_the_contours(tmp_path, save_mask):
    images = tmp_path / "images"
    save_mask(LESION * 100, images / "c1_0000.nii.gz")
    plain = _picture(tmp_path, save_mask, LESION)
    drawn = _picture(tmp_path, save_mask, LESION, images=images)
    assert (drawn.min(axis=-1) > 0.95).mean() > (plain.min(axis=-1) > 0.95).mean() + 0.1


def test_colour_images_and_2d_labels(tmp_path, save_mask):
    (tmp_path / "images").mkdir()
    colour = np.random.default_rng(0).integers(0, 255, (80, 80, 3)).astype(np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(colour, isVector=True), str(tmp_path / "images" / "c1_0000.png"))
    label = save_mask(LESION[4], tmp_path / "c1.png", spacing=(1.0, 1.0))
    png = _drawn("c1", label, [Contour("prediction", label)], OverlayOptions(tmp_path / "images"), ScoringOptions())
    assert _pixels(png).std() > 0.1


def test_an_image_of_another_dimension_is_a_problem(tmp_path, save_mask):
    save_mask(LESION[4], tmp_path / "images" / "c1_0000.nii.gz", spacing=(1.0, 1.0))
    with pytest.raises(CaseProblemError, match="not on the grid"):
        _picture(tmp_path, save_mask, LESION, images=tmp_path / "images")


@pytest.mark.parametrize(
    ("channels", "asked", "found"),
    [((0, 1, 2), None, 1), ((0,), None, 0), ((0, 1, 2), 2, 2), ((0, 1), 5, None), ((), None, None)],
)
def test_the_first_post_contrast_phase_is_the_default(tmp_path, channels, asked, found):
    for channel in channels:
        (tmp_path / f"a[1]_{channel:04d}.nii.gz").write_bytes(b"")
    path = find_channel("a[1]", OverlayOptions(tmp_path, asked))
    assert (None if path is None else int(path.name[5:9])) == found


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "case.nii.gz").write_bytes(b"")
    with pytest.raises(UserError, match="no image named as nnU-Net's"):
        check_overlay_options(OverlayOptions(tmp_path))
