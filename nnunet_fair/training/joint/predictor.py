"""nnU-Net's predictor that reads the response head while it segments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from torch import Tensor, nn
from torch._dynamo import OptimizedModule

from nnunet_fair.errors import UserError
from nnunet_fair.training.joint.network import JointNetwork


class HeadReading(NamedTuple):
    """What one fold's head says of an image.

    Attributes:
        lesion_voxels: voxels predicted as lesion, summed over patches (which overlap) and their mirrored copies.
        logit: mean over patches and copies, each weighted by its lesion voxels; NaN where there is none. Its sigmoid is
            no probability yet: both outcomes counted the same in training.
    """

    lesion_voxels: int
    logit: float


class ResponsePredictor(nnUNetPredictor):
    """Predicts masks as nnU-Net's predictor does, to the last bit, and keeps what the heads say of each case.

    Call :meth:`add_heads` after the model's folds are loaded.

    Attributes:
        keep: called with the case and its readings, one a fold, when a case has been predicted; None for nobody.
        case: the case that is predicted; where nnU-Net reads the files in other processes it is set from their names.
        readings: of the last image.
    """

    network: Any
    list_of_parameters: Any
    keep: Callable[[str, Sequence[HeadReading]], None] | None = None
    case: str | None = None
    readings: tuple[HeadReading, ...] = ()

    def add_heads(self, heads: Sequence[Mapping[str, Tensor]]) -> None:
        """Let each fold's head look at the bottleneck beside its network.

        Args:
            heads: the heads' states, in the order of the folds.

        Raises:
            UserError: the network is no U-Net of encoder and decoder, or a head is that of another network.
        """
        compiled = isinstance(self.network, OptimizedModule)
        joint = JointNetwork(self.network._orig_mod if compiled else self.network)
        joint.reads_response = True
        for head in heads:
            try:
                joint.response_head.load_state_dict(head)
            except RuntimeError as error:
                raise UserError(
                    "a response head does not fit the network it was saved with: it is of another version of "
                    "nnunet_fair, or damaged; train the model again"
                ) from error
        # nnU-Net loads the folds' parameters one after the other: so the heads come with them.
        self.list_of_parameters = [
            {**parameters, **{f"response_head.{key}": value for key, value in head.items()}}
            for parameters, head in zip(self.list_of_parameters, heads, strict=True)
        ]
        self._joint = joint
        self.network = torch.compile(joint) if compiled else joint
        self.network.register_forward_hook(self._read)
        self._patches: list[tuple[Tensor, Tensor]] = []

    def predict_from_data_iterator(self, data_iterator: Iterable[dict[str, Any]], *args: Any, **kwargs: Any) -> Any:
        """As nnU-Net's, knowing which case it is at."""

        def named() -> Iterator[dict[str, Any]]:
            for item in data_iterator:
                self.case = Path(item["ofile"]).name
                yield item

        return super().predict_from_data_iterator(named(), *args, **kwargs)

    def predict_logits_from_preprocessed_data(self, data: Tensor) -> Tensor:
        """As nnU-Net's; then the readings are there."""
        self.readings = ()
        logits = super().predict_logits_from_preprocessed_data(data)
        if self.keep is not None:
            self.keep(str(self.case), self.readings)
        return logits

    def predict_sliding_window_return_logits(self, input_image: Tensor) -> Any:
        """As nnU-Net's, by one fold."""
        self._patches.clear()
        logits = super().predict_sliding_window_return_logits(input_image)
        self.readings = (*self.readings, weighted_reading(self._patches))
        return logits

    def _internal_predict_sliding_window_return_logits(self, *args: Any, **kwargs: Any) -> Any:
        self._patches.clear()  # nnU-Net begins anew where the device's memory did not suffice
        return super()._internal_predict_sliding_window_return_logits(*args, **kwargs)

    def _read(self, _: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        logits = self._joint.response_logits
        if logits is None:
            raise RuntimeError("the network has seen no batch")
        self._patches.append((lesion_voxels(output, has_regions=self.label_manager.has_regions), logits))


def lesion_voxels(segmentation: Tensor, *, has_regions: bool) -> Tensor:
    """How many voxels of each patch are predicted as lesion: any foreground label or region.

    Args:
        segmentation: logits, float tensor of shape (B, C, *patch).
        has_regions: whether the channels are regions (sigmoid above one half) and not labels (softmax).

    Returns:
        Int tensor of shape (B,).
    """
    lesion = (segmentation > 0).any(1) if has_regions else segmentation.argmax(1) > 0
    return lesion.flatten(1).sum(1)


def weighted_reading(patches: Sequence[tuple[Tensor, Tensor]]) -> HeadReading:
    """The mean of the patches' logits, weighted by their lesion voxels.

    Args:
        patches: lesion voxels (int) and logits (float) of each batch of patches, tensors of shape (B,).
    """
    if not patches:
        return HeadReading(0, float("nan"))
    voxels = torch.cat([counted for counted, _ in patches]).cpu().double()
    logits = torch.cat([logits for _, logits in patches]).cpu().double()
    total = voxels.sum().item()
    if not total:
        return HeadReading(0, float("nan"))
    found = voxels > 0
    return HeadReading(int(total), (voxels[found] @ logits[found]).item() / total)
