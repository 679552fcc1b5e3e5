"""`mattingjax predict` with paths of its own; tests/scripts/test_predict.py has its flags."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.conftest import assert_one_line_error
from tests.forked import run_script


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    """Photos a.png, b.png, in/c.png, in/b.jpg, other/a.jpg and other/b.png; bad.png is none."""
    folder = tmp_path_factory.mktemp('photos')
    rng = np.random.default_rng(0)
    for name in ('a.png', 'b.png', 'in/c.png', 'in/b.jpg', 'other/a.jpg', 'other/b.png'):
        (folder / name).parent.mkdir(exist_ok=True)
        pixels = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
    (folder / 'bad.png').write_text('no picture')
    (folder / 'nothing').mkdir()
    (folder / 'output').mkdir()
    return folder


@pytest.fixture
def predict(photos, mmnet_path):
    def run(*words, outputs='alpha', **options):
        flags = [f'--checkpoint={mmnet_path}', *([f'--outputs={outputs}'] if outputs else [])]
        return run_script('mattingjax', 'predict', *words, *flags, cwd=photos, **options)

    return run


def written(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob('*.*'))


def test_several_photos_and_folders(predict, tmp_path):
    process = predict('a.png', 'in', '--output', tmp_path / 'out')
    assert process.returncode == 0, process.stderr.decode()
    assert written(tmp_path / 'out') == ['a_alpha.png', 'b_alpha.png', 'c_alpha.png']
    (summary,) = process.stdout.decode().splitlines()
    assert summary.startswith('3 matted, 0 skipped in')
    # Each is what it is alone.
    predict('--input', 'a.png', '--output', tmp_path / 'alone')
    alone, together = (tmp_path / name / 'a_alpha.png' for name in ('alone', 'out'))
    assert alone.read_bytes() == together.read_bytes()


def test_flags_may_stand_before_and_after(predict, tmp_path):
    process = predict('--output', tmp_path / 'out', 'a.png', '--noforeground', 'b.png')
    assert process.returncode == 0, process.stderr.decode()
    assert written(tmp_path / 'out') == ['a_alpha.png', 'b_alpha.png']


def test_the_results_are_in_out_where_nothing_else_is_said(photos, mmnet_path, tmp_path):
    process = run_script(
        'mattingjax', 'predict', photos / 'a.png', f'--checkpoint={mmnet_path}', '--outputs=alpha',
        cwd=tmp_path,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr.decode()
    assert process.stdout == b'out/a_alpha.png\n'
    assert (tmp_path / 'out' / 'a_alpha.png').is_file()


def test_standard_input(predict, photos):
    process = predict('-', stdin=(photos / 'a.png').read_bytes())
    assert process.returncode == 0, process.stderr.decode()
    assert Image.open(io.BytesIO(process.stdout)).size == (50, 40)


def test_a_pattern_that_no_shell_has_expanded(predict, tmp_path):
    process = predict('[ab].png', '--output', tmp_path / 'out')
    assert process.returncode == 0, process.stderr.decode()
    assert written(tmp_path / 'out') == ['a_alpha.png', 'b_alpha.png']


def test_a_bad_one_among_several_is_skipped(predict, tmp_path):
    process = predict('bad.png', 'a.png', '--output', tmp_path / 'out')
    assert process.returncode == 2  # it was asked for
    (said,) = process.stderr.decode().splitlines()
    assert said.startswith('skipped: bad.png: not a picture')
    assert written(tmp_path / 'out') == ['a_alpha.png']
    process = predict('bad.png', 'bad.png', '--output', tmp_path / 'none')
    assert_one_line_error(process, 'bad.png: not a picture')
    assert not (tmp_path / 'none').exists()


def test_photos_that_are_named_twice_are_matted_once(predict, tmp_path):
    process = predict('in/b.jpg', 'in', './in', '--input=in', '--output', tmp_path / 'out')
    assert process.returncode == 0, process.stderr.decode()
    assert written(tmp_path / 'out') == ['b_alpha.png', 'c_alpha.png']


def test_results_keep_the_extension_where_photos_differ_in_it_alone(predict, tmp_path):
    process = predict('a.png', 'other/a.jpg', '--output', tmp_path / 'out')
    assert process.returncode == 0, process.stderr.decode()
    assert written(tmp_path / 'out') == ['a.jpg_alpha.png', 'a.png_alpha.png']


def test_two_photos_of_the_same_results_are_refused(predict, tmp_path):
    for words in (['b.png', 'other'], ['other/b.png', 'b.png', 'a.png']):
        process = predict(*words, '--output', tmp_path / 'OUT')
        assert_one_line_error(process, 'b.png: would have the same results as ', 'OUT/b.png_*')
        assert not (tmp_path / 'OUT').exists()


def test_what_is_there_already_is_left_out(predict, tmp_path):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'a_alpha.png').write_bytes(b'kept')
    process = predict('a.png', 'b.png', '--skip_existing', '--output', tmp_path / 'out')
    assert process.returncode == 0, process.stderr.decode()
    *files, summary = process.stdout.decode().splitlines()
    assert files == [str(tmp_path / 'out' / 'b_alpha.png')]
    assert summary.startswith('1 matted, 0 skipped, 1 there already in ')
    assert (tmp_path / 'out' / 'a_alpha.png').read_bytes() == b'kept'
    process = predict('a.png', '--skip_existing', '--output', tmp_path / 'out')
    assert process.returncode == 0
    assert process.stdout.startswith(b'0 matted, 0 skipped, 1 there already in ')


def test_formats(predict, tmp_path):
    process = predict(
        'a.png', '--background=green', '--format=webp', '--output', tmp_path / 'out', outputs=''
    )
    assert process.returncode == 0, process.stderr.decode()
    assert written(tmp_path / 'out') == [
        'a_alpha.png', 'a_composite.webp', 'a_cutout.webp', 'a_panel.png',
    ]  # fmt: skip
    assert Image.open(tmp_path / 'out' / 'a_cutout.webp').mode == 'RGBA'
    process = predict('a.png', '--format=jpg', '--output', tmp_path / 'jpg', outputs='')
    assert_one_line_error(process, '--format: jpg has no transparency')
    process = predict('a.png', '--format=gif', '--output', tmp_path / 'gif')
    assert_one_line_error(process, "--format: expected one of png, webp, jpg, got 'gif'")


@pytest.mark.parametrize(
    ('flag', 'part'),
    [
        ('--device=TPU', '--device: expected one of '),
        ('--device=TPU --runtime=openvino', "which OpenVINO has here, got 'TPU'"),
        ('--precision=bf16', '--precision: ONNX Runtime computes in that of the file'),
        ('--openvino_cache=kept', '--openvino_cache: ONNX Runtime keeps nothing that it compiles'),
        ('--openvino_cache=a.png/kept --runtime=openvino', 'a.png: expected a folder to write to'),
        ('--precision=f8 --runtime=openvino', '--precision: expected one of f32, bf16, f16, got'),
        (
            '--runtime=tensorflow',
            'expected an artefact (.xml, .onnx, .pb, .tflite) for the runtime',
        ),
    ],
)
def test_what_is_not_there_is_refused(photos, tmp_path, flag, part):
    if 'openvino' in flag:
        pytest.importorskip('openvino')
    process = run_script(
        'mattingjax', 'predict', 'a.png', '--output', tmp_path / 'out', '--checkpoint=mmnet_0.5',
        *flag.split(), cwd=photos,
    )  # fmt: skip
    assert_one_line_error(process, part)
    assert not (tmp_path / 'out').exists()


def test_weights_that_ship_run_where_it_is_said(photos, tmp_path):
    pytest.importorskip('openvino')
    for runtime in ('onnxruntime', 'openvino'):
        process = run_script(
            'mattingjax', 'predict', 'a.png', '--output', tmp_path / runtime, '--outputs=alpha',
            '--checkpoint=mmnet_0.5', f'--runtime={runtime}', '--device=cpu', cwd=photos,
        )  # fmt: skip
        assert process.returncode == 0, process.stderr.decode()
        assert process.stderr == f'matted by mmnet_0.5 with {runtime} on CPU\n'.encode()
    one, other = (
        np.asarray(Image.open(tmp_path / name / 'a_alpha.png')).astype(int)
        for name in ('onnxruntime', 'openvino')
    )
    assert np.abs(one - other).max() <= 1


@pytest.mark.parametrize(
    ('words', 'part'),
    [
        ([], '--input: a value is required, or paths without it'),
        (['a.png', 'none.png'], 'error: none.png: no such file or folder'),
        (['*.gif'], 'error: *.gif: no such file or folder'),
        (['a.png', ''], 'an empty path: no such file or folder'),
        (['a.png', '/dev/null'], '/dev/null: neither a file nor a folder'),
        (['a.png', '-'], '-: expected standard input alone'),
        (['-', '--output=x'], '--output: not with standard input'),
        (['a.png', '--foreground', 'False'], "unexpected argument 'False'; a switch is"),
        (['a.png', 'output=x'], "unexpected argument 'output=x'; did you mean --output=x?"),
        (['a.png', 'checkpoint'], "unexpected argument 'checkpoint'; did you mean --checkpoint?"),
        (['output', '--output=x'], 'error: output: holds no picture'),  # a folder, not the flag
        (['a.png', '--ouput=x'], 'unknown flag --ouput (did you mean --'),
    ],
)
def test_bad_paths_are_one_line(predict, photos, words, part):
    before = written(photos)
    assert_one_line_error(predict(*words), part)
    assert written(photos) == before
