import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from mattingjax.process.ahead import read_ahead, run_ahead
from tests.waiting import wait_until


def test_results_come_in_order_while_the_next_are_under_way():
    started, allowed = [], threading.Event()

    def square(number):
        started.append(number)
        if number == 0:
            allowed.wait(10)
        return number**2

    with ThreadPoolExecutor(4) as pool:
        results = run_ahead(pool, square, range(10), 3)
        item, future = next(results)
        wait_until(lambda: len(started) >= 4)
        assert (item, sorted(started)) == (0, [0, 1, 2, 3])  # not one more
        allowed.set()
        rest = [(item, future.result()), *((item, future.result()) for item, future in results)]
    assert rest == [(number, number**2) for number in range(10)]


@pytest.mark.parametrize('most', [1, 3])
def test_items_are_read_ahead_and_no_more_than_a_few(most):
    taken = []

    def items():
        for number in range(20):
            taken.append(number)
            yield number

    reading = read_ahead(items(), most)
    assert next(reading) == 0
    wait_until(lambda: len(taken) >= most + 2)  # those that wait, one in hand, and ours
    time.sleep(0.05)
    assert len(taken) == most + 2
    assert list(reading) == list(range(1, 20))


def test_what_reading_raises_is_raised_after_the_items_before():
    def items():
        yield 1
        raise ValueError('torn')

    reading = read_ahead(items(), 2)
    assert next(reading) == 1
    with pytest.raises(ValueError, match='torn'):
        next(reading)


def test_it_ends_when_nothing_more_is_wanted_even_if_nothing_comes():
    over, blocked = threading.Event(), threading.Event()

    def items():
        yield 1
        blocked.wait(30)

    reading = read_ahead(items(), 1, over.is_set)
    assert next(reading) == 1
    threading.Timer(0.05, over.set).start()
    threading.Timer(0.3, blocked.set).start()
    assert list(reading) == []


def test_a_reader_that_is_left_ends_its_thread():
    before = threading.active_count()
    reading = read_ahead(iter(range(10**9)), 2)
    next(reading)
    reading.close()
    assert threading.active_count() == before
