"""How long scoring one case takes: this package against a straightforward implementation of the challenge's definition.

Volumes of 512×512×112 voxels are written as .nii.gz with a lesion of each size in reference and prediction. Printed for
each: the time to read both files with SimpleITK, the same with checksums and headers checked (``checked``:
SimpleITK does not, this package never leaves it out), the compute of the straightforward way (contours of
the whole volumes by SimpleITK, KD-trees, sums over the whole volumes; DSC and HD95 in voxels only), the compute of this
package (every metric of ``cases.csv``), their ratio, the package's total, and the total over the checked reading.

Run: ``python benchmarks/scoring.py``. Everything runs on one thread from the page cache; shown is the median processor
time of ``--repeats`` interleaved runs, which other programs on the machine disturb less than the clock.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy.spatial import cKDTree

from nnunet_fair.evaluation.metrics.case_metrics import case_metrics
from nnunet_fair.masks.paired_masks import crop_masks, read_masks
from nnunet_fair.masks.reading import Mask, read_mask

SHAPE = (112, 512, 512)
SPACING = (2.0, 0.7, 0.7)  # mm along slices, rows, columns
CASES = {  # name: radius of the lesion in mm, and whether the prediction holds a false positive on the other side
    "small, 10 mm": (5.0, False),
    "median, 25 mm": (12.5, False),
    "large, 60 mm": (30.0, False),
    "median, far false positive": (12.5, True),
}


def ball(centre: tuple[float, float, float], radius: float) -> np.ndarray:
    """A ball of ``radius`` mm around a centre in mm, bool array of ``SHAPE``."""
    axes = np.ogrid[tuple(slice(n) for n in SHAPE)]
    distance = sum((axis * step - middle) ** 2 for axis, step, middle in zip(axes, SPACING, centre, strict=True))
    return distance <= radius**2


def write_case(folder: Path, radius: float, far: bool) -> tuple[Path, Path]:
    """Write reference and prediction of one case."""
    reference = ball((110.0, 160.0, 110.0), radius)
    prediction = ball((112.0, 162.0, 111.0), radius * 0.9)
    if far:
        prediction |= ball((60.0, 170.0, 280.0), 6.0)
    paths = folder / "reference.nii.gz", folder / "prediction.nii.gz"
    for mask, path in zip((reference, prediction), paths, strict=True):
        image = sitk.GetImageFromArray(mask.astype(np.uint8))
        image.SetSpacing(SPACING[::-1])
        sitk.WriteImage(image, str(path), useCompression=True)
    return paths


def straightforward(reference: np.ndarray, prediction: np.ndarray) -> tuple[float, float]:
    """DSC and HD95 in voxels by the definition, on whole volumes."""
    overlap = np.sum((reference == 1) & (prediction == 1))
    wrong = np.sum((reference != 1) & (prediction == 1)) + np.sum((reference == 1) & (prediction != 1))
    surfaces = []
    for mask in (reference, prediction):
        contour = sitk.GetArrayFromImage(sitk.LabelContour(sitk.GetImageFromArray(mask.astype(np.uint8))))
        surfaces.append(np.argwhere(contour > 0))
    distances = [cKDTree(a).query(b)[0] for a, b in (surfaces, surfaces[::-1])]
    return 2 * overlap / (2 * overlap + wrong), max(np.percentile(d, 95) for d in distances)


def median_times(
    functions: dict[str, Callable[[], object]], repeats: int
) -> tuple[dict[str, float], dict[str, object]]:
    """Processor time of several functions in seconds, median of interleaved runs, and what each returned."""
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    results = {}
    for _ in range(repeats):
        for name, function in functions.items():
            start = time.process_time()
            results[name] = function()
            seconds[name].append(time.process_time() - start)
            if name in ("reading", "checked"):
                results.pop(name)  # kept images would make the next reading pay for fresh memory
    return {name: float(np.median(values)) for name, values in seconds.items()}, results


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    print(f"volumes of {'×'.join(map(str, SHAPE[::-1]))} voxels, one thread, median of {repeats}, ms of processor time")
    header = ("lesion", "reading", "checked", "straightforward", "this package", "faster", "total", "total/checked")
    print(f"{header[0]:28s}" + "".join(f"{name:>16s}" for name in header[1:]))
    for name, (radius, far) in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            paths = write_case(Path(folder), radius, far)
            masks = [read_mask(path) for path in paths]
            arrays = [mask.array.copy() for mask in masks]
            seconds, results = median_times(
                {
                    "reading": lambda p=paths: [sitk.ReadImage(str(path)) for path in p],
                    "checked": lambda p=paths: [read_mask(path) for path in p],
                    "total": lambda p=paths: score(*p),
                    "plain": lambda a=arrays: straightforward(*a),
                    "compute": lambda m=masks, p=paths: score_in_memory(m, p),
                },
                repeats,
            )
        for found in (results["total"], results["compute"]):
            assert (found.dsc, found.hd95_voxel) == results["plain"], (found, results["plain"])
        reading, checked, total = seconds["reading"], seconds["checked"], seconds["total"]
        plain, compute = seconds["plain"], seconds["compute"]
        row = (1e3 * reading, 1e3 * checked, 1e3 * plain, 1e3 * compute, plain / compute, 1e3 * total, total / checked)
        print(f"{name:28s}" + "".join(f"{value:16.2f}" for value in row))


def score(reference: Path, prediction: Path):
    """Every metric of one case from its files."""
    return case_metrics(*read_masks(reference, prediction))


def score_in_memory(masks: list[Mask], paths: tuple[Path, Path]):
    """Every metric of one case from masks in memory: what the package does apart from reading."""
    return case_metrics(*crop_masks(masks[0], masks[1], paths[0], paths[1]))


if __name__ == "__main__":
    main()
