import numpy as np
import pytest
from PIL import Image

from mattingjax import MattingError, load_checkpoint
from mattingjax.temperature import with_temperature
from tests.conftest import assert_one_line_error


def logit(alpha):
    return np.log(alpha / (1 - alpha))


@pytest.mark.parametrize('name', ['mmnet', 'modnet'])
def test_the_alpha_alone_is_divided(name, request):
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
    assert sharp.config.provenance['temperature']['value'] == 0.5


@pytest.mark.parametrize('temperature', [0, -1, float('inf'), float('nan')])
def test_impossible_temperatures(mmnet, temperature):
    with pytest.raises(MattingError, match='temperature: expected a number over 0, got'):
        with_temperature(mmnet, temperature)


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


def test_the_best_of_some_is_written(run_script, mmnet_path, photos, tmp_path):
    output = tmp_path / 'sharp'
    command = [
        'temperature', '--checkpoint', mmnet_path, '--images', photos / 'image',
        '--alphas', photos / 'alpha', '--temperatures=1,0.5,0.25', '--output', output,
    ]  # fmt: skip
    process = run_script(*command)
    assert process.returncode == 0, process.stderr.decode()
    header, *rows, last = process.stdout.decode().splitlines()
    assert header.split() == ['temperature', 'mad', 'mse', 'gradient']
    errors = {row.split()[0]: [float(value) for value in row.split()[1:]] for row in rows}
    assert list(errors) == ['1', '0.5', '0.25']
    assert errors['0.5'][0] < 0.5 / 255 < min(errors['1'][0], errors['0.25'][0])
    assert last == f'{output}: temperature 0.5'
    written = load_checkpoint(output).variables['params']['final_block']['kernel']
    original = load_checkpoint(mmnet_path).variables['params']['final_block']['kernel']
    np.testing.assert_allclose(written, 2 * original, rtol=1e-6)
    assert_one_line_error(run_script(*command), 'sharp', 'already')


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([], 'expected --images and --alphas, or --output and one of --temperatures'),
        (['--output=sharp'], 'or --output and one of --temperatures'),
        (['--images=photos'], '--images'),
        (['--temperatures=1,hot', '--output=sharp'], '--temperatures: expected numbers, got 1,hot'),
        (['--temperatures=0', '--output=sharp'], 'temperature: expected a number over 0, got 0'),
    ],
)
def test_bad_flags(run_script, mmnet_path, arguments, message):
    process = run_script('temperature', '--checkpoint', mmnet_path, *arguments)
    assert_one_line_error(process, message)
