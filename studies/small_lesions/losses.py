"""Losses that see small lesions: by inverse size, and lesion by lesion.

Lesions are the connected components (whole neighbourhood) of everything that is not background. All of it is for plain
labels with one foreground class or several taken together, without an ignore label: that is what the study has.
"""

from __future__ import annotations

import cc3d
import numpy as np
import torch
from nnunetv2.training.loss.compound_losses import DC_and_CE_loss
from torch import Tensor, nn

MAIN_SHARE, BLOB_SHARE = 2.0, 1.0
"""Shares of the whole-image loss and of the blob loss, those of Kofler et al., IPMI 2023."""


def lesion_labels(target: Tensor) -> Tensor:
    """Number every lesion of every sample.

    Args:
        target: label map of shape (B, 1, *spatial).

    Returns:
        Int tensor of shape (B, *spatial): 0 background, lesions 1, 2, … anew in each sample.
    """
    masks = (target[:, 0] > 0).cpu().numpy().astype(np.uint8)
    numbered = [_components(mask).astype(np.int64) for mask in masks]
    return torch.from_numpy(np.stack(numbered)).to(target.device)


def _components(mask: np.ndarray) -> np.ndarray:
    if mask.ndim == 3:
        return cc3d.connected_components(mask, connectivity=26)
    return cc3d.connected_components(mask, connectivity=8)


def inverse_size_weights(lesions: Tensor, power: float = 0.5) -> Tensor:
    """A weight for every voxel: in lesions by the inverse of their size, 1 in the background.

    Args:
        lesions: from :func:`lesion_labels`.
        power: 0 weighs every voxel alike, 1 every lesion of the batch.

    Returns:
        Float tensor of the same shape: (size of the lesion)^−power, times what makes the mean over the batch's lesion
        voxels 1, so that foreground and background keep the balance they have.
    """
    weights = torch.ones(lesions.shape, device=lesions.device)
    for sample, numbered in zip(weights, lesions, strict=True):
        sizes = torch.bincount(numbered.flatten()).float()
        by_lesion = sizes.clamp_min(1) ** -power
        by_lesion[0] = 1.0
        sample.copy_(by_lesion[numbered])
    inside = lesions > 0
    if inside.any():
        weights[inside] /= weights[inside].mean()
    return weights


class InverseSizeLoss(nn.Module):
    """nnU-Net's Dice + cross-entropy, the cross-entropy of a lesion's voxels weighted by the lesion's inverse size.

    Args:
        stock: the loss nnU-Net built.
        power: see :func:`inverse_size_weights`.
    """

    def __init__(self, stock: DC_and_CE_loss, power: float = 0.5) -> None:
        super().__init__()
        self._stock, self._power = stock, power

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss.

        Args:
            logits: float tensor of shape (B, C, *spatial).
            target: label map of shape (B, 1, *spatial).
        """
        weights = inverse_size_weights(lesion_labels(target), self._power)
        voxels = nn.functional.cross_entropy(logits, target[:, 0].long(), reduction="none")
        dice = self._stock.dc(logits, target)
        return self._stock.weight_ce * (weights * voxels).mean() + self._stock.weight_dice * dice


class BlobLoss(nn.Module):
    """The whole-image loss and the mean over lesions of a loss that does not see the other lesions.

    Kofler et al., "blob loss: instance imbalance aware loss functions for semantic segmentation", IPMI 2023: for
    each lesion the voxels of all others are masked out; what is left is its sample with this one lesion.

    Args:
        stock: the loss nnU-Net built; the lesion's loss is its Dice and cross-entropy on one sample.
    """

    def __init__(self, stock: DC_and_CE_loss) -> None:
        super().__init__()
        self._stock = stock

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss; arguments as for :meth:`InverseSizeLoss.forward`."""
        lesions = lesion_labels(target)
        voxels = nn.functional.cross_entropy(logits, target[:, 0].long(), reduction="none")
        blobs = []
        for sample, numbered in enumerate(lesions):
            for lesion in range(1, int(numbered.max()) + 1):
                seen = (numbered == 0) | (numbered == lesion)
                mask = seen[None, None]
                only = torch.where(mask, target[[sample]], 0)
                dice = self._stock.dc(logits[[sample]], only, loss_mask=mask)
                entropy = voxels[sample][seen].mean()
                blobs.append(self._stock.weight_ce * entropy + self._stock.weight_dice * dice)
        whole = self._stock(logits, target)
        if not blobs:
            return MAIN_SHARE * whole
        return MAIN_SHARE * whole + BLOB_SHARE * torch.stack(blobs).mean()
