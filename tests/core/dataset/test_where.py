"""Expressions are computed as numpy would, and nothing of them is executed."""

from __future__ import annotations

import numpy as np
import pytest
from minicuber.core.dataset.where import Where
from minicuber.core.errors import InputError

RNG = np.random.default_rng(0)
A = np.array([[0.8, 0.9, np.nan], [0.0, 1.0, 0.5]], np.float32)
B = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
S = RNG.normal(size=(7, 2, 3)).astype(np.float32)
S[2, 0, 1] = np.nan
DATA = {"A": A, "B": B, "S": S, "T": np.arange(7.0).reshape(7, 1, 1), "sg_clay_0-30cm": B}

P = np.float32(0.8)
CASES = {
    "A > 0.8": P < A,
    "A >= 0.8 and B < 3": (P <= A) & (B < 3),
    "not (A > 0.8)": ~(P < A),
    "A != 0.5": (A != 0.5) & ~np.isnan(A),
    "B in (1, 4, -2)": np.isin(B, [1, 4]),
    "A not in (0.5, 1)": ~np.isin(A, [0.5, 1]) & ~np.isnan(A),
    "1 < B <= 4": (B > 1) & (B <= 4),
    "B % 2 == 0 or A == 1": (B % 2 == 0) | (A == 1),
    "-B + 2 * 3 - 1 / 2 > 2 ** 1": (-B + 5.5) > 2,
    "isfinite(A)": np.isfinite(A),
    "A": (A != 0) & ~np.isnan(A),
    "mean(S) > 0": np.nanmean(S, axis=0) > 0,
    "count(S > 0) >= 3": (S > 0).sum(axis=0) >= 3,
    "count(S) == 6": np.isfinite(S).sum(axis=0) == 6,
    "max(S - mean(S)) > 1": np.nanmax(S - np.nanmean(S, axis=0), axis=0) > 1,
    "max(T) == 6": np.array([[True]]),
    '"sg_clay_0-30cm" > 3': B > 3,
    "A / 0 > 1": (A > 0) & ~np.isnan(A),
    "B < 9 ** 9 ** 9": np.isfinite(B),
    "True": np.True_,
}


@pytest.mark.parametrize(("text", "expected"), CASES.items(), ids=list(CASES))
def test_an_expression_is_what_numpy_says(text, expected):
    where = Where(text)
    where.check(["A", "B", "sg_clay_0-30cm"], ["S", "T"], "x.nc")
    found = where.evaluate(DATA.__getitem__)
    assert found.dtype == bool
    np.testing.assert_array_equal(found, expected)


STRANGE = (
    "__import__('os').system('true')", "A.__class__", "A[0] > 1", "lambda: 1", "[x for x in A]", "exec('1')",
    "A if B else A",    "A & B", "~A", "A = 1", "A > 1; B", "(A := 3)",
    "A @ B", "f'{A}'", "A in B", "A in 'x'", "mean(A, B)", "mean(*A)",
    "mean(x=A)", "A > 0.8 AND B > 1", "", "A is B", "1j > A", "b'x'", "open('x')", "A // B", "*A", "..." , "None",
    "(" * 500 + "A" + ")" * 500, "A > 1 " * 5000,
)  # fmt: skip


@pytest.mark.parametrize("text", STRANGE, ids=range(len(STRANGE)))
def test_nothing_else_is_understood(text):
    with pytest.raises(InputError, match="WHERE"):
        Where(text)


def test_an_unknown_variable_is_refused_with_those_that_there_are():
    with pytest.raises(InputError, match=r"WHERE has FORREST, which x.nc does not have") as error:
        Where("FORREST > 0.8").check(["FOREST"], ["S"], "x.nc")
    assert "FOREST, S" in error.value.hint


@pytest.mark.parametrize("text", ["S > 1", "A > 1 and abs(S) > 1", "isfinite(S)"])
def test_what_changes_with_time_needs_a_function_over_time(text):
    with pytest.raises(InputError, match="S, which changes with time"):
        Where(text).check(["A"], ["S"], "x.nc")


def test_a_function_over_time_needs_time():
    with pytest.raises(InputError, match="mean is of what changes with time"):
        Where("mean(A) > 1").evaluate(DATA.__getitem__)
