"""Writing a synthetic cohort in the layout of MAMA-MIA, with a planted, documented disparity.

Nothing in it comes from a patient: names of columns and rates follow the published dataset, images and rows are drawn.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import SimpleITK as sitk
from scipy import ndimage
from tqdm import tqdm

from nnunet_fair.errors import UserError
from nnunet_fair.files import replace_folder, staging_folder, write_csv, write_json
from nnunet_fair.locks import folder_lock
from nnunet_fair.outputs import is_record, refuse_foreign
from nnunet_fair.processes import start_worker
from nnunet_fair.synthetic.disparity import (
    DESCRIPTIONS,
    DISPARITIES,
    POSTMENOPAUSAL_SHARE,
    appearance,
    group_definition,
    strata,
)
from nnunet_fair.synthetic.images import Box, Scan, simulate
from nnunet_fair.synthetic.patients import CENTRES, MISSING_KINDS, Patient, draw_patients, generator
from nnunet_fair.synthetic.response import RESPONSE_DESCRIPTIONS, RESPONSES
from nnunet_fair.synthetic.table import case_row, patient_info, write_table

DISPARITY_FILE = "disparity.json"
TABLE_FILE, SPLIT_FILE = "clinical_and_imaging_info.xlsx", "train_test_splits.csv"
SEGMENTATIONS = "segmentations"
FILE_NAMES = ("mixed", "lower", "upper")
_READERS = ("expert", "automatic")
_ENTRIES = ("images", SEGMENTATIONS, "patient_info_files", TABLE_FILE, SPLIT_FILE, DISPARITY_FILE)

_FIELD_OF_VIEW_MM = 90.0


@dataclass(frozen=True)
class CohortOptions:
    """What to write; the command line's options of ``nnunet_fair synth``.

    Attributes:
        n_cases: number of cases.
        seed: the same seed gives the same cases; a case does not depend on ``n_cases``.
        size: array shape (slices, rows, columns) of the axial cases and of the sagittal ones.
        max_phases: cases get as many phases as their centre takes, at most this many, at least 3.
        disparity: one of ``synth_disparity.DISPARITIES``.
        strength: 1 as documented, 0 plants nothing.
        group_fraction: share of the disadvantaged group.
        test_fraction: share of test cases.
        missing: one of ``synth_patients.MISSING_KINDS``.
        missing_rate: mean rate for ``random`` and ``not-at-random``.
        file_names: ``lower`` or ``upper`` case file names, or both within the cohort (``mixed``).
        healthy: share of patients without a lesion; their masks are empty.
        response: one of ``response.RESPONSES``.
    """

    n_cases: int = 40
    seed: int = 0
    size: tuple[int, int, int] = (24, 64, 64)
    max_phases: int = 5
    disparity: str = "distinct"
    strength: float = 1.0
    group_fraction: float = 0.2
    test_fraction: float = 0.2
    missing: str = "real"
    missing_rate: float = 0.25
    file_names: str = "mixed"
    healthy: float = 0.0
    response: str = "none"

    def __post_init__(self) -> None:
        """Refuse what cannot be written.

        Raises:
            UserError: an option out of its range, named with the range.
        """
        limits = (
            ("n_cases", self.n_cases, self.n_cases >= 1, "1 or more"),
            ("seed", self.seed, self.seed >= 0, "0 or more"),
            ("size", self.size, len(self.size) == 3 and min(self.size) >= 16, "three numbers, each 16 or more"),
            ("max_phases", self.max_phases, 3 <= self.max_phases <= 11, "3 to 11"),
            ("strength", self.strength, 0 <= self.strength <= 1.5, "0 to 1.5"),
            (
                "group_fraction",
                self.group_fraction,
                0 < self.group_fraction < POSTMENOPAUSAL_SHARE,
                "above 0, below 0.43",
            ),
            ("test_fraction", self.test_fraction, 0 <= self.test_fraction < 1, "0 or more, below 1"),
            ("missing_rate", self.missing_rate, 0 <= self.missing_rate < 1, "0 or more, below 1"),
            ("healthy", self.healthy, 0 <= self.healthy < 1, "0 or more, below 1"),
            ("disparity", self.disparity, self.disparity in DISPARITIES, ", ".join(DISPARITIES)),
            ("response", self.response, self.response in RESPONSES, ", ".join(RESPONSES)),
            ("missing", self.missing, self.missing in MISSING_KINDS, ", ".join(MISSING_KINDS)),
            ("file_names", self.file_names, self.file_names in FILE_NAMES, ", ".join(FILE_NAMES)),
        )
        for name, value, holds, expected in limits:
            if not holds:
                raise UserError(f"expected {name} {expected}; found {value!r}")


def write_cohort(
    root: str | os.PathLike,
    n_cases: int = 40,
    seed: int = 0,
    *,
    overwrite: bool = False,
    n_processes: int = 1,
    **options: Any,
) -> CohortOptions:
    """Write a synthetic cohort in the layout of MAMA-MIA.

    Args:
        root: the folder to make; it appears only when the cohort is complete.
        n_cases: number of cases.
        seed: seed of everything drawn.
        overwrite: replace an existing synthetic cohort at ``root``.
        n_processes: cases written at a time.
        **options: the other fields of ``CohortOptions``.

    Returns:
        The options, as written to ``disparity.json``.

    Raises:
        UserError: an option out of range; ``root`` exists and is not to be replaced or is no synthetic cohort.
    """
    settings = CohortOptions(n_cases=n_cases, seed=seed, **options)
    root = Path(root)
    if root.exists() and not (root.is_dir() and not any(root.iterdir())):
        if not overwrite:
            raise UserError(f"{root} exists; give another folder, or `overwrite` to replace the synthetic cohort in it")
        if not (root / DISPARITY_FILE).is_file():
            raise UserError(f"{root} holds no synthetic cohort (no {DISPARITY_FILE} in it); it is not replaced")
        _refuse_others(root)
    root.parent.mkdir(parents=True, exist_ok=True)
    with folder_lock(root), staging_folder(root) as scratch:
        folder = scratch / "cohort"
        _write_into(folder, settings, n_processes)
        replace_folder(folder, root)
    return settings


def _refuse_others(root: Path) -> None:
    """Refuse to replace a folder in which something is no part of a synthetic cohort."""
    remedy = "move it away or give another `root`"
    planted = root / DISPARITY_FILE
    refuse_foreign(planted, is_record(planted, ("kind", "strata", "options")), remedy=remedy)
    for folder, known in ((root, _ENTRIES), (root / SEGMENTATIONS, _READERS)):
        for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
            refuse_foreign(entry, entry.name in known, remedy=remedy)


def _write_into(folder: Path, settings: CohortOptions, n_processes: int) -> None:
    patients = list(
        draw_patients(
            settings.n_cases,
            seed=settings.seed,
            disparity=settings.disparity,
            group_fraction=settings.group_fraction,
            test_fraction=settings.test_fraction,
            missing=settings.missing,
            missing_rate=settings.missing_rate,
            healthy=settings.healthy,
            response=settings.response,
        )
    )
    for name in ("images", *(f"{SEGMENTATIONS}/{reader}" for reader in _READERS), "patient_info_files"):
        (folder / name).mkdir(parents=True)
    rows = _write_cases(folder, patients, settings, n_processes)
    write_table(rows, folder / TABLE_FILE)
    _write_split(patients, folder / SPLIT_FILE)
    write_json(_disparity(patients, settings), folder / DISPARITY_FILE)


def _write_cases(folder: Path, patients: Sequence[Patient], settings: CohortOptions, n_processes: int) -> list[dict]:
    """Write images and patient files of every case; returns the table's rows in the patients' order."""
    write = partial(_write_case, folder, settings)
    with tqdm(total=len(patients), desc="cases", unit="case") as bar:
        rows = []
        if n_processes <= 1:
            for patient in patients:
                rows.append(write(patient))
                bar.update()
            return rows
        with get_context("spawn").Pool(n_processes, initializer=start_worker) as pool:
            for row in pool.imap(write, patients, chunksize=4):
                rows.append(row)
                bar.update()
        return rows


def _write_case(folder: Path, settings: CohortOptions, patient: Patient) -> dict:
    """Simulate and write one case; returns its row of the table."""
    rng = generator(settings.seed, patient.index, 3)
    scan, scanner = _draw_scan(patient, settings, rng)
    look = appearance(settings.disparity, patient.stratum, settings.strength)
    case = simulate(scan, replace(look, enhancement=look.enhancement * patient.enhancement), rng)
    lower = {"lower": True, "upper": False, "mixed": patient.index % 2 == 0}[settings.file_names]
    name = patient.case_id.lower() if lower else patient.case_id
    images = folder / "images" / patient.case_id
    images.mkdir()
    # In about one case in twenty later phases carry a header that differs by rounding, as in the real data.
    rounding = 1e-5 if rng.random() < 0.05 else 0.0
    for phase, array in enumerate(case.phases):
        image = _image(array, scan, rounding if phase else 0.0)
        sitk.WriteImage(image, str(images / f"{name}_{phase:04d}.nii.gz"), useCompression=True)
    automatic = ndimage.binary_dilation(case.label, iterations=1) if rng.random() < 0.5 else case.label
    for kind, array in (("expert", case.label), ("automatic", automatic.astype(np.uint8))):
        path = folder / SEGMENTATIONS / kind / f"{name}.nii.gz"
        sitk.WriteImage(_image(array, scan, 0.0), str(path), useCompression=True)
    # About one box in twenty exceeds the image by a voxel, as in the real data.
    box = _exceeding(case.box, scan.shape) if rng.random() < 0.05 else case.box
    row = case_row(patient, scan, scanner, n_lesions=case.n_lesions, rng=rng)
    write_json(patient_info(patient, row, box), folder / "patient_info_files" / f"{name}.json")
    return row


def _draw_scan(
    patient: Patient, settings: CohortOptions, rng: np.random.Generator
) -> tuple[Scan, tuple[str, str, float]]:
    """Geometry and timing of one examination, and its scanner (manufacturer, model, field strength in tesla)."""
    centre = CENTRES[patient.centre]
    weights = np.array([scanner[3] for scanner in centre.scanners])
    scanner = centre.scanners[int(rng.choice(len(weights), p=weights / weights.sum()))][:3]
    shares = np.array(list(centre.phases.values()))
    n_phases = min(int(rng.choice(list(centre.phases), p=shares / shares.sum())), settings.max_phases)
    first = int(rng.normal(centre.first_post, 0.1 * centre.first_post))
    times = (0, *(first + round(phase * centre.interval * rng.uniform(0.97, 1.03)) for phase in range(n_phases - 1)))
    field = _FIELD_OF_VIEW_MM * rng.uniform(0.85, 1.05)
    slices, rows, _ = settings.size
    in_plane = round(float(np.clip(field / rows, 0.5, 1.4)), 4)
    thickness = round(float(np.clip(field / slices, 0.9, 4.0)), 1)
    scan = Scan(
        shape=settings.size,
        spacing=(thickness, in_plane, in_plane),
        sagittal=centre.sagittal,
        bilateral=bool(rng.random() < centre.bilateral) and not centre.sagittal,
        times=times,
        density=patient.values["breast_density"],
        multifocal=bool(patient.values["multifocal_cancer"]),
        healthy=patient.healthy,
    )
    return scan, scanner


def _image(array: np.ndarray, scan: Scan, rounding: float) -> sitk.Image:
    """An ITK image with the scan's geometry; ``rounding`` shifts the origin by so many mm."""
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(scan.spacing[::-1])
    if scan.sagittal:
        # columns run to posterior, rows to inferior, slices to the patient's right (LPS coordinates)
        image.SetDirection((0, 0, -1, 1, 0, 0, 0, -1, 0))
    half = [0.5 * (n - 1) * mm for n, mm in zip(scan.shape[::-1], scan.spacing[::-1], strict=True)]
    origin = -np.array(image.GetDirection()).reshape(3, 3) @ half
    image.SetOrigin([float(round(x, 3) + rounding) for x in origin])
    return image


def _exceeding(box: Box, shape: tuple[int, int, int]) -> Box:
    """The box with its last axis reaching one voxel beyond the image."""
    return (*box[:2], (box[2][0], shape[2] + 1))


def _write_split(patients: Sequence[Patient], path: Path) -> None:
    """Two columns of unequal length, the shorter one padded with empty cells."""
    split = {
        "train_split": pd.Series([p.case_id for p in patients if not p.is_test], dtype=object),
        "test_split": pd.Series([p.case_id for p in patients if p.is_test], dtype=object),
    }
    write_csv(pd.DataFrame(split), path)


def _disparity(patients: Sequence[Patient], settings: CohortOptions) -> dict:
    """What was planted, for people and for studies; nnU-Net never reads it."""
    names = {
        stratum.name: [p.case_id for p in patients if p.stratum == stratum]
        for stratum in strata(settings.disparity, settings.group_fraction)
    }
    definition = group_definition(settings.disparity)
    members = [p for p in patients if p.stratum.in_group]
    hidden = [p.case_id for p in members if p.missing & set(definition)]
    healthy = {"healthy_cases": [p.case_id for p in patients if p.healthy]} if settings.healthy else {}
    return {
        "kind": settings.disparity,
        "description": DESCRIPTIONS[settings.disparity],
        "strength": settings.strength,
        "seed": settings.seed,
        "group": {
            "definition": definition,
            "note": "by the true values, some of which the table does not show",
            "cases": [p.case_id for p in members],
            "cases_with_a_defining_value_missing": hidden,
            "test_cases": [p.case_id for p in members if p.is_test],
        },
        "strata": [
            {"name": s.name, "difficulty": s.difficulty, "cases": names[s.name]}
            for s in strata(settings.disparity, settings.group_fraction)
        ],
        **healthy,
        "response": {"kind": settings.response, "description": RESPONSE_DESCRIPTIONS[settings.response]},
        "options": {**vars(settings), "size": list(settings.size)},
    }
