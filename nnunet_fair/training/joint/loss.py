"""The loss of the response head, over the patches that say something."""

from __future__ import annotations

import torch
from torch import Tensor
from torch import distributed as dist
from torch.nn.functional import binary_cross_entropy_with_logits

SMOOTHING = 0.1
"""Label smoothing: 0 and 1 are trained as 0.05 and 0.95."""


def contains_lesion(target: Tensor, *, has_regions: bool, ignore_label: int | None) -> Tensor:
    """Which patches hold a voxel of the lesion, any foreground label or region.

    Args:
        target: label map of shape (B, 1, *spatial); for regions of shape (B, C, *spatial), with one more channel, True
            where ignored, where there is an ignore label.
        has_regions: whether the channels are regions.
        ignore_label: the label whose voxels do not count; None where there is none.

    Returns:
        Bool tensor of shape (B,).
    """
    if has_regions:
        lesion = (target[:, :-1] if ignore_label is not None else target) > 0
    else:
        lesion = target > 0
        if ignore_label is not None:
            lesion = lesion & (target != ignore_label)
    return lesion.flatten(1).any(1)


def response_losses(
    logits: Tensor, outcomes: Tensor, lesion: Tensor, pos_weight: float, *, smoothing: float = SMOOTHING
) -> tuple[Tensor, Tensor]:
    """Binary cross-entropy of the patches that hold a lesion of a case whose outcome is known.

    Args:
        logits: float tensor of shape (B,).
        outcomes: of the patches' cases, float tensor of shape (B,): 0, 1 or NaN (not known).
        lesion: bool tensor of shape (B,), from :func:`contains_lesion`.
        pos_weight: weight of the outcome 1.
        smoothing: of the labels, in [0, 1).

    Returns:
        The sum of the losses and the number of patches in it, two scalars; the sum of no patch is 0, with a gradient
        of 0 for the head, which a distributed training waits for.
    """
    valid = lesion & ~torch.isnan(outcomes)
    smoothed = torch.where(valid, outcomes * (1 - smoothing) + smoothing / 2, 0.5)
    losses = binary_cross_entropy_with_logits(
        logits.float(), smoothed, pos_weight=smoothed.new_tensor(pos_weight), reduction="none"
    )
    return (losses * valid).sum(), valid.sum()


def mean_over_ranks(total: Tensor, n_patches: Tensor, *, is_ddp: bool) -> Tensor:
    """The mean loss, so that gradients averaged over the processes are those of one process with all patches.

    Args:
        total: this process's sum of losses, scalar.
        n_patches: this process's number of patches, scalar.
        is_ddp: whether the training is distributed.

    Returns:
        Scalar: the sum over the number of patches of all processes, times the number of processes; 0 without a patch.
    """
    if not is_ddp:
        return total / n_patches.clamp_min(1)
    of_all = n_patches.clone()
    dist.all_reduce(of_all)
    return total * dist.get_world_size() / of_all.clamp_min(1)
