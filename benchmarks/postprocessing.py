"""Post-processing: its time beside reading and writing the masks, and the challenge score before and after each step.

    python benchmarks/postprocessing.py [--volumes 5] [--cases 60]

Speed: masks of 512×512×112 voxels (a lesion, a false positive in the other breast, specks) on one core. Compared in the
same run: reading and writing the mask alone, and labelling the whole volume with SciPy.

Score: a cohort with planted false positives in the other breast, multifocal lesions, predictions left empty with and
without probability mass, axial and sagittal cases and boxes that exceed the image.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import SimpleITK as sitk
from scipy import ndimage

from nnunet_fair.evaluation.metrics.case_metrics import case_metrics
from nnunet_fair.evaluation.scores.challenge_score import segmentation_score
from nnunet_fair.evaluation.scores.cohort import ScoredCohort
from nnunet_fair.masks.breast_boxes import Boxes
from nnunet_fair.postprocessing.postprocess_case import CaseTask, run_case
from nnunet_fair.postprocessing.postprocess_folder import postprocess_folder
from nnunet_fair.postprocessing.settings import PostprocessingSettings

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
SAGITTAL = (0.0, 0.0, -1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
LARGE = (112, 512, 512)
LARGE_BOX = ((0, 112), (60, 400), (0, 256))
SMALL = (24, 64, 96)
SMALL_BOX = ((0, 24), (8, 60), (0, 48))
SPACING = (2.0, 0.8, 0.8)


def ball(shape: tuple[int, ...], centre: tuple[float, ...], radius: float) -> np.ndarray:
    """Bool array with the voxels within ``radius`` mm of ``centre`` (in voxels)."""
    mask = np.zeros(shape, bool)
    reach = [int(np.ceil(radius / size)) + 1 for size in SPACING]
    window = tuple(
        slice(max(0, int(c) - r), min(size, int(c) + r + 1)) for c, r, size in zip(centre, reach, shape, strict=True)
    )
    grid = np.ogrid[window]
    distance = sum(((axis - c) * size) ** 2 for axis, c, size in zip(grid, centre, SPACING, strict=True))
    mask[window] = distance <= radius**2
    return mask


def write(array: np.ndarray, path: Path, direction: tuple[float, ...] = AXIAL) -> None:
    """Write a mask as nnU-Net does: uint8, compressed."""
    image = sitk.GetImageFromArray(array.astype(np.uint8))
    image.SetSpacing(SPACING[::-1])
    image.SetDirection(direction)
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path), True)


def seconds(functions: dict, files: list[Path], target: Path, repeats: int = 7) -> dict[str, float]:
    """Seconds a file for each function: the median over files and repeats.

    The functions take turns, each over all files, so that other programs on the machine disturb all of them alike.
    """
    times = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            for file in files:
                target.unlink(missing_ok=True)
                start = time.perf_counter()
                function(file)
                times[name].append(time.perf_counter() - start)
    return {name: float(np.median(values)) for name, values in times.items()}


def speed(folder: Path, n_volumes: int) -> None:
    """Print the time of a mask."""
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    rng = np.random.default_rng(0)
    for case in range(n_volumes):
        lesion = ball(LARGE, (rng.uniform(30, 80), rng.uniform(120, 340), rng.uniform(60, 200)), rng.uniform(8, 25))
        other = ball(LARGE, (rng.uniform(30, 80), rng.uniform(120, 340), rng.uniform(320, 460)), rng.uniform(5, 12))
        specks = [ball(LARGE, tuple(rng.uniform(0, size) for size in LARGE), 2.5) for _ in range(6)]
        write(lesion | other | np.any(specks, axis=0), folder / "large" / f"CASE_{case:03d}.nii.gz")
    files = sorted((folder / "large").iterdir())
    target = folder / "out.nii.gz"

    def read_and_write(path: Path) -> None:
        sitk.WriteImage(sitk.ReadImage(str(path)), str(target), True)

    def whole_volume(path: Path) -> None:
        image = sitk.ReadImage(str(path))
        array = sitk.GetArrayFromImage(image)
        boxed = np.zeros_like(array)
        window = tuple(slice(*axis) for axis in LARGE_BOX)
        boxed[window] = array[window]
        labels, count = ndimage.label(boxed, np.ones((3, 3, 3)))
        sizes = np.bincount(labels.ravel(), minlength=count + 1)
        sizes[0] = 0
        result = sitk.GetImageFromArray((labels == sizes.argmax()).astype(np.uint8))
        result.CopyInformation(image)
        sitk.WriteImage(result, str(target), True)

    def ours(settings: PostprocessingSettings, box):
        return lambda path: run_case(CaseTask(path.name, path, target, settings, ((1,),), box))

    boxed = PostprocessingSettings(box=True, keep=1)
    functions = {
        "read and write alone": read_and_write,
        "box + largest component": ours(boxed, LARGE_BOX),
        "largest component, no box": ours(PostprocessingSettings(keep=1), None),
        "box + largest, whole volume with SciPy": whole_volume,
    }
    rows = seconds(functions, files, target)
    base = rows["read and write alone"]
    print(f"\n{n_volumes} masks of {'×'.join(map(str, LARGE[::-1]))} voxels, one core\n")
    print(f"{'':42}{'ms a mask':>10}{'ratio':>8}")
    for name, value in rows.items():
        print(f"{name:42}{value * 1000:10.1f}{value / base:8.2f}")


def plant(folder: Path, n_cases: int) -> tuple[Boxes, pd.DataFrame]:
    """Write references, predictions and probabilities; the boxes and the patients' groups."""
    rng = np.random.default_rng(7)
    boxes, groups = {}, {}
    for number in range(n_cases):
        case = f"CASE_{number:03d}"
        kind = ("plain", "other breast", "multifocal", "empty, mass", "empty, none", "specks")[number % 6]
        sagittal = number % 3 == 0
        centre = tuple(rng.uniform(low, high) for low, high in ((7, 17), (20, 46), (12, 34)))
        radius = rng.uniform(5, 9)
        reference = ball(SMALL, centre, radius)
        near = ball(SMALL, tuple(np.add(centre, rng.uniform(-0.7, 0.7, 3))), radius * 0.95)
        prediction, foreground = near.copy(), np.where(near, 0.9, 0.02)
        if kind == "other breast":
            prediction |= ball(SMALL, (12, 34, rng.uniform(64, 84)), radius * 1.3)
        if kind == "multifocal":
            second = ball(SMALL, (centre[0], 60 - centre[1] / 2, 44 - centre[2] / 2), 3.5)
            reference, prediction = reference | second, prediction | second
        if kind == "specks":
            for _ in range(4):
                prediction |= ball(SMALL, tuple(rng.uniform(0, size) for size in SMALL), 1.7)
        if kind.startswith("empty"):
            prediction[:] = False
            foreground = np.where(near, 0.35, 0.02) if kind == "empty, mass" else np.full(SMALL, 0.02)
            foreground = np.maximum(foreground, np.where(ball(SMALL, (12, 34, 74), 6), 0.42, 0))
        if kind != "empty, none" and not kind.startswith("empty"):
            foreground = np.where(prediction, 0.9, foreground)
        direction = SAGITTAL if sagittal else AXIAL
        write(reference, folder / "reference" / f"{case}.nii.gz", direction)
        write(prediction, folder / "predicted" / f"{case}.nii.gz", direction)
        probabilities = np.stack([1 - foreground, foreground]).astype(np.float16)
        np.savez_compressed(folder / "predicted" / f"{case}.npz", probabilities=probabilities)
        exceeds = number % 4 == 0
        boxes[case] = ((-1, 25), (8, 60), (-1, 48)) if exceeds else SMALL_BOX
        groups[case] = {
            "age": ("0-40", "41-50", "51-60", "61-70", "71+")[number % 5],
            "menopausal_status": ("pre", "post")[number % 2],
            "breast_density": "abcd"[number % 4],
        }
    return Boxes(boxes), pd.DataFrame.from_dict(groups, orient="index")


def score(reference: Path, masks: Path, groups: pd.DataFrame):
    """The challenge score of a folder of masks, and how many are empty."""
    rows, empty = {}, 0
    for path in sorted(masks.glob("*.nii.gz")):
        arrays = [sitk.GetArrayFromImage(sitk.ReadImage(str(folder / path.name))) > 0 for folder in (reference, masks)]
        metrics = case_metrics(*arrays, SPACING)
        rows[path.name.removesuffix(".nii.gz")] = {"dsc": metrics.dsc, "norm_hd": metrics.norm_hd}
        empty += not arrays[1].any()
    frame = pd.DataFrame.from_dict(rows, orient="index")
    return segmentation_score(ScoredCohort.of(frame, groups)), empty


def steps(folder: Path, n_cases: int) -> None:
    """Print the challenge score of the predictions and after each step."""
    boxes, groups = plant(folder, n_cases)
    table = {
        "as predicted": None,
        "box": {"box": True},
        "box, components of 20 mm³ or more": {"box": True, "min_volume_mm3": 20.0},
        "  and empty masks at a lower threshold": {
            "box": True,
            "min_volume_mm3": 20.0,
            "on_empty": "lower-threshold",
        },
        "box, largest component only": {"box": True, "keep": 1},
        "largest component without a box": {"keep": 1},
    }
    header = f"{'':42}{'DSC':>8}{'NormHD':>8}{'P':>8}{'F':>8}{'ranking':>9}{'empty':>7}"
    lines = []
    for number, (name, settings) in enumerate(table.items()):
        masks = folder / "predicted"
        if settings is not None:
            masks = folder / f"step_{number}"
            postprocess_folder(
                folder / "predicted",
                masks,
                PostprocessingSettings(**settings),
                boxes=boxes,
                probabilities=folder / "predicted",
            )
        result, empty = score(folder / "reference", masks, groups)
        values = (result.mean_dsc, result.mean_norm_hd, result.performance, result.fairness)
        lines.append(f"{name:42}" + "".join(f"{v:8.3f}" for v in values) + f"{result.ranking:9.3f}{empty:7d}")
    print(f"\nchallenge score of {n_cases} planted cases\n")
    print(header, *lines, sep="\n")


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--volumes", type=int, default=5)
    parser.add_argument("--cases", type=int, default=60)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        speed(Path(folder), args.volumes)
        steps(Path(folder), args.cases)


if __name__ == "__main__":
    main()
