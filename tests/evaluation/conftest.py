"""An independent scorer of the challenge's definition, and small cohorts on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from scipy.spatial import KDTree

sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)  # volumes this small only pay for the threads


def _contour_points(mask: np.ndarray) -> np.ndarray:
    """Surface voxels of the whole volume, by SimpleITK's LabelContour with its default arguments."""
    contour = sitk.LabelContour(sitk.GetImageFromArray(mask.astype(np.uint8)))
    return np.argwhere(sitk.GetArrayFromImage(contour))


def _hausdorff95(a: np.ndarray, b: np.ndarray) -> float:
    if len(a) == 0 or len(b) == 0:
        return 0.0 if len(a) == len(b) else np.inf
    return max(np.percentile(KDTree(x).query(y)[0], 95) for x, y in ((a, b), (b, a)))


class ChallengeReference:
    """The official definition, computed on whole volumes and in plain loops; shares no code with the package."""

    @staticmethod
    def case(reference: np.ndarray, prediction: np.ndarray) -> tuple[float, float, float]:
        """DSC, HD95 in voxels, NormHD."""
        tp = np.sum(reference & prediction)
        fp, fn = np.sum(~reference & prediction), np.sum(reference & ~prediction)
        dsc = 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 0.0
        hd = _hausdorff95(_contour_points(reference), _contour_points(prediction))
        return float(dsc), float(hd), 1.0 if np.isinf(hd) else float(hd / 150)

    @staticmethod
    def hausdorff95_mm(reference: np.ndarray, prediction: np.ndarray, spacing: tuple[float, ...]) -> float:
        """HD95 in mm."""
        return _hausdorff95(_contour_points(reference) * spacing, _contour_points(prediction) * spacing)

    @staticmethod
    def task1(dsc: list[float], norm_hd: list[float], groups: dict[str, list[str | None]], weight: float = 0.5):
        """Performance, fairness by variable, fairness, ranking."""
        performance = 0.5 * (sum(dsc) / len(dsc) + 1 - sum(norm_hd) / len(norm_hd))
        by_variable = {}
        for variable, names in groups.items():
            gaps = []
            for values in (dsc, norm_hd):
                means = []
                for name in {n for n in names if n is not None}:
                    members = [v for v, n in zip(values, names, strict=True) if n == name]
                    means.append(sum(members) / len(members))
                gaps.append(max(means) - min(means))
            by_variable[variable] = 1 - 0.5 * sum(gaps)
        fairness = sum(by_variable.values()) / len(by_variable)
        return performance, by_variable, fairness, (1 - weight) * performance + weight * fairness


@pytest.fixture(scope="session")
def challenge_reference() -> type[ChallengeReference]:
    return ChallengeReference


@pytest.fixture
def cohort(tmp_path, save_mask) -> Path:
    """24 cases in 3D: labels, images, predictions that grow worse with the age group, and a raw table."""
    rng = np.random.default_rng(3)
    rows = []
    for i in range(24):
        case_id = f"CASE_{i:03d}"
        reference = np.zeros((6, 20, 20), bool)
        reference[2:5, 5:13, 6:14] = True
        prediction = np.roll(reference, i % 4, axis=2)
        if i == 23:
            prediction[:] = False
        save_mask(reference, tmp_path / "labels" / f"{case_id}.nii.gz")
        save_mask(prediction, tmp_path / "pred" / f"{case_id}.nii.gz")
        if i % 4 == 3:
            image = sitk.GetImageFromArray(rng.normal(size=reference.shape).astype(np.float32))
            image.SetSpacing((1.0, 1.0, 2.0))
            (tmp_path / "images").mkdir(exist_ok=True)
            for channel in (0, 1):
                sitk.WriteImage(image, str(tmp_path / "images" / f"{case_id}_{channel:04d}.nii.gz"))
        rows.append(
            {
                "patient_id": case_id.lower() if i == 0 else case_id,
                "age": 35 + 10 * (i % 4),
                "menopause": ("pre", "post", "")[i % 3],
                "breast_density": "abcd"[(i // 2) % 4],
                "site": f"hospital <{i % 2}>",
            }
        )
    pd.DataFrame(rows).to_csv(tmp_path / "table.csv", index=False)
    return tmp_path
