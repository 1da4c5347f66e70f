"""BUS-BRA as Zenodo gives it: ``Images/bus_NNNN-S.png``, ``Masks/mask_NNNN-S.png`` and ``bus_data.csv``.

S is l, r (the halves of a dual view) or s (a single one); ``Case`` numbers the patients.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from nnunet_fair.errors import UserError
from nnunet_fair.metadata.case_table import read_case_table, text_value

LONGEST_SIDE = 224
"""Pixels; the images are scaled down to this, which costs the lesions little and saves most of the time."""

VIEWS = {"left": "dual left", "right": "dual right", "single": "single"}
COLUMNS = {"pathology": "Pathology", "histology": "Histology", "birads": "BIRADS"}


def read_busbra(archive: Path, target: Path) -> pd.DataFrame:
    """Write the images and masks, and return the table.

    Args:
        archive: the folder with ``Images``, ``Masks`` and ``bus_data.csv``.
        target: folder with ``imagesTr`` and ``labelsTr``.

    Returns:
        One row an image: ``case_id``, ``patient``, the attributes as text, NaN where unknown.

    Raises:
        UserError: an image or mask of the table is missing, or their sizes differ.
    """
    table = read_case_table(archive / "bus_data.csv", "ID").frame
    rows = []
    for name, row in tqdm(table.iterrows(), total=len(table), desc="images", unit="image"):
        image = _open(archive / "Images" / f"{name}.png")
        mask = _open(archive / "Masks" / f"{str(name).replace('bus_', 'mask_', 1)}.png")
        if image.size != mask.size:
            raise UserError(f"{name}: the image has {_by(image)} pixels, its mask {_by(mask)}")
        case_id = str(name).replace("-", "_")
        scaled(image).save(target / f"imagesTr/{case_id}_0000.png")
        labelled = np.asarray(scaled(mask.point(lambda grey: 255 * (grey > 0)))) >= 128
        Image.fromarray(labelled.astype(np.uint8)).save(target / f"labelsTr/{case_id}.png")
        view = text_value(row["Side"])
        if view not in VIEWS:
            raise UserError(f"bus_data.csv: Side of {name} is {view!r}; known are {', '.join(VIEWS)}")
        patient = f"P{int(text_value(row['Case'])):04d}"
        scanner = str(row["Device"]).partition("@")[0].strip()
        known = {attribute: text_value(row[column]) for attribute, column in COLUMNS.items()}
        rows.append({"case_id": case_id, "patient": patient, "scanner": scanner, **known, "view": VIEWS[view]})
    return pd.DataFrame(rows)


def scaled(image: Image.Image) -> Image.Image:
    """The image with its longest side at ``LONGEST_SIDE``, each pixel the mean of those it covers."""
    factor = LONGEST_SIDE / max(image.size)
    width, height = (max(1, round(side * factor)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BOX)


def _open(path: Path) -> Image.Image:
    if not path.is_file():
        raise UserError(f"{path} is missing; bus_data.csv names it")
    return Image.open(path).convert("L")


def _by(image: Image.Image) -> str:
    return "×".join(map(str, image.size))
