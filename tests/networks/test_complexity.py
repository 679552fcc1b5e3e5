import json

import pytest

from mattingjax import MattingError
from mattingjax.networks import MMNetConfig, create_model_config
from mattingjax.networks.complexity import format_complexity, measure_complexity


def test_modnet():
    complexity = measure_complexity(create_model_config('modnet'))
    assert complexity['parameters'] == 6_487_075
    assert complexity['macs'] == pytest.approx(18.3e9, rel=0.02)
    layers = {layer['name']: layer for layer in complexity['layers']}
    # By hand: 3×3 over 3 channels to 32 at half of 512; the squeeze of 1280 channels to 320.
    assert layers['backbone/features_0/conv']['macs'] == 256 * 256 * 9 * 3 * 32
    assert layers['lr_branch/se_block/fc_0']['macs'] == 1280 * 320
    assert layers['backbone/features_2/depthwise/conv']['macs'] == 128 * 128 * 9 * 96
    assert layers['hr_branch/conv_hr_0/conv']['training_only']
    training = sum(layer['macs'] for layer in complexity['layers'] if layer['training_only'])
    assert complexity['inference_macs'] + training == complexity['macs']
    assert sum(layer['parameters'] for layer in complexity['layers']) == complexity['parameters']


def test_mmnet():
    complexity = measure_complexity(create_model_config('mmnet'))
    assert complexity['variables'] == 199_420
    # The original projects to two channels after enlarging four times, this network before.
    saved = 2 * 16 * (256**2 - 64**2)
    assert complexity['macs'] + saved == pytest.approx(328e6, rel=0.005)


def test_macs_follow_the_area():
    config = create_model_config('mmnet', MMNetConfig.from_multiplier(0.5))
    small = measure_complexity(config, 128, 128)
    large = measure_complexity(config, 256, 512)
    assert large['macs'] == 8 * small['macs']
    assert large['parameters'] == small['parameters']


def test_a_wrong_size_is_an_error():
    with pytest.raises(MattingError, match=r'height .* multiple of 32 pixels, .* got 100'):
        measure_complexity(create_model_config('modnet'), 100, 128)


def test_table(modnet):
    complexity = measure_complexity(modnet.config)
    table = format_complexity(complexity).splitlines()
    assert len(table) == len(complexity['layers']) + 5
    assert table[-2].split()[-2:] == [f'{complexity["parameters"]:,}', f'{complexity["macs"]:,}']


def test_script(run_script, modnet_path):
    process = run_script('complexity', '--checkpoint', modnet_path, '--json')
    assert json.loads(process.stdout)['network'] == 'modnet'
    for arguments in (['--network=modnet', '--width_multiplier=0.5'], ['--network=unet']):
        assert run_script('complexity', *arguments).returncode == 2
    process = run_script('complexity')
    assert process.returncode == 2
    assert b'expected one of --checkpoint and --network' in process.stderr
