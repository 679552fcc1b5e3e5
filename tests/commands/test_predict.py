"""`mattingjax predict` with paths of its own; tests/scripts/test_predict.py has its flags."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.conftest import assert_one_line_error
from tests.forked import run_script


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    """Photos a.png, b.png, in/c.png, in/b.jpg and other/a.jpg, and bad.png, which is none."""
    folder = tmp_path_factory.mktemp('photos')
    rng = np.random.default_rng(0)
    for name in ('a.png', 'b.png', 'in/c.png', 'in/b.jpg', 'other/a.jpg'):
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
    first, second = process.stdout.decode().splitlines()
    assert first == str(tmp_path / 'out' / 'a_alpha.png')
    assert second.startswith('2 matted, 0 skipped in')
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
    process = predict('bad.png', 'a.png', 'nothing', '--output', tmp_path / 'out')
    assert process.returncode == 0
    said = process.stderr.decode().splitlines()
    assert [line.split(':')[:2] for line in said] == [
        ['skipped', ' bad.png'],
        ['skipped', ' nothing'],
    ]
    assert written(tmp_path / 'out') == ['a_alpha.png']
    process = predict('bad.png', 'nothing', '--output', tmp_path / 'none')
    assert process.returncode == 2
    assert not (tmp_path / 'none').exists()


@pytest.mark.parametrize(
    ('words', 'parts'),
    [
        (['a.png', 'other/a.jpg'], ['other/a.jpg: would have the same results as a.png: ', 'a_*']),
        (['b.png', 'in'], ['in: would have the same results as b.png: ', 'OUT/b_*.png']),
        (['in/b.jpg', 'in'], ['in: would have the same results as in/b.jpg: ', 'OUT/b_*.png']),
        (['a.png', 'a.png'], ['a.png: would have the same results as a.png']),
        (['a.png', '--input=./a.png'], ['a.png: would have the same results as ./a.png']),
        (['in', '--input=in'], ['in: would have the same results as in: ', 'OUT/b_*.png']),
    ],
)
def test_two_inputs_of_the_same_results_are_refused(predict, tmp_path, words, parts):
    process = predict(*words, '--output', tmp_path / 'OUT')
    assert_one_line_error(process, *parts)
    assert not (tmp_path / 'OUT').exists()


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
