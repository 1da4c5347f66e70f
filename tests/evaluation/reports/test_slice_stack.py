"""All slices of a case in a page: the right slices, lines where the masks are, no more than the budget."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from nnunet_fair.evaluation.metrics.options import ScoringOptions
from nnunet_fair.evaluation.reports.case_volumes import Contour, read_case_volumes, stack_of_slices
from nnunet_fair.evaluation.reports.options import OverlayOptions
from nnunet_fair.evaluation.reports.slice_stack import BUDGET, SMALLEST_SIDE, slice_stack

LINE = {"name": "reference", "colour": "#000000", "style": "solid"}
PLACE = {"pixel_size": (1.0, 1.0), "first": 3, "n_all": 9, "best": 4}


def test_a_line_goes_around_its_mask():
    mask = np.zeros((2, 6, 8), bool)
    mask[1, 2:4, 3:6] = True
    stack = slice_stack([mask], [LINE], None, **PLACE)
    empty, path = stack.contours[0]["paths"]
    assert empty == ""
    # in half pixels the outline passes the middle between the outer pixels of the mask and their neighbours
    points = np.cumsum([[float(n) for n in step.split()] for step in _steps(path)], axis=0)
    assert points.min(axis=0).tolist() == [6, 4] and points.max(axis=0).tolist() == [12, 8]
    assert path.endswith("z") and len(points) == 8  # four sides and four cut corners
    assert stack.document()["sheet"] == "" and stack.document()["first"] == 3


def _steps(path: str) -> list[str]:
    begin, moves = path.removeprefix("M").removesuffix("z").split("l")
    numbers = moves.replace("-", " -").split()
    return [begin, *(" ".join(numbers[i : i + 2]) for i in range(0, len(numbers), 2))]


def test_a_mask_at_the_rim_and_one_with_a_hole_are_closed():
    mask = np.ones((1, 8, 8), bool)
    mask[0, 3:5, 3:5] = False
    (path,) = slice_stack([mask], [LINE], None, **PLACE).contours[0]["paths"]
    assert path.count("M") == path.count("z") == 2


def test_the_sheet_holds_every_slice_in_order():
    image = np.arange(5.0)[:, None, None] * np.ones((5, 16, 24))
    stack = slice_stack([image > 9], [LINE], image, **PLACE)
    sheet = np.asarray(Image.open(io.BytesIO(stack.sheet)))
    assert stack.columns == 3 and stack.size == (16, 24) and sheet.shape == (32, 72)
    grey = [sheet[n // 3 * 16 + 8, n % 3 * 24 + 12] for n in range(5)]
    assert grey == pytest.approx([0, 64, 128, 191, 255], abs=4)
    assert stack.height_of_width == pytest.approx(16 / 24)


@pytest.mark.parametrize("budget", [BUDGET, 20_000, 1])
def test_what_is_too_large_is_shown_in_fewer_pixels(budget):
    rng = np.random.default_rng(0)
    image = rng.normal(size=(40, 300, 200))
    mask = np.zeros(image.shape, bool)
    mask[:, 100:200, 50:150] = True
    stack = slice_stack([mask, mask], [LINE, LINE], image, budget=budget, **PLACE)
    length = sum(len(str(value)) for value in stack.document().values())
    if budget == 1:
        assert max(stack.size) == SMALLEST_SIDE
    else:
        assert length < 1.05 * budget and max(stack.size) > SMALLEST_SIDE
    assert stack.size[0] / stack.size[1] == pytest.approx(1.5, rel=0.05)


def test_the_slices_are_those_of_the_masks_and_a_little_around(tmp_path, save_mask):
    reference = np.zeros((40, 90, 90), np.uint8)
    reference[20:23, 40:50, 40:50] = 1
    reference[21, 40:55, 40:50] = 1
    prediction = np.roll(reference, 2, axis=0)
    paths = [
        save_mask(m, tmp_path / n / "c.nii.gz", spacing=(1.0, 1.0, 3.0))
        for n, m in (("r", reference), ("p", prediction))
    ]
    volumes = read_case_volumes("c", paths[0], [Contour("prediction", paths[1])], OverlayOptions(), ScoringOptions())
    stack = stack_of_slices(volumes)
    assert (stack.first, stack.n_slices, stack.n_all, stack.best) == (15, 15, 40, 21)  # 5 slices of 3 mm either side
    assert [bool(p) for p in stack.contours[0]["paths"]] == [15 + i in (20, 21, 22) for i in range(15)]
    assert [bool(p) for p in stack.contours[1]["paths"]] == [15 + i in (22, 23, 24) for i in range(15)]
    assert stack.size == (50, 50)  # at least 50 mm
    flat = read_case_volumes("c", paths[0], [], OverlayOptions(), ScoringOptions()).part(slice(21, 22))
    assert stack_of_slices(flat) is None and stack_of_slices(volumes.part(slice(0, 10))) is None
