"""The kit's script is run with a stand-in for ATC; its camera configuration does the scaling."""

import dataclasses
import os
import re
import shutil
import subprocess

import numpy as np
import pytest

from exporters.ascend.kit import find_atc, run_atc, write_ascend_kit
from mattingjax.errors import MattingError, OutputError
from mattingjax.inference.signature import Signature
from mattingjax.networks import Preprocessing, create_model_config

MODNET = create_model_config('modnet').preprocessing
MMNET = create_model_config('mmnet').preprocessing


def write(folder, pb_name='model.pb', **changes):
    signature = Signature(
        input_name='input',
        output_name='output',
        shape=(1, 256, 320, 3),
        dtype='float32',
        scaling_inside=True,
        colour_order='RGB',
        resize_inside=False,
        input_size=512,
        preprocessing=MODNET,
    )
    return write_ascend_kit(folder, pb_name, dataclasses.replace(signature, **changes))


@pytest.fixture
def kit(tmp_path):
    folder = tmp_path / 'a kit'
    write(folder)
    return folder


@pytest.fixture
def no_atc(tmp_path, monkeypatch):
    """A PATH with what the script needs and no ATC; gives its folder."""
    programs = tmp_path / 'bin'
    programs.mkdir()
    for name in ('bash', 'dirname', 'cat'):
        (programs / name).symlink_to(shutil.which(name))
    monkeypatch.setenv('PATH', str(programs))
    return programs


@pytest.fixture
def fake_atc(tmp_path, no_atc):
    """An `atc` that records its arguments and folder and does what `body` says."""
    record = tmp_path / 'arguments'

    def install(body='echo OM > model.om'):
        program = no_atc / 'atc'
        lines = ['#!/bin/bash', f'printf "%s\\n" "$PWD" "$@" > "{record}"', body]
        program.write_text('\n'.join(lines))
        program.chmod(0o755)
        return record

    return install


def run_script(kit, *arguments):
    command = ['bash', str(kit / 'atc.sh'), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=kit.parent)


def fields(text):
    """The fields of an AIPP configuration; comments are none of it."""
    lines = [line.split('#')[0] for line in text.splitlines()]
    return dict(re.findall(r'(\w+): (\S+)', '\n'.join(lines)))


def test_files(kit, tmp_path):
    paths = write(tmp_path / 'other')
    assert sorted(path.name for path in paths) == ['README.md', 'aipp.cfg', 'atc.sh']
    assert all(path.is_file() for path in paths)
    assert os.access(kit / 'atc.sh', os.X_OK)
    assert not os.access(kit / 'aipp.cfg', os.X_OK)


def test_nothing_is_left_to_fill_in(kit):
    for path in kit.iterdir():
        assert '%{' not in path.read_text()


def test_script_is_valid_bash(kit):
    assert subprocess.run(['bash', '-n', str(kit / 'atc.sh')], check=False).returncode == 0


def test_script_passes_exactly_these_flags(kit, fake_atc):
    record = fake_atc()
    assert run_script(kit, 'Ascend310P3').returncode == 0
    assert record.read_text().splitlines() == [
        str(kit),
        '--framework=3',
        '--model=model.pb',
        '--output=model',
        '--input_format=NHWC',
        '--input_shape=input:1,256,320,3',
        '--out_nodes=output:0',
        '--soc_version=Ascend310P3',
        '--precision_mode=force_fp16',
    ]


def test_script_uses_the_names_and_the_batch(tmp_path, fake_atc):
    record = fake_atc()
    names = {'pb_name': 'mmnet.pb', 'input_name': 'input_x', 'output_name': 'head/alpha'}
    write(tmp_path, **names, shape=(4, 64, 96, 3))
    assert run_script(tmp_path, 'Ascend310').returncode == 0
    arguments = record.read_text().splitlines()
    assert '--model=mmnet.pb' in arguments
    assert '--input_shape=input_x:4,64,96,3' in arguments
    assert '--out_nodes=head/alpha:0' in arguments


@pytest.mark.parametrize(
    ('arguments', 'expected'),
    [
        (['fp16'], ['--precision_mode=force_fp16']),
        (['fp32'], ['--precision_mode=must_keep_origin_dtype']),
        (['mixed'], ['--precision_mode=allow_fp32_to_fp16']),
        (['--aipp'], ['--precision_mode=force_fp16', '--insert_op_conf=aipp.cfg']),
        (
            ['--aipp', 'fp32'],
            ['--precision_mode=must_keep_origin_dtype', '--insert_op_conf=aipp.cfg'],
        ),
    ],
)
def test_precision_and_aipp(kit, fake_atc, arguments, expected):
    record = fake_atc()
    assert run_script(kit, 'Ascend310P3', *arguments).returncode == 0
    assert record.read_text().splitlines()[-len(expected) :] == expected


@pytest.mark.parametrize(
    ('arguments', 'named'),
    [
        ([], 'SOC_VERSION'),
        ([''], 'SOC_VERSION'),
        (['--help'], '--help'),
        (['Ascend310P3', 'fp8'], 'fp8'),
    ],
)
def test_script_says_how_it_is_used(kit, fake_atc, arguments, named):
    record = fake_atc()
    result = run_script(kit, *arguments)
    assert result.returncode == 2
    usage, error = result.stderr.splitlines()
    assert usage.startswith('usage: atc.sh SOC_VERSION')
    assert named in error
    assert not record.exists()


def test_script_says_when_atc_is_missing(kit, no_atc):
    result = run_script(kit, 'Ascend310P3')
    assert result.returncode == 127
    assert 'atc is not on PATH' in result.stderr


def test_script_gives_the_status_of_atc(kit, fake_atc):
    fake_atc('exit 7')
    assert run_script(kit, 'Ascend310P3').returncode == 7


def test_aipp_takes_rgb_pixels_of_the_inputs_size(kit):
    found = fields((kit / 'aipp.cfg').read_text())
    expected = {
        'aipp_mode': 'static',
        'input_format': 'RGB888_U8',
        'src_image_size_w': '320',
        'src_image_size_h': '256',
        'crop': 'false',
        'csc_switch': 'false',
        'rbuv_swap_switch': 'false',
    }
    assert expected.items() <= found.items()


@pytest.mark.parametrize('preprocessing', [MODNET, MMNET])
@pytest.mark.parametrize('scaling_inside', [True, False])
def test_aipp_scales_exactly_where_the_graph_does_not(tmp_path, preprocessing, scaling_inside):
    write(tmp_path, preprocessing=preprocessing, scaling_inside=scaling_inside)
    found = fields((tmp_path / 'aipp.cfg').read_text())
    pixels = np.arange(256.0)
    for channel in range(3):
        mean, lowest, factor = (
            float(found[f'{name}_{channel}']) for name in ('mean_chn', 'min_chn', 'var_reci_chn')
        )
        scaled = (pixels - mean - lowest) * factor
        if not scaling_inside:
            pixels_of_network = scaled * preprocessing.std[channel] + preprocessing.mean[channel]
            np.testing.assert_allclose(pixels_of_network, pixels, rtol=0, atol=1e-9)
        else:
            np.testing.assert_array_equal(scaled, pixels)


def test_aipp_numbers(tmp_path):
    write(tmp_path, preprocessing=MODNET, scaling_inside=False)
    found = fields((tmp_path / 'aipp.cfg').read_text())
    assert (found['mean_chn_0'], found['min_chn_0']) == ('0', '127.5')
    assert float(found['var_reci_chn_0']) == 1 / 127.5
    write(tmp_path, preprocessing=MMNET, scaling_inside=False)
    found = fields((tmp_path / 'aipp.cfg').read_text())
    assert float(found['min_chn_2']) == 0
    assert float(found['var_reci_chn_2']) == 1 / 255


def test_aipp_comment_converts_yuv_as_bt_601_does(kit):
    """The lines to use for NV12: whole numbers are 256ths, black is 16 and white 235."""
    found = dict(re.findall(r'(\w+): (-?\d+)', (kit / 'aipp.cfg').read_text()))
    matrix = np.array([[int(found[f'matrix_r{i}c{j}']) for j in range(3)] for i in range(3)])
    bias = np.array([int(found[f'input_bias_{i}']) for i in range(3)])
    red, blue = 0.299, 0.114
    luma = np.array([red, 1 - red - blue, blue])
    to_yuv = np.array(
        [luma, ([0, 0, 1] - luma) / (1 - blue) / 2, ([1, 0, 0] - luma) / (1 - red) / 2]
    )
    to_yuv *= np.array([219, 224, 224])[:, np.newaxis] / 255
    rgb = np.array([200.0, 30.0, 90.0])
    yuv = to_yuv @ rgb + [16, 128, 128]
    np.testing.assert_allclose(matrix @ (yuv - bias) / 256, rgb, atol=1)


@pytest.mark.parametrize(
    ('changes', 'named'),
    [
        ({'pb_name': 'a model.pb'}, 'a model.pb'),
        ({'pb_name': '../model.pb'}, '../model.pb'),
        ({'input_name': 'input"; rm x; "'}, 'rm x'),
        ({'output_name': '$(output)'}, 'output'),
        ({'shape': (1, 256, 5000, 3)}, '5000'),
        ({'shape': (1, 0, 256, 3)}, 'got 0'),
        (
            {
                'preprocessing': Preprocessing((-1.0, 0.0, 0.0), (1.0,) * 3, 'exact', 1),
                'scaling_inside': False,
            },
            '-1.0',
        ),
    ],
)
def test_bad_input_is_named_and_nothing_written(tmp_path, changes, named):
    with pytest.raises(MattingError, match=re.escape(named)) as caught:
        write(tmp_path / 'kit', **changes)
    assert '\n' not in str(caught.value)
    assert not (tmp_path / 'kit').exists()


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / 'kit').write_text('')
    with pytest.raises(OutputError, match='kit'):
        write(tmp_path / 'kit')


def test_find_atc(no_atc, fake_atc):
    assert find_atc() is None
    fake_atc()
    assert find_atc() == str(no_atc / 'atc')


def test_run_atc_gives_the_model(kit, fake_atc):
    record = fake_atc()
    assert run_atc(kit, 'Ascend310P3') == kit / 'model.om'
    assert '--precision_mode=force_fp16' in record.read_text()


@pytest.mark.parametrize(
    ('body', 'named'),
    [
        ('echo ATC start; echo "E10001: no such op" >&2; exit 1', 'E10001: no such op'),
        ('exit 1', 'it said nothing'),
        ('echo ATC run success', 'model.om'),
    ],
)
def test_run_atc_says_why_it_failed(kit, fake_atc, body, named):
    fake_atc(body)
    (kit / 'model.om').write_text('of an earlier run')
    with pytest.raises(MattingError, match=named):
        run_atc(kit, 'Ascend310P3')


def test_run_atc_without_atc(kit, no_atc):
    with pytest.raises(MattingError, match='atc is not on PATH'):
        run_atc(kit, 'Ascend310P3')


def test_readme_names_the_files_and_is_honest(kit):
    text = (kit / 'README.md').read_text()
    for name in ('model.pb', 'atc.sh', 'aipp.cfg', 'model.om', 'msame', 'mattingjax bins'):
        assert name in text
    assert 'never been run' in text.replace('\n', ' ')
    assert '--images PHOTOS \\\n      --alphas' in text
    assert all(len(line) <= 100 for line in text.splitlines() if not line.startswith('|'))
