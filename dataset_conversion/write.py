"""Placing a case's files in the dataset: linked, copied or newly written, each atomically."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_fair.files import atomic_link, atomic_path

if TYPE_CHECKING:
    import SimpleITK as sitk


def place_file(source: Path, target: Path, link: str) -> None:
    """Put a file that needs no change into the dataset, replacing what is there.

    Args:
        source: the file of the cohort.
        target: its place in the dataset; the folder exists.
        link: ``symlink`` (absolute), ``hardlink`` or ``copy``.
    """
    if link == "copy":
        with atomic_path(target) as temporary:
            shutil.copyfile(source, temporary)
        return
    with atomic_link(target) as temporary:
        if link == "symlink":
            temporary.symlink_to(source.resolve())
        else:
            os.link(source.resolve(), temporary)


def write_image(image: sitk.Image, target: Path) -> None:
    """Write an image compressed, replacing what is there.

    Raises:
        OSError: it cannot be written.
    """
    import SimpleITK as sitk

    with atomic_path(target) as temporary:
        try:
            sitk.WriteImage(image, str(temporary), useCompression=True)
        except RuntimeError as error:
            raise OSError(f"cannot write {target}: {error}") from error
