"""Every file in configs/ gives settings that an experiment can be made of."""

import functools
import importlib.util
import itertools
import re
import shlex

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from PIL import Image

from mattingjax.checkpoints import load_checkpoint
from mattingjax.config import dataset_config, prune_config, train_config
from mattingjax.data.pipeline import PIXELS
from mattingjax.networks import create_model_config
from mattingjax.pruning import Limits, PruneOptions, channel_groups, cost_model, select_uniform
from mattingjax.training import train
from mattingjax.training.dispatch import create_dispatch
from mattingjax.training.experiment import create_experiment
from mattingjax.training.inputs import (
    create_batches,
    open_sources,
    with_steps,
)
from mattingjax.training.recorder import read_table
from mattingjax.training.settings import complete_settings
from mattingjax.training.steps import create_train_step
from mattingjax.training.validation import load_examples
from tests.conftest import ROOT
from tests.data.packs import make_pack

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


@pytest.mark.parametrize('name', FILES)
def test_files_say_what_was_measured_or_that_nothing_was(name):
    documentation = load(name)[1]
    assert re.search(r'prints? .*\d', documentation) or 'Not run to its end' in documentation


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
    limits = Limits.from_options(options)
    cost = cost_model(config)(select_uniform(channel_groups(config), options.ratio, limits))
    assert (cost.parameters, round(cost.macs / 1e6)) == (1_317_883, 4309)


TRAININGS = [
    ('mmnet', None),
    ('modnet', None),
    ('deeplab', None),
    ('release_deeplab', None),
    ('smoke', 'mmnet'),
    ('smoke', 'modnet'),
    ('distill_mmnet', None),
    ('soc', None),
    *(('release_mmnet', stage)
      for stage in ('128', '256', 'portraits_128', 'portraits_256', 'people', 'widths')),
    *(('release_modnet', stage)
      for stage in ('256', '384', '320', 'portraits', 'people', 'people_384')),
    *(('retrain_pruned', f'{way}{frozen}') for way in ('finetune', 'scratch')
      for frozen in ('', '_frozen')),
]  # fmt: skip


@pytest.mark.parametrize(('name', 'argument'), TRAININGS)
def test_training_settings_are_possible(name, argument, modnet_path):
    config, _ = load(name, *([argument] if argument else []))
    if name in ('soc', 'retrain_pruned'):
        config.model.checkpoint = str(modnet_path)
    if config.loss.distillation:
        config.loss.teacher = str(modnet_path)
    config = complete_settings(config)
    experiment = create_experiment(config)
    assert experiment.initial.config.network == config.model.network
    assert (experiment.teacher is not None) == bool(config.loss.distillation or config.loss.soc)
    rates = np.array([experiment.learning_rate(step) for step in range(0, config.steps, 97)])
    assert 0 < rates.max() <= config.optimizer.learning_rate * 1.001


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    """Data of every kind that a config asks for, five tiny photos each, by kind."""
    root = tmp_path_factory.mktemp('photos')
    layouts = {'mmnet': ('image', 'mask'), 'ppm100': ('fg', 'alpha')}
    splits = {'mmnet': ('train', 'test'), 'ppm100': ('train', 'val')}
    files = {root / 'unlabelled': 'RGB'}
    for kind, folders in layouts.items():
        for split in splits[kind]:
            files |= {
                root / kind / split / folders[0]: 'RGB',
                root / kind / split / folders[1]: 'L',
            }
    for folder, mode in files.items():
        folder.mkdir(parents=True)
        for i in range(5):
            pixels = np.random.default_rng(i).integers(0, 256, (40, 36, 3), np.uint8)
            Image.fromarray(pixels).convert(mode).save(folder / f'{i}.png')
    rows = [f'unlabelled/{i}.png,mmnet/train/mask/{i}.png' for i in range(5)]
    (root / 'labels.csv').write_text('\n'.join(['image,alpha', *rows]))
    make_pack(root / 'pack', f'part=csv:{root / "labels.csv"}')
    kinds = ('mmnet', 'ppm100', 'unlabelled')
    return {
        **{kind: str(root / kind) for kind in kinds},
        'csv': str(root / 'labels.csv'),
        'packed': str(root / 'pack' / 'part'),
    }


def in_small(config, photos, modnet_path):
    """The same training on tiny photos, of a narrow network."""
    config.model.input_size = 32
    if config.loss.soc or config.model.from_scratch or config.loss.features:
        config.model.checkpoint = str(modnet_path)
    else:
        config.model.width_multiplier = 0.25
    if config.loss.distillation:
        config.loss.teacher = str(modnet_path)
    for section in (config.dataset, *config.more_datasets.values()):
        if section.kind == 'synthetic':
            section.size, section.count = 32, 5
        else:
            section.root = photos[section.kind]
    if config.more_datasets:
        config.data.backgrounds = photos['unlabelled']
    if config.validation.kind == 'synthetic':
        config.validation.size = 32
    config.validation.photos = 2
    return config


# Trained with only labels: tests/training does so. Sub-objectives consistency: see below.
RUN_ELSEWHERE = (
    'mmnet', 'modnet', 'deeplab', 'smoke', 'soc', 'release_mmnet', 'release_modnet',
    'release_deeplab',
)  # fmt: skip

# What a student learns from its teacher, beside other things.
TERMS = {
    'distill_mmnet': {'teacher_alpha', 'teacher_kd', 'teacher_aux'},
    'retrain_pruned': {'teacher_alpha', 'teacher_semantic', 'teacher_detail', 'teacher_attention'},
}


@pytest.mark.parametrize(('name', 'argument'), TRAININGS)
def test_every_training_starts(name, argument, photos, modnet_path):
    """Batches of one photo, of two, and of more than there are; the step is traced, not compiled.

    Compiling takes most of a minute; tests/training does so where labels alone are learned from.
    """
    config = in_small(load(name, *([argument] if argument else []))[0], photos, modnet_path)
    for batch_size in (1, 2, 11):
        config.batch_size = batch_size
        complete = complete_settings(config)
        sources = open_sources(complete)
        trimap = complete.model.network == 'modnet' and complete.loss.supervised > 0
        batch = next(create_batches(complete, sources, 32, trimap=trimap))
        assert batch['image'].shape == (batch_size, 32, 32, 3)
        assert ('alpha' in batch) == bool(complete.loss.supervised)
    examples, unreadable = load_examples(
        sources.validation, sources.backgrounds, 32, complete.validation.photos, on_error='raise'
    )
    assert examples
    assert not unreadable
    experiment = create_experiment(complete)
    if name in RUN_ELSEWHERE or argument in ('scratch', 'scratch_frozen'):  # as finetune's steps
        return
    state = jax.eval_shape(experiment.create_state, experiment.initial.variables)
    teacher = experiment.teacher
    step = create_train_step(
        experiment.initial.config,
        experiment.objective,
        experiment.create_optimizer,
        experiment.step_options,
        teacher.config if teacher else None,
    )
    pixels = {name: batch[name] for name in PIXELS if name in batch}
    variables = teacher.variables if teacher else None
    dispatch = create_dispatch(step, lambda held, arrays, i: arrays, 1)
    inputs = experiment.step_inputs(0, 1, 1)
    after, metrics = jax.eval_shape(dispatch, state, None, pixels, np.int32(1), variables, inputs)
    assert jax.tree.map(np.shape, after) == jax.tree.map(np.shape, state)
    assert metrics['loss'].shape == (1,)
    assert TERMS[name] <= set(metrics)


@pytest.mark.slow
@pytest.mark.usefixtures('quickly_compiled')
def test_a_photo_at_a_time(photos, modnet_path, tmp_path):
    """configs/soc.py whole: its batches are of one photo."""
    config = in_small(load('soc')[0], photos, modnet_path)
    config.update({'steps': 2, 'tensorboard': False})
    assert config.batch_size == 1
    assert train(config, tmp_path / 'run')
    losses = [row['loss'] for row in read_table(tmp_path / 'run' / 'metrics.csv')]
    assert len(losses) == 2
    assert np.isfinite(losses).all()
    saved = (modnet_path, tmp_path / 'run' / 'last')
    before, after = (load_checkpoint(path).variables['params'] for path in saved)
    moved = jax.tree.map(lambda a, b: not np.array_equal(a, b), before, after)
    for path, has_moved in flatten_dict(moved, sep='/').items():
        assert not (has_moved and '/bn/' in path), path
    assert any(jax.tree.leaves(moved))


# The table that tells how to move here from the originals.
MOVING = (ROOT / 'scripts' / 'README.md').read_text().split('## Moving from')[1].split('\n## ')[0]
# What its placeholders may stand for.
NUMBERS = {'batch_size': '2', 'epochs': '4'}


def set_by_flag(config, path, text):
    *parents, name = path.split('.')
    section = functools.reduce(lambda section, name: section[name], parents, config)
    kind = section.get_type(name)
    section[name] = text == 'True' if kind is bool else kind(text)


@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
    """The data of either original by its name in the table, eight photos that nobody reads."""
    root = tmp_path_factory.mktemp('pictures')
    for name, splits, folders in (
        ('DATASET', ('train', 'test'), ('image', 'mask')),
        ('PPM-100', ('train', 'val'), ('fg', 'alpha')),
    ):
        for split, folder in itertools.product(splits, folders):
            (root / name / split / folder).mkdir(parents=True)
            for i in range(8):
                (root / name / split / folder / f'{i}.png').touch()
    return root


@pytest.mark.parametrize('command', re.findall(r'`(mattingjax train [^`]*)`', MOVING))
def test_trainings_of_the_migration_table_begin(command, pictures, mmnet_path, modnet_path):
    words = shlex.split(command)
    file = words[words.index('--config') + 1].removeprefix('configs/').removesuffix('.py')
    assert '--workdir' in words
    config, _ = load(file)
    paths = {'teacher': modnet_path}
    paths['checkpoint'] = mmnet_path if file == 'mmnet' else modnet_path
    for flag in words:
        if flag.startswith('--config.'):
            path, _, value = flag.removeprefix('--config.').partition('=')
            name = path.split('.')[-1]
            if name == 'root':
                value = pictures / value
            set_by_flag(config, path, str(paths.get(name, NUMBERS.get(name, value))))
    config = complete_settings(config)
    sources = open_sources(config)
    experiment = create_experiment(with_steps(config, sources))
    assert len(sources.training['dataset']) == len(sources.validation) == 8
    assert bool(config.model.checkpoint) == ('model.checkpoint' in command)
    assert experiment.steps == (16 if config.epochs else config.steps)


def test_settings_of_the_migration_table_exist():
    known = train_config()
    names = re.findall(r'--config\.([\w.]+)', MOVING)
    assert len(names) > 10
    for name in names:
        functools.reduce(lambda section, part: section[part], name.split('.'), known)


def test_unknown_ways_are_named():
    for name in ('smoke', 'retrain_pruned', 'prune_modnet', 'release_modnet', 'release_mmnet'):
        with pytest.raises(ValueError, match=r'expected .*finetuned'):
            load(name, 'finetuned')
