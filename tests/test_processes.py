"""Scripts that Python starts say and do what those say and do that tests fork.

Most tests run scripts by `tests.forked`, in milliseconds; here each script is started once as
people start it, and some of them do their work.
"""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT, assert_one_line_error
from tests.forked import EXPORTING, PRELOADED, run_forked, run_script

SCRIPTS = sorted(
    str(path.relative_to(ROOT))
    for path in (ROOT / 'scripts').glob('*.py')
    if 'command_line.run' in path.read_text()
)
MODULES = ['mattingjax', 'exporters.export', 'exporters.bins']


def start(script, *arguments, stdin=b''):
    """As `python SCRIPT` or `python -m MODULE` would be typed."""
    command = [script] if script.endswith('.py') else ['-m', script]
    return subprocess.run(
        [sys.executable, *command, *map(str, arguments)],
        input=stdin, capture_output=True, check=False, cwd=ROOT,
    )  # fmt: skip


def test_there_are_many():
    assert len(SCRIPTS) > 14


@pytest.mark.parametrize('script', [*SCRIPTS, *MODULES])
def test_help(script):
    started, forked = start(script, '--help'), run_script(script, '--help')
    assert started.returncode == forked.returncode == 0, started.stderr.decode()
    assert started.stdout == forked.stdout
    assert b'--' in started.stdout
    assert started.stderr == forked.stderr == b''


def test_an_error_of_a_library_is_one_line(tmp_path):
    (tmp_path / 'bad.png').touch()
    arguments = ['--checkpoint=mmnet', '--input', tmp_path / 'bad.png', '--output', tmp_path / 'o']
    started, forked = (run('scripts/predict.py', *arguments) for run in (start, run_script))
    assert_one_line_error(started, 'bad.png: not a picture')
    assert started.stderr == forked.stderr
    assert not (tmp_path / 'o').exists()


def test_a_photo_through_pipes(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / 'photo.png')
    photo = (tmp_path / 'photo.png').read_bytes()
    arguments = ['scripts/predict.py', '--checkpoint=mmnet', '--input=-', '--outputs=alpha']
    started, forked = (run(*arguments, stdin=photo) for run in (start, run_script))
    assert started.returncode == 0, started.stderr.decode()
    assert started.stdout.startswith(b'\x89PNG')
    assert (started.stdout, started.stderr) == (forked.stdout, forked.stderr)


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='there is no /dev/full')
def test_what_cannot_be_told_is_written_all_the_same(mmnet_path, tmp_path):
    command = [sys.executable, 'scripts/prune.py', '--checkpoint', mmnet_path, '--ratio=0.5']
    environment = {name: os.environ[name] for name in os.environ if name != 'PYTHONUNBUFFERED'}
    with open('/dev/full', 'w') as full:
        process = subprocess.run(
            [*command, '--output', tmp_path / 'out'], stdout=full, stderr=subprocess.PIPE,
            check=False, cwd=ROOT, env=environment,
        )  # fmt: skip
    assert process.returncode == 2
    assert b'No space left' in process.stderr
    assert (tmp_path / 'out' / 'widths.png').is_file()


def is_imported(*names):
    return [name in sys.modules for name in names]


def test_processes_find_imported_what_they_ask_for_and_no_more():
    assert run_forked(is_imported, 'tabnanny', preload=('tabnanny',)).result == [True]
    names = 'tabnanny', 'orbax.checkpoint', 'tensorflow'
    assert run_forked(is_imported, *names).result == [False, True, False]
    assert run_forked(is_imported, 'orbax.checkpoint', preload=EXPORTING).result == [True]
    # Another server has not ended this one.
    assert run_forked(is_imported, *names, preload=PRELOADED).result == [False, True, False]


def environment_of(name):
    import jax

    return os.environ.get('A_NAME'), jax.config.values[name]


def test_processes_have_the_environment_of_the_test(monkeypatch):
    for text, value in (('True', True), ('False', False)):
        monkeypatch.setenv('A_NAME', text)
        monkeypatch.setenv('JAX_DISABLE_MOST_OPTIMIZATIONS', text)
        result = run_forked(environment_of, 'jax_disable_most_optimizations').result
        assert result == (text, value)
    monkeypatch.setenv('JAX_PLATFORMS', 'abacus')
    assert run_forked(environment_of, 'jax_platforms').result[1] == 'abacus'
    monkeypatch.undo()
    assert run_forked(environment_of, 'jax_platforms').result[0] is None
