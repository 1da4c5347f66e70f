"""A network that sees a patch around a lesion and gives the odds of a response: nnU-Net's encoder and a head."""

from __future__ import annotations

import itertools
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
        self.head = nn.ModuleDict({TASK_LAYERS: ResponseHead(encoder.output_channels[-1])})

    def forward(self, patches: Tensor) -> Tensor:
        """The logits as trained, both outcomes counting the same: 0 stands for the share among the training cases.

        Args:
            patches: float tensor of shape (B, channels, *patch).

        Returns:
            Float tensor of shape (B,).
        """
        return self.response_head(self.encoder(patches)[-1])

    @property
    def response_head(self) -> ResponseHead:
        """The head, which also holds the share of the outcome 1 among the training cases."""
        head: Any = self.head[TASK_LAYERS]
        return head

    def mirrored_logits(self, patches: Tensor, mirror_axes: Sequence[int] = ()) -> Tensor:
        """The mean of the logits of all mirrored copies of each patch.

        Args:
            patches: float tensor of shape (B, channels, *patch).
            mirror_axes: spatial axes along which copies are mirrored, 0 for the first.

        Returns:
            Double tensor of shape (B,).
        """
        copies = [
            self(torch.flip(patches, [axis + 2 for axis in axes]) if axes else patches).double()
            for n_axes in range(len(mirror_axes) + 1)
            for axes in itertools.combinations(mirror_axes, n_axes)
        ]
        return torch.stack(copies).mean(0)


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
