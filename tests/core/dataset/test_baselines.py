"""Baselines and their scores, against plain loops over numpy arrays."""

from __future__ import annotations

import json

import numpy as np
import pytest
from minicuber.core.dataset import baselines
from minicuber.core.dataset.baselines import Baselines
from minicuber.core.errors import InputError

RANDOM = np.random.default_rng(3)
NAMES = ("ndvi", "red")


def samples(count, first, seed, patch=()):
    """(context, target, target dates): two variables with a season and gaps; dates differ between samples."""
    random = np.random.default_rng(seed)
    starts = np.datetime64(first) + random.integers(0, 300, count).astype("timedelta64[D]")
    dates = starts[:, None] + (5 * np.arange(10)).astype("timedelta64[D]")
    season = np.sin(((dates - dates.astype("datetime64[Y]")).astype(int)) / 58.0)
    shape = (count, 2, 10, *patch)
    values = season.reshape(count, 1, 10, *[1] * len(patch)) + 0.3 * random.normal(size=shape)
    values = values.astype(np.float32)
    values[random.random(shape) < 0.2] = np.nan
    return values[:, :, :6], values[:, :, 6:], dates[:, 6:]


def bin_of(date):
    day = int((date - date.astype("datetime64[Y]")).astype(int))
    return min(day // 5, 72)


def plain_climatology(target, dates, date, variable, place=None, places=None):
    """The mean of all training values within three bins of a date; of one place where it has three."""
    near = {(bin_of(date) + step) % 73 for step in range(-3, 4)}
    every, own = [], []
    for i in range(len(target)):
        for t in range(target.shape[2]):
            value = float(target[i, variable, t])
            if np.isfinite(value) and bin_of(dates[i, t]) in near:
                every.append(value)
                if places is not None and places[i] == place:
                    own.append(value)
    used = own if len(own) >= 3 else every
    return np.mean(used) if used else np.nan


def plain_scores(predicted, truth):
    both = np.isfinite(predicted) & np.isfinite(truth)
    p, t = predicted[both].astype(float), truth[both].astype(float)
    efficiency = []
    for a, b in zip(predicted, truth, strict=True):
        ok = np.isfinite(a) & np.isfinite(b)
        if ok.sum() > 1:
            x, y = a[ok].astype(float), b[ok].astype(float)
            efficiency.append(1 / (2 - (1 - ((x - y) ** 2).sum() / ((y - y.mean()) ** 2).sum())))
    return {
        "n": p.size,
        "unpredicted": int((np.isfinite(truth) & ~both).sum()),
        "rmse": np.sqrt(((p - t) ** 2).mean()),
        "mae": np.abs(p - t).mean(),
        "r2": 1 - ((p - t) ** 2).sum() / ((t - t.mean()) ** 2).sum(),
        "nnse": np.mean(efficiency),
    }


def test_persistence_is_the_last_value_seen():
    """The last step may be cloudy, a pixel may have none at all, and a variable may be no part of the context."""
    context, target, dates = samples(40, "2021-01-01", 0)
    context[:5, 0] = np.nan
    found = Baselines(("red", "ndvi", "new"), NAMES)
    wide = np.concatenate([target[:, ::-1], target[:, :1]], axis=1)
    found.score("test", context, wide, dates)
    result = found.result()["test"]["persistence"]
    for name, variable in (("red", 1), ("ndvi", 0)):
        predicted = np.full(target[:, 0].shape, np.nan)
        for i in range(40):
            seen = [value for value in context[i, variable] if np.isfinite(value)]
            if seen:
                predicted[i] = seen[-1]
        assert result[name] == pytest.approx(plain_scores(predicted, target[:, variable]), rel=1e-9)
    assert result["ndvi"]["unpredicted"] > 0
    assert result["new"]["n"] == 0 and result["new"]["rmse"] is None and result["new"]["nnse"] is None


@pytest.mark.parametrize("with_places", [False, True])
def test_climatology_of_training_targets(with_places):
    """Neither the scored split nor a context may enter; a place of its own counts where it has values."""
    _, target, dates = samples(60, "2019-01-01", 1)
    context, later, after = samples(30, "2021-03-01", 2)
    places, others = (RANDOM.integers(0, 8, 60), RANDOM.integers(0, 12, 30)) if with_places else (None, None)
    found = Baselines(NAMES, NAMES)
    for part in np.array_split(np.arange(60), 7):
        found.fit(target[part], dates[part], None if places is None else places[part])
    for part in np.array_split(np.arange(30), 4):
        found.score("val", context[part], later[part], after[part], None if others is None else others[part])
    for variable, name in enumerate(NAMES):
        predicted = np.array(
            [
                [
                    plain_climatology(target, dates, after[i, t], variable, others[i], places)
                    if with_places
                    else plain_climatology(target, dates, after[i, t], variable)
                    for t in range(4)
                ]
                for i in range(30)
            ]
        )
        expected = plain_scores(predicted, later[:, variable])
        assert found.result()["val"]["climatology"][name] == pytest.approx(expected, rel=1e-9)


def test_scored_values_do_not_teach():
    """A leak would lower the error of what is scored twice."""
    _, target, dates = samples(60, "2019-01-01", 1)
    context, later, after = samples(30, "2021-03-01", 2)
    found = Baselines(NAMES, NAMES)
    found.fit(target, dates)
    found.score("val", context, later, after)
    once = found.result()["val"]["climatology"]["ndvi"]
    found.score("val", context, later, after)
    twice = found.result()["val"]["climatology"]["ndvi"]
    assert twice["rmse"] == pytest.approx(once["rmse"], rel=1e-12) and twice["n"] == 2 * once["n"]
    with pytest.raises(ValueError, match="scored"):
        found.fit(target, dates)


def test_a_time_of_year_never_seen_has_no_climatology():
    """Winter is not predicted from summer: it counts as unpredicted, not as an error."""
    found = Baselines(["ndvi"], ["ndvi"])
    summer = np.arange("2019-06-01", "2019-07-01", 5, dtype="datetime64[D]")
    found.fit(np.ones((2, 1, 6)), summer)
    winter = np.arange("2020-01-01", "2020-01-31", 5, dtype="datetime64[D]")
    found.score("test", np.ones((2, 1, 3)), np.ones((2, 1, 6)), winter)
    result = found.result()["test"]["climatology"]["ndvi"]
    assert result["n"] == 0 and result["unpredicted"] == 12 and result["rmse"] is None
    # Around the new year, and on a leap day, the year has no edge.
    found = Baselines(["ndvi"], ["ndvi"])
    found.fit(np.full((1, 1, 1), 2.0), np.array(["2020-12-31"], "datetime64[D]"))
    found.score(
        "test", np.ones((1, 1, 3)), np.full((1, 1, 1), 5.0), np.array(["2022-01-10"], "datetime64[D]")
    )
    assert found.result()["test"]["climatology"]["ndvi"]["mae"] == 3.0


def test_patches_are_their_pixels():
    context, target, dates = samples(6, "2019-01-01", 5, patch=(3, 4))
    places = np.arange(72).reshape(6, 3, 4)
    patches, pixels = Baselines(NAMES, NAMES), Baselines(NAMES, NAMES)

    def flat(values):
        return np.moveaxis(values, (3, 4), (1, 2)).reshape(72, 2, -1)

    dates_flat = np.repeat(dates, 12, axis=0)
    patches.fit(target, dates, places)
    pixels.fit(flat(target), dates_flat, places.ravel())
    patches.score("test", context, target, dates, places)
    pixels.score("test", flat(context), flat(target), dates_flat, places.ravel())
    assert patches.result() == pixels.result()


def test_taken_up_again_and_merged():
    """After a kill, and from several processes: the same scores."""
    _, target, dates = samples(60, "2019-01-01", 1)
    places = RANDOM.integers(0, 9, 60)
    context, later, after = samples(30, "2021-03-01", 2)
    other = RANDOM.integers(0, 12, 30)
    whole, first, second = (Baselines(NAMES, NAMES) for _ in range(3))
    whole.fit(target, dates, places)
    first.fit(target[:25], dates[:25], places[:25])
    second.fit(target[25:], dates[25:], places[25:])
    first = Baselines.from_json(json.loads(json.dumps(first.to_json())))
    first.merge(second)
    whole.score("test", context, later, after, other)
    rest = Baselines.from_json(json.loads(json.dumps(first.to_json())))
    first.score("test", context[:11], later[:11], after[:11], other[:11])
    first = Baselines.from_json(json.loads(json.dumps(first.to_json())))
    rest.score("test", context[11:], later[11:], after[11:], other[11:])
    first.merge(rest)
    for method in baselines.METHODS:
        for name in NAMES:
            expected = whole.result()["test"][method][name]
            assert first.result()["test"][method][name] == pytest.approx(expected, rel=1e-10)
    with pytest.raises(ValueError, match="other variables"):
        first.merge(Baselines(["ndvi"], NAMES))
    with pytest.raises(InputError, match="version"):
        Baselines.from_json({"version": 99})


def test_too_many_places_fall_back_to_the_whole(monkeypatch):
    """Memory is bounded: what comes too late is predicted from all samples, and nothing fails."""
    monkeypatch.setattr(baselines, "MAX_PLACES", 5)
    _, target, dates = samples(40, "2019-01-01", 1)
    found = Baselines(NAMES, NAMES)
    for i in range(40):
        found.fit(target[i : i + 1], dates[i : i + 1], np.array([100 - i]))
    assert found._climatology.places.tolist() == [96, 97, 98, 99, 100]
    found.score("val", target, target, dates, np.arange(40))
    assert found.result()["val"]["climatology"]["ndvi"]["n"] > 0


def test_constant_truth_has_no_r2():
    found = Baselines(["ndvi"], ["ndvi"])
    dates = np.arange("2019-06-01", "2019-06-16", 5, dtype="datetime64[D]")
    found.score("test", np.ones((4, 1, 2)), np.full((4, 1, 3), 0.1, np.float32), dates)
    result = found.result()["test"]["persistence"]["ndvi"]
    assert result["r2"] is None and result["nnse"] is None and result["rmse"] == pytest.approx(0.9)
    json.dumps(found.result(), allow_nan=False)


def test_wrong_shapes_are_refused():
    found = Baselines(["ndvi"], ["ndvi"])
    dates = np.arange("2019-06-01", "2019-06-16", 5, dtype="datetime64[D]")
    with pytest.raises(ValueError, match="variables"):
        found.fit(np.ones((4, 2, 3)), dates)
    with pytest.raises(ValueError, match="places"):
        found.fit(np.ones((4, 1, 3)), dates, np.arange(3))
