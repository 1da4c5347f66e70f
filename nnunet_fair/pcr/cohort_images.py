"""The phases of each case of a cohort: in the MAMA-MIA layout, or images named as nnU-Net's."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nnunet_fair.case_ids import match_cases
from nnunet_fair.dataset_conversion.layout import IMAGES, discover_cases
from nnunet_fair.errors import UserError
from nnunet_fair.masks.endings import list_images


@dataclass(frozen=True)
class CohortImages:
    """Where the images of a cohort are.

    Attributes:
        phases: image file by phase number (0 is pre-contrast), by case ID.
        experts: the experts' mask of each case that has one; none for images named as nnU-Net's.
    """

    phases: Mapping[str, Mapping[int, Path]]
    experts: Mapping[str, Path]


@dataclass(frozen=True)
class LesionFiles:
    """The files of one case.

    Attributes:
        case_id: as the cohort's images are named.
        phases: image file by phase number.
        mask: the lesion's mask.
    """

    case_id: str
    phases: Mapping[int, Path]
    mask: Path


def find_images(root: str | os.PathLike) -> CohortImages:
    """Find the phases of every case.

    Args:
        root: a cohort in the MAMA-MIA layout (``images/<ID>/<ID>_0000.nii.gz …``), or a folder with
            ``CASE_0000.nii.gz …`` whose channels are the phases.

    Raises:
        UserError: no images there, or two files for one phase.
    """
    root = Path(root)
    if (root / IMAGES).is_dir():
        cases = discover_cases(root)
        clash = next((case for case in cases.values() if case.conflicts), None)
        if clash is not None:
            raise UserError(f"{root}: case {clash.case_id!r} has {clash.conflicts[0]}; remove one of them")
        phases = {case_id: files.phases for case_id, files in cases.items() if files.phases}
        experts = {case_id: files.label for case_id, files in cases.items() if files.label is not None}
        return CohortImages(phases, experts)
    images = list_images(root)
    if not images:
        raise UserError(
            f"{root} holds no images: expected the MAMA-MIA layout ({IMAGES}/<ID>/<ID>_0000.nii.gz …) or "
            "CASE_0000.nii.gz, CASE_0001.nii.gz …, one file a phase"
        )
    return CohortImages(images, {})


def lesion_files(images: CohortImages, masks: Mapping[str, Path]) -> list[LesionFiles]:
    """Put the mask of each case to its phases.

    Args:
        images: the cohort's images.
        masks: mask file by case ID; upper and lower case may differ.

    Returns:
        The cases that have both, in the order of their IDs.

    Raises:
        UserError: no case has both, or IDs are ambiguous but for upper and lower case.
    """
    found = match_cases(masks, images.phases)
    if not found:
        raise UserError(
            f"no mask has the ID of a case: images are of cases like {next(iter(images.phases), 'none')!r}, masks are "
            f"named like {next(iter(masks), 'none')!r}"
        )
    return [LesionFiles(case_id, images.phases[case_id], masks[found[case_id]]) for case_id in sorted(found)]
