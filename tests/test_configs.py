"""Every file in configs/ gives settings that an experiment can be made of."""

import importlib.util

import numpy as np
import pytest

from mattingjax.config import dataset_config, prune_config, train_config
from mattingjax.models import create_model_config
from mattingjax.pruning import PruneOptions, channel_groups, cost_model, select_uniform
from mattingjax.training.experiment import create_experiment
from tests.conftest import ROOT

FILES = sorted(path.stem for path in (ROOT / 'configs').glob('*.py'))


def load(name, *arguments):
    spec = importlib.util.spec_from_file_location(name, ROOT / 'configs' / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(*arguments), module.__doc__


@pytest.mark.parametrize('name', FILES)
def test_settings_are_those_of_the_library(name):
    config, documentation = load(name)
    known = prune_config() if name.startswith('prune') else train_config()
    assert set(config) == set(known)
    for section, values in known.items():
        if section == 'more_datasets':
            for dataset in config[section].values():
                assert set(dataset) == set(dataset_config())
        elif hasattr(values, 'keys'):
            assert set(config[section]) == set(values), section
    assert f'configs/{name}.py' in documentation.splitlines()[2]


@pytest.mark.parametrize(
    ('name', 'arguments', 'ratio'),
    [
        ('prune_mmnet', (), None),
        ('prune_modnet', (), None),
        ('prune_modnet', ('uniform',), None),
        ('prune_modnet', ('weighed',), 0.0),
    ],
)
def test_pruning_settings_are_possible(name, arguments, ratio):
    options = PruneOptions.from_settings(load(name, *arguments)[0].to_dict())
    assert options.ratio == ratio
    assert bool(options.targets()) == (ratio is None)


def test_the_weighed_modnet_has_the_size_that_its_file_says():
    config = create_model_config('modnet')
    options = PruneOptions.from_settings(load('prune_modnet', 'weighed')[0].to_dict())
    cost = cost_model(config)(select_uniform(channel_groups(config), options.ratio, options.limits))
    assert (cost.parameters, round(cost.macs / 1e6)) == (1_317_883, 4309)


@pytest.mark.parametrize(
    ('name', 'argument'),
    [
        ('mmnet', None),
        ('modnet', None),
        ('smoke', 'mmnet'),
        ('smoke', 'modnet'),
        ('distill_mmnet', None),
        ('soc', None),
        *(('retrain_pruned', f'{way}{frozen}') for way in ('finetune', 'scratch')
          for frozen in ('', '_frozen')),
    ],
)  # fmt: skip
def test_training_settings_are_possible(name, argument, modnet_path):
    config, _ = load(name, *([argument] if argument else []))
    if name in ('soc', 'retrain_pruned'):
        config.model.checkpoint = str(modnet_path)
    if config.loss.distillation:
        config.loss.teacher = str(modnet_path)
    experiment = create_experiment(config)
    assert experiment.initial.config.network == config.model.network
    assert (experiment.teacher is not None) == bool(config.loss.distillation or config.loss.soc)
    rates = np.array([experiment.learning_rate(step) for step in range(0, config.steps, 97)])
    assert 0 < rates.max() <= config.optimizer.learning_rate * 1.001


def test_unknown_ways_are_named():
    for name in ('smoke', 'retrain_pruned', 'prune_modnet'):
        with pytest.raises(ValueError, match=r'expected .*finetuned'):
            load(name, 'finetuned')
