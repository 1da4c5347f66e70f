"""Which of nnU-Net's readers a file is read and written with.

nnU-Net chooses one for a dataset: the one ``overwrite_image_reader_writer`` of ``dataset.json`` names, else the first
that takes the file ending and can read an example (``nnunetv2.imageio.reader_writer_registry``); plans record it as
``image_reader_writer``. The same is done here for a file: plans or a ``dataset.json`` beside it are asked first (in its
own folder and the two above: ``fold_0/validation`` lies two below the model's), then the file itself.

``SimpleITKIO`` is not called but SimpleITK is: that reader only hands on array, spacing, origin and direction of
``SimpleITK.ReadImage``, as floating-point numbers, which takes four times the memory and loses the stored type
(``tests/masks/test_formats.py`` compares the two). All other readers are nnU-Net's own; importing one of them takes
neither torch nor the rest of nnU-Net.
"""

from __future__ import annotations

import importlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from nnunet_fair.errors import UserError
from nnunet_fair.masks.endings import file_ending

SIMPLE_ITK = "SimpleITKIO"
NIBABEL = "NibabelIO"
NATURAL_IMAGE = "NaturalImage2DIO"
TIFF_3D = "Tiff3DIO"

_MODULES = {
    NIBABEL: "nibabel_reader_writer",
    NATURAL_IMAGE: "natural_image_reader_writer",
    TIFF_3D: "tif_reader_writer",
}
_TURNING = "WithReorient"
"""Readers of that name turn images to RAS and back; masks are read as they are stored, where boxes are counted."""


def reader_names(path: Path) -> tuple[str, ...]:
    """The readers to try for a file, in nnU-Net's order.

    Args:
        path: the file.

    Raises:
        UserError: its name ends with none of the endings nnU-Net takes, or plans or dataset.json cannot be read.
    """
    ending = (file_ending(path) or "").lower()
    by_ending = {
        ".png": (NATURAL_IMAGE,),
        ".bmp": (NATURAL_IMAGE,),
        ".tif": (NATURAL_IMAGE, TIFF_3D),
        ".tiff": (TIFF_3D,),
        ".nii": (NIBABEL, SIMPLE_ITK),  # the second for two-dimensional ones, which NibabelIO refuses
        ".nii.gz": (SIMPLE_ITK, NIBABEL),
        ".nrrd": (SIMPLE_ITK,),
        ".mha": (SIMPLE_ITK,),
        ".gipl": (SIMPLE_ITK,),
    }
    if ending not in by_ending:
        raise UserError(f"{path} is no image nnU-Net reads; it takes {', '.join(by_ending)}")
    named = recorded_reader(path.parent)
    known = by_ending[ending]
    return (named, *(name for name in known if name != named)) if named in {*_MODULES, SIMPLE_ITK} else known


def recorded_reader(folder: Path) -> str | None:
    """The reader that plans or ``dataset.json`` in a folder, or in the two above it, name; None where none does.

    Raises:
        UserError: one of these files is not valid JSON.
    """
    for place in (folder, *list(folder.parents)[:2]):
        for name, key in (("plans.json", "image_reader_writer"), ("dataset.json", "overwrite_image_reader_writer")):
            found = _entry(place / name, key)
            if found:
                return found.removesuffix(_TURNING)
    return None


def turns_to_ras(folder: Path) -> bool:
    """Whether the ``plans.json`` of a folder names a reader that turns every image to RAS."""
    return (_entry(folder / "plans.json", "image_reader_writer") or "").endswith(_TURNING)


def _entry(path: Path, key: str) -> str | None:
    try:
        return _cached_entry(path, key, path.stat().st_mtime_ns)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON ({error})") from error


@lru_cache(maxsize=64)
def _cached_entry(path: Path, key: str, modified: int) -> str | None:
    content = json.loads(path.read_text(encoding="utf-8-sig"))
    value = content.get(key) if isinstance(content, dict) else None
    return str(value) if value and value != "None" else None


def nnunet_reader(name: str) -> Any:
    """An instance of nnU-Net's reader of that name (not ``SimpleITKIO``)."""
    module = importlib.import_module(f"nnunetv2.imageio.{_MODULES[name]}")
    return getattr(module, name)()
