"""Export and benchmark from the command line."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT, assert_one_line_error, require_export_tools, run_module

INT8 = ('--precision', 'int8', '--calibration_images')


def test_verification_that_fails_is_exit_status_3(tmp_path):
    require_export_tools()
    code = f"""
import sys
from exporters import pipeline, verify
from mattingjax.commands import export
def fail(*_, **__):
    raise verify.VerificationError('model.pb: far off')
pipeline.export_checkpoint = fail
sys.argv = ['export', '--checkpoint=a', '--output={tmp_path}']
export.command_line.run(export)
"""
    command = [sys.executable, '-c', code]
    process = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert process.returncode == 3
    assert process.stderr == 'error: model.pb: far off; nothing was written\n'


def test_photos_to_calibrate_on_that_cannot_be_read_are_told(mmnet_path, tmp_path):
    require_export_tools()
    photos = tmp_path / 'photos'
    photos.mkdir()
    (photos / 'broken.jpg').write_bytes(b'no picture')
    output = tmp_path / 'out'
    process = run_module(
        'exporters.export', '--checkpoint', mmnet_path, '--output', output, *INT8, photos
    )
    assert_one_line_error(process, 'broken.jpg')
    assert not output.exists()


@pytest.mark.parametrize(
    ('arguments', 'parts'),
    [
        (['--height', '100'], ['height', 'multiple of 16', '100']),
        (['--formats', 'pb,tflite'], ['formats', 'pb, onnx, openvino', 'pb,tflite']),
        (['--precision', 'int4'], ['--precision:', 'fp32, fp16, int8', 'int4']),
        (['--precision', 'int8'], ['--calibration_images:', 'none']),
        (['--calibration_images', '.'], ['--calibration_images:', 'int8', 'fp32']),
        ([*INT8, 'nowhere'], ['nowhere']),
        ([*INT8, 'configs'], ['configs', 'no picture']),
        ([*INT8, '.', '--max_mad_drop', '0'], ['--max_mad_drop:', '0']),
        ([*INT8, '.', '--max_mad_drop', '0.001'], ['--max_mad_drop:', 'calibration_alphas']),
        (['--max_mad_drop', '0.001'], ['--max_mad_drop:', 'calibration_alphas']),
        (['--calibration_alphas', '.'], ['--calibration_alphas:', 'calibration_images']),
        (['--batch_size', '0'], ['batch_size', '0']),
        (['--checkpoint', 'model.ckpt'], ['model.ckpt', 'not a checkpoint']),
        (['--photos', 'nowhere.jpg'], ['nowhere.jpg', 'no such file']),
        (['--input_name', '_in'], ['input_name', '_in']),
        (['--precision', 'fp16', '--noverify'], ['fp16', 'verification']),
        (['--precision', 'fp16', '--formats', 'pb'], ['--precision:', 'fp16', 'litert']),
        (['--batch_size', '1000000'], ['batch_size', '1000000 images']),
        (['--height', '9223372036854775808'], ['height']),
        (['--output', 'a' * 300], ['File name too long']),
        (['--soc_version', 'Ascend 310;'], ['soc_version', 'Ascend 310;']),
        (['--formats', 'pb', '--embed_preprocessing', 'RGB'], ['embed_preprocessing', 'openvino']),
        (['--formats', 'onnx,web', '--onnxruntime_web', 'README.md'], ['README.md', 'sha512-']),
        (['--wdith', '64'], ['wdith']),
    ],
)
def test_bad_input_is_one_line(mmnet_path, tmp_path, arguments, parts):
    require_export_tools()
    output = tmp_path / 'out'
    process = run_module(
        'exporters.export', '--checkpoint', mmnet_path, '--output', output, *arguments
    )
    assert_one_line_error(process, *parts)
    assert not output.exists()


@pytest.mark.parametrize(
    ('arguments', 'parts'),
    [
        (['--models', 'absent.onnx'], ['absent.onnx', 'no such file']),
        (['--models', 'a.onnx', '--size', '²x3'], ['--size', '²x3']),
        (['--models', 'README.md'], ['README.md']),
        (
            ['--models', 'a.tflite', '--runtimes', 'litert', '--precisions', 'f8'],
            ['--precisions:', 'f32, bf16, f16', 'f8'],
        ),
    ],
)
def test_benchmark_tells_bad_input(run_script, arguments, parts):
    require_export_tools()
    assert_one_line_error(run_script('benchmark', *arguments), *parts)
