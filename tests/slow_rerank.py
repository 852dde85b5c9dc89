"""Nearest neighbours and k-reciprocal re-ranking, slow and obvious, and features to try them on."""

from __future__ import annotations

import numpy as np


def slow_order(features):
    """Squared distances of features at length 1 in float64, and every row's pictures sorted: itself, then by file."""
    wide = features.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    wide /= np.where(lengths > 0, lengths, 1)
    distances = np.stack([np.square(wide - row).sum(axis=1) for row in wide])
    ranked = np.round(distances, 12)
    np.fill_diagonal(ranked, -1)
    return distances, np.argsort(ranked, axis=1, kind="stable")


def crowd(seed, *, pictures, width, copies=0, zeros=0):
    """People with several pictures each; some rows are exact copies of others, some are all zeros."""
    rng = np.random.default_rng(seed)
    persons = rng.standard_normal((max(2, pictures // 12), width))
    features = persons[rng.integers(0, len(persons), pictures)] + 0.6 * rng.standard_normal((pictures, width))
    features *= rng.uniform(0.1, 30, (pictures, 1))
    features[rng.integers(0, pictures, copies)] = features[rng.integers(0, pictures, copies)]
    features[rng.integers(0, pictures, zeros)] = 0
    return features.astype(np.float32)


def slow_rerank(query, gallery, *, k1, k2, lambda_):
    """Zhong et al., section 3, picture by picture and dense, in float64."""
    return slow_rerank_of(*slow_order(np.concatenate([query, gallery])), len(query), k1=k1, k2=k2, lambda_=lambda_)


def slow_rerank_of(squared, order, asks, *, k1, k2, lambda_):
    """The same from all squared distances and each row's pictures in order, the first `asks` rows being queries."""
    largest = squared.max(axis=1, keepdims=True)
    original = squared / np.where(largest > 0, largest, 1)
    everyone = range(len(squared))

    def mutual(picture, k):
        """R(p, k): those among its first k (and itself) that have it among theirs."""
        return {other for other in order[picture, : k + 1] if picture in order[other, : k + 1]}

    half = [mutual(picture, int(np.around(k1 / 2))) for picture in everyone]
    weights = np.zeros_like(original)
    for picture in everyone:
        near = mutual(picture, k1)
        expanded = set(near)
        for other in near:
            if len(near & half[other]) > 2 / 3 * len(half[other]):
                expanded |= half[other]
        for other in expanded:
            weights[picture, other] = np.exp(-original[picture, other])
        weights[picture] /= weights[picture].sum()
    if k2 > 1:
        weights = np.stack([weights[order[picture, :k2]].mean(axis=0) for picture in everyone])
    result = np.empty((asks, len(squared) - asks))
    for asker in range(asks):
        shared = np.minimum(weights[asker], weights[asks:]).sum(axis=1)
        jaccard = 1 - shared / (2 - shared)  # the union of two that sum to 1 is 2 less what they share
        result[asker] = (1 - lambda_) * jaccard + lambda_ * original[asker, asks:]
    return result
