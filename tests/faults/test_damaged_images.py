"""Every kind of damaged image through every command: named in one sentence, the exit status right, the rest done.

One run a command: each kind of damage is a case of its own, between sound ones.
"""

import gzip
import json
import os
import resource
import struct

import nibabel
import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from PIL import Image

from nnunet_fair.cli import main
from nnunet_fair.dataset_conversion.crop import CROPS_FILE, crop_record
from nnunet_fair.dataset_conversion.recipes import RecipeSettings
from nnunet_fair.errors import UserError
from nnunet_fair.masks.reading import read_mask
from nnunet_fair.metadata.fair_cases import FAIR_CASES
from nnunet_fair.metadata.label_volume import label_volume
from nnunet_fair.prediction.nnunet_images import prepare_images
from nnunet_fair.prediction.prepare import prepare_cohort
from tests.prediction.test_nnunet_images import a_model

SHAPE = (6, 12, 14)
SOUND = [f"SOUND_{number}" for number in range(6)]


def array_of(number=0):
    array = np.zeros(SHAPE, np.uint8)
    rng = np.random.default_rng(number)
    array[1:5, 2:9, 3:11] = rng.random((4, 7, 8)) < 0.8
    return array


def write(path, array, compress=True):
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(array), str(path), compress)


def header_changed(path, place, kind, *values):
    """Other numbers in the header of a compressed NIfTI file, which is sound otherwise."""
    content = bytearray(gzip.decompress(path.read_bytes()))
    struct.pack_into(kind, content, place, *values)
    path.write_bytes(gzip.compress(content))


def changed_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) - 20] ^= 16
    path.write_bytes(content)


def picture(path):
    Image.fromarray(array_of()[2]).save(path.with_suffix(".png"))
    path.with_suffix(".png").replace(path)


def with_nan(path):
    array = array_of().astype(np.float32)
    array[0, 0, 0] = np.nan
    write(path, array)


def replaced(path, make):
    path.unlink()
    make()


# What the sentence must say of each.
DAMAGES = {
    "CUT": (lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]), "cut short"),
    "EMPTY": (lambda path: path.write_bytes(b""), "cut short"),
    "ZEROS": (lambda path: path.write_bytes(bytes(path.stat().st_size)), "damaged or no image"),
    "GARBAGE": (lambda path: path.write_bytes(np.random.default_rng(0).bytes(500)), "damaged or no image"),
    "BIT": (changed_bit, "cut short or damaged"),
    "ENDING": (picture, "damaged or no image"),
    "PLAIN": (lambda path: path.write_bytes(gzip.decompress(path.read_bytes())), "damaged or no image"),
    "CLAIM": (lambda path: header_changed(path, 42, "<3h", 1200, 1200, 900), "claims 1200×1200×900 values"),
    "OFFSET": (lambda path: header_changed(path, 108, "<f", 1e9), "behind 1,000,000,000 bytes"),
    "SPACING_0": (lambda path: header_changed(path, 80, "<f", 0), "voxel size is 0 × 1 × 1 mm"),
    "SPACING_NAN": (lambda path: header_changed(path, 80, "<f", np.nan), "voxel size is nan × 1 × 1 mm"),
    "SPACING_HUGE": (lambda path: header_changed(path, 80, "<3f", *[1e30] * 3), "voxel size is 1e+30 × 1e+30"),
    "NO_NUMBER": (with_nan, "1 voxels"),
    "FOUR_AXES": (
        lambda path: nibabel.save(nibabel.Nifti1Image(np.zeros((4, 4, 4, 3), np.uint8), np.eye(4)), path),
        "4",
    ),
    "FOLDER": (lambda path: replaced(path, path.mkdir), "it is a folder"),
    "DANGLING": (lambda path: replaced(path, lambda: path.symlink_to("gone.nii.gz")), "leads to no file"),
    "CIRCLE": (lambda path: replaced(path, lambda: path.symlink_to(path.name)), "leads to no file"),
    "FORBIDDEN": (lambda path: path.chmod(0), "Permission denied"),
}
if os.geteuid() == 0:
    del DAMAGES["FORBIDDEN"]  # nothing is forbidden to root
# What is wrong with a mask, and not with an image.
MASKS_ONLY = {
    "FRACTIONS": (lambda path: write(path, array_of() * np.float32(0.5)), "whole numbers of 0 or more"),
    "NEGATIVE": (lambda path: write(path, -array_of().astype(np.int16)), "0 or more"),
    "COLOURS": (lambda path: write(path, np.stack([array_of()] * 2, axis=-1)), "channels|components|0 and 1"),
}


def damage(folder, kinds, *, name="{}.nii.gz"):
    """One damaged file a kind; what the sentence on each must say."""
    for case, (harm, _) in kinds.items():
        path = folder / name.format(case)
        write(path, array_of())
        harm(path)
    return {case: words for case, (_, words) in kinds.items()}


@pytest.fixture(autouse=True)
def memory_is_bounded():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500 * 1024  # kB; the claim is of 1.2 GB


def table_of(path, cases):
    pd.DataFrame({"case_id": list(cases), "age": [30 + 4 * n for n in range(len(cases))]}).to_csv(path, index=False)


def masks(root, folder_of_damage):
    for number, case in enumerate(SOUND):
        for folder in ("ref", "pred"):
            write(root / folder / f"{case}.nii.gz", array_of(number))
    expected = damage(root / folder_of_damage, DAMAGES | MASKS_ONLY)
    other = "pred" if folder_of_damage == "ref" else "ref"
    for case in expected:
        write(root / other / f"{case}.nii.gz", array_of())
    table_of(root / "table.csv", [*SOUND, *expected])
    return expected


def check_sentences(found, expected):
    """Each damaged case, and no other, has one sentence that says what is wrong."""
    assert found.keys() == expected.keys()
    wrong = {
        case: found[case]
        for case, words in expected.items()
        if not any(word in found[case] for word in words.split("|"))
    }
    assert wrong == {}
    assert not any("\n" in sentence or "Traceback" in sentence for sentence in found.values())


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["ref", "pred"])
def test_evaluate(tmp_path, folder, capsys):
    expected = masks(tmp_path, folder)
    arguments = ["-ref", tmp_path / "ref", "-pred", tmp_path / "pred", "-m", tmp_path / "table.csv"]
    options = ["--variables", "age", "--overlays", "0", "-np", "1", "--resamples", "20", "--min-group", "2"]
    assert main(["evaluate", *map(str, arguments), "-o", str(tmp_path / "out"), *options]) == 1
    cases = pd.read_csv(tmp_path / "out" / "cases.csv", index_col="case_id")
    bad = cases[cases["status"] == "not scored"]
    check_sentences(bad["problem"].to_dict(), expected)
    assert bad["dsc"].isna().all()
    assert (cases.loc[SOUND, "dsc"] == 1).all() and (cases.loc[SOUND, "status"] == "scored").all()
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.slow
def test_compare(tmp_path, capsys):
    expected = masks(tmp_path, "pred")
    sound = tmp_path / "sound"
    for number, case in enumerate([*SOUND, *expected]):
        write(sound / f"{case}.nii.gz", array_of(number))
    arguments = ["-ref", tmp_path / "ref", "-a", sound, "-b", tmp_path / "pred", "-m", tmp_path / "table.csv"]
    options = ["--variables", "age", "-np", "1", "--resamples", "20", "--min-group", "2"]
    assert main(["compare", *map(str, arguments), "-o", str(tmp_path / "out"), *options]) == 1
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err
    assert f"{len(expected)} cases without a score in some folder were left out" in printed.out
    found = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert sorted(found["cases_left_out"]) == sorted(expected)
    assert found["n_cases"] == len(SOUND)


def test_postprocess(tmp_path, capsys):
    expected = masks(tmp_path, "pred")
    assert main(["postprocess", "-i", str(tmp_path / "pred"), "-o", str(tmp_path / "out"), "--largest"]) == 1
    lines = capsys.readouterr().out.splitlines()
    skipped = dict(line.split("skipped ", 1)[1].split(": ", 1) for line in lines if "skipped " in line and ": " in line)
    check_sentences({case: text for case, text in skipped.items() if case in expected}, expected)
    assert sorted(path.name for path in (tmp_path / "out").glob("*.nii.gz")) == [f"{case}.nii.gz" for case in SOUND]


def dataset(root, monkeypatch):
    raw = root / "raw" / "Dataset007_A"
    monkeypatch.setenv("nnUNet_raw", str(root / "raw"))
    monkeypatch.setenv("nnUNet_preprocessed", str(root / "pre"))
    for number, case in enumerate(SOUND):
        write(raw / "labelsTr" / f"{case}.nii.gz", array_of(number))
        write(raw / "imagesTr" / f"{case}_0000.nii.gz", array_of(number))
    expected = damage(raw / "labelsTr", DAMAGES | MASKS_ONLY)
    for case in expected:
        write(raw / "imagesTr" / f"{case}_0000.nii.gz", array_of())
    content = {"labels": {"background": 0, "a": 1}, "channel_names": {"0": "A"}, "file_ending": ".nii.gz"}
    (raw / "dataset.json").write_text(json.dumps(content | {"numTraining": len(SOUND) + len(expected)}))
    return raw, expected


def test_audit(tmp_path, monkeypatch, capsys):
    raw, expected = dataset(tmp_path, monkeypatch)
    table = pd.DataFrame({"case_id": [*SOUND, *expected], "age": "old"})
    table.to_csv(raw / FAIR_CASES, index=False)
    status = main(["audit", "-d", "7", "-o", str(tmp_path / "out")])
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err
    assert status == 0
    text = printed.out + (tmp_path / "out" / "audit.html").read_text()
    assert [case for case in expected if case not in text] == []


def test_metadata_label_volume(tmp_path, monkeypatch, capsys):
    raw, expected = dataset(tmp_path, monkeypatch)
    table_of(tmp_path / "table.csv", [*SOUND, *expected])
    arguments = [
        "metadata",
        "-d",
        "7",
        "--table",
        str(tmp_path / "table.csv"),
        "--attributes",
        "label_volume:quantiles=2",
    ]
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert "Traceback" not in error and "mend it or leave the size away" in error.splitlines()[-1]
    found = {}
    for case in [*SOUND, *expected]:
        try:
            label_volume(raw / "labelsTr" / f"{case}.nii.gz")
        except UserError as refusal:
            found[case] = str(refusal)
    check_sentences(found, expected)


def test_images_for_prediction(tmp_path):
    folder = tmp_path / "images"
    for case in SOUND:
        write(folder / f"{case}_0000.nii.gz", array_of())
    expected = damage(folder, DAMAGES, name="{}_0000.nii.gz")
    prepared = prepare_images(folder, a_model(tmp_path))
    assert sorted(prepared.images) == SOUND
    check_sentences(dict(prepared.skipped), expected)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"size": [10**5] * 3}, "100000×100000×100000 voxels"),
        ({"spacing": [1.0, 0.0, 1.0]}, "voxel size is 1 × 0 × 1"),
    ],
)
def test_uncrop(tmp_path, capsys, change, words):
    write(tmp_path / "pred" / "A.nii.gz", array_of())
    record = crop_record(sitk.Image([20, 20, 20], sitk.sitkUInt8), ((0, 6), (0, 12), (0, 14)))
    (tmp_path / CROPS_FILE).write_text(json.dumps({"cases": {"A": record}}))
    arguments = ["postprocess", "-i", tmp_path / "pred", "-o", tmp_path / "out", "--uncrop", tmp_path / CROPS_FILE]
    assert main([*map(str, arguments), "--largest"]) == 0
    (tmp_path / CROPS_FILE).write_text(json.dumps({"cases": {"A": record | change}}))
    assert main([*map(str, arguments), "--largest", "--overwrite"]) == 1
    assert words in capsys.readouterr().err.splitlines()[-1]
    assert read_mask(tmp_path / "out" / "A.nii.gz").grid.size == (20, 20, 20)  # the earlier result is untouched


def a_cohort(root, *, labels):
    for case in SOUND:
        write(root / "images" / case / f"{case}_0000.nii.gz", array_of().astype(np.float32))
        write(root / "images" / case / f"{case}_0001.nii.gz", array_of(1).astype(np.float32))
        if labels:
            write(root / "segmentations" / "expert" / f"{case}.nii.gz", array_of())
    expected = {}
    for case, harm in DAMAGES.items():
        found = damage(root / "images" / case, {case: harm}, name="{}_0001.nii.gz")
        expected |= {case: f"{words}|unreadable file" for case, words in found.items()}
        write(root / "images" / case / f"{case}_0000.nii.gz", array_of().astype(np.float32))
        if labels:
            write(root / "segmentations" / "expert" / f"{case}.nii.gz", array_of())
    return expected


def test_cohort_for_prediction(tmp_path):
    expected = a_cohort(tmp_path / "cohort", labels=False)
    (tmp_path / "out").mkdir()
    prepared = prepare_cohort(tmp_path / "cohort", tmp_path / "out", RecipeSettings(phases=(0, 1)))
    assert sorted(prepared.images) == SOUND
    check_sentences(dict(prepared.skipped), expected)
    assert len(list((tmp_path / "out" / "imagesTs").iterdir())) == 2 * len(SOUND)


def test_convert(tmp_path, monkeypatch, capsys):
    expected = a_cohort(tmp_path / "cohort", labels=True)
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    monkeypatch.setenv("nnUNet_preprocessed", str(tmp_path / "pre"))
    table = pd.DataFrame({"patient_id": [*SOUND, *expected], "age": 40, "menopause": "post"})
    table.to_csv(tmp_path / "table.csv", index=False)
    arguments = [
        "convert",
        "-i",
        tmp_path / "cohort",
        "-d",
        "9",
        "--phases",
        "0",
        "1",
        "--table",
        tmp_path / "table.csv",
    ]
    assert main([*map(str, arguments), "--attributes", "age", "--folds", "2", "-np", "1"]) == 1
    assert "Traceback" not in capsys.readouterr().err
    raw = tmp_path / "raw" / "Dataset009_MAMAMIA"
    report = pd.read_csv(raw / "conversion_report.csv", index_col="case_id")
    assert sorted(path.name for path in (raw / "labelsTr").iterdir()) == [f"{case}.nii.gz" for case in SOUND]
    check_sentences({case: str(report.loc[case].to_dict()) for case in expected}, expected)
