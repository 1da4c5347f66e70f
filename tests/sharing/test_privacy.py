"""What is looked for in a model, and what is not mistaken for it."""

import dataclasses
import io
import json
import zipfile

import pandas as pd
import pytest

from nnunet_fair.errors import UserError
from nnunet_fair.metadata.fair_cases import write_fair_cases
from nnunet_fair.prediction.checkpoints import load_checkpoint
from nnunet_fair.sharing.privacy import check_archive, find_in_bytes, find_in_own_words, find_in_texts
from nnunet_fair.sharing.secrets import Secrets, collect_secrets, occurs_by_chance, ways_to_write_date

NOTHING = Secrets(*[frozenset()] * 6)


def secrets(**found):
    return dataclasses.replace(NOTHING, **{name: frozenset(values) for name, values in found.items()})


@pytest.mark.parametrize(
    ("case_id", "by_chance"),
    [("7", True), ("AB", True), ("2000", True), ("12345", True), ("100042", False), ("DUKE_001", False)],
)
def test_short_ids_and_small_numbers_occur_by_chance(case_id, by_chance):
    assert occurs_by_chance(case_id) is by_chance


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see 07 and 08", True),
        ("07.nii.gz", True),
        ("labels/07_0000.nii.gz", True),
        ("07", True),
        ("107", False),
        ("0.07", False),
        ("encoder.stages.07.conv", False),
        ("fold_07", False),
    ],
)
def test_short_ids_as_whole_words(text, found):
    assert bool(find_in_texts({"note": text}, secrets(short_ids=["07"]))) is found


def test_a_case_called_like_a_number_does_not_stop_the_formats_own_numbers():
    known = secrets(short_ids=["0", "1", "2000", "conv"])
    content = {
        "channel_names": {"0": "first", "1": "second"},
        "network_weights": {"0.conv": 1, "conv": 2},
        "epochs": 2000,
        "trainer": "nnUNetTrainer_2000epochs",
    }
    assert find_in_texts(content, known) == []
    assert find_in_own_words(["with intervals (2000 replicates)"], known) == []
    assert find_in_texts({"hardest": ["2000"]}, known) == ["the case ID 2000"]
    assert find_in_texts({"hardest": {"0": 0.4}}, known) == ["the case ID 0"]


def test_values_of_few_cases_inside_texts_and_of_many_as_whole_texts():
    known = secrets(values=["Siemens", "fell off a horse"], rare_values=["fell off a horse"])
    assert find_in_texts(["trained on Siemens"], known) == []
    assert find_in_texts(["Siemens"], known) == ["the metadata value 'Siemens'"]
    assert find_in_texts(["she fell off a horse, 1999"], known) == ["the metadata value 'fell off a horse'"]
    assert find_in_texts(["Siemens"], known, allowed={"Siemens"}) == []


@pytest.mark.parametrize(
    "value",
    [
        *("1961-03-05", "19610305", "05.03.1961", "5/3/1961", "1961-03-05 00:00:00", "1961-3-5", "5 March 1961"),
        *("05-Mar-1961", "March 5, 1961", "5. mar 1961", "5th March 1961"),
    ],
)
def test_dates_in_every_usual_way(value):
    known = secrets(dates=ways_to_write_date(value))
    written_ways = ("1961-03-05", "19610305", "1961/03/05", "05.03.1961", "05/03/1961", "03/05/1961", "5.3.1961")
    for written in (*written_ways, "5 March 1961", "Mar 5, 1961", "05-Mar-1961", "05.03.61"):
        assert find_in_texts([f"born {written}."], known) == [f"the date {written}"], written
        assert find_in_own_words([f"born {written}"], known)
        assert written in find_in_bytes(f"\x00{written}\x01".encode(), known)
    assert find_in_texts(["1961-03-06", "119610305"], known) == []


@pytest.mark.parametrize(
    "value",
    ["age 61", "1961", "1961-13-05", "12345678", "61+", "0 to 40", "5 Mai 1961", "5 Ma 1961", "31 June 1961"],
)
def test_what_is_no_date(value):
    assert ways_to_write_date(value) == set()


def test_secrets_are_collected_and_do_not_show(nnunet_folders, tmp_path):
    raw = nnunet_folders["nnUNet_raw"] / "Dataset950_TINY"
    raw.mkdir()
    groups = {"born": [f"1950-01-{day:02d}" for day in range(1, 7)], "site": ["Bremen"] * 5 + ["Kiel"]}
    write_fair_cases(pd.DataFrame(groups, index=["1", "2", "3", "4", "5", "P-0006"]), raw)
    known = collect_secrets("Dataset950_TINY", tmp_path)
    assert known.case_ids == {"P-0006"}
    assert known.short_ids == {"1", "2", "3", "4", "5"}
    assert "Bremen" in known.values - known.rare_values
    assert "Kiel" in known.rare_values
    assert {"1950-01-06", "06.01.1950", "19500106"} <= known.dates
    assert repr(known) == "Secrets(6 case IDs, 8 values)"


def test_an_unreadable_list_of_cases_is_a_sentence(nnunet_folders, tmp_path):
    folder = nnunet_folders["nnUNet_preprocessed"] / "Dataset950_TINY"
    folder.mkdir()
    for content in ("[{", "[1]", '{"train": 3}', "[" * 100_000):
        (folder / "splits_final.json").write_text(content)
        with pytest.raises(UserError, match=r"splits_final\.json cannot be read"):
            collect_secrets("Dataset950_TINY", tmp_path)


def test_a_zip_is_searched_file_by_file(tmp_path):
    known = secrets(case_ids=["DUKE_001"], short_ids=["07"], rare_values=["Kiel"], values=["Kiel"])
    for name, content in {
        "plans.json": json.dumps({"note": "Kiel"}),
        "dataset.json": json.dumps({"note": "07.nii.gz"}),
        "progress.png": "\x00duke_001\x00",
        "MODEL_CARD.md": "a line\nwith DUKE_001",
        "fold_0/DUKE_001.txt": "",
    }.items():
        with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
            archive.writestr("other.json", "{}")
            archive.writestr(name, content)
        with pytest.raises(UserError, match=f"not exported: {name} holds"):
            check_archive(tmp_path / "model.zip", known)
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        archive.writestr("MODEL_CARD.md", "Kiel and 07 are ordinary words of a sentence")
    assert check_archive(tmp_path / "model.zip", known) == 1


@pytest.mark.parametrize(
    ("logging", "said"),
    [
        # none of these is looked for among a file's bytes: the checkpoint must be opened
        ({"hardest": ["07"]}, "the case ID 07"),
        ({"groups": {"Kiel": 3}}, "the metadata value 'Kiel'"),
        ({"trained_on": "/opt/hospital/cases"}, "the path '/opt/hospital/cases'"),
    ],
    ids=["case ID", "metadata value", "path"],
)
def test_checkpoints_are_opened(tmp_path, logging, said):
    import torch

    def zipped(logging):
        torch.save(
            {"network_weights": {}, "init_args": {}, "trainer_name": "x", "logging": logging}, tmp_path / "c.pth"
        )
        with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
            archive.write(tmp_path / "c.pth", "fold_0/checkpoint_final.pth")
        return tmp_path / "model.zip"

    known = secrets(short_ids=["07"], values=["Kiel"])
    with pytest.raises(UserError, match=f"checkpoint_final.pth holds {said}"):
        check_archive(zipped(logging), known)
    assert check_archive(zipped({"dice": [0.7]}), known) == 1


@pytest.mark.parametrize("written", ["DUKE_003", "duke_003", "Duke_003"])
def test_case_ids_are_found_whatever_their_case(written):
    known = secrets(case_ids=["DUKE_003"])
    assert find_in_texts({"note": f"see {written}.nii.gz"}, known) == [f"the case ID {written}"]
    assert find_in_own_words([f"worst: {written}"], known) == [f"the case ID or date {written}"]
    assert find_in_texts(["DUKE_0031", "xDUKE_003", "DUKE-003"], known) == []


def test_bytes_are_searched_in_upper_and_in_lower_case():
    known = secrets(case_ids=["DUKE_003", "duke_004x"])
    for written in ("DUKE_003", "duke_003", "DUKE_004X"):
        assert find_in_bytes(b"DUKE_00\x00DUKE" + written.encode() + b"\xff", known) == [written]


class Runs:
    def __reduce__(self):
        return (print, ("code from the file",))


def test_no_code_of_a_checkpoint_is_run(tmp_path, capsys):
    import numpy as np
    import torch

    whole = {"network_weights": {}, "init_args": {}, "trainer_name": "x", "logging": {"dice": [np.float32(0.5)]}}
    torch.save(whole, tmp_path / "good.pth")
    assert load_checkpoint(tmp_path / "good.pth")["logging"]["dice"] == [0.5]
    torch.save(whole | {"more": Runs()}, tmp_path / "bad.pth")
    with pytest.raises(UserError, match=r"holds (builtins\.)?print, which would run code"):
        load_checkpoint(tmp_path / "bad.pth")
    with pytest.raises(UserError, match=r"inside\.pth cannot be loaded"):
        load_checkpoint(io.BytesIO((tmp_path / "bad.pth").read_bytes()), name="inside.pth")
    assert "code from the file" not in capsys.readouterr().out
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(UserError, match="no checkpoint of nnU-Net"):
        load_checkpoint(tmp_path / "list.pth")
    for content in (b"", b"cut short", (tmp_path / "good.pth").read_bytes()[:-200]):
        (tmp_path / "cut.pth").write_bytes(content)
        with pytest.raises(UserError, match="cannot be loaded"):
            load_checkpoint(tmp_path / "cut.pth")
