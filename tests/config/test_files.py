import os
import shutil
import subprocess
import sys
import tomllib

import pytest

from mattingjax.config import files, train_config
from mattingjax.config.files import check_setting, load_config_file
from mattingjax.errors import MattingError
from tests.conftest import ROOT, assert_one_line_error


@pytest.mark.parametrize(
    'argument', ['configs/smoke.py', 'smoke', 'smoke:modnet', 'configs/smoke.py:modnet']
)
def test_files_of_the_project_are_found_from_anywhere(argument, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = load_config_file(argument)
    assert (config.steps, config.model.network) == (
        80, 'modnet' if argument.endswith('modnet') else 'mmnet'
    )  # fmt: skip
    # What lies here goes before what lies there, also if its name has a colon.
    (tmp_path / 'configs').mkdir()
    for name in ('configs/smoke.py', 'smoke', 'smoke:modnet', 'configs/smoke.py:modnet'):
        (tmp_path / name).write_text(
            'from mattingjax.config import train_config\n'
            'def get_config():\n    config = train_config()\n    config.steps = 3\n'
            '    return config\n'
        )
    assert load_config_file(argument).steps == 3


def test_files_of_a_wheel_are_found_without_a_clone(tmp_path, monkeypatch):
    project = tomllib.loads((ROOT / 'pyproject.toml').read_text())
    included = project['tool']['hatch']['build']['targets']['wheel']['force-include']
    assert included == {'configs': 'mattingjax/configs'}
    shutil.copytree(ROOT / 'configs', tmp_path / 'mattingjax' / 'configs')
    shutil.copy(files.__file__, tmp_path / 'mattingjax' / 'configs' / 'files.py')
    # A stranger's folder of that name lies beside the package.
    (tmp_path / 'configs').mkdir()
    (tmp_path / 'configs' / 'smoke.py').write_text('1 / 0')
    code = (
        'import runpy; found = runpy.run_path("mattingjax/configs/files.py")["load_config_file"];'
        'print(*(found(name).steps for name in ("smoke", "smoke:modnet")))'
    )
    process = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, cwd=tmp_path, check=False,
        env=os.environ | {'PYTHONPATH': str(ROOT)},
    )  # fmt: skip
    assert process.stdout == '80 80\n', process.stderr


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('def get_config(:\n', r'mine.py:1: SyntaxError: '),
        ('import nowhere_at_all\n', r"mine.py:1: ModuleNotFoundError: No module named 'nowhere_at"),
        ('\n\nx = 1\n', r'mine.py: expected a function get_config, found none'),
        ('def get_config():\n    return 5\n', r'mine.py: expected a ConfigDict .*, got int'),
        ('import sys\nsys.exit(0)\n', r'mine.py:2: SystemExit: 0'),
        ('def get_config():\n\n    raise KeyError("a")\n', r'mine.py:3: KeyError: a'),
        ('def get_config():\n    raise ValueError("no b")\n', r'mine.py:2: no b$'),
        ('def get_config():\n    return get_config()\n', r'mine.py:2: RecursionError: maximum'),
        (
            'def get_config():\n    open("nothing here")\n',
            r'mine.py:2: FileNotFoundError: .*noth',
        ),
        (
            'def get_config(word):\n    pass\n',
            'mine.py: expected FILE:WORD, as its get_config takes',
        ),
        ('\0', r'mine.py.*null'),
        (
            'from mattingjax.config import train_config\n'
            'def get_config():\n    train_config().steps = "many"\n',
            r'mine.py:3: TypeError: .*steps',
        ),
    ],
)
def test_what_goes_wrong_in_a_file_is_one_line_with_its_line(tmp_path, text, message):
    file = tmp_path / 'mine.py'
    file.write_text(text)
    with pytest.raises(MattingError, match=message) as caught:
        load_config_file(str(file))
    assert str(caught.value).startswith(str(file))


@pytest.mark.parametrize(
    ('argument', 'message'),
    [
        (
            'configs/mmnt.py',
            r'config: configs/mmnt.py: not a file; did you mean mmnet\? there',
        ),
        (
            'nothing',
            r'config: nothing: not a file; there are deeplab, distill_mmnet, mmnet, modnet, ',
        ),
        ('smoke:big', r'smoke.py:\d+: expected mmnet or modnet, got .big'),
        ('configs/mmnet.py:foo', r"mmnet.py: its get_config takes no word, got 'foo'$"),
        (str(ROOT), r'not a file'),
        ('x' * 10_000, r'not a file'),
        ('a\0b', r'not a file'),
        ('', r'not a file'),
    ],
)
def test_a_file_that_is_none(argument, message):
    with pytest.raises(MattingError, match=message):
        load_config_file(argument)


def test_a_file_in_no_known_encoding(tmp_path):
    file = tmp_path / 'mine.py'
    file.write_bytes(b'word = "\xe9"\n')
    with pytest.raises(MattingError, match=r'mine.py.*: SyntaxError'):
        load_config_file(str(file))


@pytest.mark.parametrize(
    ('path', 'message'),
    [
        (
            'optimizer.lr',
            r'no lr in config.optimizer; did you mean learning_rate\? there are acc',
        ),
        ('optimiser.name', r'no optimiser in config; did you mean optimizer\? there are '),
        ('', 'config.: expected config.NAME=VALUE'),
        ('data..x', 'config.data..x: expected config.NAME=VALUE'),
        ('steps.more', r'config.steps.more: steps holds a value'),
        ('more_datasets.a.root', r'no a in config.more_datasets; there are none'),
    ],
)
def test_unknown_settings_are_answered_with_those_there_are(path, message):
    with pytest.raises(MattingError, match=message):
        check_setting(train_config(), path)


def test_known_settings_are_fine():
    for path in ('steps', 'data.transform', 'model', 'more_datasets'):
        check_setting(train_config(), path)


def test_on_the_command_line(run_script):
    assert_one_line_error(
        run_script('train', '--workdir=run', '--config=mmnet', '--config.dataset.rot=x'),
        'error: --config.dataset.rot: no rot in config.dataset; did you mean root? there are',
    )
    process = run_script('prune', '--checkpoint=mmnet', '--dry_run', '--config=mmnet')
    assert_one_line_error(process, 'expected settings of pruning, got those of mattingjax train')


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--config.steps=two'], "--config.steps: expected a whole number, got 'two'"),
        (['--config.steps=1e3'], "--config.steps: expected a whole number, got '1e3'"),
        (['--config.epochs=a: b'], "--config.epochs: expected a number, got 'a: b'"),
        (['--config.tensorboard=no'], "--config.tensorboard: expected true or false, got 'no'"),
        (['--config.optimizer=adam'], "expected --config.optimizer.NAME=VALUE, got 'adam'"),
        (['--config.=1'], '--config.: expected --config.NAME=VALUE'),
        (['--confg.steps=2'], '--confg.steps (did you mean --config.steps?)'),
    ],
)
def test_values_that_settings_do_not_take(run_script, arguments, message):
    process = run_script('train', '--workdir=run', '--config=mmnet', *arguments)
    assert_one_line_error(process, message)


def test_settings_come_after_their_file(run_script):
    process = run_script('train', '--workdir=run', '--config.steps=3')
    assert_one_line_error(process, '--config.steps: a setting of a file, which --config names')
    process = run_script('train', '--workdir=run', '--config.steps=3', '--config=mmnet')
    assert_one_line_error(process, 'error: --config.steps: expected after --config')
