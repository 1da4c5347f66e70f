"""How nnU-Net predicts; loads nothing heavy, so that the command line can show the defaults."""

from __future__ import annotations

from dataclasses import dataclass

DEVICES = ("cuda", "cpu", "mps")
CHECKPOINT = "checkpoint_final.pth"
FOLDS = (0, 1, 2, 3, 4)
"""The folds ``nnUNetv2_predict`` averages where none are named."""


@dataclass(frozen=True, kw_only=True)
class PredictorOptions:
    """How nnU-Net predicts; names and defaults are those of ``nnUNetv2_predict``.

    Attributes:
        device: ``cuda``, ``cpu`` or ``mps``.
        step_size: step of the sliding window as a share of the patch, in (0, 1].
        mirroring: average over mirrored images.
        n_preprocessing: processes that preprocess; 0 together with ``n_export`` 0 does everything in this process.
        n_export: processes that resample and write.
    """

    device: str = "cuda"
    step_size: float = 0.5
    mirroring: bool = True
    n_preprocessing: int = 3
    n_export: int = 3
