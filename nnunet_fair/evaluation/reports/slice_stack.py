"""All slices of a case around its masks, small enough to stand in a page: one sheet of them, contours as lines."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import contourpy
import numpy as np
from PIL import Image

BUDGET = 300_000  # characters in the page, a case
LARGEST_SIDE = 256  # pixels of a slice's longer side, to begin with
SMALLEST_SIDE = 32
JPEG_QUALITY = 75


@dataclass(frozen=True)
class SliceStack:
    """The slices of a case.

    Attributes:
        sheet: the slices side by side as a JPEG file, row by row; empty where there is no image.
        columns: how many slices stand in a row of the sheet.
        size: rows and columns of one slice, in pixels.
        height_of_width: a slice's height divided by its width, in mm.
        first: number of the first slice in the volume.
        n_slices: how many there are.
        n_all: how many the volume has.
        best: number of the slice to begin with.
        contours: name, colour and line style of each mask, and its line in each slice as an SVG path in half pixels.
    """

    sheet: bytes = field(repr=False)
    columns: int
    size: tuple[int, int]
    height_of_width: float
    first: int
    n_slices: int
    n_all: int
    best: int
    contours: tuple[dict[str, Any], ...] = field(repr=False)

    def document(self) -> dict[str, Any]:
        """What the page's script reads."""
        sheet = f"data:image/jpeg;base64,{base64.b64encode(self.sheet).decode('ascii')}" if self.sheet else ""
        return {
            "sheet": sheet,
            "columns": self.columns,
            "size": list(self.size),
            "height_of_width": round(self.height_of_width, 4),
            "first": self.first,
            "n": self.n_slices,
            "n_all": self.n_all,
            "best": self.best,
            "contours": list(self.contours),
        }


def slice_stack(
    masks: Sequence[np.ndarray],
    names: Sequence[dict[str, str]],
    image: np.ndarray | None,
    *,
    pixel_size: tuple[float, float],
    first: int,
    n_all: int,
    best: int,
    budget: int = BUDGET,
) -> SliceStack:
    """Pack slices, in fewer pixels where they would take more than the budget.

    Args:
        masks: one bool array a mask, each of shape (n_slices, rows, columns), cut to what is to be shown.
        names: name, colour and style of each mask's line.
        image: float array of the same shape; None where there is none.
        pixel_size: height and width of a pixel, in mm.
        first: number of the first slice in the volume.
        n_all: slices of the volume.
        best: number of the slice to begin with.
        budget: the most characters the stack may take in the page.

    Returns:
        The stack: at least ``SMALLEST_SIDE`` pixels a side, where even those are over the budget.
    """
    shape = masks[0].shape
    height_of_width = shape[1] * pixel_size[0] / (shape[2] * pixel_size[1])
    grey = None if image is None else _as_grey(image)
    side = min(LARGEST_SIDE, max(shape[1:]))
    while True:
        scale = side / max(shape[1:])
        size = (max(1, round(shape[1] * scale)), max(1, round(shape[2] * scale)))
        columns = math.ceil(math.sqrt(shape[0]))
        sheet = b"" if grey is None else _sheet(grey, size, columns)
        lines = tuple({**name, "paths": _paths(mask, size)} for name, mask in zip(names, masks, strict=True))
        length = len(sheet) * 4 // 3 + sum(len(path) + 3 for line in lines for path in line["paths"])
        if length <= budget or side <= SMALLEST_SIDE:
            return SliceStack(sheet, columns, size, height_of_width, first, shape[0], n_all, best, lines)
        side = max(SMALLEST_SIDE, int(side * min(0.9, math.sqrt(budget / length))))


def _as_grey(image: np.ndarray) -> np.ndarray:
    """The image as uint8, the darkest hundredth black and the brightest two hundredths white."""
    low, high = np.percentile(image, (1, 99.5))
    return (np.clip((image - low) / (high - low if high > low else 1), 0, 1) * 255).astype(np.uint8)


def _sheet(grey: np.ndarray, size: tuple[int, int], columns: int) -> bytes:
    """The slices side by side as JPEG."""
    rows = math.ceil(len(grey) / columns)
    sheet = Image.new("L", (columns * size[1], rows * size[0]))
    for number, plane in enumerate(grey):
        small = Image.fromarray(plane).resize((size[1], size[0]), Image.Resampling.BOX)
        sheet.paste(small, (number % columns * size[1], number // columns * size[0]))
    buffer = io.BytesIO()
    sheet.save(buffer, format="JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def _paths(mask: np.ndarray, size: tuple[int, int]) -> list[str]:
    """The outline of a mask in each slice, as SVG paths in half pixels; "" where the mask is not."""
    rows = np.minimum(((np.arange(size[0]) + 0.5) * mask.shape[1] / size[0]).astype(int), mask.shape[1] - 1)
    columns = np.minimum(((np.arange(size[1]) + 0.5) * mask.shape[2] / size[1]).astype(int), mask.shape[2] - 1)
    return [_path(plane[np.ix_(rows, columns)]) if plane.any() else "" for plane in mask]


def _path(plane: np.ndarray) -> str:
    """The outline of a plane: closed lines, each from its beginning by steps."""
    # A rim of background closes the lines at the border; pixel centres lie at odd numbers of half pixels.
    framed = np.pad(plane, 1).astype(float)
    outlines: Any = contourpy.contour_generator(z=framed, line_type="Separate").lines(0.5)
    return "".join(_closed_line(np.rint(2 * outline).astype(int) - 1) for outline in outlines)


def _closed_line(points: np.ndarray) -> str:
    """A closed line as an SVG path, without the points in the middle of straight parts."""
    steps = np.diff(points, axis=0)
    turns = np.flatnonzero((steps[1:] != steps[:-1]).any(axis=1)) + 1
    corners = points[[0, *turns, len(points) - 1]]
    moves = " ".join(f"{x} {y}" for x, y in np.diff(corners, axis=0)[:-1])
    return f"M{corners[0][0]} {corners[0][1]}l{moves.replace(' -', '-')}z" if moves else ""
