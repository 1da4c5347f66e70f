"""The whole study on a made-up cohort: prepare, two methods, evidence, report, and on after a kill."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.studies.archives import write_busbra

ROOT = Path(__file__).parents[2]


def study(tmp_path: Path, *arguments: str, methods=("stock", "inverse")) -> subprocess.CompletedProcess:
    command = [
        sys.executable,
        "-m",
        "studies.real",
        *arguments,
        "--cohort",
        "busbra",
        "--quick",
        "-o",
        str(tmp_path / "work"),
    ]
    command += ["--archive", str(tmp_path / "archive"), "--methods", *methods]
    command += ["--seeds", "0", "--folds", "0", "--parts", "folds"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.slow
def test_a_made_up_cohort_goes_the_whole_way_and_an_interrupted_study_continues(tmp_path):
    write_busbra(tmp_path / "archive", n_patients=20)
    done = study(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    work = tmp_path / "work" / "busbra-quick"
    results = work / "report"
    assert {path.name for path in results.iterdir()} >= {"methods.csv", "groups.csv", "tables.md", "groups.png"}
    names = [f"folds-{method}-seed0-fold0" for method in ("stock", "inverse")]
    stock, inverse = (pd.read_csv(results / f"{name}.csv") for name in names)
    fold = json.loads((work / "preprocessed/Dataset702_BUSBRA/splits_final.json").read_text())[0]
    assert len(stock) == len(inverse) == len(fold["val"])
    assert stock["dsc"].between(0, 1).all()
    # half a patient is never in training: dual views stay together
    assert not {case[:8] for case in fold["train"]} & {case[:8] for case in fold["val"]}
    assert pd.read_csv(results / f"{names[0]}.evidence.csv")["permutation"].max() == 20
    noted = json.loads((results / f"{names[0]}.json").read_text())
    assert noted["source"] == "archive" and noted["cpu_training_s"] >= 0
    public = "".join(path.read_text() for path in results.iterdir() if path.suffix != ".png")
    assert "bus_0" not in public and "P00" not in public

    # killed while it trained: no result, a folder half full; one method of another pixel size joins
    plans = work / "preprocessed/Dataset702_BUSBRA/real.json"
    before = json.loads(plans.read_text())
    (results / f"{names[1]}.csv").unlink()
    written = (results / f"{names[0]}.csv").stat().st_mtime_ns
    again = study(tmp_path, "train", methods=("stock", "inverse", "finer"))
    assert again.returncode == 0, again.stdout + again.stderr
    assert "3 runs, 1 of them done before" in again.stdout
    assert (results / f"{names[0]}.csv").stat().st_mtime_ns == written
    # the same seed gives the same patients the same scores
    pd.testing.assert_frame_equal(pd.read_csv(results / f"{names[1]}.csv"), inverse)
    configurations = json.loads(plans.read_text())["configurations"]
    assert configurations.pop("2d_finer")["spacing"] == [2.0, 2.0]
    assert configurations == before["configurations"] and configurations["2d"]["spacing"] == [4.0, 4.0]
    assert len(pd.read_csv(results / "folds-finer-seed0-fold0.csv")) == len(stock)
