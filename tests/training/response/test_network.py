"""The classifier's network: what it shares with nnU-Net's, and what its probabilities mean."""

import pytest
import torch
from torch import nn

from nnunet_fair.errors import UserError
from nnunet_fair.training.response.network import ResponseNetwork


class Encoder(nn.Module):
    """Two stages of skips; the bottleneck's channels are the mean of the patch, times 1 and 2."""

    output_channels = (1, 2)

    def forward(self, patches):
        bottleneck = torch.cat([patches[:, :1], 2 * patches[:, :1]], dim=1)
        return [patches, bottleneck]


def unet(*children: str) -> nn.Module:
    network = nn.Module()
    for name in children or ("encoder", "decoder"):
        network.add_module(name, Encoder())
    return network


def with_logit(network: ResponseNetwork, function) -> ResponseNetwork:
    """The same network with a head that gives what a function makes of the bottleneck."""
    network.response_head.forward = function
    return network


def test_its_state_is_an_encoder_and_a_head_that_pretrained_weights_leave_out():
    from dynamic_network_architectures.architectures.unet import PlainConvUNet

    arguments = {"n_stages": 2, "features_per_stage": (2, 4), "conv_op": nn.Conv3d, "kernel_sizes": 3}
    arguments |= {"strides": (1, 2), "n_conv_per_stage": 1, "num_classes": 2, "n_conv_per_stage_decoder": 1}
    segmentation = PlainConvUNet(1, **arguments)
    state = ResponseNetwork(PlainConvUNet(1, **arguments)).state_dict()
    head = {key for key in state if ".seg_layers." in key}
    assert state.keys() - head == {key for key in segmentation.state_dict() if key.startswith("encoder.")}
    assert {key.split(".seg_layers.")[1] for key in head} == {
        *("layers.0.weight", "layers.0.bias", "layers.2.weight", "layers.2.bias", "prevalence")
    }


def test_logits_are_averaged_over_all_mirrored_copies():
    weights = torch.arange(8.0).reshape(2, 2, 2) / 10

    def first_corner(bottleneck):
        return (bottleneck[:, 0] * weights).sum((1, 2, 3))

    network = with_logit(ResponseNetwork(unet()).eval(), first_corner)
    patches = torch.zeros(1, 1, 2, 2, 2)
    patches[0, 0, 0, 0, 1] = 1
    assert network.mirrored_logits(patches).tolist() == pytest.approx([0.1])
    # along the last axis the one voxel meets 0.1 and 0.0; along first and last 0.1, 0.0, 0.5, 0.4
    assert network.mirrored_logits(patches, (2,)).tolist() == pytest.approx([0.05])
    assert network.mirrored_logits(patches, (0, 2)).tolist() == pytest.approx([0.25])


def test_a_network_without_encoder_is_refused():
    with pytest.raises(UserError, match="needs one of nnU-Net's U-Nets"):
        ResponseNetwork(unet("backbone"))
