"""Every format nnU-Net reads, as nnU-Net reads it: voxels, voxel size and what its writer keeps."""

import json
import os
import shutil
import subprocess
import sys

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from nnunetv2.imageio.reader_writer_registry import determine_reader_writer_from_dataset_json
from PIL import Image

from nnunet_fair.masks.endings import file_ending
from nnunet_fair.masks.grid import displacement
from nnunet_fair.masks.paired_masks import read_masks
from nnunet_fair.masks.reading import CaseProblemError, read_mask, read_picture
from nnunet_fair.masks.writing import Patch, copy_mask, write_mask

VOLUME = np.zeros((8, 16, 20), np.uint8)
VOLUME[2:6, 4:10, 5:12] = 1
VOLUME[3, 5, 6] = 3
PLANE = VOLUME[3]
SKEWED = np.diag([0.7, 0.8, 2.0, 1.0])
SKEWED[0, 1] = 0.05


def write_volume(path, array=VOLUME):
    """A volume of 2 × 0.8 × 0.7 mm as the format keeps it; turned where the format has a direction."""
    ending = file_ending(path)
    if ending in (".tif", ".tiff"):
        tifffile.imwrite(path, array, compression="zlib")
        path.with_name(path.name.removesuffix(ending) + ".json").write_text(json.dumps({"spacing": [2.0, 0.8, 0.7]}))
        return path
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((0.7, 0.8, 2.0))
    image.SetOrigin((-10.0, 4.0, 7.0))
    if ending != ".gipl":
        image.SetDirection((0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0))
    sitk.WriteImage(image, str(path), ending != ".gipl")
    return path


def write_plane(path, array=PLANE):
    Image.fromarray(array).save(path)
    return path


def write_skewed(path, array=VOLUME):
    nibabel.save(nibabel.Nifti1Image(array.T, SKEWED), path)
    return path


FILES = [
    *((f"a{ending}", write_volume) for ending in (".nii.gz", ".nii", ".nrrd", ".mha", ".gipl", ".tif", ".tiff")),
    *((f"a{ending}", write_plane) for ending in (".png", ".bmp", ".tif")),
    *((f"a{ending}", write_skewed) for ending in (".nii.gz", ".nii")),
]
IDS = [f"{write.__name__[6:]} {name[1:]}" for name, write in FILES]


def nnunet_reader(path):
    chosen = determine_reader_writer_from_dataset_json({"file_ending": file_ending(path)}, str(path), verbose=False)
    return chosen()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "write"), FILES, ids=IDS)
def test_voxels_and_spacing_are_nnunets(tmp_path, name, write):
    path = write(tmp_path / name)
    mask = read_mask(path)
    reader = nnunet_reader(path)
    array, properties = reader.read_seg(str(path))
    assert mask.reader == type(reader).__name__
    assert np.array_equal(mask.array, array[0])
    assert np.array_equal(mask.array, PLANE[None] if write is write_plane else VOLUME)
    expected = {
        write_plane: (1.0, 1.0, 1.0),
        write_volume: (2.0, 0.8, 0.7),
        write_skewed: (2.0, np.hypot(0.8, 0.05), 0.7),
    }
    assert mask.spacing == pytest.approx(expected[write])
    assert mask.spacing[-2:] == pytest.approx(tuple(properties["spacing"][-2:]))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "write"), FILES, ids=IDS)
def test_an_altered_mask_lies_where_nnunets_writer_puts_it(tmp_path, name, write):
    path = write(tmp_path / name)
    mask = read_mask(path)
    (tmp_path / "ours").mkdir()
    (tmp_path / "nnunet").mkdir()
    window = (slice(0, 1), slice(0, 1), slice(0, 2))
    write_mask(mask, tmp_path / "ours" / name, [Patch(window, np.full((1, 1, 2), 2, mask.array.dtype))])
    reader = nnunet_reader(path)
    array, properties = reader.read_seg(str(path))
    array[0][window] = 2
    reader.write_seg(array[0], str(tmp_path / "nnunet" / name), properties)
    ours, nnunets = (read_mask(tmp_path / folder / name) for folder in ("ours", "nnunet"))
    assert np.array_equal(ours.array, nnunets.array) and ours.array[0, 0, :2].tolist() == [2, 2]
    assert ours.spacing == nnunets.spacing and displacement(ours.grid, nnunets.grid) < 1e-9
    assert sorted(file.name for file in (tmp_path / "ours").iterdir()) == sorted(
        file.name for file in (tmp_path / "nnunet").iterdir()
    )
    if ".nii" in name:
        headers = [nibabel.load(tmp_path / folder / name).header for folder in ("ours", "nnunet")]
        for form in ("sform", "qform"):
            assert int(headers[0][f"{form}_code"]) == int(headers[1][f"{form}_code"])
            assert np.allclose(getattr(headers[0], f"get_{form}")(), getattr(headers[1], f"get_{form}")())


def test_where_sform_and_qform_differ_the_altered_mask_keeps_what_nnunets_writer_keeps(tmp_path):
    image = nibabel.Nifti1Image(VOLUME.T, np.diag([0.7, 0.8, 2.0, 1.0]))
    image.set_sform(np.diag([0.7, 0.8, 2.0, 1.0]), 4)
    moved = np.diag([0.7, 0.8, 2.0, 1.0])
    moved[:3, 3] = [10, 20, 30]
    image.set_qform(moved, 1)
    nibabel.save(image, tmp_path / "a.nii.gz")
    write_mask(read_mask(tmp_path / "a.nii.gz"), tmp_path / "ours.nii.gz", [])
    reader = nnunet_reader(tmp_path / "a.nii.gz")
    array, properties = reader.read_seg(str(tmp_path / "a.nii.gz"))
    reader.write_seg(array[0], str(tmp_path / "nnunet.nii.gz"), properties)
    ours, nnunets = (nibabel.load(tmp_path / name).header for name in ("ours.nii.gz", "nnunet.nii.gz"))
    assert np.allclose(ours.get_sform(), nnunets.get_sform()) and np.allclose(ours.get_qform(), nnunets.get_qform())
    assert np.allclose(ours.get_sform()[:3, 3], [10, 20, 30])
    assert int(ours["sform_code"]) == int(nnunets["sform_code"]) == 1


def test_a_copied_tif_takes_its_spacing_along(tmp_path):
    path = write_volume(tmp_path / "CASE.tif")
    (tmp_path / "out").mkdir()
    copy_mask(read_mask(path), path, tmp_path / "out" / "CASE.tif")
    assert json.loads((tmp_path / "out" / "CASE.json").read_text()) == {"spacing": [2.0, 0.8, 0.7]}
    assert read_mask(tmp_path / "out" / "CASE.tif").voxel_mm3 == pytest.approx(2.0 * 0.8 * 0.7)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("share", [0.02, 0.55, 0.9])
@pytest.mark.parametrize(("name", "write"), FILES, ids=IDS)
def test_a_file_cut_short_is_refused_by_name(tmp_path, name, write, share):
    rng = np.random.default_rng(1)
    shape = PLANE.shape if write is write_plane else VOLUME.shape
    whole = write(tmp_path / name, rng.integers(0, 2, shape).astype(np.uint8))
    read_mask(whole)
    content = whole.read_bytes()
    whole.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CaseProblemError, match=rf"{name} .*cut short"):
        read_mask(whole)


def test_the_reader_that_dataset_json_names_is_used(tmp_path):
    folder = tmp_path / "Dataset001_A" / "labelsTr"
    folder.mkdir(parents=True)
    path = write_volume(folder / "a.nii.gz")
    assert read_mask(path).reader == "SimpleITKIO"
    description = {"file_ending": ".nii.gz", "overwrite_image_reader_writer": "NibabelIO"}
    (folder.parent / "dataset.json").write_text(json.dumps(description))
    mask = read_mask(path)
    assert mask.reader == "NibabelIO" and np.array_equal(mask.array, VOLUME)
    (folder / "plans.json").write_text(json.dumps({"image_reader_writer": "SimpleITKIOWithReorient"}))
    assert read_mask(path).reader == "SimpleITKIO"


def test_the_two_readers_of_one_nifti_file_give_one_grid(tmp_path):
    write_volume(tmp_path / "a.nii.gz")
    shutil.copyfile(write_volume(tmp_path / "b.nii"), tmp_path / "c.nii")
    first, second = read_mask(tmp_path / "a.nii.gz"), read_mask(tmp_path / "c.nii")
    assert (first.reader, second.reader) == ("SimpleITKIO", "NibabelIO")
    assert displacement(first.grid, second.grid) < 1e-5


def test_pictures_of_every_kind(tmp_path):
    colour = np.random.default_rng(0).integers(0, 255, (5, 6, 3)).astype(np.uint8)
    Image.fromarray(colour).save(tmp_path / "c_0000.png")
    array, grid = read_picture(tmp_path / "c_0000.png")
    assert grid.size == (6, 5) and np.allclose(array, colour.mean(axis=-1))
    write_volume(tmp_path / "v_0000.tif")
    (tmp_path / "v_0000.json").rename(tmp_path / "v.json")
    array, grid = read_picture(tmp_path / "v_0000.tif")
    assert np.array_equal(array, VOLUME) and grid.spacing == (0.7, 0.8, 2.0)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_plane_in_a_nifti_file_is_two_dimensional(tmp_path, ending):
    image = sitk.GetImageFromArray(PLANE)
    image.SetSpacing((0.7, 0.8))
    sitk.WriteImage(image, str(tmp_path / f"a{ending}"))
    mask = read_mask(tmp_path / f"a{ending}")
    assert mask.array.shape == (1, *PLANE.shape) and np.array_equal(mask.values, PLANE)
    assert mask.grid.size == (20, 16) and mask.spacing == pytest.approx((1.0, 0.8, 0.7))


@pytest.mark.parametrize(("dtype", "as_stored"), [(np.uint8, True), (np.float32, False)])
def test_whole_numbers_stored_as_floats_are_written_as_integers(tmp_path, dtype, as_stored):
    write_skewed(tmp_path / "a.nii.gz", VOLUME.astype(dtype))
    mask = read_mask(tmp_path / "a.nii.gz")
    assert mask.as_stored is as_stored and mask.array.dtype == np.uint8
    write_mask(mask, tmp_path / "b.nii.gz")
    assert nibabel.load(tmp_path / "b.nii.gz").get_data_dtype() == np.uint8


def test_skewed_masks_of_two_grids_are_resampled(tmp_path):
    reference = write_skewed(tmp_path / "r.nii.gz")
    moved = SKEWED.copy()
    moved[:3, 3] = SKEWED[:3, :3] @ [0, 2, 0]  # the same voxels, two rows less
    nibabel.save(nibabel.Nifti1Image(VOLUME[:, 2:].T, moved), tmp_path / "p.nii.gz")
    with pytest.raises(CaseProblemError, match="has size 20×14×8 where the reference has 20×16×8"):
        read_masks(reference, tmp_path / "p.nii.gz", labels=(1,))
    expected, found, *_ = read_masks(reference, tmp_path / "p.nii.gz", labels=(1,), resample=True)
    assert np.array_equal(expected, found) and expected.sum() == (VOLUME == 1).sum()


@pytest.mark.slow
def test_reading_nifti_files_loads_neither_nnunet_nor_torch(tmp_path):
    path = write_volume(tmp_path / "a.nii.gz")
    code = (
        "import sys; from nnunet_fair.masks.reading import read_mask; read_mask(sys.argv[1]);"
        "sys.exit(any(name.split('.')[0] in ('torch', 'nnunetv2') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], env=dict(os.environ), check=False).returncode == 0
