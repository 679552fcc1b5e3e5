"""The process's limit while runtimes read."""

import pytest

from mattingjax.inference.screening import limited_memory

resource = pytest.importorskip('resource')


def limit():
    return resource.getrlimit(resource.RLIMIT_DATA)


def test_reading_that_overlaps_leaves_no_limit():
    before = limit()
    first, second = limited_memory(), limited_memory()
    with first:
        lowered = limit()
        second.__enter__()
        assert limit() == lowered
    assert limit() == lowered
    second.__exit__(None, None, None)
    assert limit() == before != lowered
