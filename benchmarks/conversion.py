"""Time and memory of converting a cohort of MAMA-MIA's size, with planted faults of every kind.

Run with ``python benchmarks/conversion.py [-n 1506] [-np 2]``. A synthetic cohort of tiny volumes is written, faults
are planted, and ``nnunet_fair convert`` is run on it; every planted fault has to be named in ``conversion_report.csv``
and no case may be lost. A last table gives the time one case of MAMA-MIA's median size takes.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import SimpleITK as sitk

from nnunet_fair.dataset_conversion import findings
from nnunet_fair.dataset_conversion.case import CaseTask, convert_case
from nnunet_fair.dataset_conversion.layout import CaseFiles, discover_cases
from nnunet_fair.dataset_conversion.recipes import DEFAULT_PHASES, RecipeSettings
from nnunet_fair.synthetic.cohort import write_cohort

MEDIAN_SHAPE = (80, 512, 512)
SKIPPED = {
    findings.NO_IMAGES,
    findings.AMBIGUOUS_FILES,
    findings.MISSING_PHASE,
    findings.NO_LABEL,
    findings.NO_TABLE_ROW,
    findings.NOT_IN_SPLIT,
    findings.UNREADABLE,
    findings.NOT_3D,
    findings.GRID_MISMATCH,
    findings.NOT_FINITE,
    findings.LABEL_VALUES,
    findings.EMPTY_LABEL,
}


def rewrite(path: Path, change: Callable[[sitk.Image], sitk.Image]) -> None:
    """Replace an image file by a changed image."""
    sitk.WriteImage(change(sitk.ReadImage(str(path))), str(path))


def shifted(image: sitk.Image, distance: float) -> sitk.Image:
    """The image, its origin moved by ``distance`` mm along x."""
    x, y, z = image.GetOrigin()
    image.SetOrigin((x + distance, y, z))
    return image


def with_voxel(image: sitk.Image, value: float) -> sitk.Image:
    """The image with one voxel of another value."""
    array = sitk.GetArrayFromImage(image).astype(np.float32)
    array[0, 0, 0] = value
    changed = sitk.GetImageFromArray(array)
    changed.CopyInformation(image)
    return changed


def set_box(path: Path, change: Callable[[dict], None]) -> None:
    """Change the breast box of a patient info file."""
    content = json.loads(path.read_text())
    change(content["primary_lesion"]["breast_coordinates"])
    path.write_text(json.dumps(content))


def cut_short(path: Path) -> None:
    """Leave three quarters of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: 3 * len(content) // 4])


def second_spelling(path: Path) -> None:
    """Put the same file beside itself in the other case."""
    shutil.copy(path, path.with_name(path.name.swapcase()))


def file_faults() -> dict[str, tuple[str, Callable[[CaseFiles], object]]]:
    """What is done to a case's files, and the kind of finding it has to give."""
    return {
        "folder gone": (findings.NO_IMAGES, lambda c: shutil.rmtree(c.phases[0].parent)),
        "phase twice": (findings.AMBIGUOUS_FILES, lambda c: second_spelling(c.phases[1])),
        "phase gone": (findings.MISSING_PHASE, lambda c: c.phases[1].unlink()),
        "label gone": (findings.NO_LABEL, lambda c: c.label.unlink()),
        "phase cut short": (findings.UNREADABLE, lambda c: cut_short(c.phases[2])),
        "label is text": (findings.UNREADABLE, lambda c: c.label.write_text("no image")),
        "phase is a slice": (findings.NOT_3D, lambda c: rewrite(c.phases[1], lambda image: image[:, :, 0])),
        "phase lacks a slice": (findings.GRID_MISMATCH, lambda c: rewrite(c.phases[1], lambda image: image[:, :, 1:])),
        "label moved": (findings.GRID_MISMATCH, lambda c: rewrite(c.label, lambda image: shifted(image, 5))),
        "NaN": (findings.NOT_FINITE, lambda c: rewrite(c.phases[1], lambda image: with_voxel(image, np.nan))),
        "infinity": (findings.NOT_FINITE, lambda c: rewrite(c.phases[0], lambda image: with_voxel(image, np.inf))),
        "label of 2": (findings.LABEL_VALUES, lambda c: rewrite(c.label, lambda image: with_voxel(image, 2))),
        "label empty": (findings.EMPTY_LABEL, lambda c: rewrite(c.label, lambda image: image * 0)),
        "header rounding": (
            findings.HEADER_REPAIRED,
            lambda c: rewrite(c.phases[1], lambda image: shifted(image, 0.01)),
        ),
        "box gone": (findings.NO_BREAST_BOX, lambda c: c.patient_info.unlink()),
        "box too large": (
            findings.BOX_CLIPPED,
            lambda c: set_box(c.patient_info, lambda box: box.update(x_max=box["x_max"] + 1000)),
        ),
        "label outside box": (
            findings.LABEL_OUTSIDE_BOX,
            lambda c: set_box(c.patient_info, lambda box: box.update(x_max=box["x_min"] + 1)),
        ),
    }


def plant(root: Path, each: int) -> dict[str, tuple[str, str]]:
    """Plant ``each`` faults of every kind in training cases; case ID to (fault, kind of finding)."""
    cases = discover_cases(root)
    splits = pd.read_csv(root / "train_test_splits.csv")
    training = iter(splits["train_split"].dropna().str.upper())
    planted: dict[str, tuple[str, str]] = {}
    for fault, (kind, damage) in file_faults().items():
        for _ in range(each):
            case_id = next(training)
            damage(cases[case_id])
            planted[case_id] = (fault, kind)
    without_row = {next(training) for _ in range(each)}
    without_split = {next(training) for _ in range(each)}
    planted |= dict.fromkeys(without_row, ("row gone", findings.NO_TABLE_ROW))
    planted |= dict.fromkeys(without_split, ("split gone", findings.NOT_IN_SPLIT))
    table = root / "clinical_and_imaging_info.xlsx"
    frame = pd.read_excel(table, sheet_name="dataset_info")
    with pd.ExcelWriter(table) as writer:
        kept = frame[~frame["patient_id"].astype(str).str.upper().isin(without_row)]
        kept.to_excel(writer, sheet_name="dataset_info", index=False)
    splits["train_split"] = splits["train_split"].where(~splits["train_split"].str.upper().isin(without_split))
    splits.to_csv(root / "train_test_splits.csv", index=False)
    return planted


def run_convert(work: Path, root: Path, words: list[str]) -> tuple[float, float]:
    """Run the command; seconds and peak memory of its largest process in MB."""
    environment = {**os.environ, "nnUNet_raw": str(work / "raw"), "nnUNet_preprocessed": str(work / "preprocessed")}
    command = [sys.executable, "-m", "nnunet_fair.cli", "convert", "-i", str(root), "-d", "950", "--allow-skips"]
    start = time.perf_counter()
    with (work / "log.txt").open("w") as log:
        actions = [(os.POSIX_SPAWN_DUP2, log.fileno(), 1), (os.POSIX_SPAWN_DUP2, log.fileno(), 2)]
        pid = os.posix_spawn(sys.executable, [*command, *words], environment, file_actions=actions)
        _, status, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - start
    if status != 0:
        sys.exit((work / "log.txt").read_text())
    return seconds, usage.ru_maxrss / 1024


def check_report(work: Path, planted: dict[str, tuple[str, str]], all_cases: set[str]) -> pd.DataFrame:
    """One row a fault: how many were planted and how many were named as they should."""
    report = pd.read_csv(work / "raw" / "Dataset950_MAMAMIA" / "conversion_report.csv", keep_default_na=False)
    report = report.set_index("case_id")
    assert set(report.index) == all_cases, "a case was lost"
    rows = []
    for case_id, (fault, kind) in planted.items():
        named = kind in report.loc[case_id, "reason"]
        right_status = report.loc[case_id, "status"] == ("skipped" if kind in SKIPPED else "converted")
        rows.append({"fault": fault, "finding": kind, "planted": 1, "named": int(named and right_status)})
    wrongly_skipped = set(report.index[report["status"] == "skipped"]) - planted.keys()
    assert not wrongly_skipped, f"sound cases were skipped: {sorted(wrongly_skipped)[:5]}"
    return pd.DataFrame(rows).groupby(["fault", "finding"], sort=False).sum()


def one_case_of_median_size(work: Path) -> pd.DataFrame:
    """Wall and CPU seconds for one case of 512×512×80 voxels and three phases, by recipe and check."""
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)  # as in the converter's processes
    rng = np.random.default_rng(0)
    folder = work / "median" / "images" / "CASE_1"
    folder.mkdir(parents=True)
    phases = {}
    for phase in range(3):
        phases[phase] = folder / f"case_1_{phase:04d}.nii.gz"
        array = (rng.gamma(2, 60, MEDIAN_SHAPE) * (1 + 0.2 * phase)).astype(np.int16)
        sitk.WriteImage(sitk.GetImageFromArray(array), str(phases[phase]))
    array = np.zeros(MEDIAN_SHAPE, np.uint8)
    array[30:50, 200:260, 100:160] = 1
    label = work / "median" / "label.nii.gz"
    sitk.WriteImage(sitk.GetImageFromArray(array), str(label))
    out = work / "median" / "out"
    for part in ("imagesTr", "labelsTr"):
        (out / part).mkdir(parents=True)
    rows = []
    for recipe, check in (
        ("phases", "headers"),
        ("phases", "voxels"),
        ("subtraction", "voxels"),
        ("zscore-pre", "voxels"),
    ):
        task = CaseTask(
            files=CaseFiles("CASE_1", phases, label),
            split="Tr",
            settings=RecipeSettings(recipe=recipe, phases=DEFAULT_PHASES[recipe]),
            link="symlink",
            check=check,
            folder=out,
        )
        start, start_cpu = time.perf_counter(), time.process_time()
        assert convert_case(task).converted
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - start_cpu
        rows.append({"recipe": recipe, "check": check, "seconds": seconds, "CPU seconds": cpu_seconds})
    return pd.DataFrame(rows)


def main() -> None:
    """Write the cohort, run the conversions, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=1506, help="cases (default: %(default)s)")
    parser.add_argument("-np", type=int, default=2, help="processes (default: %(default)s)")
    parser.add_argument("--each", type=int, default=3, help="faults of every kind (default: %(default)s)")
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="conversion.") as folder:
        for n_cases in (args.n // 4, args.n):
            work = Path(folder) / str(n_cases)
            write_cohort(work / "cohort", n_cases, size=(16, 16, 16), n_processes=args.np)
            all_cases = set(discover_cases(work / "cohort"))
            planted = plant(work / "cohort", args.each)
            processes = ["-np", str(args.np)]
            for what, words in (
                ("link, every voxel checked", []),
                ("link again (nothing to do)", []),
                ("link, headers checked", ["--overwrite", "--check", "headers"]),
                ("link, one process", ["--overwrite", "-np", "1"]),
                ("zscore-pre", ["--overwrite", "--recipe", "zscore-pre"]),
            ):
                seconds, megabytes = run_convert(work, work / "cohort", [*processes, *words])
                rows.append({"cases": n_cases, "conversion": what, "seconds": seconds, "peak MB": megabytes})
                if what == "link, every voxel checked":
                    faults = check_report(work, planted, all_cases)
        median = one_case_of_median_size(Path(folder))
    print(pd.DataFrame(rows).to_string(index=False, float_format="{:.1f}".format))
    print(f"\nFaults planted among {args.n} cases, and named (none lost, no sound case skipped):")
    print(faults.to_string())
    print("\nOne case of 512x512x80 voxels, three phases, one process:")
    print(median.to_string(index=False, float_format="{:.2f}".format))
    assert (faults["planted"] == faults["named"]).all(), "a planted fault was not named"


if __name__ == "__main__":
    main()
