import contextlib
import threading
import time

import pytest

from mattingjax.process.timing import (
    Stages,
    list_times_in_turn,
    summarise_times,
    time_in_turn,
)


def test_stages_add_up_over_threads():
    stages = Stages('decode', 'network')
    assert stages.describe() == ''

    def work():
        with stages.timed('decode'):
            time.sleep(0.02)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with contextlib.suppress(ValueError), stages.timed('network'):
        raise ValueError  # what fails is not counted
    assert stages.seconds['decode'] >= 0.06
    assert stages.seconds['network'] == 0
    assert stages.describe() == 'decode 100%, network 0%'


def test_functions_are_timed_in_turn():
    calls = []
    runs = {name: lambda name=name: calls.append(name) for name in 'ab'}
    seconds = time_in_turn(runs, rounds=3)
    assert ''.join(calls) == 'ab' * 4
    assert set(seconds) == {'a', 'b'}
    assert seconds['a'] == pytest.approx(0, abs=0.1)


def test_what_is_timed_warm_runs_twice():
    calls = []
    runs = {name: lambda name=name: calls.append(name) for name in 'ab'}
    times = list_times_in_turn(runs, rounds=2, warm=True)
    assert ''.join(calls) == 'ab' + 'aabb' * 2
    assert [len(seconds) for seconds in times.values()] == [2, 2]


def test_medians_are_compared_with_the_first():
    summary = summarise_times({'a': [4.0, 1.0, 2.0], 'b': [3.0, 9.0, 6.0, 4.0, 5.0]})
    assert summary == {
        'a': {'seconds': 2.0, 'quartiles': [1.5, 3.0], 'time_ratio': 1.0},
        'b': {'seconds': 5.0, 'quartiles': [4.0, 6.0], 'time_ratio': 2.5},
    }
