import io
import os
import sys

import pytest

from mattingjax.process import progress
from mattingjax.process.progress import announced, say, show_progress


class Stream(io.StringIO):
    """Standard error, as a terminal or as a file."""

    def __init__(self, is_terminal):
        super().__init__()
        self.isatty = lambda: is_terminal


class Clock:
    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now


def listen(monkeypatch, is_terminal=False):
    """Standard error, and a clock that stands still."""
    monkeypatch.setattr(sys, 'stderr', Stream(is_terminal))
    monkeypatch.setattr(progress, 'time', Clock())
    return sys.stderr, progress.time


def test_in_a_log_a_line_every_ten_seconds(monkeypatch):
    log, clock = listen(monkeypatch)
    for i in show_progress(range(100), unit='photo', description='matting'):
        clock.now += 3 if i < 8 else 0.01
    assert log.getvalue().splitlines() == [
        'matting: 4/100 [00:12<04:48,  3.00s/photo]',
        'matting: 8/100 [00:24<04:36,  3.00s/photo]',
        'matting: 100/100 [00:24<00:00,  4.01photo/s]',
    ]


def test_what_is_quick_leaves_nothing_in_a_log(monkeypatch):
    log, clock = listen(monkeypatch)
    for _ in show_progress(range(100), unit='photo'):
        clock.now += 0.09
    assert log.getvalue() == ''


def test_going_on_in_a_log(monkeypatch):
    log, clock = listen(monkeypatch)
    with show_progress(total=30, initial=20, unit='step', description='training') as bar:
        for _ in range(5):
            clock.now += 10
            bar.set_postfix({'loss': '0.5'}, refresh=False)
            bar.update()
            say('a line')
    lines = log.getvalue().splitlines()
    assert lines[:3] == [
        'training: 21/30 [00:10<01:30, 10.00s/step, loss=0.5]', 'a line',
        'training: 22/30 [00:20<01:20, 10.00s/step, loss=0.5]',
    ]  # fmt: skip
    assert len(lines) == 10


def test_an_error_is_not_followed_by_a_line(monkeypatch):
    log, clock = listen(monkeypatch)

    def work():
        with show_progress(total=2, unit='step') as bar:
            clock.now += 20
            bar.update()
            raise ValueError('work')

    with pytest.raises(ValueError, match='work'):
        work()
    assert len(log.getvalue().splitlines()) == 1


def test_in_a_terminal_there_is_a_bar(monkeypatch):
    terminal, _ = listen(monkeypatch, is_terminal=True)
    for _ in show_progress(iter('abc'), total=3, unit='photo', description='matting'):
        say('a line')
    text = terminal.getvalue()
    assert '\rmatting: 100%|' in text
    assert text.count('a line\n') == 3


def test_how_long_it_took(monkeypatch):
    log, clock = listen(monkeypatch)
    with announced('compiling', 'compiled'):
        assert log.getvalue() == 'compiling ...\n'
        clock.now += 97.2
    assert log.getvalue() == 'compiling ...\ncompiled in 97 s\n'


def test_what_nobody_reads_any_longer_is_no_error(monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    with io.TextIOWrapper(io.FileIO(writer, 'w'), write_through=True) as stream:
        with pytest.raises(BrokenPipeError):
            stream.write('hello')
        monkeypatch.setattr(sys, 'stderr', stream)
        say('hello')
