import io

import numpy as np
import pytest
from PIL import Image

from mattingjax import MattingError, batch, create_predictor
from mattingjax.batch import Outputs, matte_bytes, matte_file, matte_folder
from mattingjax.compositing import Background


@pytest.fixture(scope='module')
def predictor(mmnet_path):
    return create_predictor(mmnet_path)


def write_photo(path, size=(40, 50), seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def test_one_photo_gives_every_picture(predictor, tmp_path):
    photo = write_photo(tmp_path / 'me.png')
    outputs = Outputs(batch.OUTPUTS, Background('red'))
    files = matte_file(predictor, photo, tmp_path / 'out' / 'me', outputs)
    assert [file.name for file in files] == [f'me_{kind}.png' for kind in batch.OUTPUTS]
    alpha, cutout, composite, panel = (Image.open(file) for file in files)
    assert (alpha.mode, cutout.mode, composite.mode, panel.mode) == ('L', 'RGBA', 'RGB', 'RGB')
    assert alpha.size == cutout.size == composite.size == (50, 40)
    np.testing.assert_array_equal(np.asarray(cutout)[..., 3], np.asarray(alpha))
    assert panel.width > 3 * 50


def test_without_foreground_estimate_the_colours_are_the_photos(predictor, tmp_path):
    photo = write_photo(tmp_path / 'me.png')
    outputs = Outputs(('cutout',), foreground=False)
    (file,) = matte_file(predictor, photo, tmp_path / 'me', outputs)
    np.testing.assert_array_equal(
        np.asarray(Image.open(file))[..., :3], np.asarray(Image.open(photo))
    )


def test_a_folder_is_searched_and_bad_files_are_skipped(predictor, tmp_path, capsys):
    folder = tmp_path / 'photos'
    write_photo(folder / 'a.png')
    write_photo(folder / 'sub' / 'b.jpg', (60, 30))
    write_photo(folder / 'sub' / 'b.png', (60, 30))
    (folder / 'empty.png').touch()
    (folder / 'cut.jpg').write_bytes((folder / 'sub' / 'b.jpg').read_bytes()[:600])
    write_photo(folder / 'dot.png', (1, 1))
    (folder / 'letter.txt').write_text('not a photo')
    target = folder / 'mattes'
    outputs = Outputs(('alpha',))
    for _ in range(2):  # the second run must not find the results of the first
        summary = matte_folder(predictor, folder, target, outputs)
        names = sorted(str(path.relative_to(target)) for path in target.rglob('*.png'))
        assert names == ['a_alpha.png', 'sub/b.jpg_alpha.png', 'sub/b.png_alpha.png']
        assert len(summary.matted) == 3
        assert sorted(path.name for path, _ in summary.skipped) == [
            'cut.jpg',
            'dot.png',
            'empty.png',
        ]
    errors = capsys.readouterr().err
    for name in ('cut.jpg', 'dot.png', 'empty.png'):
        assert errors.count(f'skipped: {folder / name}: ') == 2


def test_an_empty_folder_is_an_error(predictor, tmp_path):
    with pytest.raises(MattingError, match='holds no picture'):
        matte_folder(predictor, tmp_path, tmp_path / 'out', Outputs())


def test_bytes_in_bytes_out(predictor, tmp_path):
    content = write_photo(tmp_path / 'me.png').read_bytes()
    results = matte_bytes(predictor, content, Outputs(('cutout',)))
    assert Image.open(io.BytesIO(results['cutout'])).mode == 'RGBA'


def test_results_that_cannot_be_written(predictor, tmp_path):
    photo = write_photo(tmp_path / 'me.png')
    (tmp_path / 'file').touch()
    with pytest.raises(MattingError, match=r'me_alpha.png: cannot be written'):
        matte_file(predictor, photo, tmp_path / 'file' / 'me', Outputs())


def test_a_photo_is_named_in_errors(predictor, tmp_path):
    photo = write_photo(tmp_path / 'dot.png', (1, 1))
    with pytest.raises(MattingError, match=r'dot.png: expected a photo of at least 16 pixels'):
        matte_file(predictor, photo, tmp_path / 'dot', Outputs())


@pytest.mark.parametrize(('kinds', 'message'), [((), 'expected some'), (('gif',), 'expected some')])
def test_unknown_outputs(kinds, message):
    with pytest.raises(MattingError, match=message):
        Outputs(kinds)
    with pytest.raises(MattingError, match='needs a background'):
        Outputs(('composite',))
