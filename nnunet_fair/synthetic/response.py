"""Treatment response of a synthetic cohort: without a reason, out of the lesion's enhancement, or by the centre."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

RESPONSES = ("none", "enhancement", "centre")
"""Kinds of planted response, see :data:`RESPONSE_DESCRIPTIONS`."""

RESPONSE_DESCRIPTIONS = {
    "none": "pCR is drawn with one probability for everybody: nothing predicts it (negative control)",
    "enhancement": "lesions that respond enhance more: ln of the factor on the peak enhancement is normal with a "
    "standard deviation of 0.3, and with pCR its mean is higher by 1.05 of these",
    "centre": "the rate of pCR differs between centres, and within a centre nothing predicts it (negative control)",
}

RATE = 0.295
"""Share of patients with pCR, that of the real table."""

CENTRE_RATES: Mapping[str, float] = {"ISPY2": 0.12, "DUKE": 0.7, "ISPY1": 0.55, "NACT": 0.55}
"""Share of patients with pCR by centre, of the kind ``centre``; with the centres' shares 0.30 in all."""

_SEPARATION = 1.05  # of the signal's means, in standard deviations: an AUC of 0.77 for whoever sees the signal itself
_SPREAD = 0.3
_LARGEST = 2.5  # standard deviations a signal may lie from the middle: lesions stay lesions


def drawn_response(kind: str, centre: str, pcr: int, rng: np.random.Generator) -> tuple[int, float]:
    """The outcome of one patient and the signal in the images that goes with it.

    Args:
        kind: one of :data:`RESPONSES`.
        centre: the patient's centre.
        pcr: the outcome as it is drawn without a reason, 0 or 1.
        rng: random numbers for this purpose.

    Returns:
        The outcome, 0 or 1, and the factor on the lesions' peak enhancement.
    """
    if kind == "centre":
        return int(rng.random() < CENTRE_RATES[centre]), 1.0
    if kind == "enhancement":
        signal = float(np.clip(rng.standard_normal() + _SEPARATION * (pcr - 0.5), -_LARGEST, _LARGEST))
        return pcr, math.exp(_SPREAD * signal)
    return pcr, 1.0
