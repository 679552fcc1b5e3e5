"""The command `mattingjax`: what it says of its sub-commands, and that it finds them."""

import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from exporters.cases import MAX_PHOTOS
from exporters.options import FORMATS
from mattingjax import commands, images
from mattingjax.commands import bins
from mattingjax.evaluation.metrics.error_maps import METRICS
from mattingjax.inference.outputs import OUTPUTS
from mattingjax.inference.runtimes import RUNTIMES
from mattingjax.inference.signature import COLOUR_ORDERS
from mattingjax.weights import DEFAULT_WEIGHTS
from tests.conftest import ROOT, assert_one_line_error
from tests.forked import run_script

FOLDER = Path(commands.__file__).parent
# The scripts and modules that are sub-commands, too.
SAME = {name: f'scripts/{name}.py' for name in ('predict', 'evaluate', 'train', 'prune', 'label')}
SAME |= {'import-weights': 'scripts/import_weights.py', 'complexity': 'scripts/complexity.py'}
SAME |= {'export': 'exporters.export', 'bins': 'exporters.bins'}


def mattingjax(*words, **options):
    return run_script('mattingjax', *words, **options)


@pytest.mark.parametrize('package', [commands, bins], ids=lambda package: package.__name__)
def test_the_table_has_what_the_folder_has(package):
    folder = Path(package.__file__).parent
    shared = {'__init__', 'dispatch', 'network', 'pictures'}
    modules = {path.stem for path in folder.glob('*.py')} - shared
    packages = {path.parent.name for path in folder.glob('*/__init__.py')}
    assert {name.replace('-', '_') for name in package.COMMANDS} == modules | packages


@pytest.mark.parametrize('words', [['--help'], ['help'], ['-h'], ['--helpfull']])
def test_help_lists_the_commands_with_a_line_each(words):
    process = mattingjax(*words)
    assert (process.returncode, process.stderr) == (0, b'')
    lines = process.stdout.decode().splitlines()
    assert lines[0] == 'Portrait matting: from photos to a small network on edge hardware.'
    for name, text in commands.COMMANDS.items():
        assert f'  {name:14}  {text}' in lines
    assert max(map(len, lines)) <= 100


def test_help_imports_next_to_nothing():
    code = (
        'import sys; sys.argv[1:] = ["--help"]\nfrom mattingjax.commands import main\n'
        'try: main()\nexcept SystemExit: print(*sys.modules)'
    )
    process = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    loaded = {name.split('.')[0] for name in process.stdout.splitlines()[-1].split()}
    assert 'mattingjax' in loaded
    assert not loaded & {'absl', 'numpy', 'jax', 'flax', 'ml_collections', 'cv2', 'PIL', 'scipy'}


@pytest.mark.parametrize('name', ['predict', 'train', 'export', 'bins prepare'])
def test_help_of_a_command_needs_no_jax(name):
    code = (
        f'import sys; sys.argv[1:] = {[*name.split(), "--help"]}\n'
        'from mattingjax.commands import main\n'
        'try: main()\nexcept SystemExit: print(*sys.modules)'
    )
    process = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert f'\nmattingjax {name}:\n' in process.stdout
    loaded = process.stdout.splitlines()[-1].split()
    assert 'absl' in loaded
    assert not {'jax', 'numpy'} & {*loaded}


def test_the_version():
    process = mattingjax('--version')
    assert process.returncode == 0
    assert process.stdout.decode() == f'mattingjax {importlib.metadata.version("mattingjax")}\n'


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='there is no /dev/full')
def test_help_that_cannot_be_written():
    command = [sys.executable, '-m', 'mattingjax', '--help']
    with open('/dev/full', 'wb') as full:
        process = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, cwd=ROOT, check=False
        )
    assert_one_line_error(process, 'No space left on device')
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, 'wb') as left:
        process = subprocess.run(
            command, stdout=left, stderr=subprocess.PIPE, cwd=ROOT, check=False
        )
    assert (process.returncode, process.stderr) == (1, b'')


@pytest.mark.parametrize(
    ('words', 'parts'),
    [
        (
            [],
            [
                'expected predict, bulk, video, serve, evaluate, ',
                ' or list as the first argument, got nothing',
            ],
        ),
        (['predcit'], ["got 'predcit' (did you mean predict? see mattingjax --help)"]),
        (['import_weights'], ['did you mean import-weights?']),
        (['README.md'], ['did you mean predict README.md?']),
        (['--input', 'a.png'], ["got '--input' (see mattingjax --help)"]),
        (['x' * 1000], ['xxx…xxx']),
        (['a\nb'], ["got 'a\\nb'"]),
        (['bins'], ['expected prepare, run or evaluate', 'got nothing (see mattingjax bins --']),
        (['bins', 'prepar'], ['did you mean prepare?']),
        (['bins', 'run'], ['--model: a value is required']),
        (['train', 'configs/mmnet.py'], ['did you mean --config configs/mmnet.py?']),
        (['predict', '--inputt=a'], ['unknown flag --inputt (did you mean --input']),
        (['list', 'weights'], ["unexpected argument 'weights'"]),
    ],
)
def test_wrong_words_are_one_line(words, parts):
    process = mattingjax(*words)
    assert_one_line_error(process, *parts)
    assert len(process.stderr.decode()) <= 301


@pytest.mark.parametrize('name', SAME)
def test_scripts_and_modules_are_the_same_commands(name):
    script = SAME[name]
    verb = ['run'] if name == 'bins' else []
    said, same = (
        run_script(*words, *verb, '--help').stdout.decode()
        for words in (['mattingjax', name], [script])
    )
    assert f'\n  mattingjax {" ".join([name, *verb])} ' in said
    # But for the line above the flags, which names the program.
    assert re.sub('(?<=flags:\n\n).*', '', said) == re.sub('(?<=flags:\n\n).*', '', same)


@pytest.mark.skipif(sys.platform == 'win32', reason='pipes are others there')
def test_help_whose_reader_has_left():
    for _ in range(3):
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, 'wb') as pipe:
            command = [sys.executable, '-m', 'mattingjax', 'evaluate', '--help']
            process = subprocess.run(command, stdout=pipe, stderr=subprocess.PIPE, check=False)
        assert process.stderr == b''
        assert process.returncode in (0, 1)


@pytest.mark.parametrize(
    ('command', 'names'),
    [
        ('export', [', '.join(FORMATS), '|'.join(COLOUR_ORDERS), f'the first {MAX_PHOTOS}']),
        ('predict', [', '.join(OUTPUTS), *images.FORMATS, *RUNTIMES, DEFAULT_WEIGHTS]),
        ('evaluate', [*RUNTIMES, *METRICS]),
    ],
)
def test_help_lists_what_the_library_knows(command, names):
    """Flags have lists of their own, as --help must not wait for the library."""
    text = ' '.join(mattingjax(command, '--help').stdout.decode().split())
    for name in names:
        assert name in text
