"""Which patients of a synthetic cohort are disadvantaged, and by how much: the planted disparity."""

from __future__ import annotations

from dataclasses import dataclass

DISPARITIES = ("distinct", "small", "noise", "balanced", "intersection")
"""Kinds of planted disparity, see ``DESCRIPTIONS``."""

DESCRIPTIONS = {
    "distinct": "the group's lesions look different: weak and slowly rising enhancement without wash-out, somewhat "
    "smaller, in dense breasts whose parenchyma enhances strongly",
    "small": "the group's lesions have about half the diameter; everything else is the same",
    "noise": "the group's images are noisier; lesions are the same (negative control: nothing to be learnt)",
    "balanced": "no difference between the group and the others (negative control)",
    "intersection": "only the conjunction is disadvantaged (weak, somewhat smaller lesions); the other combinations of "
    "the two attributes are offset so that each single attribute's mean stays near the cohort's mean",
}


@dataclass(frozen=True)
class Appearance:
    """How a case's lesions and noise differ from the ordinary case.

    Attributes:
        enhancement: factor on the lesion's peak enhancement.
        radius: factor on the lesion's radius.
        noise: factor on the noise's standard deviation.
        slow: whether lesions enhance slowly and without wash-out.
        parenchyma: least relative enhancement of the breast's parenchyma.
    """

    enhancement: float = 1.0
    radius: float = 1.0
    noise: float = 1.0
    slow: bool = False
    parenchyma: float = 0.0


@dataclass(frozen=True)
class Stratum:
    """One part of the cohort.

    Attributes:
        name: how the documentation calls it.
        share: expected share of the cases.
        in_group: whether it is the disadvantaged group.
        young: whether age is 40 or less and the patient premenopausal (True), is not so (False), or either (None).
        postmenopausal: menopausal status of the stratum, or None where age decides.
        dense: whether breast density is ``d`` (True), is not ``d`` (False), or either (None).
        difficulty: 1 for the disadvantaged group, negative where lesions are easier than ordinary.
    """

    name: str
    share: float
    in_group: bool = False
    young: bool | None = None
    postmenopausal: bool | None = None
    dense: bool | None = None
    difficulty: float = 0.0


POSTMENOPAUSAL_SHARE = 0.43
"""Share of postmenopausal patients in the cohort of kind ``intersection``."""


def strata(kind: str, group_fraction: float) -> tuple[Stratum, ...]:
    """The parts a cohort is made of.

    Args:
        kind: one of ``DISPARITIES``.
        group_fraction: share of the disadvantaged group, between 0 and 0.4.

    Returns:
        Strata whose shares sum to 1. For ``intersection`` menopausal status and density ``d`` are independent, and the
        difficulties weighted by share sum to 0 over every value of either attribute.
    """
    if kind != "intersection":
        difficulty = 0.0 if kind == "balanced" else 1.0
        return (
            Stratum("group", group_fraction, in_group=True, young=True, difficulty=difficulty),
            Stratum("others", 1 - group_fraction, young=False),
        )
    post, dense = POSTMENOPAUSAL_SHARE, group_fraction / POSTMENOPAUSAL_SHARE
    shares = {
        (True, True): post * dense,
        (True, False): post * (1 - dense),
        (False, True): (1 - post) * dense,
        (False, False): (1 - post) * (1 - dense),
    }
    return tuple(
        Stratum(
            f"{'post' if is_post else 'pre'}menopausal, density {'d' if is_dense else 'not d'}",
            share,
            in_group=is_post and is_dense,
            postmenopausal=is_post,
            dense=is_dense,
            difficulty=(1 if is_post == is_dense else -1) * shares[True, True] / share,
        )
        for (is_post, is_dense), share in shares.items()
    )


def appearance(kind: str, stratum: Stratum, strength: float) -> Appearance:
    """How the lesions of a stratum look.

    Args:
        kind: one of ``DISPARITIES``.
        stratum: the part of the cohort.
        strength: 0 plants nothing, 1 is the documented strength, at most 1.5.
    """
    effect = strength * stratum.difficulty
    if kind == "distinct" and effect:
        return Appearance(1 - 0.5 * effect, 1 - 0.15 * effect, slow=True, parenchyma=0.5 * min(1.0, effect))
    if kind == "small":
        return Appearance(radius=1 - 0.5 * effect)
    if kind == "noise":
        return Appearance(noise=1 + 2 * effect)
    if kind == "intersection":
        return Appearance(1 - 0.5 * effect, 1 - 0.15 * effect)
    return Appearance()


def group_definition(kind: str) -> dict[str, str]:
    """The attributes that define the group, as group names of ``nnunet_fair.metadata.mama_mia``."""
    if kind == "intersection":
        return {"menopause": "post", "breast_density": "d"}
    return {"age": "0-40", "menopause": "pre"}
