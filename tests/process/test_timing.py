import contextlib
import threading
import time

import pytest

from mattingjax.process.timing import Stages, time_in_turn


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
