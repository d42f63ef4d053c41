"""Windows for context and target pairs: nothing after a window may change anything in it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minicuber.core.cleaning.causal import CausalCleaner
from minicuber.core.cleaning.options import CleaningOptions
from minicuber.core.errors import InputError

STEPS = 180
DAYS = np.datetime64("2018-01-02") + 5 * np.arange(STEPS)


def example(seed: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    rng = np.random.default_rng(seed)
    ndvi = 0.6 + 0.2 * np.sin(2 * np.pi * np.arange(STEPS) / 73) + rng.normal(0, 0.05, (4, STEPS))
    mask = rng.choice(5, ndvi.shape, p=[0.6, 0.2, 0.1, 0.05, 0.05]).astype(np.uint8)
    return {"s2_ndvi": ndvi.astype(np.float32), "s2_B08": (0.3 * ndvi).astype(np.float32)}, mask


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 1000), st.sampled_from(["loess", "whittaker", "savgol", "linear", "none"]),
    st.integers(1, 150), st.integers(1, 60), st.integers(0, 1000),
    st.fixed_dictionaries({}, optional={
        "years": st.sampled_from(["2019", "2020-2021"]), "remove_fraction": st.sampled_from([0.5, 1.0]),
        "snow": st.just("keep"), "min_group": st.integers(1, 60), "savgol_days": st.sampled_from([5, 9999]),
    }),
)  # fmt: skip
def test_nothing_after_a_window_changes_it(seed, method, start, length, other, choices):
    """Values and masks after the window become others at random; whatever was in it stays to the bit."""
    values, mask = example(seed)
    stop = min(start + length, STEPS)
    options = CleaningOptions(method=method, **choices)
    before = CausalCleaner(values, mask, DAYS, options).window(start, stop)
    changed, changed_mask = example(other)
    for name, each in changed.items():
        each[:, :stop] = values[name][:, :stop]
    changed_mask[:, :stop] = mask[:, :stop]
    changed["s2_ndvi"][:, stop:] -= 3
    after = CausalCleaner(changed, changed_mask, DAYS, options).window(start, stop)
    for name in values:
        np.testing.assert_array_equal(before[0][name], after[0][name])
        np.testing.assert_array_equal(before[1][name], after[1][name])


def test_a_target_is_cleaned_on_its_own_window():
    values, mask = example(1)
    changed = {name: each.copy() for name, each in values.items()}
    options = CleaningOptions(remove_fraction=0)
    for each in changed.values():
        each[:, :100] = 0
        each[:, 118:] = 0
    first = CausalCleaner(values, mask, DAYS, options).window(100, 118, past=False)
    second = CausalCleaner(changed, mask, DAYS, options).window(100, 118, past=False)
    np.testing.assert_array_equal(first[0]["s2_B08"], second[0]["s2_B08"])


def test_the_past_of_a_context_is_used():
    """A gap at the beginning of a context is bridged from the value before it."""
    values = {"s2_ndvi": np.arange(STEPS, dtype=np.float32)[None] / STEPS}
    mask = np.zeros((1, STEPS))
    mask[0, 98:103] = 1
    options = CleaningOptions(method="linear", remove_fraction=0, max_extrapolation=0)
    cleaner = CausalCleaner(values, mask, DAYS, options)
    with_past, filled = cleaner.window(100, 150)
    np.testing.assert_allclose(with_past["s2_ndvi"], values["s2_ndvi"][:, 100:150], atol=1e-6)
    assert filled["s2_ndvi"][0].nonzero()[0].tolist() == [0, 1, 2]
    assert np.isnan(cleaner.window(100, 150, past=False)[0]["s2_ndvi"][0, :3]).all()


def test_span_of_a_window_is_that_of_the_whole_axis():
    """0.07 of a window of 54 steps would be 3 points, which return their input."""
    values, mask = example(2)
    smooth, _ = CausalCleaner(values, np.zeros_like(mask), DAYS, CleaningOptions(remove_fraction=0)).window(
        60, 114
    )
    rough = values["s2_ndvi"][:, 60:114]
    assert np.std(np.diff(smooth["s2_ndvi"])) < 0.3 * np.std(np.diff(rough))


def test_other_drivers_and_errors():
    values, mask = example(3)
    driver = values.pop("s2_ndvi")
    with pytest.raises(InputError, match="DRIVER"):
        CausalCleaner(values, mask, DAYS, CleaningOptions())
    assert set(CausalCleaner(values, mask, DAYS, CleaningOptions(), driver).window(0, 5)[0]) == {"s2_B08"}
    with pytest.raises(InputError, match="MODE seed"):
        CausalCleaner(values, mask, DAYS, CleaningOptions(mode="seed"), driver)
