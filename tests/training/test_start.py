"""What is checked before a training begins, or goes on."""

import importlib.util
import json
import sys

import jax
import pytest
from PIL import Image

from mattingjax.config import dataset_config
from mattingjax.data.datasets import open_dataset
from mattingjax.errors import MattingError
from mattingjax.process.stopping import Stop
from mattingjax.training import Outcome, describe_end, start, train
from mattingjax.training.inputs import open_sources, with_steps
from mattingjax.training.recorder import Recorder
from mattingjax.training.settings import complete_settings
from mattingjax.training.workdir import check_data, check_settings, claim, locked
from tests.conftest import ROOT, assert_one_line_error
from tests.training.conftest import tiny_config


def test_another_experiments_folder_is_left_alone(tmp_path):
    claim(tmp_path / 'run', complete_settings(tiny_config()), None)
    check_settings(
        tmp_path / 'run', complete_settings(tiny_config(steps=7, epochs=3, data__workers=2))
    )
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
    claim(tmp_path, complete_settings(tiny_config()), None)
    file = tmp_path / 'config.json'
    settings = json.loads(file.read_text())
    del settings['epochs'], settings['loss']['divide_twice']
    file.write_text(json.dumps(settings))
    check_settings(tmp_path, complete_settings(tiny_config()))
    with pytest.raises(MattingError, match=r'loss.divide_twice was False, is True'):
        check_settings(tmp_path, complete_settings(tiny_config(loss__divide_twice=True)))
    settings['loss']['more'] = 1
    file.write_text(json.dumps(settings))
    with pytest.raises(MattingError, match=r'loss.more was 1, is not set'):
        check_settings(tmp_path, complete_settings(tiny_config()))


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (
            {'dataset__kind': 'mmnet'},
            r'config.dataset.root \(of config.dataset.kind=mmnet\): root: expected where',
        ),
        ({'batch_size': 0}, r'config.batch_size: expected a whole number from 1 to \d+, got 0'),
        ({'epochs': -1}, r'config.epochs: expected a number from 0 to .*, got -1'),
        ({'loss__distillation': 1}, r'loss.teacher: expected a checkpoint'),
        ({'model__checkpoint': 'nowhere'}, r'config.model.checkpoint: nowhere: not a checkpoint'),
        ({'model__freeze': ('backbone/*',)}, r'freeze: backbone/\*: no parameter has such a path'),
        ({'validation__best': 'mda'}, r'config.validation.best: .*mad.*mda'),
        ({'validation__best': 'gradient'}, r"mad, mse, mean_gradient, mad_soft, got 'gradient'"),
        (
            {'validation__kind': 'ppm100', 'validation__root': 'no'},
            r'config.validation.root .*ppm100\): no.*expected a folder',
        ),
        ({'data__backgrounds': 'nowhere'}, r'data.backgrounds: nowhere: expected a folder'),
        ({'data__transform': 'mnet'}, r"config.data.transform: expected one of .*, got 'mnet'"),
        (
            {'dataset__kind': 'unlabelled', 'dataset__root': str(ROOT / '.github')},
            r'config.dataset: photos without alphas, .* set config.loss.supervised=0',
        ),
        (
            {
                'dataset__kind': 'unlabelled',
                'dataset__root': str(ROOT / '.github'),
                'loss__supervised': 0,
                'loss__laplacian': 1.0,
            },
            r'config.dataset: photos without alphas, .* and config.loss.laplacian=0',
        ),
        ({'seed': -1}, r'config.seed: expected a whole number from 0 to .*, got -1'),
        ({'data__workers': -1}, r'config.data.workers: expected a whole number from 0 .*, got -1'),
        ({'optimizer__clip_norm': -1.0}, r'config.optimizer.clip_norm: expected a .*, got -1'),
    ],
)  # fmt: skip
def test_a_start_that_fails_leaves_no_folder(tmp_path, changes, message):
    with pytest.raises(MattingError, match=message):
        train(tiny_config(**changes), tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_a_list_without_alphas_is_not_trained_on(tmp_path):
    Image.new('RGB', (40, 40)).save(tmp_path / 'a.png')
    (tmp_path / 'left_out.csv').write_text('image,doubt\na.png,0.9\n')
    config = tiny_config(dataset__kind='csv', dataset__root=str(tmp_path / 'left_out.csv'))
    with pytest.raises(MattingError, match=r'dataset: photos without alphas'):
        train(config, tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_cut_outs_need_backgrounds(tmp_path):
    Image.new('RGBA', (40, 40)).save(tmp_path / 'a.png')
    config = tiny_config(dataset__kind='rgba', dataset__root=str(tmp_path))
    with pytest.raises(
        MattingError, match=r'config.dataset: cut-outs need config.data.backgrounds'
    ):
        train(config, tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_what_is_no_folder_is_refused(tmp_path):
    with pytest.raises(MattingError, match=r'workdir: expected a path, got nothing'):
        train(tiny_config(), '')
    file = tmp_path / 'a.txt'
    file.write_text('mine')
    with pytest.raises(MattingError, match=r'a.txt: expected a folder, found a file'):
        train(tiny_config(), file)
    assert file.read_text() == 'mine'


@pytest.mark.parametrize(
    ('steps', 'end'), [((), 'begins anew'), (('8', '16'), 'goes on from step 16')]
)
def test_an_early_ctrl_c_knows_where_it_goes_on(tmp_path, monkeypatch, steps, end):
    for step in (*steps, '24.orbax-checkpoint-tmp'):
        (tmp_path / 'states' / step).mkdir(parents=True)
    stops = []
    monkeypatch.setattr(
        start, 'Stop', lambda *words, **options: stops.append(Stop(*words, **options)) or stops[-1]
    )
    with pytest.raises(MattingError, match='batch_size'):
        train(tiny_config(batch_size=0), tmp_path)
    assert stops[0].describe() == f'stopped; the same command {end}'


def test_epochs_that_stay_as_they_are_bend_no_schedule(tmp_path, monkeypatch, caplog):
    config = tiny_config(epochs=2, optimizer__schedule='cosine')
    sources = open_sources(complete_settings(config))
    claim(tmp_path, with_steps(complete_settings(config), sources), None)
    monkeypatch.setattr(start, 'create_experiment', raise_stop_iteration)
    with pytest.raises(StopIteration):
        train(config, tmp_path)
    assert not caplog.messages
    with pytest.raises(StopIteration):
        train(tiny_config(epochs=4, optimizer__schedule='cosine'), tmp_path)
    assert 'was 4, and the learning rate goes on as if it had been 8' in caplog.text


def raise_stop_iteration(*_):
    raise StopIteration


@pytest.mark.parametrize(
    ('step', 'said'), [(1, 'finished after 1 step'), (2, 'finished after 2 steps')]
)
def test_one_step_is_one(tmp_path, step, said):
    (tmp_path / 'last').mkdir()
    line = describe_end(tmp_path, Outcome(step, is_finished=True, stopped_by=None)).splitlines()[0]
    assert line == f'{tmp_path}: {said}'


@pytest.mark.parametrize('content', ['{"format": 1}', '[]', '{'])
def test_another_kind_of_folder_is_left_alone(tmp_path, content):
    (tmp_path / 'config.json').write_text(content)
    with pytest.raises(MattingError, match=r'expected a new folder, or one of a training; its con'):
        train(tiny_config(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ['config.json']


@pytest.mark.skipif(sys.platform == 'win32', reason='no locks of files')
def test_two_trainings_do_not_share_a_folder(tmp_path):
    with locked(tmp_path / 'run'):
        with pytest.raises(MattingError, match=r'run: a training is running there'):
            train(tiny_config(), tmp_path / 'run')
        assert [path.name for path in (tmp_path / 'run').iterdir()] == ['.lock']
    check_settings(tmp_path / 'run', tiny_config())  # nobody's
    with locked(tmp_path / 'run'):
        pass


def test_a_training_goes_on_with_the_same_data(tmp_path):
    for name in 'ab':
        Image.new('RGB', (40, 40)).save(tmp_path / f'{name}.png')
        alpha = Image.linear_gradient('L').rotate(ord(name))
        alpha.resize((40, 40)).save(tmp_path / f'alpha_{name}.png')
    lines = ['image,alpha', 'a.png,alpha_a.png', 'b.png,alpha_b.png']
    file = tmp_path / 'labels.csv'

    def check(lines, checkpoint='1'):
        file.write_text('\n'.join(lines))
        dataset = open_dataset('csv', file)
        return check_data(tmp_path, {'dataset': dataset}, {'loss.teacher': checkpoint})

    claim(tmp_path, tiny_config(), check(lines))
    (tmp_path / 'states' / '1').mkdir(parents=True)
    check(lines)
    for changed, message in (
        ([lines[0], *lines[:0:-1]], 'dataset: the records or their order differ'),  # another order
        (['image,alpha', 'a.png,alpha_b.png', 'b.png,alpha_a.png'], 'dataset: the records or'),
        (lines[:2], r'dataset: 2 files missing \(alpha_b.png, b.png\)'),
    ):
        with pytest.raises(MattingError, match=message):
            check(changed)
    with pytest.raises(MattingError, match=r'loss.teacher: it is another checkpoint now'):
        check(lines, '2')


def test_more_steps_bend_a_schedule(tmp_path, caplog):
    config = tiny_config(optimizer__schedule='cosine')
    claim(tmp_path, config, None)
    check_settings(tmp_path, config)
    assert not caplog.messages
    config.steps = 9
    check_settings(tmp_path, config)
    assert 'was 6, and the learning rate goes on as if it had been 9' in caplog.text


def test_every_device_gets_as_many_photos(tmp_path, monkeypatch):
    monkeypatch.setattr(jax, 'device_count', lambda: 3)
    with pytest.raises(MattingError, match=r'batch_size: expected a multiple of the 3 devices, go'):
        train(tiny_config(), tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_missing_packages_are_told_at_the_start(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(ImportError, match=r'needs the package matplotlib: pip install'):
        Recorder(tmp_path, log_every_steps=1, tensorboard=False)


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
        (['--config.loss.soc=1'], ['loss.soc: mmnet has no such loss, only modnet']),
        (
            [
                '--config.data.transform=strong',
                '--config.data.close_ups=1',
                '--config.data.close_up_scale=0.3',
            ],
            ['config.data.close_up_scale: expected two numbers over 0, the lower first'],
        ),
    ],
)
def test_bad_settings_are_one_line(run_script, tmp_path, arguments, parts):
    config = ['--config', ROOT / 'configs' / 'smoke.py'] if arguments else []
    process = run_script('train', '--workdir', tmp_path / 'run', *config, *arguments)
    assert_one_line_error(process, *parts)
    assert not (tmp_path / 'run').exists()
