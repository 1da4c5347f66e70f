"""What can be wrong, or worth knowing, about a case: the words of ``conversion_report.csv``."""

from __future__ import annotations

from dataclasses import dataclass

# A case with one of these is not converted.
NO_IMAGES = "no images"
AMBIGUOUS_FILES = "ambiguous files"
MISSING_PHASE = "missing phase"
NO_LABEL = "no label"
NO_TABLE_ROW = "no table row"
NOT_IN_SPLIT = "not in one split"
UNREADABLE = "unreadable file"
NOT_3D = "not a 3D scalar image"
GRID_MISMATCH = "grid mismatch"
VOXEL_SIZE = "no voxel size"
NOT_FINITE = "NaN or infinite values"
LABEL_VALUES = "label values other than 0 and 1"
EMPTY_LABEL = "empty label"
RECIPE_UNDEFINED = "recipe undefined"
NO_BREAST_BOX_TO_CROP = "no breast box to crop to"
LABEL_OUTSIDE_CROP = "label outside the crop"
UNEXPECTED = "unexpected error"

# A case with one of these is converted; the report says so.
HEADER_REPAIRED = "header rounding repaired"
LABEL_OUTSIDE_BOX = "label outside the breast box"
NO_BREAST_BOX = "no breast box"
BOX_CLIPPED = "breast box clipped to the image"
EMPTY_LABEL_KEPT = "empty label kept"
TEST_CASE_WITHOUT_LABEL = "test case without label"


@dataclass(frozen=True)
class Finding:
    """One observation about one case.

    Attributes:
        kind: one of this module's constants; reports count by it.
        detail: what exactly, in words; empty where ``kind`` says it all.
    """

    kind: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}" if self.detail else self.kind


class CaseProblem(Exception):  # noqa: N818
    """A case cannot be converted, because of ``finding``."""

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(kind, detail)
        self.finding = Finding(kind, detail)
