"""The page of single cases: its files are right, and nobody gets at them who does not hold the address."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import json

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.reports.options import OverlayOptions
from nnunet_fair.masks.reading import read_mask
from nnunet_fair.viewing.case_layers import nifti_affine, nifti_file, rim
from nnunet_fair.viewing.cases import viewed_cases
from nnunet_fair.viewing.server import FOLDER, CaseServer


def ask(server, path, *, host=None, method="GET"):
    """Status, headers and body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    connection.request(method, path, headers={"Host": host or f"127.0.0.1:{server.server_port}"})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), body


def test_the_files_are_those_of_the_case(server, folder):
    root = f"/{server.token}/"
    status, headers, page = ask(server, root)
    assert status == 200 and b"p \\u003cb\\u003e1" in page and b"<b>" not in page
    assert headers["Cache-Control"] == "no-store" and "default-src 'none'" in headers["Content-Security-Policy"]
    about = json.loads(ask(server, f"{root}case/0.json")[2])
    assert about["name"] == "p <b>1" and about["masks"] == ["reference", "prediction"] and about["has_image"]
    image = nib.Nifti1Image.from_bytes(ask(server, f"{root}case/0/image.nii")[2])
    stored = nib.load(folder / "images" / "p <b>1_0000.nii.gz")
    assert np.array_equal(image.get_fdata(), stored.get_fdata()) and np.allclose(image.affine, stored.affine)
    shifted = nib.Nifti1Image.from_bytes(ask(server, f"{root}case/0/masks/1.nii")[2]).get_fdata()
    assert np.array_equal(shifted, nib.load(folder / "pred" / "p <b>1.nii.gz").get_fdata())
    outline = nib.Nifti1Image.from_bytes(ask(server, f"{root}case/0/outlines/0.nii")[2]).get_fdata()
    assert outline.sum() == 3 * (7 * 8 - 5 * 6)


def test_the_crosshair_begins_in_the_lesion(server):
    crosshair = json.loads(ask(server, f"/{server.token}/case/0.json")[2])["crosshair"]
    affine = nib.Nifti1Image.from_bytes(ask(server, f"/{server.token}/case/0/image.nii")[2]).affine
    assert (np.linalg.inv(affine) @ (*crosshair, 1))[:3] == pytest.approx((9.5, 8, 2))


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 403),
        ("/wrong/", 403),
        ("/TOKEN", 200),
        ("/TOKEN/case/7.json", 404),
        ("/TOKEN/case/0/../../etc/passwd", 404),
        ("/TOKEN/%2e%2e/secret.nii.gz", 404),
        ("/TOKEN/../../../../etc/passwd", 404),
        ("/TOKEN/case/0/masks/2.nii", 404),
        ("/TOKEN/case/1/masks/1.nii", 422),
    ],
)
def test_only_the_named_cases_files_are_served(server, path, status):
    assert ask(server, path.replace("TOKEN", server.token))[0] == status


def test_another_host_and_another_method_are_refused(server):
    page = f"/{server.token}/"
    assert ask(server, page, host=f"localhost:{server.server_port}")[0] == 200
    for host in ("evil.example", f"evil.example:{server.server_port}", "127.0.0.1", "127.0.0.1:1"):
        assert ask(server, page, host=host)[0] == 403
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert ask(server, page, method=method)[0] == 501
    assert server.server_address[0] == "127.0.0.1"
    assert len(server.token) >= 32


def test_a_case_that_cannot_be_read_says_why(server):
    about = json.loads(ask(server, f"/{server.token}/case/1.json")[2])
    assert "p2.nii.gz cannot be read" in about["problem"]


@pytest.mark.parametrize("direction", [(1, 0, 0, 0, 1, 0, 0, 0, 1), (0, 1, 0, -1, 0, 0, 0, 0, -1)])
def test_nifti_lies_where_simpleitk_puts_it(tmp_path, direction):
    image = sitk.GetImageFromArray(np.random.default_rng(0).integers(0, 2, (3, 4, 5)).astype(np.uint8))
    image.SetSpacing((0.7, 1.2, 3.0))
    image.SetOrigin((-20.0, 5.0, 11.0))
    image.SetDirection(direction)
    sitk.WriteImage(image, str(tmp_path / "m.nii.gz"))
    mask = read_mask(tmp_path / "m.nii.gz")
    ours, theirs = nib.Nifti1Image.from_bytes(nifti_file(mask.array, mask.grid)), nib.load(tmp_path / "m.nii.gz")
    assert np.array_equal(ours.get_fdata(), theirs.get_fdata())
    assert ours.affine == pytest.approx(theirs.affine, abs=1e-5)


def test_a_flat_image_lies_in_a_plane(tmp_path, save_mask):
    mask = read_mask(save_mask(np.eye(4), tmp_path / "m.png", spacing=(1.0, 1.0)))
    assert nifti_affine(mask.grid)[2].tolist() == [0, 0, 1, 0]


def test_the_rim_of_a_mask_is_taken_slice_by_slice():
    mask = np.zeros((3, 6, 6), bool)
    mask[1, 1:5, 1:5] = True
    assert rim(mask).sum() == 12 and not rim(mask)[1, 2:4, 2:4].any()


def test_cases_that_are_not_there_are_named(folder):
    images = OverlayOptions()
    with pytest.raises(UserError, match="holds no reference of case 'secre'; near it: secret"):
        viewed_cases(["secre"], folder / "labels", [], images=images)
    with pytest.raises(UserError, match="at most 3 folders, found 4"):
        viewed_cases(["p2"], folder / "labels", [folder / "pred"] * 4, images=images)


def test_folders_of_one_name_are_told_apart(folder):
    other = folder / "b" / "pred"
    other.mkdir(parents=True)
    cases, _ = viewed_cases(["p2", "p2"], folder / "labels", [folder / "pred", other], images=OverlayOptions())
    (case,) = cases
    assert [contour.name for contour in case.contours] == [str(folder / "pred"), str(other)]
    assert case.contours[1].path is None


def test_a_port_that_is_taken_is_said(server, folder):
    cases, scoring = viewed_cases(["p2"], folder / "labels", [], images=OverlayOptions())
    with pytest.raises(UserError, match=f"`port` {server.server_port} cannot be used"):
        CaseServer(cases, OverlayOptions(), scoring, port=server.server_port)


def test_niivue_is_the_file_its_licences_name(server):
    status, headers, body = ask(server, f"/{server.token}/niivue.js")
    assert status == 200 and headers["Content-Encoding"] == "gzip"
    licences = (FOLDER / "niivue" / "LICENSES.txt").read_text(encoding="utf-8")
    assert hashlib.sha256(gzip.decompress(body)).hexdigest() in licences
