"""What a script says: tried on one that raises what it is told to."""

import functools
import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT, assert_one_line_error
from tests.forked import run_script

SCRIPT = """
from absl import flags
from mattingjax.process import command_line
from mattingjax.errors import MattingError

flags.DEFINE_string('input', None, 'A photo.', required=True)
flags.DEFINE_string('output', None, 'A folder.')
flags.DEFINE_string('alphas', None, 'A folder.')
flags.DEFINE_bool('overwrite', False, 'Whether.')
flags.DEFINE_integer('count', 1, 'How many.', lower_bound=0)
flags.DEFINE_float('share', None, 'How much.')
flags.DEFINE_enum('kind', None, ['a', 'b'], 'Which.')
flags.DEFINE_list('parts', None, 'Which.')

def main():
    exec(flags.FLAGS.input)

if __name__ == '__main__':
    command_line.run()
"""


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    script = tmp_path_factory.mktemp('scripts') / 'script.py'
    script.write_text(SCRIPT)
    return functools.partial(run_script, script)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['photo.jpg'], "unexpected argument 'photo.jpg'; did you mean --input photo.jpg?"),
        (['--output', 'o', 'p.jpg'], 'did you mean --input p.jpg?'),
        (['--input', 'i', '--overwrite', 'True'], 'a switch is --NAME or --noNAME'),
        (['--input', 'i', 'output=o'], 'did you mean --output=o?'),
        (['--input', 'i', 'output', 'o'], 'did you mean --output?'),
        (['--input', 'i', '—count=3'], 'did you mean --count=3?'),
        (['--input', 'i', 'b.jpg'], "unexpected argument 'b.jpg'; every value belongs to a flag"),
        (['--input', 'i', '--parts', 'a', 'b', 'c'], 'did you mean --parts a,b,c?'),
        (['--parts=a', 'b', '--input', 'i'], 'did you mean --parts a,b?'),
        (['--input', 'i', '--parts', 'a,', 'b,', 'c'], 'did you mean --parts a,b,c?'),
        (['--parts=a', 'photo.jpg'], 'did you mean --input photo.jpg?'),
        (['--input', 'i', '--parts=a', '--kind', 'a', 'b'], 'every value belongs to a flag'),
        (['--input', 'i', '--', '-h'], "unexpected argument '--help'"),
        ([], '--input: a value is required'),
        (['--undefok=foo', '--foo'], '--input: a value is required'),
        (['--inptu', 'i'], 'unknown flag --inptu (did you mean --input?)'),
        (['--input', 'i', '--' + 'y' * 1000], 'unknown flag --yyy'),
        (['--input', 'i', '--kind', 'z' * 1000], '--kind: expected one of a, b, got'),
        (
            ['--input', 'i', '--count', '2.5'],
            "non-negative whole number, got '2.5'",
        ),
        (
            ['--input', 'i', '--count', 2**63],
            f'--count: expected at most 2147483647 in size, got {2**63}',
        ),
        (['--input', 'i', '--count', 'z' * 1000], '--count: expected a non-negative whole number'),
        (['--input', 'i', '--share', '50%'], "--share: expected a number, got '50%'"),
        (['--input', 'i', '--overwrite=maybe'], "expected true or false, got 'maybe'"),
        (
            ['--input', 'i', '--count', -1],
            "non-negative whole number, got '-1'",
        ),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else None,
)
def test_wrong_flags(run, arguments, message):
    process = run(*arguments)
    assert_one_line_error(process, message)
    assert len(process.stderr.decode()) <= 301


@pytest.mark.parametrize(
    ('code', 'message'),
    [
        ('raise MattingError("a\\nb" + 5000 * "x")', 'error: a\\nbxxx'),
        ('raise MattingError("photo: bad")', 'error: photo: bad'),
        ('raise MattingError("alphas: expected more")', 'error: --alphas: expected more'),
        ('raise MattingError("counts: none")', 'error: --count: none'),
        ('raise MattingError("alpha: none")', 'error: --alphas: none'),
        ('raise MattingError("alphas, photo: bad")', 'error: alphas, photo: bad'),
        ('raise MattingError("output, alphas: both")', 'error: --output, --alphas: both'),
        ('raise MattingError("x; overwrite=True replaces it")', 'x; --overwrite replaces it'),
        ('raise MattingError("x; count=3 and a=3 help")', 'x; --count=3 and a=3 help'),
        ('import no_such_package', "No module named 'no_such_package'"),
        ('open("/no/such")', 'error: /no/such: No such file or directory'),
        ('open("x" * 300)', 'xxx: File name too long'),
        ('open("a\\0b")', 'a path holds a null character'),
        ('open("\\ud800")', 'a text cannot be read or written'),
        ('raise OSError(28, "No space left on device")', 'error: No space left on device'),
        ('raise MemoryError', 'error: not enough memory'),
        ('import numpy; numpy.zeros((1 << 31, 1 << 20))', 'error: not enough memory (Unable to'),
        ('raise RuntimeError("RESOURCE_EXHAUSTED: Out of 1 byte\\nmore")', '(Out of 1 byte)'),
        ('f = lambda x: f(x)\nglobals()["f"] = f\nf(1)', 'nested too deeply'),
    ],
)
def test_bad_input_is_one_line(run, code, message):
    process = run('--input', code)
    assert_one_line_error(process, message)
    assert len(process.stderr.decode()) <= 301


@pytest.mark.parametrize(
    'code', ['1 / 0', '{}[3]', 'raise ValueError', 'from mattingjax.errors import No']
)
def test_our_own_faults_keep_their_traceback(run, code):
    process = run('--input', code)
    assert process.returncode == 1
    assert b'Traceback' in process.stderr


def test_a_traceback_for_those_who_ask(run):
    process = run('--input', 'raise MattingError("bad")', '--verbosity=1')
    assert process.returncode == 2
    assert b'Traceback' in process.stderr
    assert process.stderr.endswith(b'\nerror: bad\n')


def test_warnings_are_one_line_too(run):
    code = 'from absl import logging; logging.warning("bad: %s", "a\\n" + 2000 * "b")'
    process = run('--input', code)
    assert process.returncode == 0
    (line,) = process.stderr.decode().splitlines()
    assert line.startswith('warning: bad: a bbb')
    assert len(line) == 300


@pytest.mark.parametrize(
    ('code', 'message'),
    [
        ('print(1)', 'No space left on device'),
        ('print(1); raise MattingError("a.json: cannot be written")', 'error: a.json: cannot be'),
    ],
)
def test_standard_output_that_is_full(tmp_path, code, message):
    (tmp_path / 'script.py').write_text(SCRIPT)
    command = [sys.executable, tmp_path / 'script.py', '--input', code]
    with open('/dev/full', 'wb') as full:
        process = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, check=False, cwd=ROOT,
            env={name: os.environ[name] for name in os.environ if name != 'PYTHONUNBUFFERED'},
        )  # fmt: skip
    assert_one_line_error(process, message)


TAKING_WORDS = """
from absl import flags
from mattingjax.errors import MattingError
from mattingjax.process import command_line

flags.DEFINE_string('output', None, 'A folder.')

def main(words):
    if words == ['bad']:
        raise MattingError('bad: no such word')
    if words == ['output']:
        raise MattingError('output: no such word')
    print(*words, flags.FLAGS.output, sep='|')

if __name__ == '__main__':
    command_line.run()
"""


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (['a', '--output', 'b', 'c'], 'a|c|b\n'),
        (['--output=b', '-', 'c d'], '-|c d|b\n'),
        (['--', '--output'], '--output|None\n'),
        ([], 'None\n'),
        (['bad'], 'error: bad: no such word\n'),
        (['a', 'True'], "error: unexpected argument 'True'; a switch is --NAME or --noNAME"),
        (['output=b'], "error: unexpected argument 'output=b'; did you mean --output=b?"),
        (['output'], 'error: output: no such word\n'),  # a file of that name, not the flag
    ],
)
def test_words_go_to_a_main_that_takes_them(tmp_path, arguments, said):
    (tmp_path / 'script.py').write_text(TAKING_WORDS)
    if arguments == ['output']:
        (tmp_path / 'output').touch()
    process = run_script(tmp_path / 'script.py', *arguments, cwd=tmp_path)
    assert process.returncode == (2 if said.startswith('error') else 0)
    assert (process.stdout + process.stderr).decode().startswith(said)


WITH_A_WORKER = """
from mattingjax.process import command_line

def main():
    from mattingjax.data.datasets import open_dataset
    from mattingjax.data.pipeline import create_pipeline
    from mattingjax.data.transforms import create_transform
    dataset = open_dataset('synthetic', count=4, size=64)
    options = dict(batch_size=2, seed=0, workers=1)
    pipeline = create_pipeline(dataset, create_transform('evaluation', 64), **options)
    print(next(pipeline)['image'].shape)
    pipeline.close()

if __name__ == '__main__':
    command_line.run()
"""


def test_worker_processes_are_quiet(tmp_path):
    script = tmp_path / 'script.py'
    script.write_text(WITH_A_WORKER)
    process = subprocess.run(
        [sys.executable, script], env=os.environ | {'PYTHONPATH': str(ROOT)}, capture_output=True,
        check=False, timeout=100,
    )  # fmt: skip
    assert (process.returncode, process.stderr) == (0, b'')
    assert process.stdout == b'(2, 64, 64, 3)\n'
