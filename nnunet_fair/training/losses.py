"""nnU-Net's own Dice + cross-entropy losses with one weight a case.

For a batch of B cases with weights w:

- cross-entropy: Σ_i w_i Σ_v ce_iv / number of valid voxels in the batch;
- Dice: the mean over cases and classes of w_i · Dice_ic; with ``batch_dice`` the weights multiply each case's
  intersection and sums before the ratio.

With all weights 1 both equal nnU-Net's loss in value and gradient. Nothing of nnU-Net's arithmetic is repeated here:
its Dice is called as it is, vectorised over the cases with ``torch.func.vmap``, and its cross-entropy with
``reduction="none"``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from nnunetv2.training.loss.compound_losses import DC_and_BCE_loss, DC_and_CE_loss
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from torch import Tensor, nn
from torch._dynamo import OptimizedModule

Outputs = Tensor | list[Tensor] | tuple[Tensor, ...]


class CaseWeightedDice(nn.Module):
    """nnU-Net's soft Dice loss with one weight a case.

    Args:
        dice: the loss nnU-Net built, ``MemoryEfficientSoftDiceLoss`` or ``SoftDiceLoss``, maybe compiled.
    """

    def __init__(self, dice: nn.Module) -> None:
        super().__init__()
        plain = dice._orig_mod if isinstance(dice, OptimizedModule) else dice
        self.batch_dice = plain.batch_dice
        self._whole_batch = dice
        per_case = torch.func.vmap(lambda logits, onehot: plain(logits[None], onehot[None]))
        masked = torch.func.vmap(lambda logits, onehot, mask: plain(logits[None], onehot[None], loss_mask=mask[None]))
        compiled = isinstance(dice, OptimizedModule)
        self._per_case: Callable = torch.compile(per_case) if compiled else per_case
        self._per_case_masked: Callable = torch.compile(masked) if compiled else masked

    def forward(self, logits: Tensor, target: Tensor, mask: Tensor | None, weights: Tensor) -> Tensor:
        """The weighted Dice loss, −1 at best when the weights have mean 1.

        Args:
            logits: float tensor of shape (B, C, *spatial).
            target: label map of shape (B, 1, *spatial), or one-hot of shape (B, C, *spatial).
            mask: bool tensor of shape (B, 1, *spatial), True where a voxel is valid; None for everywhere.
            weights: float tensor of shape (B,).

        Returns:
            Scalar.
        """
        if self.batch_dice:
            # intersection, prediction and reference sums are all linear in the mask: a mask of w_i weights the sums
            per_voxel = weights.view(-1, *[1] * (logits.ndim - 1))
            return self._whole_batch(logits, target, loss_mask=per_voxel if mask is None else mask * per_voxel)
        if target.shape != logits.shape:
            with torch.no_grad():
                onehot = torch.zeros(logits.shape, device=logits.device, dtype=torch.float32)
                target = onehot.scatter_(1, target.long(), 1)
        per_case = self._per_case(logits, target) if mask is None else self._per_case_masked(logits, target, mask)
        return (weights * per_case).mean()


class CaseWeightedDiceCE(nn.Module):
    """nnU-Net's Dice + cross-entropy loss for plain labels, with one weight a case.

    Args:
        stock: the loss nnU-Net built.

    Raises:
        NotImplementedError: the cross-entropy has class weights; its mean is then not one over voxels.
    """

    def __init__(self, stock: DC_and_CE_loss) -> None:
        super().__init__()
        if stock.ce.weight is not None:
            raise NotImplementedError(
                "Case weights together with class weights in the cross-entropy are not implemented; drop the class "
                "weights, or let the case weights act on the drawing of cases (fair_method = ON_SAMPLING)."
            )
        self.dice = CaseWeightedDice(stock.dc)
        self.ce = copy.copy(stock.ce)
        self.ce.reduction = "none"
        self.weight_ce, self.weight_dice, self.ignore_label = stock.weight_ce, stock.weight_dice, stock.ignore_label

    def forward(self, logits: Tensor, target: Tensor, weights: Tensor) -> Tensor:
        """The weighted loss.

        Args:
            logits: float tensor of shape (B, C, *spatial).
            target: label map of shape (B, 1, *spatial).
            weights: float tensor of shape (B,).

        Returns:
            Scalar.
        """
        mask = None if self.ignore_label is None else target != self.ignore_label
        labels = target if mask is None else torch.where(mask, target, 0)
        loss = logits.new_zeros((), dtype=torch.float32)
        if self.weight_dice != 0:
            loss = loss + self.weight_dice * self.dice(logits, labels, mask, weights)
        if self.weight_ce != 0:
            loss = loss + self.weight_ce * self.cross_entropy(logits, target, mask, weights)
        return loss

    def cross_entropy(self, logits: Tensor, target: Tensor, mask: Tensor | None, weights: Tensor) -> Tensor:
        """The weighted cross-entropy, a mean over the valid voxels; arguments as for :meth:`forward`."""
        voxels = self.ce(logits, target[:, 0])  # 0 where the label is ignored
        n_valid = voxels.numel() if mask is None else mask.sum().clamp_min(1)
        return (weights * voxels.flatten(1).sum(1)).sum() / n_valid


class CaseWeightedDiceBCE(nn.Module):
    """nnU-Net's Dice + binary cross-entropy loss for regions, with one weight a case.

    Args:
        stock: the loss nnU-Net built.
    """

    def __init__(self, stock: DC_and_BCE_loss) -> None:
        super().__init__()
        self.dice = CaseWeightedDice(stock.dc)
        self.ce = copy.copy(stock.ce)
        self.ce.reduction = "none"
        self.weight_ce, self.weight_dice = stock.weight_ce, stock.weight_dice
        self.use_ignore_label = stock.use_ignore_label

    def forward(self, logits: Tensor, target: Tensor, weights: Tensor) -> Tensor:
        """The weighted loss.

        Args:
            logits: float tensor of shape (B, R, *spatial), one channel a region.
            target: tensor of shape (B, R, *spatial), one channel a region; with the ignore label (B, R + 1, *spatial),
                the last channel True where a voxel is ignored.
            weights: float tensor of shape (B,).

        Returns:
            Scalar.
        """
        mask = ~target[:, -1:].bool() if self.use_ignore_label else None
        regions = target[:, :-1] if self.use_ignore_label else target
        dice = self.dice(logits, regions, mask, weights)
        voxels = self.ce(logits, regions.float())
        # nnU-Net divides by the voxels of all regions without, and by the valid voxels with an ignore label
        n_valid = voxels.numel() if mask is None else mask.sum().clamp_min(1e-8)
        voxels = voxels if mask is None else voxels * mask
        return self.weight_ce * (weights * voxels.flatten(1).sum(1)).sum() / n_valid + self.weight_dice * dice


def case_weighted(stock: nn.Module) -> nn.Module:
    """The case-weighted counterpart of a loss nnU-Net built.

    Args:
        stock: ``DC_and_CE_loss`` or ``DC_and_BCE_loss``, bare or in a ``DeepSupervisionWrapper``.

    Returns:
        A module called as ``loss(output, target, weights)``; under deep supervision with three lists.

    Raises:
        NotImplementedError: another loss.
    """
    if isinstance(stock, DeepSupervisionWrapper):
        return DeepSupervisionWrapper(case_weighted(stock.loss), stock.weight_factors)
    if isinstance(stock, DC_and_CE_loss):
        return CaseWeightedDiceCE(stock)
    if isinstance(stock, DC_and_BCE_loss):
        return CaseWeightedDiceBCE(stock)
    raise NotImplementedError(
        f"Case weights are implemented for nnU-Net's Dice + cross-entropy losses, not for {type(stock).__name__}; "
        "let them act on the drawing of cases (fair_method = ON_SAMPLING), which works with any loss."
    )


class CaseWeightedLoss(nn.Module):
    """Stands where nnU-Net expects its loss, and applies the weights of the batch at hand.

    Without weights, or while they are None, nnU-Net's own loss is called: such a step is bit for bit nnU-Net's.

    Args:
        stock: the loss nnU-Net built.
        weighted: its counterpart from :func:`case_weighted`; None where weights never act on the loss.

    Attributes:
        weights: float tensor of shape (B,) for the next batch, or None; set by the trainer.
        observer: called with the full-resolution logits and target of each batch while set, so that the cases can be
            scored without another forward pass. It must be called here: nnU-Net changes the target in place later.
    """

    def __init__(self, stock: nn.Module, weighted: nn.Module | None) -> None:
        super().__init__()
        self.stock = stock
        self.weighted = weighted
        self.weights: Tensor | None = None
        self.observer: Callable[[Tensor, Tensor], None] | None = None

    def forward(self, output: Outputs, target: Outputs) -> Tensor:
        """The loss of a batch, called by nnU-Net.

        Args:
            output: logits of shape (B, C, *spatial), or a list of them, the full resolution first.
            target: as ``output``, one a resolution.

        Returns:
            Scalar.
        """
        if self.observer is not None:
            with torch.no_grad():
                self.observer(_full_resolution(output).detach(), _full_resolution(target))
        if self.weights is None or self.weighted is None:
            return self.stock(output, target)
        supervised = not isinstance(output, Tensor)
        return self.weighted(output, target, [self.weights] * len(output) if supervised else self.weights)


def _full_resolution(outputs: Outputs) -> Tensor:
    return outputs if isinstance(outputs, Tensor) else outputs[0]
