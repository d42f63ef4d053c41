"""Statistics in one pass, against numpy on all values at once."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from minicuber.core.dataset.statistics import QUANTILES, K, Statistics
from minicuber.core.errors import InputError

RANDOM = np.random.default_rng(7)
N = 300_000
ORDERS = {
    "as drawn": RANDOM.normal(size=N),
    "rising": np.sort(RANDOM.normal(size=N)),
    "falling": np.sort(RANDOM.normal(size=N))[::-1],
    "constant": np.full(N, 0.1),
    "two values": np.repeat([0.0, 1.0], N // 2),
    "heavy tails": RANDOM.standard_cauchy(N),
    "far from zero": 1e6 + RANDOM.normal(size=N),
    "tiny": 1e-30 * RANDOM.random(N),
    "sawtooth": np.tile(np.arange(1000.0), N // 1000),
    "from both ends": np.stack([np.arange(N // 2), N - np.arange(N // 2)], axis=1).ravel(),
    "blocks of K against each other": np.where(np.arange(N) // K % 2, np.arange(N), -np.arange(N)),
    "mostly zero": np.where(RANDOM.random(N) < 0.97, 0.0, RANDOM.exponential(size=N)),
}


def rank_error(values, quantile, share):
    """How far the ranks that a value has in the data are from the rank that was asked for, as a share."""
    wanted = share * (values.size - 1)
    first, last = np.count_nonzero(values < quantile), np.count_nonzero(values <= quantile) - 1
    return max(first - wanted, wanted - last, 0.0) / values.size


def filled(values, size=10_000):
    statistics = Statistics(["v"])
    for start in range(0, values.size, size):
        statistics.update(values[None, start : start + size])
    return statistics


def same_as_numpy(result, values):
    exact = values.astype(np.float64)
    assert result["count"] == values.size
    assert result["min"] == values.min() and result["max"] == values.max()
    scale = np.abs(exact).max() + 1e-300
    assert abs(result["mean"] - exact.mean()) <= 1e-12 * scale
    assert abs(result["std"] - exact.std()) <= 1e-9 * max(exact.std(), 1e-6 * scale)
    assert result["quantiles_rank_error"] < 0.005
    for share in QUANTILES:
        assert (
            rank_error(values, result["quantiles"][str(share)], share)
            <= result["quantiles_rank_error"] + 1 / N
        )


@pytest.mark.parametrize("order", ORDERS)
def test_whatever_the_order(order):
    """A sketch that forgets the tails of a sorted series, a variance that cancels far from zero."""
    values = ORDERS[order].astype(np.float32)
    same_as_numpy(filled(values).result()["v"], values)


@pytest.mark.parametrize("order", ORDERS)
def test_merged_parts(order):
    """Many small parts, and parts whose order is not that of the series: the bound must hold after any merge."""
    values = ORDERS[order].astype(np.float32)
    parts = [filled(part) for part in np.array_split(values, 23)]
    whole = Statistics(["v"])
    for i in np.random.default_rng(0).permutation(23):
        whole.merge(Statistics.from_json(json.loads(json.dumps(parts[i].to_json()))))
    same_as_numpy(whole.result()["v"], values)


def test_bound_of_a_hundred_million_values():
    """The bound is what the docstring says, not the luck of a test: the merges are counted."""
    values = np.arange(4_000_000, dtype=np.float32)
    statistics = filled(values, 100_000)
    pairs = np.log2(values.size / K)
    assert statistics.result()["v"]["quantiles_rank_error"] <= pairs / (2 * K) * 1.001 < 0.005
    for _ in range(5):  # 32 times as many
        statistics.merge(Statistics.from_json(statistics.to_json()))
    result = statistics.result()["v"]
    assert result["count"] == 32 * values.size
    assert result["quantiles_rank_error"] <= np.log2(32 * values.size / K) / (2 * K) * 1.001 < 0.005
    assert abs(result["quantiles"]["0.95"] / values.size - 0.95) < 0.005


def test_few_values_are_exact():
    values = RANDOM.normal(size=2 * K - 1).astype(np.float32)
    result = filled(values, 100).result()["v"]
    expected = np.quantile(values.astype(np.float64), QUANTILES)
    np.testing.assert_array_equal(list(result["quantiles"].values()), expected)
    assert result["quantiles_rank_error"] == 0


@settings(max_examples=100, deadline=None)
@given(
    arrays(np.float32, st.integers(1, 60), elements=st.floats(width=32, allow_nan=True)),
    st.lists(st.integers(0, 60), max_size=4),
)
def test_any_values_cut_anywhere(values, cuts):
    """NaN and infinities are not seen, in any block."""
    statistics = Statistics(["v"])
    for part in np.split(values, sorted(cuts)):
        statistics.update(part[None])
    result = statistics.result()["v"]
    seen = values[np.isfinite(values)].astype(np.float64)
    assert result["count"] == seen.size and result["missing"] == values.size - seen.size
    if not seen.size:
        assert result["mean"] is result["std"] is result["min"] is result["max"] is None
        assert set(result["quantiles"].values()) == {None}
        return
    scale = np.abs(seen).max()
    assert result["min"] == seen.min() and result["max"] == seen.max()
    assert abs(result["mean"] - seen.mean()) <= 1e-12 * scale
    assert abs(result["std"] - seen.std()) <= 1e-9 * scale
    np.testing.assert_array_equal(list(result["quantiles"].values()), np.quantile(seen, QUANTILES))


def test_nothing_seen_is_no_number():
    """All NaN, or no block at all: no warning, no NaN in the JSON, and values that come later count."""
    statistics = Statistics(["a", "b"])
    statistics.update(np.full((2, 50), np.nan))
    statistics.update(np.empty((2, 0)))
    text = json.dumps([statistics.to_json(), statistics.result()], allow_nan=False)
    again = Statistics.from_json(json.loads(text)[0])
    assert again.result()["a"]["mean"] is None
    again.update(np.array([[1.0, 2.0], [np.nan, np.nan]]))
    assert again.result()["a"]["mean"] == 1.5
    assert again.result()["b"]["count"] == 0 and again.result()["b"]["missing"] == 52


def test_taken_up_again_it_ends_the_same():
    """After a kill: the state on disk and the rest of the blocks give the same bits as one run."""
    values = RANDOM.normal(size=(3, 50_000)).astype(np.float32)
    values[RANDOM.random(values.shape) < 0.2] = np.nan
    whole, first = Statistics("abc"), Statistics("abc")
    for start in range(0, 50_000, 7_000):
        block = values[:, start : start + 7_000]
        whole.update(block)
        first = Statistics.from_json(json.loads(json.dumps(first.to_json())))
        first.update(block)
    assert first.to_json() == whole.to_json()
    assert first.result() == whole.result()


def test_how_values_are_cut_does_not_change_quantiles():
    values = RANDOM.normal(size=100_000).astype(np.float32)
    results = [filled(values, size).result()["v"] for size in (100_000, 4096, 999, 33_333)]
    for result in results:
        assert result["quantiles"] == results[0]["quantiles"]
        assert result["min"] == results[0]["min"] and result["count"] == results[0]["count"]
        assert result["mean"] == pytest.approx(results[0]["mean"], abs=1e-14)
        assert result["std"] == pytest.approx(results[0]["std"], rel=1e-13)


def test_more_axes_are_values_too():
    values = RANDOM.normal(size=(2, 5, 4, 3)).astype(np.float32)
    statistics = Statistics("ab")
    statistics.update(values)
    assert statistics.result()["b"]["mean"] == pytest.approx(values[1].astype(float).mean(), abs=1e-15)
    with pytest.raises(ValueError, match="variables"):
        statistics.update(values[:1])
    with pytest.raises(ValueError, match="statistics of"):
        statistics.merge(Statistics("ac"))
    with pytest.raises(InputError, match="version"):
        Statistics.from_json({"version": 0})


def test_vectorised():
    """No Python per value: 54 variables of 72 000 values, as of 1000 samples."""
    values = RANDOM.normal(size=(54, 72_000)).astype(np.float32)
    statistics = Statistics([str(i) for i in range(54)])
    begun = time.perf_counter()
    statistics.update(values)
    took = time.perf_counter() - begun
    print(f"{took * 1e3:.0f} ms for 1000 samples, {took / values.size * 1e9:.0f} ns a value")
    assert took < 3
