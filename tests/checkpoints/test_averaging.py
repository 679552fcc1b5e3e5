import dataclasses

import jax
import numpy as np
import pytest

from mattingjax import Checkpoint, MattingError, load_checkpoint, save_checkpoint
from mattingjax.checkpoints.averaging import average_checkpoints
from tests.conftest import assert_one_line_error, random_checkpoint


@pytest.fixture(scope='module')
def others(mmnet):
    return [random_checkpoint(mmnet.config, seed) for seed in (1, 2)]


def test_every_variable_is_the_mean(others, tmp_path, run_script):
    paths = [tmp_path / name for name in 'ab']
    for path, checkpoint in zip(paths, others, strict=True):
        save_checkpoint(path, checkpoint)
    command = ['average', '--checkpoints', f'{paths[0]},{paths[1]}', '--weights', '1,3']
    process = run_script(*command, '--output', tmp_path / 'mean')
    assert process.returncode == 0, process.stderr.decode()
    assert f'0.25 {paths[0]}, 0.75 {paths[1]}' in process.stdout.decode()
    averaged = load_checkpoint(tmp_path / 'mean')
    expected = jax.tree.map(
        lambda a, b: 0.25 * a + 0.75 * b, *(checkpoint.variables for checkpoint in others)
    )
    jax.tree.map(
        lambda found, wanted: np.testing.assert_allclose(found, wanted, rtol=1e-6),
        averaged.variables,
        expected,
    )
    shares = [part['share'] for part in averaged.config.provenance['averaged']]
    assert shares == [0.25, 0.75]
    # Nothing is lost to a second one.
    assert_one_line_error(run_script(*command, '--output', tmp_path / 'mean'), 'mean')


def test_without_weights_all_count_alike(others):
    found = average_checkpoints(others).variables
    jax.tree.map(
        lambda mean, a, b: np.testing.assert_allclose(mean, (a + b) / 2, rtol=1e-6),
        found,
        *(checkpoint.variables for checkpoint in others),
    )


def test_what_cannot_be_averaged(mmnet, modnet, others):
    resized = dataclasses.replace(
        mmnet.config.preprocessing,
        mean=(1.0, 2.0, 3.0),
    )
    other = Checkpoint(dataclasses.replace(mmnet.config, preprocessing=resized), mmnet.variables)
    for checkpoints, weights, message in (
        (others[:1], None, 'checkpoints: expected at least two, got 1'),
        (others, [1], 'weights: expected 2, got 1'),
        (others, [1, -1], r'weights: expected 0 or more, one of them over 0, got \[1, -1\]'),
        (others, [0, 0], 'one of them over 0'),
        ([modnet, mmnet], None, 'checkpoint 1: its network is not that of the last: .*modnet'),
        ([other, mmnet], None, 'checkpoint 1: its preprocessing is not'),
    ):
        with pytest.raises(MattingError, match=message):
            average_checkpoints(checkpoints, weights)


def test_weights_are_numbers(mmnet_path, tmp_path, run_script):
    process = run_script(
        'average', '--checkpoints', f'{mmnet_path},{mmnet_path}', '--weights', '1,b',
        '--output', tmp_path / 'mean',
    )  # fmt: skip
    assert_one_line_error(process, '--weights: expected numbers, got 1,b')
    assert not (tmp_path / 'mean').exists()
