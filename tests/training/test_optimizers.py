import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mattingjax.config import train_config
from mattingjax.errors import MattingError
from mattingjax.training.optimizers import LearningRates, create_optimizer, create_schedule


def settings(**changes):
    config = train_config().optimizer
    config.update(changes)
    return config


@pytest.mark.parametrize(
    ('changes', 'expected'),
    [
        ({}, {0: 1.0, 50: 1.0, 99: 1.0}),
        # MODNet's: a tenth after each quarter.
        (
            {'schedule': 'step'},
            {0: 1.0, 24: 1.0, 26: 0.1, 49: 0.1, 51: 0.01, 74: 0.01, 76: 0.001, 99: 0.001},
        ),
        ({'schedule': 'cosine'}, {0: 1.0, 50: 0.5, 100: 0.0}),
        (
            {'schedule': 'cosine', 'warmup_steps': 20},
            {0: 0.0, 10: 0.5, 20: 1.0, 60: 0.5, 100: 0.0},
        ),
        ({'warmup_steps': 10}, {0: 0.0, 5: 0.5, 10: 1.0, 99: 1.0}),
    ],
)
def test_schedules(changes, expected):
    schedule = create_schedule(settings(learning_rate=1.0, **changes), 100)
    for step, rate in expected.items():
        assert schedule(step) == pytest.approx(rate, abs=1e-6), step
        assert LearningRates(schedule)[step] == pytest.approx(rate, abs=1e-6), step


def test_learning_rates_of_a_long_training():
    schedule = create_schedule(settings(schedule='cosine', warmup_steps=5000), 100_000)
    rates = LearningRates(schedule)
    for step in (99_999, 4095, 4096, 5000, 5001, 0, 70_000):
        assert rates[step] == pytest.approx(float(schedule(step)), rel=1e-5, abs=1e-12), step
    assert {type(rates[step]) for step in (0, 9999)} == {np.float32}


def test_momentum_and_clipping_are_optax():
    gradient = jnp.array([3.0, 4.0])
    optimizer = create_optimizer(
        settings(name='sgd', clip_norm=1.0, momentum=0.5), optax.constant_schedule(0.1)
    )
    state = optimizer.init(gradient)
    first, state = optimizer.update(gradient, state)
    second, _ = optimizer.update(gradient, state)
    np.testing.assert_allclose(first, [-0.06, -0.08], rtol=1e-6)  # norm 5 is clipped to 1
    np.testing.assert_allclose(second, [-0.09, -0.12], rtol=1e-6)


def test_accumulated_gradients_are_averaged():
    optimizer = create_optimizer(
        settings(name='sgd', momentum=0.0, accumulate_steps=2), optax.constant_schedule(1.0)
    )
    state = optimizer.init(jnp.zeros(1))
    updates = []
    for value in (1.0, 3.0):
        update, state = optimizer.update(jnp.array([value]), state, jnp.zeros(1))
        updates.append(float(update[0]))
    assert updates == [0.0, -2.0]


def test_weight_decay_pulls_to_zero():
    optimizer = create_optimizer(
        settings(name='adamw', weight_decay=0.1), optax.constant_schedule(1.0)
    )
    params = jnp.array([2.0])
    update, _ = optimizer.update(jnp.zeros(1), optimizer.init(params), params)
    np.testing.assert_allclose(update, [-0.2], rtol=1e-6)


def test_a_warm_up_is_shorter_than_the_training():
    with pytest.raises(MattingError, match=r'config.optimizer.warmup_steps: .* 100 upd.*got 100'):
        create_schedule(settings(warmup_steps=100), 100)
