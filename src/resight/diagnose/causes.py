"""Share the ledger's loss among causes: a model of what each condition adds, then each triple's weight split over it.

Model: the expected loss of a triple is exp(b0 + sum of b over the conditions it shows), fitted to the cells by quasi
likelihood (Poisson; a single triple's loss is so small that a logistic curve would be the same), with a small ridge.
Certainty: standard errors allow for the pictures of one query person, and of one wrong person, failing together
(Cameron, Gelbach and Miller, 2011; without their overlap term, so never too small); a condition that is not worse than
chance at a false discovery rate of 5 % (Benjamini and Hochberg, 1995) takes no share.
Split: of a triple whose conditions multiply its expected loss by exp(B), the part 1 - exp(-B) is theirs and each takes
b / B of it: the Aumann-Shapley value (1974) of the model, exact and in closed form. The rest is unexplained.
Differs from the Shapley value over subsets: no difference for one condition, and additive in b for several.
Proof: tests/diagnose/test_causes.py; benchmarks/diagnose_planted.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float
from scipy import sparse

from resight.diagnose.marks import WHERE, Cells, Factor, Where
from resight.evaluate.statistics import person_sums

RIDGE: Final = 1e-3
"""Weight of the ridge, in units of one lost query: it only matters where a condition is hardly ever seen."""
RATE: Final = 0.05
FEWEST: Final = 10
"""A condition that fewer query persons (or wrong persons) show has no estimate."""
DRAWS: Final = 500
BLOCK: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Effect:
    """One factor of the model."""

    factor: Factor
    log_ratio: float
    """Logarithm of how many times larger it makes a triple's expected loss; NaN where there are too few."""
    error: float
    p_value: float
    """One-sided: chance alone makes it look as harmful as this; NaN where there are too few."""
    blamed: bool
    """Takes a share of the loss."""


@dataclass(frozen=True, slots=True)
class Share:
    """What a cause costs in mAP, 0..1, at one place or in all."""

    cause: str
    where: Where | None
    loss: float
    low: float
    high: float
    """Ends of the 95 % interval, for the errors of the model; the ledger itself is exact."""


@dataclass(frozen=True, slots=True)
class Split:
    """The loss by cause: `shares` (one a cause and place) and `unexplained` sum to `loss`; `causes` and it do, too."""

    loss: float
    shares: tuple[Share, ...]
    causes: tuple[Share, ...]
    """One a cause, all its places together, largest first; ends do not add, so its interval is one of its own."""
    unexplained: Share
    effects: tuple[Effect, ...]

    def by_cause(self) -> dict[str, float]:
        """Loss of each cause over all places, largest first."""
        return {one.cause: one.loss for one in self.causes}

    def by_place(self) -> dict[Where, float]:
        """Loss of all causes at each place."""
        return {where: sum(one.loss for one in self.shares if one.where == where) for where in WHERE}


def split_loss(
    cells: Cells, *, rng: np.random.Generator, draws: int = DRAWS, blamed: Bool[np.ndarray, " F"] | None = None
) -> Split:
    """Fit the model and share the loss; what no condition explains beyond chance stays unexplained.

    `blamed` names the factors that may take a share instead of those beyond chance: another search's.
    """
    usable = _usable(cells)
    values = np.full(len(cells.factors), np.nan)
    errors, p_values = np.full((2, len(cells.factors)), np.nan)
    covariance = np.zeros((int(usable.sum()),) * 2)
    if usable.any() and cells.total > 0:
        values[usable], covariance = _fit(cells, usable)
        errors[usable] = np.sqrt(np.diag(covariance))
        p_values[usable] = _upper_tail(values[usable] / np.maximum(errors[usable], 1e-12))
    named = false_discovery(p_values, rate=RATE) if blamed is None else blamed
    blamed = named & (np.nan_to_num(values) > 0)
    columns = zip(cells.factors, values.tolist(), errors.tolist(), p_values.tolist(), blamed.tolist(), strict=True)
    effects = tuple(Effect(*row) for row in columns)
    patterns, loss = _seen_by(cells, blamed)
    chosen = blamed[usable]
    ratios = values[blamed]
    best = _shares(patterns, loss, ratios)
    spread = np.zeros((draws, len(ratios)))
    if len(ratios):
        drawn = rng.multivariate_normal(ratios, covariance[np.ix_(chosen, chosen)], draws, method="eigh")
        spread = np.array([_shares(patterns, loss, np.maximum(one, 0)) for one in drawn])
    factors = [factor for factor, one in zip(cells.factors, blamed, strict=True) if one]

    def share(cause: str, where: Where | None) -> Share:
        mine = [one.cause == cause and where in (None, one.where) for one in factors]
        return Share(cause, where, float(best[mine].sum()), *_ends(spread[:, mine].sum(1)))

    places = sorted({(factor.cause, factor.where) for factor in factors}, key=lambda one: WHERE.index(one[1]))
    shares, whole = [share(*one) for one in places], [share(cause, None) for cause in dict(places)]
    total = cells.total
    rest = Share("unexplained", None, total - float(best.sum()), *_ends(total - spread.sum(1)))
    return Split(total, _largest_first(shares), _largest_first(whole), rest, effects)


def loss_by_query(cells: Cells, split: Split) -> dict[str, Float[np.ndarray, " Q"]]:
    """Each query's part of each cause's loss, and of `unexplained`; summed over queries they are the split's."""
    blamed = np.array([one.blamed for one in split.effects], np.bool_)
    ratios = np.array([one.log_ratio for one in split.effects if one.blamed])
    names = [one.factor.cause for one in split.effects if one.blamed]
    patterns = cells.patterns[:, blamed].astype(np.float64)
    raised = patterns @ ratios
    part = np.where(raised > 1e-12, -np.expm1(-raised) / np.maximum(raised, 1e-12), 1.0)
    lost = cells.loss @ (part[:, None] * patterns * ratios) / cells.answered  # Q, factors
    found: dict[str, Float[np.ndarray, " Q"]] = {}
    for name, mine in zip(names, lost.T, strict=True):
        found[name] = found.get(name, 0.0) + mine
    whole = cells.loss.sum(1) / cells.answered
    return found | {"unexplained": whole - sum(found.values(), np.zeros(len(whole)))}


def exposure_by_query(cells: Cells) -> dict[str, Float[np.ndarray, " Q"]]:
    """Share of each query's triples that show each cause in the query or as a pair, 0..1: presence, not outcome."""
    whole = np.maximum(cells.exposure.sum(1), 1e-300)
    found = {}
    for name in dict.fromkeys(one.cause for one in cells.factors):
        shown: Bool[np.ndarray, " U"] = np.asarray(
            cells.patterns[:, [one.cause == name and one.where in {"query", "pair"} for one in cells.factors]].any(1)
        )
        found[name] = cells.exposure @ shown.astype(np.float64) / whole
    return found


def false_discovery(p_values: Float[np.ndarray, " N"], *, rate: float) -> Bool[np.ndarray, " N"]:
    """Which of several tests pass when at most `rate` of those that pass may be chance; NaN never passes."""
    known = np.flatnonzero(~np.isnan(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    passed = np.zeros(len(p_values), np.bool_)
    below = np.flatnonzero(p_values[order] <= rate * np.arange(1, len(order) + 1) / max(len(order), 1))
    if len(below):
        passed[order[: below[-1] + 1]] = True
    return passed


def _usable(cells: Cells) -> Bool[np.ndarray, " F"]:
    """Factors that enough persons show and enough do not."""
    found = []
    found_at = cells.exposure.indices, cells.exposure.indptr
    there = sparse.csr_array((np.ones(len(found_at[0]), np.int32), *found_at), shape=cells.exposure.shape)
    all_of = np.diff(there.indptr)
    for place, factor in enumerate(cells.factors):
        if factor.where == "wrong":
            shown = cells.wrong_patterns[cells.wrong_pattern, place]
            kinds = cells.wrong_person[shown], cells.wrong_person[~shown]
        else:
            seen = there @ cells.patterns[:, place].astype(np.int32)
            kinds = cells.person[seen > 0], cells.person[seen < all_of]
        found.append(min(len(np.unique(one)) for one in kinds) >= FEWEST)
    return np.array(found, np.bool_)


def _fit(cells: Cells, usable: Bool[np.ndarray, " F"]) -> tuple[Float[np.ndarray, " K"], Float[np.ndarray, "K K"]]:
    """Newton's method on the patterns, then standard errors over both kinds of persons."""
    shown = np.hstack([np.ones((len(cells.patterns), 1), np.bool_), cells.patterns[:, usable]])
    exposure, loss = cells.exposure.sum(0), cells.loss.sum(0)
    values = np.zeros(shown.shape[1])
    values[0] = np.log(loss.sum() / exposure.sum())
    ridge = np.full(len(values), RIDGE)
    ridge[0] = 0
    hessian = np.eye(len(values))
    for _ in range(50):
        hessian, slope = np.diag(ridge), -ridge * values
        for some in _blocks(len(shown)):
            design = shown[some].astype(np.float64)
            expected = exposure[some] * np.exp(np.clip(design @ values, -60, 60))
            hessian = hessian + (design * expected[:, None]).T @ design
            slope = slope + design.T @ (loss[some] - expected)
        step = np.linalg.solve(hessian, slope)
        values += step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < 1e-9:
            break
    rate = np.concatenate([np.exp(np.clip(shown[some] @ values, -60, 60)) for some in _blocks(len(shown))])
    by_query = np.column_stack([cells.loss @ one.astype(np.float64) - cells.exposure @ (rate * one) for one in shown.T])
    scores = [person_sums(by_query[cells.asked], cells.person[cells.asked]).sums]
    side = _of_wrong(cells)[usable]
    wrong_rate = _rate_by_wrong(cells, exposure * rate, exposure)
    wrong_design = np.hstack([np.ones((len(cells.wrong_patterns), 1)), cells.wrong_patterns[:, usable] & side])
    wrong_rest = cells.wrong_loss - cells.wrong_exposure * wrong_rate[cells.wrong_pattern]
    scores.append(person_sums(wrong_rest[:, None] * wrong_design[cells.wrong_pattern], cells.wrong_person).sums)
    inverse = np.linalg.inv(hessian)
    middle = sum((one.T @ one) * (len(one) / max(len(one) - 1, 1)) for one in scores)
    covariance = inverse @ middle @ inverse
    return values[1:], covariance[1:, 1:]


def _blocks(size: int) -> list[slice]:
    """Rows of the patterns, as many at a time as are cheap to write out in numbers."""
    return [slice(start, start + BLOCK) for start in range(0, size, BLOCK)]


def _rate_by_wrong(
    cells: Cells, expected: Float[np.ndarray, " U"], exposure: Float[np.ndarray, " U"]
) -> Float[np.ndarray, " V"]:
    """Expected loss of a triple given the wrong picture's conditions alone, averaged over queries and matches."""
    side = _of_wrong(cells)
    rows = np.packbits(np.vstack([cells.wrong_patterns[:, side], cells.patterns[:, side]]), axis=1)
    _, code = np.unique(rows, axis=0, return_inverse=True)
    code = code.reshape(-1)
    mine, theirs = code[: len(cells.wrong_patterns)], code[len(cells.wrong_patterns) :]
    size = int(code.max()) + 1
    totals = np.bincount(theirs, expected, minlength=size)
    counts = np.bincount(theirs, exposure, minlength=size)
    return np.asarray((totals / np.maximum(counts, 1e-300))[mine])


def _of_wrong(cells: Cells) -> Bool[np.ndarray, " F"]:
    """Factors that the wrong picture shows, alone or beside the query."""
    return np.array([factor.where == "wrong" or factor.level is not None for factor in cells.factors], np.bool_)


def _seen_by(cells: Cells, blamed: Bool[np.ndarray, " F"]) -> tuple[Float[np.ndarray, "U K"], Float[np.ndarray, " U"]]:
    """Patterns of the blamed factors alone, and the loss of each as a part of 1 - mAP."""
    loss = cells.loss.sum(0) / cells.answered
    some = cells.patterns[:, blamed]
    if some.shape[1] == 0:
        return np.zeros((1, 0)), np.array([loss.sum()])
    patterns, code = np.unique(some, axis=0, return_inverse=True)
    return patterns.astype(np.float64), np.bincount(code.reshape(-1), loss, minlength=len(patterns))


def _shares(
    patterns: Float[np.ndarray, "U K"], loss: Float[np.ndarray, " U"], ratios: Float[np.ndarray, " K"]
) -> Float[np.ndarray, " K"]:
    """Aumann-Shapley shares of the blamed factors, in mAP."""
    raised = patterns @ ratios
    per_ratio = np.where(raised > 1e-12, -np.expm1(-raised) / np.maximum(raised, 1e-12), 1.0)
    return np.asarray((loss * per_ratio) @ patterns * ratios)


def _largest_first(shares: list[Share]) -> tuple[Share, ...]:
    return tuple(sorted(shares, key=lambda one: -one.loss))


def _ends(values: Float[np.ndarray, " N"]) -> tuple[float, float]:
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)


def _upper_tail(z: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    from scipy.stats import norm

    return np.asarray(norm.sf(z))
