"""A segmentation network of nnU-Net's with a head that looks at its bottleneck."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from nnunet_fair.errors import UserError

DROPOUT = 0.2
_HEAD = "response_head"


class ResponseHead(nn.Module):
    """One logit a patch from the bottleneck: LayerNorm, dropout and a linear layer over its means and maxima.

    Normalisation over a patch takes most of a mean away, which is why the maxima are there too.

    Args:
        n_features: channels of the bottleneck.

    Attributes:
        prevalence: share of the training cases with the outcome 1, scalar float tensor, saved with the weights: both
            outcomes counted the same in training, and a probability has to be brought back to it. NaN before training.
    """

    prevalence: Tensor

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.register_buffer("prevalence", torch.tensor(float("nan")))
        self.layers = nn.Sequential(nn.LayerNorm(2 * n_features), nn.Dropout(DROPOUT), nn.Linear(2 * n_features, 1))

    def forward(self, bottleneck: Tensor) -> Tensor:
        """The logits of a batch.

        Args:
            bottleneck: float tensor of shape (B, n_features, *spatial).

        Returns:
            Float tensor of shape (B,).
        """
        positions = bottleneck.flatten(2)
        return self.layers(torch.cat([positions.mean(2), positions.amax(2)], dim=1)).squeeze(1)


class JointNetwork(nn.Module):
    """nnU-Net's U-Net whose forward pass returns the segmentation only; the head's logits stay here.

    The state of the network is that of the U-Net alone, under the same names, so that nnU-Net loads it and it loads
    nnU-Net's; the head's is ``response_head.state_dict()``.

    Args:
        unet: the network nnU-Net built.

    Attributes:
        reads_response: whether the head looks in evaluation mode too; in training mode it always does.
        response_logits: of the last batch the head looked at, float tensor of shape (B,); None before it.

    Raises:
        UserError: the network is no U-Net of encoder and decoder, as nnU-Net's transformers.
    """

    def __init__(self, unet: nn.Module) -> None:
        super().__init__()
        check_unet(unet)
        encoder: Any = unet.encoder
        decoder: Any = unet.decoder
        self.encoder, self.decoder = encoder, decoder
        self.response_head = ResponseHead(encoder.output_channels[-1])
        self.reads_response = False
        self.response_logits: Tensor | None = None
        self.register_state_dict_post_hook(_without_head)
        self.register_load_state_dict_post_hook(_head_is_not_missing)

    def forward(self, patches: Tensor) -> Tensor | list[Tensor]:
        """The segmentation's logits, as nnU-Net's network returns them.

        Args:
            patches: float tensor of shape (B, channels, *patch).
        """
        skips = self.encoder(patches)
        if self.training or self.reads_response:
            self.response_logits = self.response_head(skips[-1])
        return self.decoder(skips)


def check_unet(unet: nn.Module) -> None:
    """Refuse a network that is no U-Net of encoder and decoder, as nnU-Net's transformers.

    Args:
        unet: the network nnU-Net built.

    Raises:
        UserError: it is none.
    """
    if [name for name, _ in unet.named_children()] != ["encoder", "decoder"]:
        raise UserError(
            f"a response head needs one of nnU-Net's U-Nets (plain or residual encoder), and the plans describe a "
            f"{type(unet).__name__}; choose other plans, or train the segmentation alone"
        )


def _without_head(module: nn.Module, state: dict[str, Any], prefix: str, _: Any) -> None:
    for key in [key for key in state if key.startswith(f"{prefix}{_HEAD}.")]:
        del state[key]


def _head_is_not_missing(module: nn.Module, keys: Any) -> None:
    # In place, as torch asks for.
    keys.missing_keys[:] = [key for key in keys.missing_keys if f"{_HEAD}." not in key]
