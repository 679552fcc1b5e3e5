"""What JAX has compiled is kept; each test starts processes, as users do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mattingjax.errors import OutputError
from mattingjax.process.compilation import _without_failures, default_folder, keep_compiled
from tests.conftest import ROOT

COUNT = """
import jax, numpy
from mattingjax.process.compilation import keep_compiled

print(keep_compiled({arguments}))
jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)
events = []
jax.monitoring.register_event_listener(lambda name, **_: events.append(name.split('/')[-1]))
def triple(x):
    return 3 * x
assert int(jax.jit(triple)(numpy.int32(14))) == 42
print(events.count('cache_hits'), events.count('cache_misses'))
"""


def count(environment, arguments=''):
    """The folder, hits and misses of a process that compiles something."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(('JAX_COMPILATION', 'XDG'))}
    process = subprocess.run(
        [sys.executable, '-c', COUNT.format(arguments=arguments)],
        env=clean | {'PYTHONPATH': str(ROOT)} | environment,
        capture_output=True, check=True, text=True,
    )  # fmt: skip
    assert process.stderr == ''
    return process.stdout.split('\n')[:2]


def test_the_next_start_compiles_nothing(tmp_path):
    environment = {'XDG_CACHE_HOME': str(tmp_path)}
    folder = tmp_path / 'mattingjax' / 'compiled'
    assert count(environment) == [str(folder), '0 1']
    assert count(environment) == [str(folder), '1 0']
    # What is damaged costs time, once.
    (file,) = folder.glob('*-cache')
    content = file.read_bytes()
    for damaged in (content[:100], b'', content[:50] + b'damaged' + content[57:]):
        file.write_bytes(damaged)
        assert count(environment) == [str(folder), '0 1']
        assert count(environment) == [str(folder), '1 0']


def test_another_folder_or_none(tmp_path):
    environment = {'XDG_CACHE_HOME': str(tmp_path / 'unused')}
    assert count(environment, repr(str(tmp_path / 'a'))) == [str(tmp_path / 'a'), '0 1']
    known = environment | {'JAX_COMPILATION_CACHE_DIR': str(tmp_path / 'a')}
    assert count(known) == [str(tmp_path / 'a'), '1 0']
    assert count(known, "''") == ['None', '0 0']
    assert not (tmp_path / 'unused').exists()


def test_a_folder_that_cannot_be_written(tmp_path):
    file = tmp_path / 'file'
    file.touch()
    assert count({'XDG_CACHE_HOME': str(file)}) == ['None', '0 0']
    with pytest.raises(OutputError, match='file: expected a folder to write to, found a file'):
        keep_compiled(str(file / 'compiled'))


def test_a_full_disk_is_told_once(tmp_path, monkeypatch, caplog):
    shown = []
    show = _without_failures(tmp_path, lambda *words: shown.append(str(words[0])))
    for program in ('jit_f', 'jit_g'):
        (tmp_path / f'{program}-0123-cache').write_bytes(b'half')
        show(
            f"Error writing persistent compilation cache entry for '{program}': OSError: [Errno "
            '28] No space left on device',
            UserWarning, 'compiler.py', 850,
        )  # fmt: skip
    show('something else', UserWarning, 'a.py', 1)
    assert shown == ['something else']
    (record,) = caplog.records
    expected = f'{tmp_path}: what is compiled is not kept (OSError: [Errno 28] No space left on'
    assert record.getMessage().startswith(expected)
    assert not list(tmp_path.iterdir())


def test_the_convention_of_caches(monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', 'relative')
    monkeypatch.setenv('HOME', '/home/me')
    assert default_folder() == Path('/home/me/.cache/mattingjax/compiled')


def test_what_was_not_used_for_longest_goes(tmp_path):
    for age, name in enumerate('abcd'):
        file = tmp_path / f'jit_{name}-cache'
        file.write_bytes(bytes(100))
        os.utime(file, (1e9 - age, 1e9 - 100 * age))  # read, written
    (tmp_path / 'mine.txt').write_bytes(bytes(1000))
    count({}, f'{str(tmp_path)!r}, 250')
    left = {path.name for path in tmp_path.glob('*')}
    assert {'jit_a-cache', 'jit_b-cache', 'mine.txt'} <= left
    assert not {'jit_c-cache', 'jit_d-cache'} & left
