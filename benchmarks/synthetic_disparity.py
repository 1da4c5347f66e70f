"""Does the synthetic cohort hold the disparity it documents? A voxel classifier blind to patients is the judge.

Fits gradient-boosted trees on the voxels of the training cases (three phases, their two differences, four smoothing
scales) and prints the mean DSC of the test cases by part of the cohort and by single attribute.

    python benchmarks/synthetic_disparity.py [--kinds distinct intersection …] [-n 300] [--group-fraction 0.15]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import SimpleITK as sitk
from scipy import ndimage
from sklearn.ensemble import HistGradientBoostingClassifier

from nnunet_fair.metadata.case_table import read_case_table
from nnunet_fair.metadata.mama_mia import DEFAULT_ATTRIBUTES, build_attributes
from nnunet_fair.synthetic.cohort import DISPARITY_FILE, write_cohort
from nnunet_fair.synthetic.disparity import DISPARITIES

SMOOTHING = (0, 1, 2, 4)
SAMPLED_VOXELS = {0: 2500, 1: 300}


def read_case(root: Path, case_id: str) -> tuple[np.ndarray, np.ndarray]:
    """Features of shape (n_voxels, n_features) and label of shape (slices, rows, columns)."""
    paths = sorted((root / "images" / case_id).iterdir())[:3]
    phases = np.stack([sitk.GetArrayFromImage(sitk.ReadImage(str(path))) for path in paths]).astype(np.float32)
    phases -= phases.mean(axis=(1, 2, 3), keepdims=True)
    phases /= phases.std(axis=(1, 2, 3), keepdims=True)
    channels = (*phases, phases[1] - phases[0], phases[2] - phases[1])
    features = [
        ndimage.gaussian_filter(channel, (width / 2.5, width, width)) for channel in channels for width in SMOOTHING
    ]
    label = sitk.ReadImage(str(root / "segmentations" / "expert" / f"{case_id}.nii.gz"))
    return np.stack(features, axis=-1).reshape(-1, len(features)), sitk.GetArrayFromImage(label)


def test_scores(root: Path) -> pd.Series:
    """DSC of each test case, by a classifier fitted on the training cases."""
    split = pd.read_csv(root / "train_test_splits.csv")
    rng = np.random.default_rng(0)
    samples, targets = [], []
    for case_id in split["train_split"].dropna():
        features, label = read_case(root, case_id)
        for value, most in SAMPLED_VOXELS.items():
            voxels = np.flatnonzero(label.ravel() == value)
            chosen = rng.choice(voxels, min(most, len(voxels)), replace=False)
            samples.append(features[chosen])
            targets.append(np.full(len(chosen), value))
    classifier = HistGradientBoostingClassifier(random_state=0)
    classifier.fit(np.concatenate(samples), np.concatenate(targets))
    scores = {}
    for case_id in split["test_split"].dropna():
        features, label = read_case(root, case_id)
        probability = classifier.predict_proba(features)[:, 1].reshape(label.shape)
        predicted = ndimage.gaussian_filter(probability, (0.4, 1, 1)) > 0.5
        scores[case_id] = 2 * (predicted & (label == 1)).sum() / (predicted.sum() + label.sum())
    return pd.Series(scores)


def show(kind: str, n_cases: int, group_fraction: float, strength: float, seed: int) -> None:
    """Print the table of one kind of disparity."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "cohort"
        options = {"missing": "none", "file_names": "upper", "test_fraction": 0.4}
        write_cohort(root, n_cases, seed, disparity=kind, group_fraction=group_fraction, strength=strength, **options)
        scores = test_scores(root)
        planted = json.loads((root / DISPARITY_FILE).read_text())
        groups = build_attributes(read_case_table(root / "clinical_and_imaging_info.xlsx").frame, DEFAULT_ATTRIBUTES)
    part = pd.Series({case_id: entry["name"] for entry in planted["strata"] for case_id in entry["cases"]})
    print(f"\n{kind}: mean DSC {scores.mean():.3f} of {len(scores)} test cases")
    for title, names in (("part", part), *groups.items()):
        table = scores.groupby(names.loc[scores.index]).agg(["mean", "size"])
        entries = (f"{name} {row['mean']:.3f} ({row['size']:.0f})" for name, row in table.iterrows())
        print(f"  {title}: " + ", ".join(entries))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", choices=DISPARITIES, default=list(DISPARITIES))
    parser.add_argument("-n", type=int, default=300)
    parser.add_argument("--group-fraction", type=float, default=0.15)
    parser.add_argument("--strength", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    for kind in args.kinds:
        show(kind, args.n, args.group_fraction, args.strength, args.seed)


if __name__ == "__main__":
    main()
