"""Names of image and mask files: their endings, the case in a name, the files of a folder by case ID."""

from __future__ import annotations

import os
import re
from pathlib import Path

from nnunet_fair.errors import UserError

FILE_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha", ".gipl", ".png", ".bmp", ".tiff", ".tif")
"""The endings nnU-Net's readers take; of two that fit a name the longer comes first."""

PLANAR_ENDINGS = (".png", ".bmp")
"""Formats of pictures: two-dimensional, without a voxel size."""

_CHANNEL = re.compile(r"(.+)_(\d{4})")


def file_ending(path: str | os.PathLike) -> str | None:
    """The ending of an image's name as it is written there (upper or lower case), None where it has none of them."""
    name = Path(path).name
    ending = next((ending for ending in FILE_ENDINGS if name.lower().endswith(ending)), None)
    return None if ending is None else name[-len(ending) :]


def case_id_of(path: str | os.PathLike) -> str | None:
    """The case ID in the name of a mask file: its name without the ending, None for other and for hidden files."""
    name, ending = Path(path).name, file_ending(path)
    return None if ending is None or name.startswith(".") or name == ending else name[: -len(ending)]


def image_name(case_id: str, channel: int, ending: str) -> str:
    """The name nnU-Net gives a case's image of one channel: ``CASE_0000.nii.gz``."""
    return f"{case_id}_{channel:04d}{ending}"


def case_and_channel(path: str | os.PathLike) -> tuple[str, int] | None:
    """Case ID and channel in the name of an image named as nnU-Net's, None for any other file."""
    match = _CHANNEL.fullmatch(case_id_of(path) or "")
    return (match[1], int(match[2])) if match else None


def list_masks(folder: str | os.PathLike) -> dict[str, Path]:
    """The mask files of a folder.

    Args:
        folder: an existing folder; files of other kinds, and hidden files, are passed over.

    Returns:
        ``{case_id: path}`` in the order of the files' names; empty where there is none.

    Raises:
        UserError: no such folder, or two files of one case.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}")
    masks: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        case_id = case_id_of(file)
        if case_id is None:
            continue  # a folder or a broken link of such a name is listed: reading it says what is wrong
        if case_id in masks:
            raise UserError(f"case {case_id!r} has two files in {folder}, {masks[case_id].name} and {file.name}")
        masks[case_id] = file
    return masks


def list_images(folder: str | os.PathLike) -> dict[str, dict[int, Path]]:
    """The images of a folder that are named as nnU-Net's (``CASE_0000.nii.gz``).

    Args:
        folder: an existing folder; files of other names, and hidden files, are passed over.

    Returns:
        ``{case_id: {channel: path}}``, cases in the order of their IDs, channels ascending.

    Raises:
        UserError: no such folder, or two files of one channel.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}")
    images: dict[str, dict[int, Path]] = {}
    for file in sorted(folder.iterdir()):
        found = case_and_channel(file)
        if found is None:
            continue
        case_id, channel = found
        channels = images.setdefault(case_id, {})
        if channel in channels:
            raise UserError(
                f"case {case_id!r} has two files of channel {channel} in {folder}, {channels[channel].name} and "
                f"{file.name}"
            )
        channels[channel] = file
    return {case_id: dict(sorted(images[case_id].items())) for case_id in sorted(images)}
