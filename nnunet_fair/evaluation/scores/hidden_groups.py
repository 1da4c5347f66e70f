"""Groups nobody named: clusters of what the network sees, and whether the model serves one of them worse.

The clusters are found from features of the images alone. They know nothing of the DSC, so where the model serves all
alike any assignment of the DSC to the cases is as likely as the one that was seen, and a permutation test is exact. As
many clusters are looked at, each is held against the largest deviation of any cluster in a permutation (the step the
literature calls max-T; Westfall and Young, "Resampling-Based Multiple Testing", Wiley 1993).

Features of different networks do not lie in one space. Cases seen by different folds are clustered apart, and the
permutations stay inside a network.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from nnunet_fair.subgroups.group_means import group_mean_intervals
from nnunet_fair.subgroups.options import SubgroupOptions

MOST_CLUSTERS = 8
MOST_COMPONENTS = 20
EXPLAINED = 0.9
N_PERMUTATIONS = 9999
N_TYPICAL = 5
BLOCK = 4_000_000  # numbers of permuted scores in memory at a time
CLUSTER_COLUMNS = (
    *("cluster", "network", "n", "mean_dsc", "mean_dsc_low", "mean_dsc_high", "divergence", "z", "p"),
    *("median_volume_mm3", "typical", "worst", "decides", "reason"),
)


@dataclass(frozen=True, repr=False)
class HiddenGroups:
    """Clusters and how the model serves them.

    Attributes:
        clusters: one row a cluster, the worst served first, see :func:`hidden_groups`.
        cases: one row a case, indexed by case ID: cluster, network, distance_to_centre (in standard deviations) and
            dsc.
        notes: what a reader has to know.
    """

    clusters: pd.DataFrame
    cases: pd.DataFrame
    notes: tuple[str, ...]


def hidden_groups(
    features: pd.DataFrame,
    network: pd.Series,
    cases: pd.DataFrame,
    options: SubgroupOptions,
    *,
    n_permutations: int = N_PERMUTATIONS,
) -> HiddenGroups:
    """Cluster the cases of each network and compare the clusters' DSC.

    Args:
        features: float table of shape (n_cases, n_features), indexed by case ID; a feature that a network does not have
            is NaN in all its rows.
        network: the network that saw each case, of the same index.
        cases: the per-case table with ``dsc``, of the same index; every case has one.
        options: smallest group that decides, bootstrap and seed.
        n_permutations: permutations of the test.

    Returns:
        The clusters: n, mean_dsc with its interval, divergence (from the mean of the network's cases), z (divergence in
        standard deviations of its permutations), p (share of the permutations, over all clusters that decide, that
        deviate as much), median_volume_mm3, typical (nearest to the centre), worst (lowest DSC), decides and reason.
    """
    found, notes = [], []
    for name in sorted(network.unique()):
        inside = (network == name).to_numpy()
        table = features[inside].dropna(axis="columns", how="all")
        of_network, k, width = cluster_cases(table.to_numpy(dtype=float), options)
        prefix = f"{name} " if network.nunique() > 1 else ""
        labels = [f"{prefix}cluster {label + 1}" for label in of_network[0]]
        found.append(
            pd.DataFrame(
                {"cluster": labels, "network": name, "distance_to_centre": of_network[1]}, index=features.index[inside]
            )
        )
        notes.append(
            f"{name}: {inside.sum()} cases, {k} clusters (silhouette {width:.2f})"
            if k > 1
            else f"{name}: {inside.sum()} cases are too few, or too much alike, for clusters of {options.min_group}"
        )
    placed = pd.concat(found).loc[features.index].assign(dsc=cases["dsc"].to_numpy(dtype=float))
    clusters = _cluster_table(placed, cases, options, n_permutations)
    return HiddenGroups(clusters, placed, tuple(notes))


def cluster_cases(features: np.ndarray, options: SubgroupOptions) -> tuple[tuple[np.ndarray, np.ndarray], int, float]:
    """Cluster cases by k-means on principal components.

    Features are standardised, and as many components taken as hold nine tenths of the variance, 20 at most. The number
    of clusters is the one from 2 to 8 with the largest mean silhouette; there are no more than the cases make groups of
    ``min_group``.

    Args:
        features: float array of shape (n_cases, n_features).
        options: ``min_group`` and ``seed``.

    Returns:
        Cluster of each case from 0 and its distance to the cluster's centre, two arrays of shape (n_cases,); the number
        of clusters, 1 where there are none; and the mean silhouette.
    """
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA
    from sklearn.metrics import silhouette_score

    spread = features.std(axis=0)
    kept = spread > 1e-12 * np.maximum(1.0, np.abs(features).max(axis=0, initial=0.0))
    standard = (features[:, kept] - features[:, kept].mean(axis=0)) / spread[kept]
    nothing = (np.zeros(len(features), dtype=int), np.zeros(len(features))), 1, float("nan")
    most = min(MOST_CLUSTERS, len(features) // options.min_group, len(features) - 1)
    if not kept.any() or most < 2:
        return nothing
    components = PCA(svd_solver="full").fit(standard)
    n = int(np.searchsorted(np.cumsum(components.explained_variance_ratio_), EXPLAINED)) + 1
    scores = components.transform(standard)[:, : min(n, MOST_COMPONENTS)]
    best, width = None, -np.inf
    for k in range(2, min(most, len(np.unique(scores, axis=0)) - 1) + 1):
        fitted = KMeans(k, n_init=10, random_state=options.seed).fit(scores)
        silhouette = float(silhouette_score(scores, fitted.labels_))
        if silhouette > width:
            best, width = fitted, silhouette
    if best is None:
        return nothing
    distances = np.linalg.norm(scores - best.cluster_centers_[best.labels_], axis=1)
    return (best.labels_, distances), best.n_clusters, width


def _cluster_table(
    placed: pd.DataFrame, cases: pd.DataFrame, options: SubgroupOptions, n_permutations: int
) -> pd.DataFrame:
    """One row a cluster."""
    names = sorted(placed["cluster"].unique())
    membership = np.stack([(placed["cluster"] == name).to_numpy() for name in names], axis=1)
    dsc = placed["dsc"].to_numpy()
    means = group_mean_intervals(
        dsc,
        membership,
        n_resamples=options.n_resamples,
        confidence=options.confidence,
        seed=options.seed,
    )
    blocks = [np.flatnonzero(placed["network"] == name) for name in sorted(placed["network"].unique())]
    alone = placed.groupby("network")["cluster"].nunique()
    decides = np.array(
        [
            n >= options.min_group and alone[placed.loc[inside, "network"].iloc[0]] > 1
            for inside, n in zip(membership.T, means.n, strict=True)
        ]
    )
    z, p = permutation_test(dsc, membership, blocks, decides, n_permutations=n_permutations, seed=options.seed)
    rows = []
    for column, name in enumerate(names):
        own = placed[membership[:, column]]
        network = str(own["network"].iloc[0])
        volumes = cases.loc[own.index, "volume_reference_mm3"] if "volume_reference_mm3" in cases else None
        rows.append(
            {
                "cluster": name,
                "network": network,
                "n": len(own),
                "mean_dsc": means.mean[column],
                "mean_dsc_low": means.low[column],
                "mean_dsc_high": means.high[column],
                "divergence": means.mean[column] - dsc[placed["network"] == network].mean(),
                "z": z[column],
                "p": p[column],
                "median_volume_mm3": np.nan if volumes is None else float(volumes.median()),
                "typical": "; ".join(own.sort_values("distance_to_centre", kind="stable").index[:N_TYPICAL]),
                "worst": "; ".join(own.sort_values("dsc", kind="stable").index[:N_TYPICAL]),
                "decides": bool(decides[column]),
                "reason": _reason(len(own), options.min_group, only=alone[network] == 1, constant=np.isnan(z[column])),
            }
        )
    table = pd.DataFrame(rows, columns=list(CLUSTER_COLUMNS))
    return table.sort_values(["decides", "divergence"], ascending=[False, True], kind="stable", ignore_index=True)


def _reason(n: int, min_group: int, *, only: bool, constant: bool) -> str:
    if only:
        return "cannot be estimated: all cases of the network are in it"
    if n < min_group:
        return f"fewer than {min_group} cases: shown, decides nothing"
    return "cannot be estimated: the DSC is the same in every case" if constant else ""


def permutation_test(
    scores: np.ndarray,
    membership: np.ndarray,
    blocks: Sequence[np.ndarray],
    decides: np.ndarray,
    *,
    n_permutations: int = N_PERMUTATIONS,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Whether the mean of a cluster deviates more than chance, with all clusters that were looked at paid for.

    Args:
        scores: float array of shape (n_cases,).
        membership: bool array of shape (n_cases, n_clusters), each cluster inside one block.
        blocks: positions of the cases within which scores are exchanged.
        decides: bool array of shape (n_clusters,), which clusters are looked at.
        n_permutations: random permutations beside the scores as they are.
        seed: of the permutations.

    Returns:
        The deviation of each cluster's mean from its block's, over its standard deviation under permutation, and its p
        (both sides, over all clusters looked at); NaN for a cluster that is not looked at or whose block has no spread.
    """
    sizes = membership.sum(axis=0)
    block_of = np.array([next(i for i, b in enumerate(blocks) if membership[b, c].any()) for c in range(len(sizes))])
    centred, deviation = np.empty(len(scores)), np.full(len(sizes), np.nan)
    for i, block in enumerate(blocks):
        centred[block] = scores[block] - scores[block].mean()
        n = len(block)
        for column in np.flatnonzero((block_of == i) & decides):
            variance = scores[block].var() * (n - sizes[column]) / (sizes[column] * max(n - 1, 1))
            deviation[column] = np.sqrt(variance) if np.ptp(scores[block]) > 0 and variance > 0 else np.nan
    weights = membership / sizes / deviation
    looked_at = np.isfinite(deviation)
    z = np.where(looked_at, centred @ np.where(looked_at, weights, 0.0), np.nan)
    if not looked_at.any():
        return z, np.full(len(sizes), np.nan)
    as_large = np.zeros(len(sizes))
    for permuted in _permuted(centred, blocks, n_permutations, seed):
        largest = np.abs(permuted @ weights[:, looked_at]).max(axis=1)
        # Rounding must not make a permutation that gives the same cluster look smaller.
        as_large += (largest[:, None] >= np.abs(z) - 1e-9).sum(axis=0)
    return z, np.where(looked_at, (1 + as_large) / (1 + n_permutations), np.nan)


def _permuted(scores: np.ndarray, blocks: Sequence[np.ndarray], n: int, seed: int) -> Iterator[np.ndarray]:
    """Permutations of the scores inside the blocks, some rows at a time."""
    rng = np.random.default_rng(seed)
    step = max(1, BLOCK // len(scores))
    for first in range(0, n, step):
        rows = np.tile(scores, (min(step, n - first), 1))
        for block in blocks:
            rows[:, block] = rng.permuted(rows[:, block], axis=1)
        yield rows
