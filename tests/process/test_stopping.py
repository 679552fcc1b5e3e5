"""What the second signal does, and what counts as one."""

import signal

import pytest

from mattingjax.process import stopping
from mattingjax.process.stopping import Stop


@pytest.fixture
def clock(monkeypatch):
    """A list whose last number is the time in seconds."""
    times = [100.0]
    monkeypatch.setattr(stopping.time, 'monotonic', lambda: times[-1])
    return times


@pytest.fixture
def working():
    """Handles signals while something would be lost."""
    stop = Stop('all is saved', own_process=False)
    with stop.watching():
        stop.has_done_something()
        yield stop


def test_the_same_signal_at_once_is_no_second_one(working, clock, capsys):
    """`timeout` sends SIGTERM to a process and, at once, to its group."""
    for seconds in (0, 0.0, 0.1):
        clock.append(100 + seconds)
        signal.raise_signal(signal.SIGINT)
    assert working.requested == signal.SIGINT
    said = capsys.readouterr().err
    assert said == 'stopping: all is saved (a second signal stops at once)\n'
    clock.append(100.3)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_another_signal_is_a_second_one(working, clock):
    signal.raise_signal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert working.requested == signal.SIGTERM


def test_in_a_process_of_its_own(clock, monkeypatch):
    left: list[int] = []
    monkeypatch.setattr(stopping, 'leave', lambda status, *_: left.append(status))
    stop = Stop('all is saved', own_process=True)
    stop.has_done_something()
    for seconds, number in ((0, 15), (0.1, 15), (0.15, 2), (0.3, 15)):
        clock.append(100 + seconds)
        stop._hear(number)
    assert left == [130, 143]
