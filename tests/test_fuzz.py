"""The fuzz harness in small, that it finds what is wrong, and inputs that were wrong once."""

import ctypes
import importlib.util
import os
import pickle
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mattingjax.errors import MattingError
from tests.fuzz import corpus, targets, traps
from tests.fuzz.harness import Kind, MalformedError, open_bench, run_cases, usable
from tests.fuzz.kinds import KINDS
from tests.fuzz.verdicts import FAULTS, Verdict, summarise

FEW, ALL = 34, 300  # cases of every day, and those with the slow ones


@pytest.mark.parametrize(
    'seeds', [range(FEW), pytest.param(range(FEW, ALL), marks=pytest.mark.slow)]
)
def test_no_input_does_harm(seeds):
    failures, kinds = [], set()
    for verdict in run_cases(usable(KINDS), seeds):
        kinds.add(verdict.kind)
        if verdict.is_failure:
            failures.append(str(verdict))
    assert not failures, '\n'.join(failures)
    assert kinds == set(usable(KINDS))


@pytest.fixture(scope='module')
def bench():
    with open_bench(usable(KINDS)) as bench:
        yield bench


@pytest.mark.parametrize('entry', corpus.entries())
def test_corpus(bench, entry):
    if entry.split('/')[0] not in bench.kinds:
        pytest.skip('a package that reads it is not installed')
    verdict = corpus.replay(bench, entry)
    assert not verdict.is_failure, str(verdict)
    if verdict.name.startswith('works'):
        assert verdict.outcome == 'worked', str(verdict)


@pytest.mark.parametrize('entry', corpus.guided_entries())
def test_guided_corpus(entry):
    if entry.startswith(('forms/', 'queries/')):
        pytest.importorskip('fastapi')
    targets.attempt(entry.split('/')[0], (corpus.GUIDED / entry).read_bytes())


@pytest.mark.slow
def test_guided_fuzzing(tmp_path):
    pytest.importorskip('atheris')
    command = [sys.executable, '-m', 'tests.fuzz.guided', 'texts', '-runs=300']
    command.append(f'-artifact_prefix={tmp_path}/')
    process = subprocess.run(command, cwd=corpus.ROOT.parents[2], capture_output=True, check=False)
    assert process.returncode == 0, process.stderr.decode(errors='replace')
    assert b'Done 300 runs' in process.stderr
    assert not list(tmp_path.iterdir())


def test_the_corpus_is_small_and_of_known_kinds():
    assert {entry.split('/')[0] for entry in corpus.entries()} <= set(KINDS)
    assert {entry.split('/')[0] for entry in corpus.guided_entries()} == set(targets.TARGETS)
    sizes = [path.stat().st_size for path in corpus.ROOT.rglob('*') if path.is_file()]
    assert max(sizes) < 3_000
    assert sum(sizes) < 200_000


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


def write_beside(folder):
    open('written', 'w').close()


def write_elsewhere(folder):
    Path('/tmp', f'fuzz.{os.getpid()}').touch()


def leave_scratch(folder):
    Path(os.environ['TMPDIR'], 'left').touch()


def remove_input(folder):
    next(folder.iterdir()).unlink()


def read_a_trap(folder):
    (folder.parent / traps.FOLDER / traps.TEXT).read_bytes()


def open_a_trap_natively(folder):
    ctypes.CDLL(None).open(os.fsencode(folder.parent / traps.FOLDER / traps.CLIP), os.O_RDONLY)


def rename_outside(folder):
    os.rename(next(folder.iterdir()), f'/tmp/fuzz.{os.getpid()}')


def start_a_program(folder):
    subprocess.run(['true'], check=True)


def start_a_shell(folder):
    os.system('true')


def fork(folder):
    if os.fork() == 0:
        os._exit(0)


def unpickle(folder):
    pickle.loads(b'cbuiltins\nlen\n.')


def evaluate(folder):
    eval(compile('1 + 1', 'a file', 'eval'))


def import_what_lies_there(folder):
    (folder / 'module.py').write_text('')
    specification = importlib.util.spec_from_file_location('module', folder / 'module.py')
    specification.loader.exec_module(importlib.util.module_from_spec(specification))
    (folder / 'module.py').unlink()


def connect(folder):
    with open_socket() as connection:
        connection.connect_ex(('127.0.0.1', 9))


def open_socket():
    return socket.socket(socket.AF_INET, socket.SOCK_STREAM)


def make_an_address(rng, folder, samples):
    (folder / 'address').write_text(traps.address())


def connect_natively(folder):
    port = (folder / 'address').read_text().partition(':')[2]
    address = bytes([2, 0, *int(port).to_bytes(2, 'big'), 127, 0, 0, 1]) + bytes(8)
    with open_socket() as connection:
        assert ctypes.CDLL(None).connect(connection.fileno(), address, len(address)) == 0


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
        (raise_another, 'tracebacks', 'KeyError at test_fuzz.py'),
        (say_much, 'malformed', 'a message of 5000 characters'),
        (give_nonsense, 'malformed', 'malformed result: NaN'),
        (write_beside, 'outside', 'written, removed or read: written'),
        (write_elsewhere, 'outside', '/tmp/fuzz.'),
        (leave_scratch, 'outside', 'scratch/left'),
        (remove_input, 'outside', 'input/'),
        (rename_outside, 'outside', '/tmp/fuzz.'),
        (read_a_trap, 'outside', 'trap/text'),
        (open_a_trap_natively, 'outside', 'trap/clip.y4m'),
        (start_a_program, 'executed', "subprocess.Popen ['true']"),
        (start_a_shell, 'executed', 'os.system'),
        (fork, 'executed', 'os.fork'),
        (unpickle, 'executed', 'pickle.find_class builtins.len'),
        (evaluate, 'executed', 'compile b'),
        (import_what_lies_there, 'executed', 'module.py'),
        (connect, 'executed', "socket.connect ('127.0.0.1', 9)"),
        (connect_natively, 'executed', 'a connection to 127.0.0.1:'),
        (crash, 'tracebacks', 'crashed by SIGABRT'),
        (never_end, 'hangs', 'over 1 s'),
        (take_memory, 'memory', 'over 1024 MiB'),
    ],
)
def test_what_it_says(use, outcome, detail):
    make = make_an_address if use is connect_natively else make_nothing
    max_seconds = 1 if use is never_end else 25
    (verdict,) = run_cases(
        {'kind': Kind(make, use)}, [0], max_seconds=max_seconds, max_bytes=1 << 30
    )
    assert verdict.outcome == outcome, str(verdict)
    assert detail in verdict.detail


def test_a_program_that_a_kind_may_start():
    kinds = {'kind': Kind(make_nothing, start_a_program, programs=('true',))}
    (verdict,) = run_cases(kinds, [0])
    assert verdict.outcome == 'worked', str(verdict)


@pytest.mark.slow
def test_failures_are_kept_and_several_processes_say_the_same(tmp_path):
    kinds = {'good': Kind(make_nothing, refuse), 'bad': Kind(make_nothing, raise_another)}
    alone = list(run_cases(kinds, range(6)))
    shared = list(run_cases(kinds, range(6), processes=2, keep=tmp_path))
    assert [verdict[:4] for verdict in shared] == [verdict[:4] for verdict in alone]
    kept = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob('*/*'))
    assert kept == ['bad/1', 'bad/3', 'bad/5']


def test_the_table():
    verdicts = [
        Verdict('a', '0', 'worked', '', 1.0, 1 << 20),
        Verdict('a', '1', 'refused', 'bad', 3.0, 3 << 20),
        *(Verdict('b', str(i), fault, 'why', 0.0, 0) for i, fault in enumerate(FAULTS)),
    ]
    head, *rows = summarise(verdicts).splitlines()
    assert head.split() == [
        'kind', 'cases', 'worked', 'refused', *FAULTS, 'mean', 'longest', 'memory'
    ]  # fmt: skip
    figures = [' '.join(row.split()) for row in rows[:3]]
    assert figures[0] == 'a 2 1 1 0 0 0 0 0 0 2.00 s 3.0 s 3 MiB'
    assert figures[1].startswith('b 6 0 0 1 1 1 1 1 1 ')
    assert figures[2].startswith('all 8 1 1 1 1 1 1 1 1 ')
    assert rows[3:] == [f'b {i}: {fault}: why' for i, fault in enumerate(FAULTS)]
