"""What the encoder of an nnU-Net network sees in an image: the features of its stages."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from nnunet_fair.errors import UserError

if TYPE_CHECKING:
    import torch


def encoder_of(network: torch.nn.Module) -> torch.nn.Module:
    """The encoder of one of nnU-Net's U-Nets (plain or residual), compiled or not.

    Args:
        network: the network.

    Raises:
        UserError: it has no encoder in stages, as nnU-Net's transformers.
    """
    network = getattr(network, "_orig_mod", network)  # what torch.compile wraps
    encoder = getattr(network, "encoder", None)
    if encoder is None or not hasattr(encoder, "stages"):
        raise UserError(
            f"a {type(network).__name__} has no encoder in stages; features are taken from nnU-Net's U-Nets (plain or "
            "residual encoder)"
        )
    return encoder


def encoder_stages(encoder: torch.nn.Module, patches: torch.Tensor) -> list[torch.Tensor]:
    """The features of every stage of an encoder.

    Args:
        encoder: see :func:`encoder_of`.
        patches: preprocessed patches, float tensor of shape (batch, channels, *patch).

    Returns:
        One tensor a stage, the finest first and the bottleneck last, of shape (batch, features, *patch / stride).
    """
    stem = getattr(encoder, "stem", None)
    features = patches if stem is None else stem(patches)
    stages = []
    for stage in encoder.get_submodule("stages").children():
        features = stage(features)
        stages.append(features)
    return stages


def image_features(
    network: torch.nn.Module,
    image: np.ndarray,
    patch_size: Sequence[int],
    *,
    device: torch.device,
    step_size: float = 1.0,
) -> np.ndarray:
    """The bottleneck's features of a whole image: their mean and their maximum over all positions.

    Normalisation over a patch takes most of a mean away, which is why the maximum is there too.

    Args:
        network: see :func:`encoder_of`; on ``device``, in evaluation mode.
        image: preprocessed, float array of shape (channels, slices, rows, columns).
        patch_size: the configuration's; two numbers for a 2D configuration, which sees slices.
        device: where to compute.
        step_size: step between patches as a share of the patch, in (0, 1].

    Returns:
        Float array of shape (2 · n_features,): means over all patches, every patch counting the same, then maxima.
    """
    import torch

    encoder = encoder_of(network)
    total, highest, n_patches = None, None, 0
    use_half = torch.autocast(device.type) if device.type == "cuda" else contextlib.nullcontext()
    with torch.inference_mode(), use_half:
        for patch in _patches(image, patch_size, step_size):
            bottleneck = encoder_stages(encoder, torch.from_numpy(patch[None]).to(device))[-1][0].float().flatten(1)
            mean, maximum = bottleneck.mean(dim=1), bottleneck.amax(dim=1)
            total = mean if total is None else total + mean
            highest = maximum if highest is None else torch.maximum(highest, maximum)
            n_patches += 1
    if total is None or highest is None:
        raise UserError(f"an image of shape {image.shape} has no voxel to look at")
    return torch.cat([total / n_patches, highest]).cpu().numpy().astype(float)


def _patches(image: np.ndarray, patch_size: Sequence[int], step_size: float) -> Iterator[np.ndarray]:
    """The patches that cover an image, padded with zeros where it is smaller, as nnU-Net predicts it."""
    from acvl_utils.cropping_and_padding.padding import pad_nd_image
    from nnunetv2.inference.sliding_window_prediction import compute_steps_for_sliding_window

    image = np.ascontiguousarray(pad_nd_image(np.asarray(image, dtype=np.float32), tuple(patch_size)))
    n_axes = len(patch_size)
    # Axes before the patch's own, those of slices in 2D, are taken one by one.
    before = [range(size) for size in image.shape[1 : image.ndim - n_axes]]
    steps = compute_steps_for_sliding_window(image.shape[-n_axes:], tuple(patch_size), step_size)
    for place in itertools.product(*before):
        for start in itertools.product(*steps):
            inside = [slice(first, first + size) for first, size in zip(start, patch_size, strict=True)]
            where: tuple[int | slice, ...] = (slice(None), *place, *inside)
            yield np.ascontiguousarray(image[where])
