"""Files that numpy reads without pickle, byte for byte the same."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from minicuber.core.dataset.npz import Member, packed, write_npz, write_whole

shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=9)
dtypes = st.sampled_from(["float32", "float64", "int8", "bool", "datetime64[D]", "<U7", "int64"])


@given(st.lists(dtypes.flatmap(lambda d: shapes.flatmap(lambda s: hnp.arrays(d, s))), min_size=1, max_size=5))
def test_numpy_reads_what_was_written(tmp_path_factory, arrays):
    path = tmp_path_factory.mktemp("npz") / "x.npz"
    named = {f"a{number}": array for number, array in enumerate(arrays)}
    assert write_npz(path, named) == path.stat().st_size
    with np.load(path, allow_pickle=False) as stored:
        assert stored.files == list(named)
        for name, array in named.items():
            assert stored[name].dtype == array.dtype
            np.testing.assert_array_equal(stored[name], array)
    assert zipfile.ZipFile(path).testzip() is None


def test_views_and_other_orders_of_memory_are_written_as_they_read(tmp_path):
    array = np.arange(600.0).reshape(20, 30)
    write_npz(tmp_path / "x.npz", {"t": array.T, "s": array[::2, ::-3]})
    with np.load(tmp_path / "x.npz") as stored:
        np.testing.assert_array_equal(stored["t"], array.T)
        np.testing.assert_array_equal(stored["s"], array[::2, ::-3])


@pytest.mark.parametrize("dtype", ["float32", "datetime64[D]", "<U9", "bool"])
def test_large_arrays_are_packed_without_a_copy_of_them(tmp_path, dtype):
    """Another path than that of small ones: dates and text have no buffer, noise does not get smaller."""
    values = np.random.default_rng(0).integers(0, 2**62, 100_000).astype("int64")
    array = (values.view("float32") if dtype == "float32" else values % 40_000).astype(dtype).reshape(-1, 100)
    noise = values.view("uint8").reshape(-1, 80)
    write_npz(tmp_path / "x.npz", {"a": array, "t": array.T, "noise": noise, "one": array[0, 0]})
    with np.load(tmp_path / "x.npz", allow_pickle=False) as stored:
        for name, expected in (("a", array), ("t", array.T), ("noise", noise), ("one", array[0, 0])):
            assert stored[name].dtype == expected.dtype
            np.testing.assert_array_equal(stored[name], expected)
    assert zipfile.ZipFile(tmp_path / "x.npz").testzip() is None


def test_the_same_arrays_give_the_same_bytes():
    arrays = {"a": np.random.default_rng(0).random((50, 60)), "b": np.array(["x", "yy"])}
    first, second = (packed([Member(name, array) for name, array in arrays.items()]) for _ in range(2))
    assert first == second


def test_what_needs_pickle_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="pickle"):
        write_npz(tmp_path / "x.npz", {"a": np.array(["x", None], dtype=object)})
    assert not list(tmp_path.iterdir())


def test_a_file_is_whole_or_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "minicuber.core.dataset.npz.os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "full"))
    )
    with pytest.raises(OSError, match="full"):
        write_whole(tmp_path / "x.npz", b"1234")
    assert not (tmp_path / "x.npz").exists()
