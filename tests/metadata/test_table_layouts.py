"""Layouts of published tables, rebuilt with made-up patients: each is read by the command docs/metadata.md shows."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from nnunet_fair.cli import main
from nnunet_fair.metadata.case_table import read_case_table
from nnunet_fair.metadata.fair_cases import read_fair_cases
from nnunet_fair.metadata.mama_mia import attribute_names, build_attributes

PAGE = Path(__file__).parents[2] / "docs" / "metadata.md"


def workbook(path, rows, merged=(), title="Data"):
    book = openpyxl.Workbook()
    book.active.title = title
    for row in rows:
        book.active.append(row)
    for cells in merged:
        book.active.merge_cells(cells)
    book.save(path)


def mama_mia(folder):
    names = ["patient_id", "dataset", "bilateral_mri", "tumor_subtype", "acquisition_times", "age", "menopause"]
    rows = [[f"DUKE_{k:03d}", "DUKE", k % 2, "luminal", "[0, 97]", 40 + k, ["pre", "post"][k % 2]] for k in range(6)]
    workbook(folder / "clinical_and_imaging_info.xlsx", [names, *rows], title="dataset_info")
    return [row[0].lower() for row in rows], {"age": {"0-40": 1, "41-50": 5}, "menopause": {"pre": 3, "post": 3}}


def duke(folder):
    rows = [
        ["Patient Information", "MRI Technical Information", None, "Demographics", None],
        [
            "Patient ID",
            "Days to MRI (From the Date of Diagnosis)",
            "Manufacturer",
            "Date of Birth (Days)",
            "Menopause (at diagnosis)",
        ],
        [None, None, "GE MEDICAL SYSTEMS=0, SIEMENS=2", None, "{0 = pre, 1 = post, 2 = N/A}"],
        *([f"Breast_MRI_{k:03d}", k, 2 * (k % 2), -15209 - k, [0, 1, 2][k % 3]] for k in range(6)),
    ]
    workbook(folder / "Clinical_and_Other_Features.xlsx", rows, ["B1:C1", "D1:E1"])
    return [row[0] for row in rows[3:]], {
        "Manufacturer": {"0": 3, "2": 3},
        "Menopause (at diagnosis)": {"0": 2, "1": 2, "2": 2},
    }


def bids(folder):
    lines = ["participant_id\tage\tsex\tgroup", *(f"sub-{k:02d}\t{20 + k}\t{'MF'[k % 2]}\tn/a" for k in range(6))]
    (folder / "participants.tsv").write_text("\n".join(lines) + "\n")
    return [f"{k:02d}" for k in range(6)], {"sex": {"M": 3, "F": 3}, "age": {"0 to 22": 3, ">22 to 120": 3}}


def brats(folder):
    alive = "ALIVE (361 days later)"
    lines = ["Brats20ID,Age,Survival_days,Extent_of_Resection"]
    lines += [f"BraTS20_Training_{k:03d},{50.463 + k},{[289, alive][k % 2]},{['GTR', 'NA'][k % 2]}" for k in range(6)]
    (folder / "survival_info.csv").write_text("\n".join(lines) + "\n")
    ids = [f"BraTS20_Training_{k:03d}" for k in range(6)]
    return ids, {"Age": {"0 to 52": 2, ">52 to 120": 4}, "Extent_of_Resection": {"GTR": 3}}


def kits(folder):
    records = [
        {
            "case_id": f"case_{k:05d}",
            "age_at_nephrectomy": 49 + k,
            "gender": ["male", "female"][k % 2],
            "body_mass_index": 24.5 + k,
            "comorbidities": {"myocardial_infarction": k == 0, "copd": False},
            "last_preop_egfr": {"value": ">=90", "days_before_nephrectomy": 0},
            "surgical_procedure": None,
        }
        for k in range(6)
    ]
    (folder / "kits.json").write_text(json.dumps(records))
    ids = [record["case_id"] for record in records]
    return ids, {"gender": {"male": 3, "female": 3}, "comorbidities.myocardial_infarction": {"False": 5, "True": 1}}


def pi_cai(folder):
    names = "patient_id,study_id,mri_date,patient_age,psa,psad,prostate_volume,histopath_type,lesion_GS,lesion_ISUP"
    names += ",case_ISUP,case_csPCa,center"
    lines = [names]
    for k in range(6):
        line = f"1000{k // 2},100000{k},2019-07-02,{60 + k},7.7,,55.0,MRBx,0+0,0,0,{'NO' if k % 2 else 'YES'}"
        lines.append(f"{line},{['ZGT', 'RUMC'][k % 2]}")
    (folder / "marksheet.csv").write_text("\n".join(lines) + "\n")
    ids = [f"1000{k // 2}_100000{k}" for k in range(6)]
    return ids, {"center": {"ZGT": 3, "RUMC": 3}, "patient_age": {"0 to 62": 3, ">62 to 120": 3}}


def ham10000(folder):
    lines = ["lesion_id,image_id,dx,dx_type,age,sex,localization"]
    sexes = ["male", "female", "unknown"]
    lines += [f"HAM_000{k // 2},ISIC_002741{k},bkl,histo,{40.0 + 5 * k},{sexes[k % 3]},scalp" for k in range(6)]
    (folder / "HAM10000_metadata.csv").write_text("\n".join(lines) + "\n")
    ids = [f"ISIC_002741{k}" for k in range(6)]
    return ids, {"sex": {"male": 2, "female": 2}, "age": {"0 to 50": 3, ">50 to 120": 3}}


LAYOUTS = {f.__name__: f for f in (mama_mia, duke, bids, brats, kits, pi_cai, ham10000)}


def commands() -> dict[str, list[str]]:
    """The page's commands by the name of the table they read."""
    text = PAGE.read_text().replace("\\\n", " ")
    lines = re.findall(r"^nnunet_fair metadata -d \d+ --table (\S+) (.*)$", text, flags=re.MULTILINE)
    return {Path(table).name: shlex.split(arguments) for table, arguments in lines}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_command_reads_it(layout, tmp_path, heart_dataset, capsys):
    case_ids, expected = LAYOUTS[layout](tmp_path)
    (table,) = tmp_path.glob("*.*")
    for folder in ("imagesTr", "labelsTr", "imagesTs"):
        for path in (heart_dataset / folder).iterdir():
            path.unlink()
    for case_id in case_ids:
        (heart_dataset / "labelsTr" / f"{case_id}.png").touch()
    assert main(["metadata", "-d", "27", "--table", str(table), *commands()[table.name]]) == 0
    groups = read_fair_cases(heart_dataset / "fair_cases.csv")
    assert sorted(groups.index) == sorted(case_ids)
    for attribute, counts in expected.items():
        assert groups[attribute].value_counts().to_dict() == counts
    assert "warning" not in capsys.readouterr().out


def test_a_csv_copy_of_the_published_table_gives_the_same_groups(real_table, tmp_path):
    names = [name for name in attribute_names() if "size" not in name]
    frame = pd.read_excel(real_table, sheet_name="dataset_info")
    frame.to_csv(tmp_path / "comma.csv", index=False)
    frame.to_csv(tmp_path / "semicolon.csv", index=False, sep=";", decimal=",", encoding="utf-16")
    frame.to_csv(tmp_path / "tab.tsv", index=False, sep="\t")
    expected = build_attributes(read_case_table(real_table).frame, names)
    for path in sorted(tmp_path.iterdir()):
        pd.testing.assert_frame_equal(build_attributes(read_case_table(path).frame, names), expected)
