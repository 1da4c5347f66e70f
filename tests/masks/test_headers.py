"""What a header claims is held against its file before anything is allocated; voxel sizes that are none are refused."""

import gzip
import json
import resource
import struct
import zlib

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from PIL import Image

from nnunet_fair.errors import UserError
from nnunet_fair.masks.claims import MAX_IMAGE_VARIABLE, check_claim
from nnunet_fair.masks.headers import DamagedFileError
from nnunet_fair.masks.reading import CaseProblemError, read_channels, read_mask, read_picture

CUBE = np.zeros((5, 6, 8), np.uint8)
CUBE[1:3, 2:4, 2:5] = 1


def write(path, compress=False):
    sitk.WriteImage(sitk.GetImageFromArray(CUBE), str(path), compress)
    return bytearray(path.read_bytes())


def claim(path):
    """A small file whose header claims 1200×1200×900 voxels or more."""
    ending = path.name[1:]
    if ending in (".nii", ".nii.gz"):
        header = nibabel.Nifti1Header()
        header.set_data_shape((1200, 1200, 900))
        header.set_data_dtype(np.uint8)
        header["magic"], header["vox_offset"] = b"n+1", 352
        content = header.binaryblock + bytes(4)
        path.write_bytes(gzip.compress(content) if ending == ".nii.gz" else content)
    elif ending in (".mha", ".nrrd"):
        for compress in (False, True):
            content = write(path, compress).replace(b"DimSize = 8 6 5", b"DimSize = 1200 1200 900")
            path.write_bytes(content.replace(b"sizes: 8 6 5", b"sizes: 1200 1200 900"))
            yield
        return
    elif ending == ".gipl":
        content = write(path)
        struct.pack_into(">3H", content, 0, 1200, 1200, 900)
        path.write_bytes(content)
    elif ending == ".tif":
        for compression in (None, "zlib", "packbits"):
            tifffile.imwrite(path, CUBE, compression=compression, photometric="minisblack", metadata=None)
            content = path.read_bytes()
            for tag in (256, 257, 278):  # width, height and rows of a strip of the first page
                place = content.index(
                    struct.pack("<HHI", tag, 3 if struct.pack("<HHI", tag, 3, 1) in content else 4, 1)
                )
                content = content[:place] + struct.pack("<HHII", tag, 4, 1, 400_000) + content[place + 12 :]
            path.write_bytes(content)
            yield
        return
    else:
        Image.fromarray(CUBE[1]).save(path)
        content = bytearray(path.read_bytes())
        if ending == ".png":
            struct.pack_into(">2I", content, 16, 12_000, 12_000)
            struct.pack_into(">I", content, 29, zlib.crc32(content[12:29]))
        else:
            struct.pack_into("<2i", content, 18, 12_000, 12_000)
        path.write_bytes(content)
    yield


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".mha", ".nrrd", ".gipl", ".tif", ".png", ".bmp"])
def test_a_claim_larger_than_the_file_is_refused_before_it_is_allocated(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    for _ in claim(path):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for read in (read_mask, read_channels, read_picture):
            with pytest.raises(CaseProblemError, match=rf"a{ending} cannot be read; the file is cut short, damaged"):
                read(path)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024  # kB


def test_the_sentence_names_file_claim_and_what_is_there(tmp_path):
    path = tmp_path / "a.nii.gz"
    next(claim(path))
    size = path.stat().st_size
    with pytest.raises(
        CaseProblemError, match=rf"a\.nii\.gz .*1200×1200×900 values of 1 bytes, more than its {size} b"
    ):
        read_mask(path)


def test_what_compresses_best_is_not_refused(tmp_path):
    path = tmp_path / "a.nii.gz"
    sitk.WriteImage(sitk.Image([400, 400, 100], sitk.sitkUInt8), str(path), True)
    with gzip.open(path) as file:
        content = file.read()
    path.write_bytes(gzip.compress(content, 9))
    assert len(content) > 900 * path.stat().st_size  # zeros: close to the most that deflate can do
    assert read_mask(path).array.sum() == 0


def test_the_limit_is_stated_and_can_be_raised(tmp_path, monkeypatch):
    path = tmp_path / "a.nii.gz"
    write(path, True)
    monkeypatch.setenv(MAX_IMAGE_VARIABLE, "1e-7")  # 107 bytes
    with pytest.raises(CaseProblemError, match=rf"more than the 1e-07 GiB that are read; .*set {MAX_IMAGE_VARIABLE}"):
        read_mask(path)
    monkeypatch.setenv(MAX_IMAGE_VARIABLE, "1e-6")
    assert read_mask(path).array.shape == CUBE.shape
    monkeypatch.setenv(MAX_IMAGE_VARIABLE, "much")
    with pytest.raises(UserError, match="expected a number of GiB"):
        read_mask(path)


def test_a_claim_of_exactly_what_is_there(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(bytes(24))
    check_claim(path, (2, 3, 4), 1, 1)
    check_claim(path, (2, 3, 4), 2, 2)
    for shape, n_bytes, ratio in (((2, 3, 5), 1, 1), ((2, 3, 4), 2, 1), ((2, 3, 4, 3), 1, 2)):
        with pytest.raises(DamagedFileError, match="more than its 24 bytes can hold"):
            check_claim(path, shape, n_bytes, ratio)


@pytest.mark.parametrize("ending", [".mha", ".nrrd"])
def test_voxels_in_another_file_are_refused(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    content = write(path)
    (tmp_path / "a.raw").write_bytes(CUBE.tobytes())
    path.write_bytes(
        content.replace(b"ElementDataFile = LOCAL", b"ElementDataFile = a.raw").replace(
            b"encoding: raw\n", b"encoding: raw\ndata file: a.raw\n"
        )
    )
    with pytest.raises(CaseProblemError, match=r"its voxels are in another file \(a.raw\); save header and voxels as"):
        read_mask(path)


@pytest.mark.parametrize("size", ["0", "-1", "nan", "inf", "1e30", "1e-10"])
@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".mha", ".nrrd", ".gipl", ".tif"])
def test_voxel_sizes_that_are_none_are_refused_by_name(tmp_path, ending, size):
    path = tmp_path / f"a{ending}"
    value = float(size)
    if ending in (".nii", ".nii.gz"):
        content = write(tmp_path / "b.nii")
        struct.pack_into("<f", content, 76 + 8, value)
        path.write_bytes(gzip.compress(content) if ending == ".nii.gz" else content)
    elif ending == ".gipl":
        content = write(path)
        struct.pack_into(">f", content, 14, value)
        path.write_bytes(content)
    elif ending == ".tif":
        tifffile.imwrite(path, CUBE, photometric="minisblack")
        (tmp_path / "a.json").write_text(json.dumps({"spacing": [1, value, 1]}))
    else:
        content = write(path).replace(b"ElementSpacing = 1 1 1", f"ElementSpacing = 1 {size} 1".encode())
        path.write_bytes(
            content.replace(b"space directions: (1,0,0) (0,1,0) (0,0,1)", f"spacings: 1 {size} 1".encode())
        )
        content = (
            path.read_bytes().replace(b"space origin: (0,0,0)\n", b"").replace(b"space: left-posterior-superior\n", b"")
        )
        path.write_bytes(content)
    sentence = r"a\.\w+(\.gz)?: its voxel size is 1 × \S+ × 1 mm, .*mend its header|a\.tif .*Spacing must be > 0"
    with pytest.raises(CaseProblemError, match=sentence):
        read_mask(path)


def test_axes_that_are_no_numbers_are_refused(tmp_path):
    content = write(tmp_path / "a.nii")
    struct.pack_into("<2h", content, 252, 0, 1)  # qform_code, sform_code
    struct.pack_into("<f", content, 300, np.nan)
    (tmp_path / "a.nii").write_bytes(content)
    with pytest.raises(CaseProblemError, match="its origin or direction is no number"):
        read_mask(tmp_path / "a.nii")


def test_pictures_without_a_voxel_size_stay_what_they_are(tmp_path):
    Image.fromarray(CUBE[1]).save(tmp_path / "a.png")
    assert read_mask(tmp_path / "a.png").spacing == (1.0, 1.0, 1.0)
    tifffile.imwrite(tmp_path / "b.tif", np.zeros((5, 6, 9), np.uint8), photometric="minisblack")
    assert read_mask(tmp_path / "b.tif").spacing == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("ending", [".nii.gz", ".mha", ".nrrd"])
def test_a_changed_bit_is_found_by_the_checksum(tmp_path, ending):
    """The libraries read compressed files to the last voxel, not to the checksum behind it."""
    rng = np.random.default_rng(0)
    array = (rng.random((10, 20, 20)) < 0.5).astype(np.uint8)
    path = tmp_path / f"a{ending}"
    sitk.WriteImage(sitk.GetImageFromArray(array), str(path), True)
    assert np.array_equal(read_mask(path).array, array)
    sound = path.read_bytes()
    for place in rng.integers(len(sound) - 450, len(sound) - 8, 20):
        content = bytearray(sound)
        content[place] ^= 1 << rng.integers(8)
        path.write_bytes(content)
        with pytest.raises(CaseProblemError, match=rf"a{ending} "):
            read_mask(path)


def test_nan_in_a_nifti_mask_is_no_background(tmp_path):
    array = CUBE.astype(np.float32)
    array[0, 0, 0] = np.nan
    for ending in (".nii.gz", ".nii"):
        path = tmp_path / f"a{ending}"
        sitk.WriteImage(sitk.GetImageFromArray(array), str(path))
        with pytest.raises(CaseProblemError, match=r"1 voxels that are NaN|whole numbers of 0 or more"):
            read_mask(path)
        assert read_channels(path).n_not_finite == 1
    with pytest.raises(CaseProblemError, match="1 voxels that are NaN or infinite, read as 0"):
        read_picture(tmp_path / "a.nii.gz")


@pytest.mark.parametrize(
    ("ending", "sound", "damaged"),
    [
        (".nrrd", b"kinds: domain", b"kinds: " + b"[" * 3000 + b"domain"),
        (".nrrd", b"dimension: 3", b"dime" + b"[" * 3000),
        (".nrrd", b"type: unsigned char", b"type: \x07"),
        (".mha", b"NDims = 3", b"9" * 5000 + b" = 3"),
        (".mha", b"Offset", b"\xf5\x01fset"),
    ],
)
def test_header_lines_that_end_itk_and_the_process_are_refused(tmp_path, ending, sound, damaged):
    path = tmp_path / f"a{ending}"
    path.write_bytes(write(path).replace(sound, damaged))
    with pytest.raises(CaseProblemError, match="of its header is none of the format's"):
        read_mask(path)


def test_long_texts_of_other_programs_stay(tmp_path):
    path = tmp_path / "a.nrrd"
    path.write_bytes(write(path).replace(b"kinds:", b"Segment0_Name:=" + b"tumour " * 500 + b"\nkinds:"))
    assert np.array_equal(read_mask(path).array, CUBE)


def test_a_header_that_takes_other_bytes_for_the_voxels_is_refused(tmp_path):
    path = tmp_path / "a.mha"
    path.write_bytes(write(path, True).replace(b"DimSize = 8 6 5", b"DimSize = 8 6 4"))
    with pytest.raises(CaseProblemError, match="checksum"):
        read_mask(path)


def test_a_changed_checksum_of_a_picture_is_seen(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(CUBE[1]).save(path)
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT") - 8] ^= 1  # in the checksum of the chunk before
    path.write_bytes(content)
    with pytest.raises(CaseProblemError, match="checksum is wrong"):
        read_mask(path)
