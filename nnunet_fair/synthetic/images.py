"""Synthetic dynamic contrast-enhanced breast MRI: anatomy, lesions, contrast kinetics and noise of one case.

Lesion and tissue enhancement follow the empirical model C(t) = A·(1 − exp(−αt))·exp(−βt), t in minutes after injection
(Fan, Medved, Karczmar et al., Magn Reson Med 51, 2004): fast uptake with wash-out, plateau or persistent rise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from nnunet_fair.synthetic.disparity import Appearance

Box = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
"""Half-open array indices ((start, stop), …) along the three axes."""

_CHEST_WALL = 0.74
_FIBROGLANDULAR_SHARE = {"a": 0.15, "b": 0.3, "c": 0.5, "d": 0.7}
_PRE_CONTRAST = {"fat": 90.0, "parenchyma": 220.0, "muscle": 180.0, "lesion": 210.0, "blood": 190.0}


@dataclass(frozen=True)
class Scan:
    """What one examination looks like.

    Attributes:
        shape: array shape (slices, rows, columns).
        spacing: voxel size in mm along (slices, rows, columns).
        sagittal: slices run left to right, rows head to foot and columns front to back; else axial: slices run foot to
            head, rows front to back, columns right to left.
        bilateral: both breasts are in the image.
        times: seconds of each phase after the first (which is pre-contrast).
        density: ``a`` to ``d``.
        multifocal: whether a second lesion is wanted in the same breast.
        healthy: whether there is no lesion at all.
    """

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    sagittal: bool
    bilateral: bool
    times: tuple[int, ...]
    density: str
    multifocal: bool
    healthy: bool = False


@dataclass(frozen=True)
class Case:
    """One simulated examination, axes (slices, rows, columns).

    Attributes:
        phases: int16, shape (n_phases, slices, rows, columns).
        label: uint8, shape (slices, rows, columns), 1 in lesions.
        box: half-open array indices of the breast with the lesion (or where it would be), ((start, stop), …) along
            the three axes.
        n_lesions: number of separate lesions drawn.
    """

    phases: np.ndarray
    label: np.ndarray
    box: Box
    n_lesions: int


def simulate(scan: Scan, appearance: Appearance, rng: np.random.Generator) -> Case:
    """Simulate one examination.

    Args:
        scan: geometry, timing and anatomy.
        appearance: how lesions and noise differ from the ordinary.
        rng: the case's random numbers; the draws do not depend on ``appearance``.
    """
    # Anatomy is built in the order (head-foot, front-back, left-right) and turned at the end.
    turn = (2, 0, 1) if scan.sagittal else (0, 1, 2)
    shape = tuple(int(n) for n in np.array(scan.shape)[np.argsort(turn)])
    spacing = np.array(scan.spacing)[np.argsort(turn)]
    side = float(rng.choice([-0.5, 0.5])) if scan.bilateral else 0.0
    tissue, breast = _draw_tissue(shape, spacing, scan, side, rng)
    lesion, n_lesions = _draw_lesions(breast, tissue["parenchyma"], spacing, scan.multifocal, appearance.radius, rng)
    if scan.healthy:
        lesion, n_lesions = np.zeros_like(lesion), 0
    phases = _draw_phases(tissue, lesion, scan.times, spacing, appearance, rng)
    box = tuple(
        (max(int(where.start) - 1, 0), min(int(where.stop) + 1, n))
        for where, n in zip(ndimage.find_objects(breast.astype(np.uint8))[0], shape, strict=True)
    )
    label = np.ascontiguousarray(np.transpose(lesion >= 0.5, turn)).astype(np.uint8)
    return Case(
        phases=np.ascontiguousarray(np.transpose(phases, (0, *(axis + 1 for axis in turn)))),
        label=label,
        box=(box[turn[0]], box[turn[1]], box[turn[2]]),
        n_lesions=n_lesions,
    )


def enhancement(amplitude: float, uptake: float, wash_out: float, seconds: float) -> float:
    """Relative enhancement A·(1 − exp(−αt))·exp(−βt).

    Args:
        amplitude: A.
        uptake: α in 1/min.
        wash_out: β in 1/min.
        seconds: time after injection in seconds; the pre-contrast phase has 0.
    """
    minutes = seconds / 60
    return float(amplitude * (1 - np.exp(-uptake * minutes)) * np.exp(-wash_out * minutes))


def _smooth_field(shape: tuple[int, ...], spacing: np.ndarray, width_mm: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian random field of standard deviation 1 and correlation width in mm."""
    field = ndimage.gaussian_filter(rng.standard_normal(shape), width_mm / spacing, mode="wrap")
    return (field - field.mean()) / field.std()


def _draw_tissue(
    shape: tuple[int, ...], spacing: np.ndarray, scan: Scan, side: float, rng: np.random.Generator
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Share of each tissue in every voxel, and the mask of the breast that gets the lesion."""
    height, depth, width = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij", sparse=True)
    depth = (depth + 1) / 2
    half_width = 0.46 if scan.bilateral else 0.88
    breasts = [
        ((width - centre) / half_width) ** 2 + ((depth - _CHEST_WALL) / 0.66) ** 2 + (height / 0.97) ** 2 < 1
        for centre in ((-0.5, 0.5) if scan.bilateral else (0.0,))
    ]
    affected = breasts[1 if side > 0 else 0] & (depth < _CHEST_WALL)
    body = np.logical_or.reduce(breasts) | (depth >= _CHEST_WALL)
    chest = np.broadcast_to(depth >= _CHEST_WALL, shape)
    inner = ndimage.distance_transform_edt(body & ~chest, sampling=spacing) > 3
    field = _smooth_field(shape, spacing, 5.0, rng) - 0.4 * (1 - depth)
    level = np.quantile(field[inner], 1 - _FIBROGLANDULAR_SHARE[scan.density])
    parenchyma = inner / (1 + np.exp(-np.clip(8 * (field - level), -30, 30)))
    # Vessels: thin bands where a second field crosses zero, in the inner breast; blood also fills the heart.
    vessels = inner & (np.abs(_smooth_field(shape, spacing, 7.0, rng)) < 0.06) & (field < level)
    heart = (
        ((width - 0.1) / 0.3) ** 2 + ((depth - 1.0) / 0.14) ** 2 + ((height + 0.2) / 0.7) ** 2 < 1
        if scan.bilateral
        else np.zeros(shape, dtype=bool)
    )
    blood = np.clip(0.5 * vessels + 1.0 * np.broadcast_to(heart, shape), 0, 1)
    muscle = (chest & ~heart).astype(float)
    parenchyma = parenchyma * (1 - blood)
    fat = np.clip(body - parenchyma - blood - muscle, 0, 1)
    return {"fat": fat, "parenchyma": parenchyma, "muscle": muscle, "blood": blood}, affected


def _draw_lesions(
    breast: np.ndarray,
    parenchyma: np.ndarray,
    spacing: np.ndarray,
    multifocal: bool,
    radius_factor: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, int]:
    """Share of lesion in every voxel and the number of separate lesions; the first is the index lesion."""
    depth_mm = ndimage.distance_transform_edt(breast, sampling=spacing)
    roughness = _smooth_field(breast.shape, spacing, 2.5, rng)
    radius = min(float(np.clip(rng.lognormal(np.log(8.5), 0.3), 5, 15)), 0.75 * float(depth_mm.max()))
    position, stretch, satellite_size = rng.random(), rng.uniform(0.8, 1.25, 3), rng.uniform(0.55, 0.75)
    second_position, second_stretch = rng.random(), rng.uniform(0.85, 1.2, 3)

    candidates = np.argwhere(depth_mm >= min(radius, 0.95 * float(depth_mm.max())))
    likely = np.cumsum(0.05 + parenchyma[tuple(candidates.T)])
    centre = candidates[min(int(np.searchsorted(likely, position * likely[-1])), len(candidates) - 1)]
    distance = _ellipsoid(breast.shape, centre, spacing, radius * radius_factor * stretch) + 0.12 * roughness
    lesion = _soft(distance, radius * radius_factor)
    if not multifocal:
        return lesion * breast, 1

    small = satellite_size * radius * radius_factor
    gap = _ellipsoid(breast.shape, centre, spacing, np.ones(3))
    far = radius * radius_factor * float(stretch.max()) * 1.2 + small * float(second_stretch.max()) * 1.2 + 4
    places = np.argwhere((gap >= far) & (gap <= far + 12) & (depth_mm >= min(small, 0.5 * float(depth_mm.max()))))
    if not len(places):
        return lesion * breast, 1
    second = places[min(int(second_position * len(places)), len(places) - 1)]
    distance = _ellipsoid(breast.shape, second, spacing, small * second_stretch) + 0.12 * roughness
    return np.maximum(lesion, _soft(distance, small)) * breast, 2


def _ellipsoid(shape: tuple[int, ...], centre: np.ndarray, spacing: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Distance from the centre in units of the radii (mm)."""
    axes = [
        ((np.arange(n) - c) * mm / radius) ** 2
        for n, c, mm, radius in zip(shape, centre, spacing, np.broadcast_to(radii, 3), strict=True)
    ]
    return np.sqrt(axes[0][:, None, None] + axes[1][None, :, None] + axes[2][None, None, :])


def _soft(distance: np.ndarray, radius_mm: float) -> np.ndarray:
    """Share of lesion: 1 inside, 0 outside, ½ at the edge, over about 1.5 mm."""
    return 1 / (1 + np.exp(np.clip((distance - 1) * radius_mm / 0.4, -30, 30)))


def _draw_phases(
    tissue: dict[str, np.ndarray],
    lesion: np.ndarray,
    times: tuple[int, ...],
    spacing: np.ndarray,
    appearance: Appearance,
    rng: np.random.Generator,
) -> np.ndarray:
    """Signal of every phase: tissue mix × (1 + enhancement) × coil sensitivity, Rician noise, rounded to int16."""
    shape = lesion.shape
    amplitude = rng.uniform(1.1, 1.6)
    curve = rng.choice(3, p=[0.55, 0.3, 0.15])
    uptake, wash_out = ((rng.uniform(2.5, 4), 0.11), (rng.uniform(2, 3), 0.03), (rng.uniform(0.8, 1.2), 0.0))[curve]
    background = rng.choice([0.08, 0.2, 0.35, 0.55], p=[0.35, 0.35, 0.2, 0.1])
    texture = 1 + 0.15 * _smooth_field(shape, spacing, 2.5, rng)
    sensitivity = np.exp(0.1 * _smooth_field(shape, spacing, 40.0, rng))
    gain, noise = rng.uniform(0.8, 3.0), rng.uniform(7, 11) * appearance.noise
    if appearance.slow:
        uptake, wash_out = 0.9, 0.0
    curves = {
        "fat": (0.03, 0.5, 0.0),
        "parenchyma": (max(background, appearance.parenchyma), 0.25, 0.0),
        "muscle": (0.15, 0.5, 0.0),
        "blood": (1.4, 6.0, 0.12),
        "lesion": (amplitude * appearance.enhancement, uptake, wash_out),
    }
    parts = {name: share * (1 - lesion) for name, share in tissue.items()} | {"lesion": lesion}
    phases = np.empty((len(times), *shape), dtype=np.int16)
    for phase, seconds in enumerate(times):
        signal = np.zeros(shape)
        for name, share in parts.items():
            rise = enhancement(*curves[name], seconds)
            signal += share * _PRE_CONTRAST[name] * (1 + rise * (texture if name in ("lesion", "parenchyma") else 1))
        real = signal * sensitivity + noise * rng.standard_normal(shape)
        imaginary = noise * rng.standard_normal(shape)
        phases[phase] = np.rint(np.clip(gain * np.hypot(real, imaginary), 0, 32767))
    return phases
