"""The table and the patient files of a synthetic cohort, with MAMA-MIA's columns and keys."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
import pandas as pd

from nnunet_fair.files import atomic_path
from nnunet_fair.synthetic.images import Box, Scan
from nnunet_fair.synthetic.patients import CENTRES, Patient

COLUMNS = (
    *("patient_id", "dataset", "bilateral_breast_cancer", "multifocal_cancer", "nac_agent", "endocrine_therapy"),
    *("anti_her2_neu_therapy", "pcr", "mastectomy_post_nac", "days_to_follow_up", "days_to_recurrence"),
    *("days_to_metastasis", "days_to_death", "hr", "er", "pr", "her2", "mammaprint", "oncotype_score"),
    *("nottingham_grade", "tumor_subtype", "age", "menopause", "breast_density", "ethnicity", "has_implant", "weight"),
    *("patient_size", "bmi_group", "view", "bilateral_mri", "num_phases", "fat_suppressed", "field_strength"),
    *("image_rows", "image_columns", "num_slices", "pixel_spacing", "slice_thickness", "site", "manufacturer"),
    *("scanner_model", "high_bit", "window_center", "window_width", "echo_time", "repetition_time"),
    *("acquisition_times", "acquisition_date", "tcia_series_uid"),
)
"""The 50 columns of the release that has ``breast_density``."""

_LEGEND = {
    "patient_id": "ID of the (synthetic) patient",
    "dataset": "source the patient is modelled on",
    "age": "years",
    "menopause": "menopausal status, free text",
    "breast_density": "a to d",
    "pcr": "pathological complete response, 0 or 1",
    "view": "plane of the slices, axial or sagittal",
    "acquisition_times": "seconds of each phase after the pre-contrast phase",
}


def case_row(
    patient: Patient, scan: Scan, scanner: tuple[str, str, float], *, n_lesions: int, rng: np.random.Generator
) -> dict[str, Any]:
    """One row of the table as a reader of it sees it: hidden values are None, columns a centre never fills are absent.

    Args:
        patient: true clinical values and what is hidden.
        scan: geometry and timing.
        scanner: manufacturer, model and field strength in tesla.
        n_lesions: separate lesions in the image.
        rng: random numbers for site and sequence parameters.
    """
    centre = CENTRES[patient.centre]
    site = centre.sites[int(rng.integers(len(centre.sites)))]
    row = {
        **patient.values,
        "patient_id": patient.case_id,
        "multifocal_cancer": int(n_lesions > 1),
        "view": "sagittal" if scan.sagittal else "axial",
        "bilateral_mri": int(scan.bilateral),
        "num_phases": len(scan.times),
        "fat_suppressed": 1,
        "field_strength": scanner[2],
        "image_rows": scan.shape[1],
        "image_columns": scan.shape[2],
        "num_slices": scan.shape[0],
        "pixel_spacing": f"[{scan.spacing[1]:g}, {scan.spacing[2]:g}]",
        "slice_thickness": scan.spacing[0],
        "site": site,
        "manufacturer": scanner[0],
        "scanner_model": scanner[1],
        "high_bit": 15,
        "echo_time": round(float(rng.uniform(1.3, 4.8)), 3),
        "repetition_time": round(float(rng.uniform(3.8, 11)), 3),
        "acquisition_times": str(list(scan.times)),
        "tcia_series_uid": f"2.25.{int(rng.integers(10**15, 10**16))}",
    }
    if patient.values["weight"] is None or rng.random() < 0.9:
        row["patient_size"] = None
    for column in patient.missing:
        row[column] = None
        if column == "weight":
            row["bmi_group"] = None
    return row


def patient_info(patient: Patient, row: dict[str, Any], box: Box) -> dict[str, Any]:
    """One file of ``patient_info_files``.

    Args:
        patient: the patient.
        row: the patient's row of the table.
        box: half-open array indices ((start, stop), …) of the breast along (slices, rows, columns).

    Returns:
        The file's content. ``x``, ``y`` and ``z`` of ``breast_coordinates`` are array axes 0, 1 and 2, as in MAMA-MIA.
        Test cases have no clinical fields.
    """
    coordinates: dict[str, int] = {}
    for axis, (start, stop) in zip("xyz", box, strict=True):
        coordinates |= {f"{axis}_min": start, f"{axis}_max": stop}
    info: dict[str, Any] = {
        "patient_id": patient.case_id,
        "primary_lesion": {"breast_coordinates": coordinates},
        "imaging_data": {
            "bilateral": bool(row["bilateral_mri"]),
            "dataset": row["dataset"],
            "site": row["site"],
            "scanner_manufacturer": row["manufacturer"],
            "scanner_model": row["scanner_model"],
            "field_strength": row["field_strength"],
            "echo_time": row["echo_time"],
            "repetition_time": row["repetition_time"],
            "acquisition_times": row["acquisition_times"],
        },
    }
    if not patient.is_test:
        info["primary_lesion"] |= {"pcr": row["pcr"], "tumor_subtype": row["tumor_subtype"]}
        info["clinical_data"] = {name: row[name] for name in ("age", "menopause", "breast_density", "ethnicity")}
    return info


def write_table(rows: list[dict[str, Any]], path: str | os.PathLike) -> None:
    """Write ``clinical_and_imaging_info.xlsx``: sheets ``dataset_info`` and ``legend``.

    Args:
        rows: one dictionary a case; columns no row has stay empty.
        path: the file. Below the last patient follow two rows without ID, with means, as in one release of the table.
    """
    frame = pd.DataFrame(rows, columns=list(COLUMNS), dtype=object)
    known = [float(row["pcr"]) for row in rows if row["pcr"] is not None]
    mean = sum(known) / len(known) if known else math.nan
    summary = pd.DataFrame([{"pcr": mean}, {"pcr": 1 - mean}], columns=list(COLUMNS), dtype=object)
    legend = pd.DataFrame({"Field": list(_LEGEND), "Description": list(_LEGEND.values())})
    with atomic_path(path) as temporary, pd.ExcelWriter(temporary, engine="openpyxl") as writer:
        pd.concat([frame, summary], ignore_index=True).to_excel(writer, sheet_name="dataset_info", index=False)
        legend.to_excel(writer, sheet_name="legend", index=False)
