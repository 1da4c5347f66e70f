"""Damaged images of every format nnU-Net reads: refused, or read with the voxels that were meant.

Where a format keeps a checksum of 32 bits over its voxels (CRC-32) no other voxels may come out. The others hold
nothing that would tell a changed voxel, or a weak checksum: compressed MetaImage and TIFF have zlib's Adler-32, which
of a thousand small masks of zeros and ones takes one for another. What was read there is counted apart.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import SimpleITK as sitk

from benchmarks.faults.damage import damaged_bytes
from benchmarks.faults.formats import check_sentence
from nnunet_fair.errors import UserError

KINDS = {
    **{f"{ending}, compressed": (ending, True, True) for ending in (".nii.gz", ".nrrd")},
    ".png": (".png", True, True),
    **{f"{ending}, compressed": (ending, True, False) for ending in (".mha", ".tif")},
    **{ending: (ending, False, False) for ending in (".nii", ".mha", ".nrrd", ".gipl", ".tif", ".bmp")},
}
"""Ending, whether it is compressed, and whether a checksum covers the voxels."""

_HEADER = 400  # bytes: where a damaged byte does most


def a_mask(rng: np.random.Generator, ending: str) -> np.ndarray:
    """A small mask with noise, of shape (slices, rows, columns) or (rows, columns)."""
    shape = (12, 14) if ending in (".png", ".bmp") else (5, 12, 14)
    return (rng.random(shape) < 0.5).astype(np.uint8)


def write(array: np.ndarray, path: Path, *, compress: bool) -> None:
    """Write a mask."""
    if path.suffix == ".tif":
        import tifffile

        tifffile.imwrite(path, array, compression="zlib" if compress else None, photometric="minisblack")
    elif path.suffix in (".png", ".bmp"):
        from PIL import Image

        Image.fromarray(array).save(path)
    else:
        sitk.WriteImage(sitk.GetImageFromArray(array), str(path), compress)


def damaged_image(sound: bytes, rng: np.random.Generator) -> bytes:
    """A bit or a byte changed, in the header or anywhere; cut short; or damaged as any file."""
    data, kind = bytearray(sound), rng.random()
    if kind < 0.25:
        data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
    elif kind < 0.5:
        for _ in range(int(rng.integers(1, 5))):
            data[int(rng.integers(min(len(data), _HEADER)))] = int(rng.integers(256))
    elif kind < 0.65:
        del data[int(rng.integers(len(data))) :]
    else:
        return damaged_bytes(sound, rng)
    return bytes(data)


def try_images(n_inputs: int, seed: int, *, show: bool = False) -> pd.DataFrame:
    """Damage images of every format.

    Args:
        n_inputs: files over all formats, at least.
        seed: of the files.
        show: print the first wrong one, and the first unexpected exception of each kind.

    Returns:
        Table with one row a format: tried, read as meant, refused, read with other voxels (``wrong`` where a checksum
        covers them, else ``not detectable``), tracebacks.
    """
    from nnunet_fair.masks.reading import read_mask

    rows = []
    for number, (kind, (ending, compress, has_checksum)) in enumerate(KINDS.items()):
        rng = np.random.default_rng([seed, number])
        counts: Counter[str] = Counter()
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of libraries below, on files that are refused
            path = Path(folder) / f"a{ending}"
            for _ in range(-(-n_inputs // len(KINDS))):
                array = a_mask(rng, ending)
                write(array, path, compress=compress)
                path.write_bytes(damaged_image(path.read_bytes(), rng))
                try:
                    with contextlib.redirect_stdout(io.StringIO()):  # nnU-Net prints that a .tif has no voxel size
                        mask = read_mask(
                            path
                        )  # its values are its image's memory, so it stays while they are looked at
                    found = mask.values
                    is_same = found.shape == array.shape and np.array_equal(found, array)
                    outcome = "same" if is_same else "wrong" if has_checksum else "not detectable"
                except UserError as refusal:
                    check_sentence(str(refusal))
                    outcome = "refused"
                except Exception as error:  # what is counted here is what must not happen
                    outcome = "traceback"
                    name = f"{kind}: {type(error).__name__}: {str(error)[:150]}"
                    if show and not counts[name]:
                        print(name)
                    counts[name] += 1
                if show and outcome == "wrong" and not counts[outcome]:
                    print(f"{kind}: {array.shape} became {mask.array.shape}: {path.read_bytes()[:600]!r}")
                counts[outcome] += 1
        tried = sum(counts[name] for name in ("same", "refused", "wrong", "not detectable", "traceback"))
        rows.append(
            {
                "format": kind,
                "tried": tried,
                "same": counts["same"],
                "refused": counts["refused"],
                "not detectable": counts["not detectable"],
                "wrong": counts["wrong"],
                "tracebacks": counts["traceback"],
            }
        )
    return pd.DataFrame(rows)
