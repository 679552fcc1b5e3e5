import dataclasses
import functools

import jax
import numpy as np
import optax
import pytest
from flax.traverse_util import flatten_dict

from mattingjax.config import train_config
from mattingjax.errors import MattingError
from mattingjax.networks import create_model, normalise
from mattingjax.networks.mmnet.loss import mmnet_loss
from mattingjax.pruning import channel_groups, prune, select_uniform
from mattingjax.training.dispatch import create_dispatch
from mattingjax.training.experiment import create_experiment
from mattingjax.training.objective import Objective, l2_regularization
from mattingjax.training.optimizers import create_optimizer
from mattingjax.training.settings import complete_settings
from mattingjax.training.state import create_state
from mattingjax.training.steps import StepOptions, create_train_step
from tests.training.conftest import tiny_config
from tests.training.single_steps import QUICK, changed, make_batch, one_step, step_inputs

OBJECTIVE = Objective('mmnet', l2=1e-3)
TOY_OBJECTIVE = Objective('toy', l2=1e-3)


@pytest.fixture(scope='module')
def mmnet_step(mmnet):
    options = StepOptions(ema_decay=0.9)
    return one_step(mmnet, OBJECTIVE, averaged=True, options=options)


def test_the_loss_is_the_networks_own(mmnet, mmnet_step):
    _, _, metrics = mmnet_step
    batch = make_batch()
    image = normalise(mmnet.config.preprocessing, batch['image'].astype(np.float32))
    model = create_model(mmnet.config)
    apply = functools.partial(model.apply, train=True, mutable=['batch_stats'])
    outputs, _ = QUICK(apply)(mmnet.variables, image)
    loss, terms = mmnet_loss(outputs, batch['alpha'], image)
    objective = Objective('mmnet', switches=('divide_twice',))
    _, twice = objective({}, outputs, batch, image, None, {}, {})
    assert float(twice['composition']) == pytest.approx(float(terms['composition']) / 255)
    expected = loss + l2_regularization(mmnet.variables['params'], scale=1e-3)
    assert metrics['loss'] == pytest.approx(float(expected), rel=1e-4)
    for name, value in terms.items():
        assert metrics[name] == pytest.approx(float(value), rel=1e-3)


def test_a_step_moves_every_parameter_and_statistic(mmnet_step):
    before, after, metrics = mmnet_step
    assert int(after.step) == 1
    still = set(flatten_dict(before.params, sep='/')) - changed(before.params, after.params)
    # The next layer's normalisation takes such a bias away again.
    assert all(path.endswith('merge/bn/bias') for path in still)
    assert changed(before.batch_stats, after.batch_stats)
    assert metrics['gradient_norm'] > 0
    moved = jax.tree.map(lambda new, old: (new - old) / -0.1, after.params, before.params)
    assert float(optax.tree.norm(moved)) == pytest.approx(metrics['gradient_norm'], rel=1e-2)


def test_averages_follow(mmnet_step):
    before, after, _ = mmnet_step
    # The first step's decay is 1 / 10.
    expected = jax.tree.map(lambda old, new: 0.1 * old + 0.9 * new, before.params, after.params)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        after.ema['params'],
        expected,
    )


@pytest.fixture(scope='module')
def toy_step(toy):
    return one_step(toy, TOY_OBJECTIVE)


def test_two_batches_for_one_update(toy, toy_step):
    """Of the same batch twice the gradient is that of it once."""
    settings = train_config().optimizer
    settings.update(name='sgd', momentum=0.0, accumulate_steps=2)
    create = functools.partial(create_optimizer, settings)
    step = QUICK(create_train_step(toy.config, TOY_OBJECTIVE, create, StepOptions()))
    before = create_state(toy.variables, create(optax.constant_schedule(0)))
    between, _ = step(before, make_batch(), None, step_inputs(0.1))
    assert not changed(before.params, between.params)
    after, _ = step(between, make_batch(), None, step_inputs(0.1))
    assert int(after.step) == 2
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
        after.params,
        toy_step[1].params,
    )


def test_a_pruned_student_with_frozen_layers_learns_from_the_whole_network(toy):
    groups = channel_groups(toy.config)
    widths = select_uniform(groups, 0.3)
    keep = {
        group.name: np.r_[
            : widths[group.name] // 2,
            group.width // 2 : group.width // 2 + (widths[group.name] + 1) // 2,
        ]
        for group in groups
    }
    config, variables, _ = prune(toy.config, toy.variables, keep)
    student = dataclasses.replace(toy, config=config, variables=variables)
    layers = ('stem/conv', 'body')
    objective = Objective('toy', supervised=0.0, distillation=2.0, features=layers)
    before, after, metrics = one_step(student, objective, teacher=toy, freeze=('stem/*',))
    names = ('alpha', 'gradient', 'semantic', 'attention')
    total = 2 * sum(metrics[f'teacher_{name}'] for name in names)
    assert metrics['loss'] == pytest.approx(total, rel=1e-4)
    assert metrics['teacher_attention'] > 0

    # Frozen layers stay, and use their running statistics.
    assert all(path.startswith('stem/') for path in flatten_dict(after.frozen, sep='/'))
    assert not changed(before.frozen, after.frozen)
    assert changed(before.params, after.params)
    moved = changed(before.batch_stats, after.batch_stats)
    assert moved
    assert not any(path.startswith('stem/') for path in moved)


def test_the_laplacian_loss_comes_beside_the_networks_own(toy):
    _, _, own = one_step(toy, Objective('toy'))
    _, _, alone = one_step(toy, Objective('toy', supervised=0.0, laplacian=2.0))
    _, _, both = one_step(toy, Objective('toy', laplacian=3.0))
    assert alone['loss'] == pytest.approx(2 * alone['laplacian'], rel=1e-5)
    assert both['loss'] == pytest.approx(own['loss'] + 3 * alone['laplacian'], rel=1e-5)


def test_self_consistency_leaves_normalisation_alone(modnet):
    objective = Objective('modnet', supervised=0.0, soc=1.0)
    before, after, metrics = one_step(
        modnet,
        objective,
        teacher=modnet,
        freeze=('*/bn/*',),
        optimizer=optax.adam,
        rate=1e-5,
        size=64,
    )
    assert not changed(before.batch_stats, after.batch_stats)
    assert not changed(before.frozen, after.frozen)
    assert changed(before.params, after.params)
    # The network is still its own copy: matte and detail are those of the copy.
    assert metrics['soc_detail'] == pytest.approx(0, abs=1e-5)
    assert metrics['loss'] == pytest.approx(100 * metrics['soc_semantic'], rel=1e-3)


def test_a_teacher_of_another_network_and_dropout(toy, modnet):
    architecture = dataclasses.replace(toy.config.architecture, dropout=0.5)
    config = dataclasses.replace(toy.config, architecture=architecture)
    objective = Objective('toy', distillation=1.0)
    step = QUICK(create_train_step(config, objective, optax.sgd, StepOptions(), modnet.config))
    state = create_state(toy.variables, optax.sgd(optax.constant_schedule(0)))
    batch, inputs = make_batch(), step_inputs(0.0, seed=3)
    second, metrics = step(state, batch, modnet.variables, inputs)
    _, second_metrics = step(second, batch, modnet.variables, inputs)
    _, again = step(state, batch, modnet.variables, inputs)
    _, other = step(state, batch, modnet.variables, step_inputs(0.0, seed=4))
    assert {'teacher_alpha', 'teacher_gradient', 'semantic', 'alpha'} <= set(metrics)
    # Other values are dropped in each step, the same ones in the same step.
    assert float(metrics['loss']) == float(again['loss'])
    assert float(metrics['loss']) != float(other['loss'])
    assert float(metrics['loss']) != float(second_metrics['loss'])


def lower(**changes):
    """The program of a step of these settings, as XLA gets it."""
    experiment = create_experiment(
        complete_settings(tiny_config(optimizer__schedule='cosine', **changes))
    )
    create = experiment.create_optimizer
    step = create_train_step(
        experiment.initial.config, experiment.objective, create, experiment.step_options
    )
    state = create_state(experiment.initial.variables, create(optax.constant_schedule(0.0)))
    batch = {name: value for name, value in make_batch().items() if name != 'trimap'}
    dispatch = jax.jit(create_dispatch(step, lambda held, arrays, i: arrays, 1))
    inputs = experiment.step_inputs(3, 1, 1)
    return dispatch.lower(state, None, batch, np.int32(1), None, inputs).as_text()


def test_other_steps_rates_and_seeds_are_the_same_program():
    program = lower(steps=50)
    changes = {
        'steps': 70,
        'seed': 5,
        'optimizer__learning_rate': 0.5,
        'optimizer__warmup_steps': 9,
    }
    assert lower(**changes) == program
    assert lower(steps=50, optimizer__b1=0.5) != program


def test_impossible_settings_are_named(mmnet):
    config = mmnet.config
    with pytest.raises(MattingError, match=r'loss.soc: mmnet has no such loss, only modnet'):
        Objective('mmnet', soc=1.0)
    with pytest.raises(MattingError, match='divide_twice: the loss of modnet has no such option'):
        Objective('modnet', switches=('divide_twice',))
    with pytest.raises(MattingError, match='loss: expected one of supervised'):
        Objective('mmnet', supervised=0.0)
    with pytest.raises(MattingError, match="dtype: expected float32 or bfloat16, got 'half'"):
        StepOptions(dtype='half')
    with pytest.raises(MattingError, match=r'ema_decay: expected 0 or more and below 1, got 1'):
        StepOptions(ema_decay=1.0)
    with pytest.raises(MattingError, match=r'loss.features: nowhere: no layer of mmnet'):
        create_train_step(
            config, Objective('mmnet', features=('nowhere',)), optax.sgd, StepOptions()
        )
