"""Through the commands: a file that is cut short is refused by all of them, and all of them find every ending."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from nnunet_fair.cli import main
from nnunet_fair.evaluation.metrics.options import ScoringOptions
from nnunet_fair.evaluation.metrics.score_cases import score_cases
from nnunet_fair.masks.endings import FILE_ENDINGS, PLANAR_ENDINGS, list_masks
from nnunet_fair.masks.pairing import pair_cases
from nnunet_fair.sharing.secrets import collect_secrets

N_CASES = 12


def write(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(array), str(path), useCompression=not path.name.endswith(".gipl"))


def cut(path, share):
    """What a broken download leaves."""
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


def cut_inside(path, share):
    """A sound gzip stream of too few voxels: what a disk that ran full leaves of a file compressed afterwards."""
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(content[: int(share * len(content))]))


@pytest.fixture
def folders(tmp_path):
    """References and equal predictions, with noise so that voxels are everywhere, and a table."""

    def make(ending):
        rng = np.random.default_rng(0)
        for number in range(N_CASES):
            array = np.zeros((8, 16, 18), np.uint8)
            array[2:6, 3:12, 4:14] = rng.random((4, 9, 10)) < 0.8
            for folder in ("ref", "pred"):
                write(tmp_path / folder / f"CASE_{number:02d}{ending}", array)
        rows = [{"case_id": f"CASE_{number:02d}", "age": 30 + 5 * number} for number in range(N_CASES)]
        pd.DataFrame(rows).to_csv(tmp_path / "table.csv", index=False)
        return tmp_path

    return make


def evaluate(root):
    arguments = ["-ref", root / "ref", "-pred", root / "pred", "-m", root / "table.csv", "-o", root / "out"]
    options = ["--variables", "age", "--overlays", "0", "-np", "1", "--resamples", "20", "--min-group", "2"]
    assert main(["evaluate", *map(str, arguments), *options]) in (0, 1)
    return pd.read_csv(root / "out" / "cases.csv", index_col="case_id")


@pytest.mark.parametrize(
    ("ending", "damage", "folder"),
    [(".nii.gz", cut, "pred"), (".nii.gz", cut_inside, "ref"), (".nii", cut, "pred"), (".gipl", cut, "pred")],
)
def test_evaluate_does_not_score_half_a_file(folders, ending, damage, folder):
    root = folders(ending)
    damage(root / folder / f"CASE_07{ending}", 0.55)
    cases = evaluate(root)
    assert cases.loc["CASE_07", "status"] == "not scored"
    assert f"CASE_07{ending}" in cases.loc["CASE_07", "problem"] and "cut short" in cases.loc["CASE_07", "problem"]
    assert np.isnan(cases.loc["CASE_07", "dsc"])
    assert (cases["dsc"].drop("CASE_07") == 1).all() and (cases["status"].drop("CASE_07") == "scored").all()


@pytest.mark.parametrize(("ending", "damage"), [(".nii.gz", cut), (".nii.gz", cut_inside), (".nii", cut)])
def test_postprocess_skips_it_and_label_volume_refuses_it(folders, ending, damage, monkeypatch, capsys):
    root = folders(ending)
    damage(root / "pred" / f"CASE_07{ending}", 0.55)
    assert main(["postprocess", "-i", str(root / "pred"), "-o", str(root / "out"), "--largest"]) == 1
    assert "skipped CASE_07: " in capsys.readouterr().out
    dataset = root / "raw" / "Dataset007_A"
    dataset.mkdir(parents=True)
    (root / "pred").rename(dataset / "labelsTr")
    description = {"labels": {"background": 0, "a": 1}, "channel_names": {"0": "A"}, "numTraining": N_CASES}
    (dataset / "dataset.json").write_text(json.dumps({**description, "file_ending": ending}))
    monkeypatch.setenv("nnUNet_raw", str(root / "raw"))
    monkeypatch.setenv("nnUNet_preprocessed", str(root / "pre"))
    arguments = ["metadata", "-d", "7", "--table", str(root / "table.csv"), "--attributes", "label_volume:quantiles=3"]
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert f"CASE_07{ending}" in error and "cut short" in error


@pytest.mark.parametrize("ending", [ending for ending in FILE_ENDINGS if ending not in PLANAR_ENDINGS])
def test_every_ending_is_scored_and_post_processed(folders, ending):
    root = folders(ending)
    pairing = pair_cases(list_masks(root / "ref"), list_masks(root / "pred"))
    cases = score_cases(pairing.pairs, ScoringOptions(), progress=False)
    assert len(cases) == N_CASES and (cases["dsc"] == 1).all()
    assert main(["postprocess", "-i", str(root / "pred"), "-o", str(root / "post"), "--largest"]) == 0
    assert len(list((root / "post").glob(f"CASE_*{ending}"))) == N_CASES


@pytest.mark.parametrize("ending", [".gipl", ".tiff", ".TIF"])
def test_the_privacy_search_of_export_knows_cases_of_every_ending(tmp_path, monkeypatch, ending):
    dataset = tmp_path / "raw" / "Dataset007_A"
    for part, name in (("labelsTr", "SECRET_0001"), ("imagesTr", "SECRET_0002_0000"), ("imagesTs", "SECRET_0003_0001")):
        (dataset / part).mkdir(parents=True)
        (dataset / part / f"{name}{ending}").touch()
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    monkeypatch.delenv("nnUNet_preprocessed", raising=False)
    found = collect_secrets("Dataset007_A", tmp_path)
    assert {"SECRET_0001", "SECRET_0002", "SECRET_0003"} <= set(found.case_ids)
