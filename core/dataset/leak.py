"""The check that no pixel and date of a validation or test target lies in the context or target of a training sample.

A window counts as all days from its first to its last; pixels that share ground are the same, in whichever cube.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy.sparse import coo_matrix

from .overlaps import overlapping_units
from .plan import DROPPED, CubePlan
from .samples import SPLITS


@dataclass(frozen=True)
class LeakCheck:
    """`pairs`: of cubes that were compared, each with itself too. `dropped`: samples that were left out for a leak.
    `leaks`: those that are there still, which must be none."""

    pairs: int
    dropped: int
    leaks: int

    def to_json(self) -> dict[str, object]:
        """As `dataset.json` has it."""
        rule = "no pixel and date of a val or test target lies in a training context or target"
        return {"rule": rule, **asdict(self), "passed": self.leaks == 0}

    def sentence(self) -> str:
        """For the log."""
        if self.leaks:
            return f"Leak check: {self.leaks} samples leak."
        gone = f"; {self.dropped} were left out for it" if self.dropped else ""
        return (
            f"Leak check passed: no pixel and date of a val or test target lies in a training sample{gone}."
        )


def without_leaks(plans: Sequence[CubePlan], pairs: Sequence[tuple[int, int]]) -> LeakCheck:
    """Drop the validation and test samples (of folds: the later ones) that leak, then look again.

    `pairs`: of cubes that overlap.
    """
    every = [(number, number) for number in range(len(plans))] + list(pairs)
    dropped = _go_through(plans, every, drop=True)
    leaks = _go_through(plans, every, drop=False) if dropped else 0
    return LeakCheck(len(every), dropped, leaks)


def _go_through(plans: Sequence[CubePlan], pairs: Sequence[tuple[int, int]], drop: bool) -> int:
    found = 0
    for first, second in pairs:
        one, other = plans[first], plans[second]
        if not len(one.units) or not len(other.units):
            continue
        mine, theirs = overlapping_units(one, other)
        if not len(mine):
            continue
        if (one.fold >= 0).any() or (other.fold >= 0).any():
            found += _folds(one, other, mine, theirs, drop)
            continue
        found += _splits(one, other, mine, theirs, drop)
        if first != second:
            found += _splits(other, one, theirs, mine, drop)
    return found


def _splits(plan: CubePlan, other: CubePlan, mine: np.ndarray, theirs: np.ndarray, drop: bool) -> int:
    """The val and test samples of a cube whose targets lie in a training sample of another (or of itself).

    `mine`, `theirs`: numbers of units that share ground, (pair,).
    """
    train = other.splits() == SPLITS.index("train")
    splits = plan.splits()
    held = (splits != DROPPED) & ~(splits == SPLITS.index("train"))
    if not train.any() or not held.any():
        return 0
    # Few sets of windows occur: units are alike.
    patterns, of_unit = np.unique(np.packbits(train, axis=1), axis=0, return_inverse=True)
    used = np.unpackbits(patterns, axis=1, count=train.shape[1]).astype(np.float32)
    reached = used @ _same_days(other, plan).astype(np.float32) > 0  # (pattern, window of plan)
    shape = (len(plan.units), len(patterns))
    touching = coo_matrix(
        (np.ones(len(mine), np.float32), (mine, of_unit.ravel()[theirs])), shape=shape
    ).tocsr()
    leaking = (touching @ reached.astype(np.float32) > 0) & held
    if drop and leaking.any():
        plan.drop(*np.nonzero(leaking))
    return int(np.count_nonzero(leaking))


def _same_days(plan: CubePlan, other: CubePlan) -> np.ndarray:
    """Whether the days of a window of `plan` meet those of the target of a window of `other`: bool (window, window)."""
    first, last = plan.days[plan.starts], plan.days[plan.starts + plan.context + plan.target - 1]
    begin = other.days[other.starts + other.context]
    end = other.days[other.starts + other.context + other.target - 1]
    return (first[:, None] <= end[None, :]) & (last[:, None] >= begin[None, :])


def _folds(one: CubePlan, other: CubePlan, mine: np.ndarray, theirs: np.ndarray, drop: bool) -> int:
    """The samples of units that share ground with an earlier one of another fold."""
    here, there = _has_samples(one), _has_samples(other)
    apart = (one.fold[mine] != other.fold[theirs]) & here[mine] & there[theirs]
    later = theirs > mine if one is other else np.ones(len(mine), bool)
    units = np.unique(theirs[apart & later])
    found = int(np.count_nonzero(other.splits(units) != DROPPED)) if len(units) else 0
    if drop and len(units):
        other.drop(units)
    return found


def _has_samples(plan: CubePlan) -> np.ndarray:
    return (plan.splits() != DROPPED).any(axis=1)
