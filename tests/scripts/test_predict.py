import io
import os

import numpy as np
import pytest
from PIL import Image

from tests.conftest import assert_one_line_error
from tests.images.pictures import bomb, truncated_jpeg


@pytest.fixture(scope='module')
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp('photos') / 'me.png'
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def predict(run_script, mmnet_path):
    def run(*arguments, **options):
        return run_script('predict', '--checkpoint', mmnet_path, *arguments, **options)

    return run


def test_a_file(predict, photo, tmp_path):
    process = predict('--input', photo, '--output', tmp_path / 'out', '--background=white')
    assert process.returncode == 0, process.stderr.decode()
    written = sorted(path.name for path in (tmp_path / 'out').iterdir())
    assert written == ['me_alpha.png', 'me_composite.png', 'me_cutout.png', 'me_panel.png']
    assert len(process.stdout.splitlines()) == 4
    assert process.stderr.startswith(b'matted by ')
    assert process.stderr.endswith(b' with jax on CPU\n')


def test_stdin_to_stdout(predict, photo):
    process = predict('--input', '-', '--outputs=alpha', stdin=photo.read_bytes())
    assert process.returncode == 0, process.stderr.decode()
    assert Image.open(io.BytesIO(process.stdout)).size == (50, 40)


def test_a_folder(predict, photo, tmp_path):
    (photo.parent / 'empty.png').touch()
    arguments = ('--input', photo.parent, '--output', tmp_path / 'out', '--outputs=alpha')
    process = predict(*arguments, '--compilation_cache', tmp_path / 'cache')
    assert process.returncode == 0, process.stderr.decode()
    assert process.stdout.startswith(b'1 matted, 1 skipped in')
    assert b'empty.png: not a picture' in process.stderr
    assert (tmp_path / 'out' / 'me_alpha.png').is_file()
    assert any((tmp_path / 'cache').iterdir())


def test_a_folder_of_bad_files_alone(predict, tmp_path):
    (tmp_path / 'in').mkdir()
    (tmp_path / 'in' / 'empty.png').touch()
    process = predict('--input', tmp_path / 'in', '--output', tmp_path / 'out')
    assert process.returncode == 2
    assert process.stdout.startswith(b'0 matted, 1 skipped in')


def tiny(height, width) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(buffer, 'PNG')
    return buffer.getvalue()


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (truncated_jpeg(np.zeros((40, 60, 3), np.uint8)), 'cannot be read'),
        (b'', 'not a picture'),
        (b'Dear all, this is no picture.', 'not a picture'),
        (tiny(1, 1), 'at least 16 pixels'),
        (tiny(3, 5000), 'at least 16 pixels'),
        (bomb(), 'too large to decode'),
    ],
    ids=['truncated', 'empty', 'text', '1x1', '3x5000', 'bomb'],
)
def test_a_bad_photo_is_one_line(predict, tmp_path, content, message):
    (tmp_path / 'bad.png').write_bytes(content)
    process = predict('--input', tmp_path / 'bad.png', '--output', tmp_path / 'out')
    assert_one_line_error(process, 'bad.png', message)
    assert not (tmp_path / 'out').exists()


def test_an_unreadable_folder_is_one_line(predict, tmp_path):
    folder = tmp_path / 'private'
    folder.mkdir()
    folder.chmod(0)
    if os.access(folder, os.R_OK):
        pytest.skip('run as root, whom no permission stops; tests/images covers it')
    process = predict('--input', folder, '--output', tmp_path / 'out')
    assert_one_line_error(process, 'private: cannot be read')


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--input=none.png', '--output=out'], 'none.png: no such file or folder'),
        (['--output=out'], '--input: a value is required'),
        (['--input=-', '--output=out'], '--output: not with standard input'),
        (['--input=.', '--output=.'], 'expected another folder than that of the photos'),
        (['--input=.', '--output=README.md/out'], 'README.md: expected a folder to write to'),
        (['--inptu=a.png', '--output=out'], 'did you mean --input or --input_size?'),
        (['--input=.', '--output=out', '--background=octarine'], 'octarine: neither a colour'),
        (['--input=.', '--output=out', '--outputs=gif'], 'expected some of alpha, cutout'),
        (['--input=.', '--output=out', '--outputs=composite'], 'needs a background'),
        (['--input=.', '--output=out', 'more'], 'more: no such file or folder'),
        (['--input=-', '--outputs=alpha,panel'], 'expected one kind'),
        (
            ['--input=.github/astronaut.jpg', '--output=out', '--compilation_cache=README.md'],
            'README.md: expected',
        ),
        (['--input=/dev/null', '--output=out'], 'neither a file nor a folder (streams: -)'),
        (
            ['--input=.', '--output=out', '--runtime=abacus'],
            'one of onnxruntime, openvino, litert, tensorflow, jax',
        ),
        (
            ['--input=.github/astronaut.jpg', '--output=out', '--checkpoint=nosuch'],
            'nosuch: not a checkpoint',
        ),
    ],
)
def test_wrong_flags_are_one_line(predict, arguments, message):
    assert_one_line_error(predict(*arguments), message)


def test_help(run_script):
    process = run_script('predict', '--help')
    assert process.returncode == 0
    assert b'Mattes photos' in process.stdout
    assert b'--background' in process.stdout
