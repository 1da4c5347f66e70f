"""What a trained nnU-Net's encoders see of a lesion: the last stages over a patch around it.

The patch is preprocessed as for prediction and of the size the network was trained with. nnU-Net is imported where it
is needed: it takes seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nnunet_fair.errors import UserError
from nnunet_fair.masks.boxes import bounding_box
from nnunet_fair.pcr.preprocessing import preprocessed_case
from nnunet_fair.prediction.encoder_features import encoder_of, encoder_stages
from nnunet_fair.prediction.model import TrainedModel
from nnunet_fair.prediction.nnunet_predict import load_predictor
from nnunet_fair.prediction.options import PredictorOptions

if TYPE_CHECKING:
    import torch

N_STAGES = 2


class LesionEncoder:
    """The encoders of a model's folds.

    Args:
        model: a trained model of a 3D configuration, not of a cascade's second stage.
        device: ``cuda``, ``cpu`` or ``mps``.

    Raises:
        UserError: another configuration, a network without an encoder of its own, or no such device.
    """

    def __init__(self, model: TrainedModel, device: str) -> None:
        if model.previous_stage() is not None:
            raise UserError(f"{model.folder} is a cascade's second stage; give the model of another `configuration`")
        self._predictor = load_predictor(model, PredictorOptions(device=device))
        self._device = self._predictor.device
        self._patch = tuple(int(size) for size in self._predictor.configuration_manager.patch_size)
        if len(self._patch) != 3:
            raise UserError(f"{model.folder} is a model of slices; give one of a 3D `configuration`")
        self.folds = model.folds
        self._encoders = [self._encoder(parameters) for parameters in self._predictor.list_of_parameters]

    def _encoder(self, parameters: dict[str, Any]) -> torch.nn.Module:
        network = self._predictor.network
        network.load_state_dict(parameters)
        return deepcopy(encoder_of(network)).to(self._device).eval()

    def features(self, images: Sequence[Path], mask: Path) -> list[dict[str, float]]:
        """What each fold's encoder sees of a lesion.

        Args:
            images: the case's files, one a channel, as the model reads them.
            mask: the lesion's mask, on the images' grid; every label above 0 is lesion.

        Returns:
            One dictionary a fold, see :func:`lesion_vector`; none where the mask is empty.

        Raises:
            CaseProblemError: images and mask do not fit.
        """
        import torch

        patch = self._lesion_patch(images, mask)
        if patch is None:
            return []
        data, lesion = (torch.from_numpy(array)[None].to(self._device) for array in patch)
        with torch.no_grad():
            return [lesion_vector(encoder_stages(encoder, data)[-N_STAGES:], lesion) for encoder in self._encoders]

    def _lesion_patch(self, images: Sequence[Path], mask: Path) -> tuple[np.ndarray, np.ndarray] | None:
        """Preprocessed channels and lesion (one channel of 0 and 1), float32, of the patch's size; None without one."""
        from acvl_utils.cropping_and_padding.bounding_boxes import crop_and_pad_nd

        predictor = self._predictor
        data, labels = preprocessed_case(
            images, mask, predictor.plans_manager, predictor.configuration_manager, predictor.dataset_json
        )
        lesion = (labels > 0).astype(np.float32)
        box = bounding_box(lesion[0])
        if box is None:
            return None
        middle = [(axis.start + axis.stop) // 2 for axis in box]
        window = [[m - size // 2, m - size // 2 + size] for m, size in zip(middle, self._patch, strict=True)]
        return tuple(crop_and_pad_nd(array.astype(np.float32), window) for array in (data, lesion))


def lesion_vector(stages: Sequence[torch.Tensor], lesion: torch.Tensor) -> dict[str, float]:
    """Mean and maximum over the lesion of every channel of some stages.

    A stage's voxel belongs to the lesion where any voxel of the patch below it does.

    Args:
        stages: tensors of shape (1, n_channels, …), from the finest to the coarsest.
        lesion: tensor of 0 and 1 of shape (1, 1, …), the patch's own size, with at least one voxel.

    Returns:
        ``deep1_mean_000`` … for the first stage, then its maxima, then those of the next stage.
    """
    from torch.nn.functional import adaptive_max_pool3d

    found: dict[str, float] = {}
    for number, stage in enumerate(stages, start=1):
        inside = stage[0][:, adaptive_max_pool3d(lesion, stage.shape[2:])[0, 0] > 0]
        for name, values in (("mean", inside.mean(dim=1)), ("max", inside.amax(dim=1))):
            found |= {f"deep{number}_{name}_{k:03d}": value for k, value in enumerate(values.cpu().tolist())}
    return found
