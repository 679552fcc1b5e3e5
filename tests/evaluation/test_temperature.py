import jax
import numpy as np
import pytest
from PIL import Image

from mattingjax import MattingError, load_checkpoint
from mattingjax.checkpoints import hash_checkpoint
from mattingjax.evaluation import Folders
from mattingjax.evaluation.temperature import compare_temperatures, with_temperature
from tests.conftest import assert_one_line_error


def logit(alpha):
    return np.log(alpha / (1 - alpha))


@pytest.mark.parametrize('name', ['mmnet', 'modnet', 'deeplab'])
def test_the_logit_is_divided(name, request):
    checkpoint = request.getfixturevalue(name)
    images = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)
    before = {k: np.asarray(v, float) for k, v in checkpoint.apply(images).items()}
    sharp = with_temperature(checkpoint, 0.5)
    after = {k: np.asarray(v, float) for k, v in sharp.apply(images).items()}
    unsure = np.abs(before['alpha'] - 0.5) < 0.49  # float32 is exact enough there
    assert unsure.mean() > 0.02
    alphas = before['alpha'][unsure], after['alpha'][unsure]
    np.testing.assert_allclose(logit(alphas[1]), 2 * logit(alphas[0]), atol=1e-3)
    assert np.abs(alphas[1] - alphas[0]).max() > 0.01
    for output in before.keys() - {'alpha', 'logits'}:
        np.testing.assert_array_equal(after[output], before[output])
    if 'logits' in before:
        np.testing.assert_allclose(after['logits'], 2 * before['logits'], rtol=1e-4, atol=1e-5)


def test_the_provenance_lists_them_all(mmnet):
    once = with_temperature(mmnet, 0.5)
    twice = with_temperature(once, 2)
    assert twice.config.provenance['temperatures'] == [
        {'temperature': 0.5, 'sha256': hash_checkpoint(mmnet)},
        {'temperature': 2, 'sha256': hash_checkpoint(once)},
    ]
    same = jax.tree.map(np.array_equal, twice.variables, mmnet.variables)
    assert all(jax.tree.leaves(same))


@pytest.mark.parametrize('temperature', [0, -1, 1e-40, 1e300, float('nan')])
def test_impossible_temperatures(mmnet, temperature):
    for use in (
        lambda: with_temperature(mmnet, temperature),
        lambda: compare_temperatures(mmnet, [], [1, temperature]),
    ):
        with pytest.raises(MattingError, match=r'temperature: expected 0\.05 to 20, got'):
            use()


@pytest.fixture(scope='module')
def photos(tmp_path_factory, mmnet):
    """Two photos, and what the network at temperature 0.5 makes of them."""
    folder = tmp_path_factory.mktemp('photos')
    for kind in ('image', 'alpha'):
        (folder / kind).mkdir()
    sharp = with_temperature(mmnet, 0.5)
    for i in range(2):
        photo = np.random.default_rng(i).integers(0, 256, (64, 64, 3), np.uint8)
        alpha = np.asarray(sharp.apply(photo[None].astype(np.float32))['alpha'])[0, ..., 0]
        Image.fromarray(photo).save(folder / f'image/{i}.png')
        Image.fromarray(np.uint8(np.round(255 * alpha))).save(folder / f'alpha/{i}.png')
    return folder


def test_errors_at_each_temperature(mmnet, photos):
    records = Folders(photos / 'image', photos / 'alpha').open()
    errors = compare_temperatures(mmnet, records, [1, 0.5])
    assert list(errors) == [1, 0.5]
    assert set(errors[1]) == {'mad', 'mse', 'mean_gradient'}
    for name, error in errors[0.5].items():
        assert error < errors[1][name] / 4, name


def test_the_best_of_some_is_written(run_script, mmnet_path, photos, tmp_path):
    output = tmp_path / 'sharp'
    command = [
        'temperature', '--checkpoint', mmnet_path, '--images', photos / 'image',
        '--alphas', photos / 'alpha', '--temperatures=1,0.5,0.25', '--output', output,
    ]  # fmt: skip
    process = run_script(*command)
    assert process.returncode == 0, process.stderr.decode()
    header, *rows, last = process.stdout.decode().splitlines()
    assert header.split() == ['temperature', 'mad', 'mse', 'mean_gradient']
    assert [row.split()[0] for row in rows] == ['1', '0.5', '0.25']
    assert last == f'{output}: temperature 0.5'
    written = load_checkpoint(output).variables['params']['final_block']['kernel']
    original = load_checkpoint(mmnet_path).variables['params']['final_block']['kernel']
    np.testing.assert_allclose(written, 2 * original, rtol=1e-6)
    assert_one_line_error(run_script(*command), 'sharp', 'already')
    other = run_script(*command[:-2], '--alpha_values=labels:999')
    assert_one_line_error(other, 'alpha: --alpha_values=labels:999: no such label in')


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (
            [],
            '--images, --alphas, --output: expected photos and alphas, or an output and one '
            'temperature',
        ),
        (['--images=photos'], '--images, --alphas: expected both or neither'),
        (['--temperatures=1,hot'], '--temperatures: expected numbers, got 1,hot'),
        (['--images=a', '--alphas=b', '--temperatures='], 'expected at least one number, got none'),
    ],
)
def test_bad_flags(run_script, mmnet_path, tmp_path, arguments, message):
    output = ['--output', tmp_path / 'sharp'] if arguments else []
    process = run_script('temperature', '--checkpoint', mmnet_path, *output, *arguments)
    assert_one_line_error(process, message)
    assert not list(tmp_path.iterdir())
