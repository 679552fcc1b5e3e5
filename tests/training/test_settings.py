"""Every setting takes what it may be, and nothing else; what is unset follows from the others."""

import json
import math

import numpy as np
import pytest

from mattingjax.config import dataset_config, prune_config, train_config
from mattingjax.errors import MAX_LINE, MattingError
from mattingjax.networks import network_names
from mattingjax.training import memory, train
from mattingjax.training.experiment import create_experiment
from mattingjax.training.inputs import open_sources
from mattingjax.training.rules import DATASET, TRAINING
from mattingjax.training.settings import complete_settings
from mattingjax.training.workdir import check_settings, claim
from tests.training.conftest import put, tiny_config


def flatten(section, prefix=''):
    for name, value in section.items():
        if hasattr(value, 'items'):
            yield from flatten(value, f'{prefix}{name}.')
        else:
            yield f'{prefix}{name}', value


def test_there_is_a_rule_for_every_setting():
    assert TRAINING.keys() == dict(flatten(train_config())).keys()
    assert DATASET.keys() == dict(flatten(dataset_config())).keys()


@pytest.mark.parametrize('network', network_names())
def test_defaults_keep_their_rules(network):
    config = complete_settings(train_config(network))
    assert None not in dict(flatten(config)).values()
    assert complete_settings(config).to_dict() == config.to_dict()


# What no setting may be.
NEVER = (
    b'x', {'a': 1}, [1, 2, 3], ('a', 3), ('',), math.nan, math.inf, -math.inf, -1, 2**31, 2**63,
    10**300, 'x' * 300, 'a\0b', '\ud800', np.arange(3),
)  # fmt: skip


@pytest.mark.parametrize('path', [*TRAINING, *(f'more_datasets.more.{name}' for name in DATASET)])
def test_what_no_setting_may_be(path):
    for value in NEVER:
        config = train_config('mmnet')
        config.more_datasets.more = dataset_config()
        put(config, path, value)
        with pytest.raises(MattingError) as caught:
            complete_settings(config)
        message = str(caught.value)
        assert message.startswith(f'config.{path}: expected '), (value, message)
        assert ', got ' in message
        assert len(message) <= MAX_LINE


@pytest.mark.parametrize(
    ('path', 'possible', 'impossible'),
    [
        ('steps', (1, 2**31 - 1, np.int64(5)), (0, 1.0, True, '5', None, 10**5000)),
        ('epochs', (0, 0.5, 40), (-0.1, 1e7)),
        ('batch_size', (1, 10**6), (0, 2.0)),
        ('dtype', ('bfloat16',), ('float16', None, '', 5)),
        ('model.checkpoint', ('',), (None, 5, 'a/' * 3000)),
        ('model.freeze', ((), ('backbone/*', '*/bn/*'), ['*/bn/*']), ('*/bn/*', (5,), None)),
        ('model.width_multiplier', (0.25, 1, 1.4), (0, 1e-9, 101)),
        ('model.dropout', (0, 0.1), (1, 1 - 1e-12)),
        ('model.input_size', (0, 320), (32.0, 2**14 + 1)),
        ('model.network', ('modnet', None), ('modnett', '')),
        ('data.close_up_scale', ((0.2, 0.7), [1, 1]), ((0.7, 0.2), (0.3,), (0, 1), 0.3)),
        ('data.keep_aspect', (True, None), (1, 'True')),
        ('data.on_error', ('raise',), ('stop',)),
        ('dataset.kind', ('csv',), ('held_out', 'folder', None)),
        ('dataset.root', ('a b/[c]*?%#~{}', '-', 'x' * 255 + '/' + 'x' * 255), ('x' * 256,)),
        ('dataset.size', (32, 2048), (31, 2049)),
        ('dataset.weight', (1, 0.001), (0, 1e-300)),
        ('validation.kind', ('held_out', None), ('mmnet ',)),
        ('validation.best', ('mean_gradient', 'mad_soft'), ('gradient', 'sad')),
        ('optimizer.learning_rate', (1e-5, 1), (0, 1e-60, 1001, '1e-3')),
        ('optimizer.decay_factor', (0.1, 1), (0, 1.1)),
        ('optimizer.ema_decay', (0, 0.999), (1, 1 - 1e-12)),
        ('loss.l2', (0, 4e-7, None), (1e7, '')),
        ('loss.features', (('lr_branch',),), ('lr_branch',)),
        ('pruning.ratio', (0, 0.5), (1,)),
        ('pruning.method', ('l2',), ('taylor',)),
        ('tensorboard', (False,), (0, None)),
    ],
)  # fmt: skip
def test_what_a_setting_may_be(path, possible, impossible):
    def check(value):
        config = train_config('mmnet')
        put(config, path, value)
        complete_settings(config)

    for value in possible:
        check(value)
    for value in impossible:
        with pytest.raises(MattingError, match=rf'^config.{path}: expected '):
            check(value)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda config: config.optimizer.update(lr=1), r'config.optimizer: no setting lr; did you'),
        (lambda config: config.__delitem__('steps'), r'config.steps: missing'),
        (lambda config: put(config, 'optimizer', 5), r'config.optimizer: expected settings by nam'),
        (lambda config: put(config, 'more_datasets', 5), r'config.more_datasets: expected settin'),
        (lambda config: config.more_datasets.update(more=5), r'config.more_datasets.more: expecte'),
        (lambda config: config.more_datasets.update(validation=dataset_config()),
         r'config.more_datasets.validation: expected another name, this one is taken'),
    ],
)  # fmt: skip
def test_settings_have_the_names_of_the_library(change, message):
    config = tiny_config()
    change(config)
    with pytest.raises(MattingError, match=message):
        open_sources(complete_settings(config))


def test_an_unknown_network_is_told_which_there_are():
    config = train_config('foo')
    with pytest.raises(MattingError, match=r"model.network: expected one of modnet, mmnet.*'foo'"):
        complete_settings(config)


def test_other_things_are_no_settings(tmp_path):
    with pytest.raises(
        MattingError, match='expected settings of a training, got those of mattingj'
    ):
        train(prune_config(), tmp_path / 'run')
    for other in ({}, None, 'configs/mmnet.py'):
        with pytest.raises(MattingError, match=r'config: expected the settings of config.train_co'):
            train(other, tmp_path / 'run')
    for workdir in (None, 5, 'x' * 256):
        with pytest.raises(MattingError, match=r'workdir: expected a path, each name in it of at'):
            train(tiny_config(), workdir)
    with pytest.raises(MattingError, match='expected a new folder'):
        train(tiny_config(), str(__file__).removesuffix('/test_settings.py'))


def test_defaults_follow_the_network_that_is_trained(modnet_path, mmnet_path, tmp_path):
    def find(config):
        config = complete_settings(config)
        return config.model.network, config.data.transform, config.data.keep_aspect, config.loss.l2

    modnet, mmnet = ('modnet', 'modnet', True, 0.0), ('mmnet', 'mmnet', False, 4e-7)
    assert find(train_config()) == find(train_config('mmnet')) == mmnet
    assert find(train_config('modnet')) == modnet
    config = train_config()
    config.model.checkpoint = str(modnet_path)
    assert find(config) == modnet
    config.model.checkpoint = str(mmnet_path)
    assert find(config) == mmnet
    # Another network is asked for on the command line, say.
    config = train_config('mmnet')
    config.model.network = 'modnet'
    assert find(config) == modnet
    # What is set stays.
    config.update_from_flattened_dict({'data.transform': 'strong', 'loss.l2': 1e-3})
    config.model.checkpoint = str(modnet_path)
    assert find(config) == ('modnet', 'strong', True, 1e-3)
    config.model.network = 'mmnet'
    with pytest.raises(
        MattingError, match=r'config.model.network: expected modnet, which .*/modnet is, got mmnet'
    ):
        train(config, tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_a_folder_holds_the_settings_that_followed(tmp_path, modnet_path):
    config = tiny_config(model__checkpoint=str(modnet_path), model__network='modnet')
    claim(tmp_path, complete_settings(config), None)
    written = json.loads((tmp_path / 'config.json').read_text())
    assert (written['model']['network'], written['data']['transform']) == ('modnet', 'modnet')
    check_settings(tmp_path, complete_settings(config))
    # A folder of the time when these settings had values from the start.
    del written['data']['keep_aspect']
    (tmp_path / 'config.json').write_text(json.dumps(written))
    check_settings(tmp_path, complete_settings(config))


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'model__dropout': 0.1}, r'config.model.dropout: modnet has no dropout'),
        ({'model__width_multiplier': 1.4}, r'width_multiplier: expected at most 1 for modnet'),
        (
            {'model__freeze': ('decoder/*',)},
            r'config.model.freeze: decoder/\*: no parameter',
        ),
        (
            {'loss__divide_twice': True},
            r'config.loss.divide_twice: the loss of modnet has no such option',
        ),
    ],
)
def test_settings_of_the_other_network(changes, message):
    with pytest.raises(MattingError, match=message):
        create_experiment(complete_settings(tiny_config('modnet', **changes)))


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'batch_size': 10**6}, r'config.batch_size: .* 8 GiB .*1,000,000 photos of 64x64 pixels'),
        # The pixels would fit, what the network makes of them does not.
        ({'batch_size': 50_000}, r'config.batch_size: .* 8 GiB .*50,000 photos of 64x64 pixels'),
        ({'data__workers': 500}, r'config.data.workers: .* 500 processes'),
        ({'validation__photos': 10**6, 'validation__count': 2**31 - 1},
         r'config.validation.photos: .* 1,000,000 photos of 64x64'),
        ({'model__width_multiplier': 100.0}, r'config.model.width_multiplier: .* parameters'),
    ],
)  # fmt: skip
def test_what_cannot_fit_is_refused(monkeypatch, tmp_path, changes, message):
    monkeypatch.setattr(memory, '_host_memory', lambda: 8 * 2**30)
    config = tiny_config('mmnet', model__input_size=64, **changes)
    with pytest.raises(MattingError, match=message):
        train(config, tmp_path / 'run')
    assert not (tmp_path / 'run').exists()
