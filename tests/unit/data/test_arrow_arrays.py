"""NumPy's arrays as pyarrow's and back, slices and nulls too, without pandas."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyarrow as pa

from engine.data.arrow_arrays import are_there, as_indices, as_numbers


def test_a_slice_with_nulls_is_read_from_where_it_begins() -> None:
    texts = pa.array(["a", None, "b", None, "a", *"cdefgh"])[1:7]

    numbers = as_numbers(pa.array([1, 2, 3, 4], pa.int32())[1:3])

    assert are_there(texts).tolist() == [False, True, False, True, True, True]
    assert numbers.tolist() == [2, 3]
    assert texts.take(as_indices(np.array([5, 0, 1]))).to_pylist() == ["d", None, "b"]


def test_no_array_is_none() -> None:
    assert are_there(pa.array([], pa.string())).tolist() == []
    assert pa.array(["a"]).take(as_indices(np.zeros(0, np.int64))).to_pylist() == []


def test_pandas_is_not_imported() -> None:
    code = (
        "import sys, numpy, pyarrow\n"
        "from engine.data import arrow_arrays as arrays\n"
        "places = arrays.as_indices(numpy.arange(2))\n"
        "arrays.as_numbers(places), arrays.are_there(places.take(places))\n"
        "print('pandas' in sys.modules)"
    )

    ran = subprocess.run(
        (sys.executable, "-c", code), capture_output=True, text=True, check=True, timeout=60
    )

    assert ran.stdout.strip() == "False"
