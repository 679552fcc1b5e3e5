"""The fuzz harness in small, and that it finds what is wrong."""

import os
import time

import pytest

from mattingjax.errors import MattingError
from tests.fuzz.harness import Kind, MalformedError, run_cases, usable
from tests.fuzz.kinds import KINDS

FEW, ALL = 30, 300  # cases of every day, and those with the slow ones


@pytest.mark.parametrize(
    'seeds', [range(FEW), pytest.param(range(FEW, ALL), marks=pytest.mark.slow)]
)
def test_no_input_does_harm(seeds):
    failures, kinds = [], set()
    for verdict in run_cases(usable(KINDS), seeds, max_seconds=25):
        kinds.add(verdict.kind)
        if verdict.outcome == 'failed':
            failures.append(str(verdict))
    assert not failures, '\n'.join(failures)
    assert kinds == set(usable(KINDS))


def make_nothing(rng, folder, samples):
    (folder / str(rng.integers(10))).touch()


def raise_another(folder):
    raise KeyError('a')


def say_much(folder):
    raise TalkativeError('x' * 5000)


class TalkativeError(MattingError):
    max_length = 10_000


def give_nonsense(folder):
    raise MalformedError('NaN')


def write_outside(folder):
    open('written', 'w').close()


def crash(folder):
    os.abort()


def never_end(folder):
    while True:
        time.sleep(0)


def take_memory(folder):
    held = []
    while True:
        held.append(b'x' * (256 << 20))


def refuse(folder):
    raise MattingError('bad')


@pytest.mark.parametrize(
    ('use', 'outcome', 'detail'),
    [
        (refuse, 'refused', 'bad'),
        (raise_another, 'failed', 'KeyError at test_fuzz.py'),
        (say_much, 'failed', 'a message of 5000 characters'),
        (give_nonsense, 'failed', 'malformed result: NaN'),
        (write_outside, 'failed', 'files were written or removed: written'),
        (crash, 'failed', 'crashed by SIGABRT'),
        (never_end, 'failed', 'over 1 s'),
        (take_memory, 'failed', 'over 1024 MiB'),
    ],
)
def test_what_it_says(use, outcome, detail):
    kinds = {'kind': Kind(make_nothing, use)}
    max_seconds = 1 if use is never_end else 25
    (verdict,) = run_cases(kinds, [0], max_seconds=max_seconds, max_bytes=1 << 30)
    assert verdict.outcome == outcome
    assert detail in verdict.detail
