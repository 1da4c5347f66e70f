"""A server of two cases, on a free port of this machine."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from nnunet_fair.evaluation.reports.options import OverlayOptions
from nnunet_fair.viewing.cases import viewed_cases
from nnunet_fair.viewing.server import CaseServer

CASE = "p <b>1"


@pytest.fixture
def folder(tmp_path, save_mask):
    """``labels``, ``pred`` and ``images`` of the cases ``p <b>1`` and ``p2``; the prediction of p2 is damaged."""
    mask = np.zeros((6, 20, 24), np.uint8)
    mask[2:5, 5:12, 6:14] = 1
    for case in (CASE, "p2", "secret"):
        save_mask(mask, tmp_path / "labels" / f"{case}.nii.gz", spacing=(1.0, 1.5, 2.0))
        save_mask(np.roll(mask, 2, axis=2), tmp_path / "pred" / f"{case}.nii.gz", spacing=(1.0, 1.5, 2.0))
    (tmp_path / "pred" / "p2.nii.gz").write_bytes(b"damaged")
    save_mask(mask * 100 + 7, tmp_path / "images" / f"{CASE}_0000.nii.gz", spacing=(1.0, 1.5, 2.0))
    return tmp_path


@pytest.fixture
def server(folder):
    """Serves ``p <b>1`` and ``p2``."""
    images = OverlayOptions(folder / "images")
    cases, scoring = viewed_cases([CASE, "p2"], folder / "labels", [folder / "pred"], images=images)
    with CaseServer(cases, images, scoring) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.shutdown()
        thread.join()
