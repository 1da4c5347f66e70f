from pathlib import Path

import pytest

from nnunet_fair.errors import UserError
from nnunet_fair.masks.endings import (
    FILE_ENDINGS,
    case_and_channel,
    case_id_of,
    file_ending,
    image_name,
    list_images,
    list_masks,
)


def test_list_masks_takes_masks_only(tmp_path):
    for name in ("B.nii.gz", "A.nii.gz", "dataset.json", "A.npz", "A.pkl", ".hidden.nii.gz"):
        (tmp_path / name).touch()
    assert list(list_masks(tmp_path)) == ["A", "B"]
    (tmp_path / "A.nrrd").touch()
    with pytest.raises(UserError, match="case 'A' has two files"):
        list_masks(tmp_path)


def test_case_ids_keep_their_dots():
    assert case_id_of("x/ISPY1_1001.v2.nii.gz") == "ISPY1_1001.v2"
    assert case_id_of("dataset.json") is None


@pytest.mark.parametrize("ending", FILE_ENDINGS)
def test_every_ending_is_found_in_upper_and_lower_case(tmp_path, ending):
    (tmp_path / f"A.b{ending}").touch()
    (tmp_path / f"C{ending.upper()}").touch()
    assert list(list_masks(tmp_path)) == ["A.b", "C"]
    assert file_ending(f"C{ending.upper()}") == ending.upper()


def test_the_endings_are_nnunets():
    from nnunetv2.imageio.reader_writer_registry import LIST_OF_IO_CLASSES

    assert {ending for reader in LIST_OF_IO_CLASSES for ending in reader.supported_file_endings} == set(FILE_ENDINGS)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("A_0000.nii.gz", ("A", 0)),
        ("A_0001_0012.TIF", ("A_0001", 12)),
        ("A_00000.nii.gz", None),
        ("A.nii.gz", None),
        ("_0000.nii.gz", None),
        (".A_0000.nii.gz", None),
        ("A_0000.txt", None),
    ],
)
def test_case_and_channel_in_a_name(name, expected):
    assert case_and_channel(Path("x") / name) == expected
    if expected:
        assert image_name(*expected, file_ending(name)) == name


def test_images_by_case_and_channel(tmp_path):
    for name in ("B_0001.nii.gz", "B_0000.nii.gz", "A_0000.mha", "A.mha", "notes.txt"):
        (tmp_path / name).touch()
    found = list_images(tmp_path)
    assert [(case, list(channels)) for case, channels in found.items()] == [("A", [0]), ("B", [0, 1])]
    (tmp_path / "A_0000.nrrd").touch()
    with pytest.raises(UserError, match=r"'A' has two files of channel 0 .*A_0000\.mha and A_0000\.nrrd"):
        list_images(tmp_path)
    with pytest.raises(UserError, match="there is no folder"):
        list_images(tmp_path / "nowhere")
