"""What response models are worth where the truth is known or a table is at hand, and how long it all takes.

Run: ``python -m benchmarks.pcr real`` (needs the published MAMA-MIA table where ``NNUNET_FAIR_DATA`` points; clinical
columns only, no row is printed), ``… synth`` (planted signal, no signal, the centre alone) and ``… time`` (features of
full-size volumes, nested cross-validation of 1,506 patients). The printed tables stand in docs/pcr.md.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import SimpleITK as sitk

from nnunet_fair.evaluation.scores.pcr_score import PcrStatistics
from nnunet_fair.masks.boxes import bounding_box
from nnunet_fair.masks.reading import read_mask, read_picture
from nnunet_fair.pcr.cohort_images import LesionFiles, find_images, lesion_files
from nnunet_fair.pcr.fitting import FittingOptions, ResponseCases
from nnunet_fair.pcr.kinetics import PHASES, kinetic_features
from nnunet_fair.pcr.lesion_features import FEATURES, measure_cases
from nnunet_fair.pcr.pipeline import Inputs
from nnunet_fair.pcr.shape import shape_features
from nnunet_fair.pcr.thresholds import RANKING
from nnunet_fair.pcr.train import ResponseTraining, train_response
from nnunet_fair.pcr.training_cases import TrainingCases, TrainingSources, read_training_cases
from nnunet_fair.synthetic.cohort import write_cohort

TABLE = "mama_mia_metadata/clinical_and_imaging_info.xlsx"
N_PATIENTS = 1506
ALL_CLINICAL = ("tumor_subtype", "hr", "er", "pr", "her2", "age", "menopause", "ethnicity", "bmi_group")
REAL = {  # name: clinical columns, and further changes
    "subtype": (("tumor_subtype",), {}),
    "subtype and all clinical": (ALL_CLINICAL, {}),
    "the same, trees": (ALL_CLINICAL, {"method": "trees"}),
    "age and menopause": (("age", "menopause"), {}),
    "scanner and centre": (("manufacturer", "field_strength", "dataset"), {}),
    "subtype, threshold by ranking": (("tumor_subtype",), {"threshold": RANKING}),
    "subtype and age": (("tumor_subtype", "age"), {}),
    "subtype and age, FairDiv over both": (("tumor_subtype", "age"), {"fairdiv": ("tumor_subtype", "age")}),
}
SHAPE, SPACING = (80, 512, 512), (2.0, 0.7, 0.7)  # slices, rows, columns; mm


def real(n_seeds: int) -> None:
    """Clinical columns of the published table."""
    folder = os.environ.get("NNUNET_FAIR_DATA", "")
    if not (Path(folder) / TABLE).is_file():
        raise SystemExit(f"NNUNET_FAIR_DATA names no folder with {TABLE}")
    print(f"mean of {n_seeds} seeds; interval of the first")
    print(
        "| columns | AUC, out of fold | within centres left out | by centre left out | BA | disparity | ranking | s |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name, (columns, changes) in REAL.items():
        start, results, scores = time.process_time(), [], []
        options = {key: value for key, value in changes.items() if key != "fairdiv"}
        for seed in range(n_seeds):
            sources = TrainingSources(
                Path(folder) / TABLE, clinical=columns, fairdiv=changes.get("fairdiv"), with_groups=True, seed=seed
            )
            training = read_training_cases(sources)
            results.append(train_response(training, FittingOptions(seed=seed, **options)))
            decision = results[-1].out_of_fold.rows["prediction"].reindex(training.cases.frame.index) == 1
            statistics = PcrStatistics(training.cases.truth, decision.to_numpy(), training.cases.memberships)
            scores.append(dict(zip(statistics.names, statistics(np.ones((1, len(decision))))[0], strict=True)))
        print(row(name, results, scores, (time.process_time() - start) / n_seeds), flush=True)
        for sentence in results[0].sentences:
            print(f"    {sentence}", flush=True)


def row(name: str, results: list[ResponseTraining], scores: list[dict[str, float]], seconds: float) -> str:
    """One line of the table."""
    first = results[0]
    assert first.left_out is not None
    pooled, left_out = (np.mean([getattr(r, key).estimate for r in results]) for key in ("pooled", "left_out"))
    centres = ", ".join(f"{centre} {auc.estimate:.2f}" for centre, auc in first.centres.items())
    intervals = [f"{auc.low:.3f} to {auc.high:.3f}" for auc in (first.pooled, first.left_out)]
    means = [
        np.mean([score[key] for score in scores]) for key in ("balanced_accuracy", "fairness_disparity", "ranking")
    ]
    return (
        f"| {name} | {pooled:.3f} ({intervals[0]}) | {left_out:.3f} ({intervals[1]}) | {centres} | "
        + " | ".join(f"{mean:.3f}" for mean in means)
        + f" | {seconds:.0f} |"
    )


def synth(n_cases: int) -> None:
    """Planted signal, no signal, and the centre alone (told by what differs between centres)."""
    print("| response | columns | AUC, out of fold | within centres left out | what is said |")
    print("|---|---|---|---|---|")
    for kind, clinical in (("enhancement", ()), ("none", ()), ("centre", ()), ("centre", ("view", "bilateral_mri"))):
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            write_cohort(
                folder / "cohort", n_cases, size=(16, 48, 48), max_phases=4, disparity="balanced", response=kind
            )
            images = find_images(folder / "cohort")
            found = measure_cases(lesion_files(images, images.experts), masks="experts")
            found.rows.to_csv(folder / "features.csv", index=False)
            table = folder / "cohort" / "clinical_and_imaging_info.xlsx"
            sources = TrainingSources(table, (folder / "features.csv",), clinical=clinical)
            result = train_response(read_training_cases(sources), FittingOptions())
        columns = " and ".join(("features", *clinical))
        left_out = result.left_out.text() if result.left_out else ""
        print(f"| {kind} | {columns} | {result.pooled.text()} | {left_out} | {result.sentences[0]} |", flush=True)


def times(n_cases: int) -> None:
    """Features of full-size volumes, and nested cross-validation, on one thread of a core."""
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    with tempfile.TemporaryDirectory() as scratch:
        cases = write_volumes(Path(scratch), n_cases)
        seconds = {"reading the mask and four phases": 0.0, "the features": 0.0}
        for files in cases:
            start = time.process_time()
            mask = read_mask(files.mask)
            phases = [read_picture(path)[0] for path in files.phases.values()]
            middle = time.process_time()
            box = bounding_box(mask.array)
            lesion, pre, *post = (array[box].astype(float) for array in (mask.array, *phases))
            kinetic_features(pre, dict(zip(PHASES, post, strict=True)), lesion > 0, mask.spacing)
            shape_features(lesion > 0, mask.spacing)
            seconds["reading the mask and four phases"] += middle - start
            seconds["the features"] += time.process_time() - middle
    for name, total in seconds.items():
        print(f"{name}: {total / n_cases:.3f} s a case, {total / n_cases * N_PATIENTS:.0f} s for {N_PATIENTS} cases")
    for method in ("logistic", "trees"):
        start = time.process_time()
        result = train_response(drawn_patients(), FittingOptions(method=method))
        print(f"nested cross-validation, {method}: {time.process_time() - start:.0f} s; {result.report_line()}")


def write_volumes(folder: Path, n_cases: int) -> list[LesionFiles]:
    """Four full-size phases, and masks of lesions of 5 to 30 mm radius in them; all cases share the phases' files."""
    rng = np.random.default_rng(0)
    axes = np.ogrid[tuple(slice(n) for n in SHAPE)]
    body = sum(((axis - n / 2) / (0.45 * n)) ** 2 for axis, n in zip(axes, SHAPE, strict=True)) < 1
    phases = {}
    for phase in range(4):
        array = np.where(body, rng.normal(400 + 100 * phase, 40, SHAPE), rng.normal(10, 3, SHAPE)).clip(0)
        phases[phase] = folder / f"phase_{phase:04d}.nii.gz"
        save(array.astype(np.int16), phases[phase])
    cases = []
    for number in range(n_cases):
        radius, centre = rng.uniform(5, 30), rng.uniform((50, 120, 120), (110, 240, 240))
        squared = sum((a * mm - c) ** 2 for a, mm, c in zip(axes, SPACING, centre, strict=True))
        mask = folder / f"mask_{number}.nii.gz"
        save((squared < radius**2).astype(np.uint8), mask)
        cases.append(LesionFiles(f"case {number}", phases, mask))
    return cases


def save(array: np.ndarray, path: Path) -> None:
    """Write an image with the benchmark's voxel size."""
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(SPACING[::-1])
    sitk.WriteImage(image, str(path), useCompression=True)


def drawn_patients() -> TrainingCases:
    """1,506 drawn patients of four centres with all features and a subtype; a tenth of the lesions were not found."""
    rng = np.random.default_rng(0)
    index = pd.Index([f"P{number:04d}" for number in range(N_PATIENTS)], name="case_id")
    truth = rng.random(N_PATIENTS) < 0.3
    frame = pd.DataFrame(rng.normal(size=(N_PATIENTS, len(FEATURES))) + 0.1 * truth[:, None], index, list(FEATURES))
    frame[rng.random(N_PATIENTS) < 0.1] = np.nan
    frame["tumor_subtype"] = rng.choice(["a", "b", "c", "d", "e"], N_PATIENTS).astype(object)
    centres = pd.Series(rng.choice(list("wxyz"), N_PATIENTS, p=[0.65, 0.19, 0.11, 0.05]), index=index)
    cases = ResponseCases(frame, truth, Inputs(FEATURES, ("tumor_subtype",)), clinical=("tumor_subtype",))
    folds = pd.Series(rng.permutation(N_PATIENTS) % 5, index=index)
    return TrainingCases(replace(cases, centres=centres), folds, ())


def main() -> None:
    """Print the tables asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("real", "synth", "time"))
    parser.add_argument("--seeds", type=int, default=3, help="of real (default 3)")
    parser.add_argument("-n", type=int, help="cases (default: 300 of synth, 20 of time)")
    arguments = parser.parse_args()
    if arguments.part == "real":
        real(arguments.seeds)
    elif arguments.part == "synth":
        synth(arguments.n or 300)
    else:
        times(arguments.n or 20)


if __name__ == "__main__":
    main()
