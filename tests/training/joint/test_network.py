"""The network with its head, beside nnU-Net's own."""

import pytest
import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet, ResidualEncoderUNet
from torch import nn

from nnunet_fair.errors import UserError
from nnunet_fair.training.joint.network import JointNetwork, ResponseHead

ARGUMENTS = {
    "input_channels": 1,
    "n_stages": 2,
    "features_per_stage": [4, 8],
    "conv_op": nn.Conv2d,
    "kernel_sizes": 3,
    "strides": [1, 2],
    "num_classes": 2,
    "n_conv_per_stage_decoder": 1,
    "conv_bias": True,
    "norm_op": nn.InstanceNorm2d,
    "norm_op_kwargs": {"affine": True},
    "nonlin": nn.LeakyReLU,
    "deep_supervision": True,
}


def unet(seed: int, kind: str = "plain") -> nn.Module:
    torch.manual_seed(seed)
    if kind == "plain":
        return PlainConvUNet(n_conv_per_stage=1, **ARGUMENTS)
    return ResidualEncoderUNet(n_blocks_per_stage=1, **ARGUMENTS)


def test_the_head_sees_the_mean_and_the_maximum_of_every_channel():
    head = ResponseHead(2).eval()
    with torch.no_grad():
        head.layers[2].weight[:] = torch.tensor([[1.0, 10.0, 100.0, 1000.0]])
        head.layers[2].bias[:] = 5.0
    bottleneck = torch.tensor([[[[0.0, 2.0]], [[4.0, 4.0]]]])  # means 1 and 4, maxima 2 and 4
    looks = torch.nn.functional.layer_norm(torch.tensor([1.0, 4.0, 2.0, 4.0]), (4,))
    expected = looks @ torch.tensor([1.0, 10.0, 100.0, 1000.0]) + 5.0
    assert head(bottleneck).item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("kind", ["plain", "residual"])
@pytest.mark.parametrize("training", [True, False])
def test_it_segments_as_nnunets_own(kind, training):
    stock, joint = unet(0, kind).train(training), JointNetwork(unet(0, kind)).train(training)
    patches = torch.randn(2, 1, 8, 8)
    assert all(torch.equal(a, b) for a, b in zip(stock(patches), joint(patches), strict=True))
    assert (joint.response_logits is not None) == training


def test_its_state_is_nnunets_and_each_loads_the_others():
    stock, joint = unet(0), JointNetwork(unet(1))
    assert list(joint.state_dict()) == list(stock.state_dict())
    head = joint.response_head.layers[2].weight.clone()
    joint.load_state_dict(stock.state_dict())
    assert all(torch.equal(value, joint.state_dict()[key]) for key, value in stock.state_dict().items())
    assert torch.equal(joint.response_head.layers[2].weight, head)
    unet(2).load_state_dict(joint.state_dict())  # strict


def test_weights_of_another_network_are_still_refused():
    state = unet(0).state_dict()
    state.pop(next(iter(state)))
    with pytest.raises(RuntimeError, match="Missing key"):
        JointNetwork(unet(1)).load_state_dict(state)


def test_the_response_reaches_the_encoder_and_not_the_decoder():
    joint = JointNetwork(unet(0))
    joint(torch.randn(2, 1, 8, 8))
    joint.response_logits.sum().backward()
    assert joint.encoder.stages[0][0].convs[0].conv.weight.grad.abs().sum() > 0
    assert joint.response_head.layers[2].weight.grad.abs().sum() > 0
    assert all(layer.weight.grad is None for layer in joint.decoder.seg_layers)


def test_a_network_without_encoder_and_decoder_is_refused():
    with pytest.raises(UserError, match=r"one of nnU-Net's U-Nets .* the plans describe a Linear"):
        JointNetwork(nn.Linear(1, 1))


@pytest.mark.slow
def test_compiled_it_gives_the_same_logits_and_gradients():
    patches, gradients, logits = torch.randn(2, 1, 8, 8), [], []
    for compiled in (False, True):
        joint = JointNetwork(unet(0))
        joint.response_head.layers[1].p = 0.0
        torch.manual_seed(0)
        joint.response_head.layers[2].reset_parameters()
        network = torch.compile(joint, backend="eager") if compiled else joint
        output = network(patches)
        (output[0].mean() + joint.response_logits.sum()).backward()
        logits.append(joint.response_logits.detach())
        gradients.append([p.grad for p in joint.parameters() if p.grad is not None])
    assert torch.equal(*logits)
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))
