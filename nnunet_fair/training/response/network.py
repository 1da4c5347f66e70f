"""A network that sees a patch around a lesion and gives the odds of a response: nnU-Net's encoder and a head."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nnunet_fair.training.joint.network import ResponseHead, check_unet

TASK_LAYERS = "seg_layers"
"""The name by which ``nnUNetv2_train -pretrained_weights`` tells layers of a task, which it leaves as they are, from
those it takes out of the file. With the head under it, a trained segmentation's checkpoint holds all that is asked for.
"""
HEAD = f"head.{TASK_LAYERS}"


class _WeightedHead(ResponseHead):
    """The head, and the weight that the outcome 1 was trained with: it travels in the checkpoint with the layers."""

    log_weight: Tensor

    def __init__(self, n_features: int) -> None:
        super().__init__(n_features)
        self.register_buffer("log_weight", torch.zeros(()))


class ResponseNetwork(nn.Module):
    """The encoder of nnU-Net's U-Net and a head on its bottleneck; there is no decoder.

    Its state has the encoder's keys as in nnU-Net's own network, and the head's.

    Args:
        unet: the network nnU-Net built; its encoder becomes part of this one.

    Raises:
        UserError: the network is no U-Net of encoder and decoder, as nnU-Net's transformers.
    """

    def __init__(self, unet: nn.Module) -> None:
        super().__init__()
        check_unet(unet)
        encoder: Any = unet.encoder
        self.encoder = encoder
        self.head = nn.ModuleDict({TASK_LAYERS: _WeightedHead(encoder.output_channels[-1])})

    def forward(self, patches: Tensor) -> Tensor:
        """The logits as trained, in which the outcome 1 weighs ``pos_weight``: 0 is the odds of the training cases.

        Args:
            patches: float tensor of shape (B, channels, *patch).

        Returns:
            Float tensor of shape (B,).
        """
        return self.head[TASK_LAYERS](self.encoder(patches)[-1])

    @property
    def _log_weight(self) -> Tensor:
        weight: Any = self.head[TASK_LAYERS].log_weight
        return weight

    def set_pos_weight(self, pos_weight: float) -> None:
        """Keep the weight of the outcome 1 in training, which predictions divide the odds by."""
        self._log_weight.fill_(math.log(pos_weight))

    @property
    def rate(self) -> float:
        """Share of the outcome 1 among the training cases, 1 / (1 + ``pos_weight``)."""
        return float(torch.sigmoid(-self._log_weight.double()))

    def probabilities(self, patches: Tensor, mirror_axes: Sequence[int] = ()) -> Tensor:
        """The probability of the outcome 1 for each patch, the weight in training undone.

        Args:
            patches: float tensor of shape (B, channels, *patch).
            mirror_axes: spatial axes, 0 for the first; logits are averaged over all mirrored copies.

        Returns:
            Double tensor of shape (B,).
        """
        copies = [
            self(torch.flip(patches, [axis + 2 for axis in axes]) if axes else patches).double()
            for n_axes in range(len(mirror_axes) + 1)
            for axes in itertools.combinations(mirror_axes, n_axes)
        ]
        return torch.sigmoid(torch.stack(copies).mean(0) - self._log_weight)


def response_network(
    plans_manager: Any, configuration_manager: Any, n_channels: int, n_outputs: int
) -> ResponseNetwork:
    """The network of a configuration, with random weights.

    Args:
        plans_manager: nnU-Net's.
        configuration_manager: nnU-Net's, of a 3D configuration.
        n_channels: channels of the images.
        n_outputs: of nnU-Net's segmentation; its decoder is built and dropped.

    Raises:
        UserError: see :class:`ResponseNetwork`.
    """
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    unet = nnUNetTrainer.build_network_architecture(
        plans_manager, configuration_manager, n_channels, n_outputs, enable_deep_supervision=False
    )
    return ResponseNetwork(unet)
