"""What is checked before a training begins, or goes on."""

import importlib.util
import json

import jax
import pytest

from mattingjax.config import dataset_config
from mattingjax.errors import MattingError
from mattingjax.training import train
from mattingjax.training.inputs import open_sources, with_steps
from mattingjax.training.recorder import Recorder
from mattingjax.training.workdir import check_settings, claim
from tests.conftest import ROOT, assert_one_line_error
from tests.training.conftest import tiny_config


def test_another_experiments_folder_is_left_alone(tmp_path):
    claim(tmp_path / 'run', tiny_config(), None)
    check_settings(tmp_path / 'run', tiny_config(steps=7, epochs=3, data__workers=2))
    for changes, message in (
        ({'batch_size': 16}, r'batch_size was 4, is 16; choose another folder'),
        ({'more_datasets': {'more': dataset_config()}}, r'more_datasets.more.kind was not set, is'),
    ):
        with pytest.raises(MattingError, match=message):
            train(tiny_config(**changes), tmp_path / 'run')
    assert [path.name for path in (tmp_path / 'run').iterdir()] == ['config.json']
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine' / 'mine.txt').write_text('mine')
    with pytest.raises(MattingError, match='expected a new folder, or one of a training'):
        train(tiny_config(), tmp_path / 'mine')
    assert [path.name for path in (tmp_path / 'mine').iterdir()] == ['mine.txt']


def test_settings_that_came_later_had_their_defaults(tmp_path):
    claim(tmp_path, tiny_config(), None)
    file = tmp_path / 'config.json'
    settings = json.loads(file.read_text())
    del settings['epochs'], settings['loss']['divide_twice']
    file.write_text(json.dumps(settings))
    check_settings(tmp_path, tiny_config())
    with pytest.raises(MattingError, match=r'loss.divide_twice was False, is True'):
        check_settings(tmp_path, tiny_config(loss__divide_twice=True))
    settings['loss']['more'] = 1
    file.write_text(json.dumps(settings))
    with pytest.raises(MattingError, match=r'loss.more was 1, is not set'):
        check_settings(tmp_path, tiny_config())


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'dataset__kind': 'mmnet'}, r'dataset: root'),
        ({'batch_size': 0}, r'batch_size: expected at least 1, got 0'),
        ({'epochs': -1}, r'epochs: expected 0 or more, got -1'),
        ({'loss__distillation': 1}, r'loss.teacher: expected a checkpoint'),
        ({'model__checkpoint': 'nowhere'}, r'nowhere: not a checkpoint'),
        ({'model__freeze': ('backbone/*',)}, r'freeze: backbone/\*: no parameter has such a path'),
        ({'validation__best': 'mda'}, r'validation.best: .*mad.*mda'),
        ({'validation__kind': 'ppm100', 'validation__root': 'no'}, r'validation: no.*expected a f'),
        ({'data__backgrounds': 'nowhere'}, r'data.backgrounds: nowhere: expected a folder'),
        ({'data__transform': 'mnet'}, r"transform: expected one of .*, got 'mnet'"),
        (
            {'dataset__kind': 'unlabelled', 'dataset__root': str(ROOT / '.github')},
            r'dataset.kind: unlabelled .* set loss.supervised=0',
        ),
    ],
)  # fmt: skip
def test_a_start_that_fails_leaves_no_folder(tmp_path, changes, message):
    with pytest.raises(MattingError, match=message):
        train(tiny_config(**changes), tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_every_device_gets_as_many_photos(tmp_path, monkeypatch):
    monkeypatch.setattr(jax, 'device_count', lambda: 3)
    with pytest.raises(MattingError, match=r'batch_size: expected a multiple of the 3 devices, go'):
        train(tiny_config(), tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_missing_packages_are_told_at_the_start(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(ImportError, match=r'matplotlib is missing: pip install'):
        Recorder(tmp_path, tiny_config())


def test_epochs_are_steps():
    config = tiny_config(epochs=2.5, batch_size=4, dataset__count=9)
    config = with_steps(config, open_sources(config))
    assert config.steps == 6  # of 22.5 photos
    config.more_datasets = {'more': config.dataset.copy_and_resolve_references()}
    assert with_steps(config, open_sources(config)).steps == 12


@pytest.mark.parametrize(
    ('arguments', 'parts'),
    [
        ([], ['--config: a file of settings is needed']),
        (['--config.dataset.rot=x'], ['rot', 'root']),
        (['--config.loss.soc=1'], ['loss.soc: is for modnet']),
    ],
)
def test_bad_settings_are_one_line(run_script, tmp_path, arguments, parts):
    config = ['--config', ROOT / 'configs' / 'smoke.py'] if arguments else []
    process = run_script('train', '--workdir', tmp_path / 'run', *config, *arguments)
    assert_one_line_error(process, *parts)
    assert not (tmp_path / 'run').exists()
