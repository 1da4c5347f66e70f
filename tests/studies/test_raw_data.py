import json

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from PIL import Image

from nnunet_fair.errors import UserError
from nnunet_fair.metadata.case_table import read_case_table, text_value
from studies.real.cohorts import BUSBRA, LGG
from studies.real.raw_data import TABLE, make_raw
from tests.studies.archives import write_busbra, write_lgg


def test_lgg_archive(tmp_path):
    assert make_raw(LGG, write_lgg(tmp_path / "archive"), tmp_path / "raw") == "archive"
    table = read_case_table(tmp_path / "raw" / TABLE, "case_id").frame
    known = table.loc["TCGA_CS_0001"]
    assert known.drop("patient").map(text_value).to_dict() == {
        "centre": "Thomas Jefferson University",
        "age": "67",
        "sex": "M",
        "race": "White",
        "histology": "astrocytoma",
        "grade": "III",
        "laterality": "right",
        "location": "frontal",
        "sequences": "all three",
    }
    unknown = table.loc["TCGA_HT_000A"].dropna()
    assert unknown.to_dict() == {
        "patient": "TCGA_HT_000A",
        "centre": "Case Western St Joseph",
        "sequences": "no post-contrast",
    }
    flair = sitk.ReadImage(str(tmp_path / "raw/imagesTr/TCGA_CS_0001_0000.nii.gz"))
    # slices in the order of their numbers: 1, 2, 10
    assert sitk.GetArrayFromImage(flair)[:, 0, 0].tolist() == [20, 40, 200]
    assert flair.GetSpacing() == pytest.approx((1.875, 1.875, 55.0))
    post = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "raw/imagesTr/TCGA_CS_0001_0001.nii.gz")))
    assert post[:, 0, 0].tolist() == [5, 10, 50]
    label = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "raw/labelsTr/TCGA_CS_0001.nii.gz")))
    assert np.argwhere(label).tolist() == [[0, 1, 1], [1, 1, 1], [2, 1, 1]]
    described = json.loads((tmp_path / "raw/dataset.json").read_text())
    assert described["numTraining"] == 2 and len(described["channel_names"]) == 2


def test_lgg_archive_with_a_code_nobody_knows(tmp_path):
    archive = write_lgg(tmp_path / "archive")
    table = archive / "kaggle_3m/data.csv"
    table.write_text(table.read_text().replace("TCGA_CS_0001,2,1,", "TCGA_CS_0001,2,9,"))
    with pytest.raises(UserError, match="histological_type of TCGA_CS_0001 is 9"):
        make_raw(LGG, archive, tmp_path / "raw")


def test_lgg_archive_without_a_mask(tmp_path):
    archive = write_lgg(tmp_path / "archive")
    next(archive.rglob("*_10_mask.tif")).unlink()
    with pytest.raises(UserError, match="has no mask"):
        make_raw(LGG, archive, tmp_path / "raw")


def test_busbra_archive(tmp_path):
    make_raw(BUSBRA, write_busbra(tmp_path / "archive"), tmp_path / "raw")
    table = read_case_table(tmp_path / "raw" / TABLE, "case_id").frame
    assert list(table.index) == ["bus_0001_l", "bus_0001_r", "bus_0002_l", "bus_0002_r", "bus_0003_s"]
    assert table.loc["bus_0001_l"].map(text_value).to_dict() == {
        "patient": "P0001",
        "scanner": "GE Logiq 7",
        "pathology": "malignant",
        "histology": "cyst",
        "birads": "5",
        "view": "dual left",
    }
    image = Image.open(tmp_path / "raw/imagesTr/bus_0003_s_0000.png")
    label = np.asarray(Image.open(tmp_path / "raw/labelsTr/bus_0003_s.png"))
    assert image.size == (168, 224) and label.shape == (224, 168)
    # a disc of radius 23 of 160×120 pixels, scaled by 1.4
    assert set(np.unique(label)) == {0, 1} and label.sum() == pytest.approx(np.pi * (23 * 1.4) ** 2, rel=0.02)


def test_busbra_archive_without_an_image(tmp_path):
    archive = write_busbra(tmp_path / "archive")
    (archive / "Masks/mask_0002-l.png").unlink()
    with pytest.raises(UserError, match=r"mask_0002-l\.png is missing"):
        make_raw(BUSBRA, archive, tmp_path / "raw")


def test_no_data_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.delenv("NNUNET_FAIR_DATA", raising=False)
    with pytest.raises(UserError, match="set NNUNET_FAIR_DATA"):
        make_raw(LGG, None, tmp_path / "raw")
    with pytest.raises(UserError, match=r"holds no data\.csv"):
        make_raw(LGG, write_busbra(tmp_path / "archive"), tmp_path / "raw")


def test_a_prepared_folder_is_linked(tmp_path, monkeypatch):
    make_raw(BUSBRA, write_busbra(tmp_path / "archive"), tmp_path / BUSBRA.folder)
    monkeypatch.setenv("NNUNET_FAIR_DATA", str(tmp_path))
    assert make_raw(BUSBRA, None, tmp_path / "raw") == "prepared"
    assert (tmp_path / "raw/imagesTr").is_symlink()
    assert (tmp_path / "raw" / TABLE).read_text() == (tmp_path / BUSBRA.folder / TABLE).read_text()


def test_groups_of_the_attributes(tmp_path):
    make_raw(LGG, write_lgg(tmp_path / "archive"), tmp_path / "raw")
    groups = LGG.groups(read_case_table(tmp_path / "raw" / TABLE, "case_id").frame)
    assert groups.loc["TCGA_CS_0001", ["age", "sequences"]].tolist() == ["55-120", "all three"]
    assert groups.loc["TCGA_HT_000A", "sequences"] == "incomplete"
    assert groups.loc["TCGA_HT_000A"].isna().sum() == 7


def test_numbers_are_groups_by_their_text():
    table = pd.DataFrame({"scanner": ["a"], "pathology": ["b"], "birads": [4.0], "view": ["dual left"]}, index=["x"])
    assert BUSBRA.groups(table).loc["x"].tolist() == ["a", "b", "4", "dual"]
