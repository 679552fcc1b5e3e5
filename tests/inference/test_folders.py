import io
import time

import numpy as np
import pytest
from PIL import Image

from mattingjax import MattingError, create_predictor, load_image
from mattingjax.evaluation import EvaluationOptions, Folders, evaluate_folders
from mattingjax.evaluation.metrics import compute_metrics
from mattingjax.images.compositing import Background, to_uint8
from mattingjax.inference import folders
from mattingjax.inference.folders import matte_bytes, matte_file, matte_photos
from mattingjax.inference.jobs import list_jobs
from mattingjax.inference.outputs import OUTPUTS, Outputs


@pytest.fixture(scope='module')
def predictor(mmnet_path):
    return create_predictor(mmnet_path)


def write_photo(path, size=(40, 50), seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def matte_folder(predictor, folder, target, outputs, **options):
    jobs, others = list_jobs([folder], target, outputs)
    return matte_photos(predictor, jobs, outputs, others=others, **options)


def test_one_photo_gives_every_picture(predictor, tmp_path):
    photo = write_photo(tmp_path / 'me.png')
    outputs = Outputs(OUTPUTS, Background('red'))
    files = matte_file(predictor, photo, tmp_path / 'out' / 'me', outputs)
    assert [file.name for file in files] == [f'me_{kind}.png' for kind in OUTPUTS]
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


def test_a_photo_has_one_alpha_everywhere(modnet_path, tmp_path):
    """Alone, in a folder, in an evaluation and by another predictor: the same to the bit."""
    folder, truth = tmp_path / 'photos', tmp_path / 'alphas'
    truth.mkdir()
    sizes = [(100, 157), (157, 100), (90, 201), (64, 64)]
    for i, size in enumerate(sizes):
        write_photo(folder / f'{i}.png', size, seed=i)
        alpha = np.linspace(0, 255, size[0] * size[1]).reshape(size)
        Image.fromarray(np.uint8(alpha)).save(truth / f'{i}.png')
    predictor, outputs = create_predictor(modnet_path), Outputs(('alpha',))
    matte_folder(predictor, folder, tmp_path / 'mattes', outputs)
    report, _ = evaluate_folders(
        Folders(folder, truth), EvaluationOptions(regions=('whole',)), network=str(modnet_path)
    )
    for i, size in enumerate(sizes):
        path = folder / f'{i}.png'
        alone = create_predictor(modnet_path)(path)
        assert alone.shape == size
        np.testing.assert_array_equal(predictor(load_image(path)), alone)
        (file,) = matte_file(predictor, path, tmp_path / 'alone' / path.stem, outputs)
        assert file.read_bytes() == (tmp_path / 'mattes' / file.name).read_bytes()
        np.testing.assert_array_equal(np.asarray(Image.open(file)), to_uint8(alone))
        errors = compute_metrics(alone, load_image(truth / path.name)[..., 0] / np.float32(255))
        assert report.errors[path.stem] == errors


def test_files_of_unknown_formats_are_counted(predictor, tmp_path):
    folder = tmp_path / 'photos'
    write_photo(folder / 'a.png')
    for name in ('b.mov', 'c.MOV', 'sub/d.mp4', '.hidden'):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    summary = matte_folder(predictor, folder, tmp_path / 'out', Outputs(('alpha',)))
    assert [path.name for path in summary.others] == ['b.mov', 'c.MOV', 'd.mp4']
    assert summary.describe().startswith(
        '1 matted, 0 skipped, 3 of no known format (2 .mov, 1 .mp4) in '
    )
    (folder / 'a.png').unlink()
    with pytest.raises(MattingError, match=r'holds no picture, only 2 \.mov, 1 \.mp4'):
        matte_folder(predictor, folder, tmp_path / 'out', Outputs(('alpha',)))


@pytest.mark.parametrize(
    'name', ['r[0.3]', 'a*b?', '50%', 'a#b~', '{x}', ' \'" ', '-dash', '$HOME']
)
def test_any_name_works(predictor, tmp_path, name):
    folder, target = tmp_path / name / 'photos', tmp_path / 'out' / name
    write_photo(folder / f'{name}.png')
    summary = matte_folder(predictor, folder, target, Outputs(('alpha',)))
    assert summary.matted == [folder / f'{name}.png']
    assert Image.open(target / f'{name}_alpha.png').size == (50, 40)


def test_a_name_too_long_for_its_result_is_skipped(predictor, tmp_path):
    write_photo(tmp_path / 'photos' / f'{"n" * 248}.png')
    write_photo(tmp_path / 'photos' / 'short.png')
    summary = matte_folder(predictor, tmp_path / 'photos', tmp_path / 'out', Outputs(('alpha',)))
    assert [path.name for path in summary.matted] == ['short.png']
    assert 'the name is too long' in summary.skipped[0][1]


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
    with pytest.raises(MattingError, match=r'me_panel.png: cannot be written'):
        matte_file(predictor, photo, tmp_path / 'file' / 'me', Outputs())


def test_a_photo_is_named_in_errors(predictor, tmp_path):
    photo = write_photo(tmp_path / 'dot.png', (1, 1))
    with pytest.raises(MattingError, match=r'dot.png: expected a photo of at least 16 pixels'):
        matte_file(predictor, photo, tmp_path / 'dot', Outputs())


@pytest.mark.parametrize(
    ('kinds', 'message'),
    [
        ((), 'outputs: expected some of alpha.*, got none'),
        (('alpha', 'matte'), 'outputs: expected some of alpha.*, got alpha, matte'),
        (('alpha', 'alpha'), 'outputs: expected each kind once, got alpha, alpha'),
        (('composite',), 'outputs: a composite needs a background'),
    ],
)
def test_outputs_that_cannot_be_made(kinds, message):
    with pytest.raises(MattingError, match=message):
        Outputs(kinds)


def test_a_skipped_photo_is_named_first(tmp_path):
    predictor = create_predictor('mmnet_0.5')
    write_photo(tmp_path / 'in' / 'a.png')
    Image.fromarray(np.zeros((5, 5, 3), np.uint8)).save(tmp_path / 'in' / '5.png')
    summary = matte_folder(predictor, tmp_path / 'in', tmp_path / 'out', Outputs(('alpha',)))
    assert [path.name for path in summary.matted] == ['a.png']
    ((path, reason),) = summary.skipped
    assert reason.startswith(f'{path}: expected a photo of at least 16 pixels')


def test_stages_overlap_and_memory_is_bounded(monkeypatch, predictor, tmp_path):
    """While the network has a photo, few others are in memory, however many there are."""
    living, most = set(), []
    decode = folders.load_photo

    def counted(path):
        photo = decode(path)
        living.add(path)
        most.append(len(living))
        return photo

    def finish(photo, alpha, outputs, pool):
        time.sleep(0.01)  # slower than the network, so that photos wait for it
        return {'alpha': b'done'}

    monkeypatch.setattr(folders, 'load_photo', counted)
    monkeypatch.setattr(folders, 'render', finish)
    monkeypatch.setattr(
        folders, 'write_files', lambda files: [living.discard(paths[file.name]) for file in files]
    )
    paths = {}
    for i in range(40):
        photo = write_photo(tmp_path / 'in' / f'{i:02}.png')
        paths[f'{i:02}_alpha.png'] = photo
    summary = matte_folder(predictor, tmp_path / 'in', tmp_path / 'out', Outputs(('alpha',)))
    assert [path.name for path in summary.matted] == [f'{i:02}.png' for i in range(40)]
    assert 2 < max(most) <= 2 * folders._THREADS + 3
    assert not living
    assert set(summary.stages.seconds) == {'decode', 'network', 'finish'}
    assert min(summary.stages.seconds.values()) > 0
    assert 'photos/s (decode ' in summary.describe()


def test_an_output_that_fails_ends_the_run(monkeypatch, predictor, tmp_path):
    """What was matted before is written all the same."""
    for name in 'abcdef':
        write_photo(tmp_path / 'in' / f'{name}.png')
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'd_alpha.png').mkdir()
    (tmp_path / 'out' / 'd_alpha.png' / 'full').touch()
    with pytest.raises(MattingError, match=r'd_alpha.png: '):
        matte_folder(predictor, tmp_path / 'in', tmp_path / 'out', Outputs(('alpha',)))
    for name in 'abc':
        assert Image.open(tmp_path / 'out' / f'{name}_alpha.png').size == (50, 40)


def test_a_photo_that_the_network_would_see_too_large_is_skipped(tmp_path):
    predictor = create_predictor('modnet_p', input_size=2880)
    write_photo(tmp_path / 'in' / 'wide.png', (100, 150))
    summary = matte_folder(predictor, tmp_path / 'in', tmp_path / 'out', Outputs(('alpha',)))
    ((path, reason),) = summary.skipped
    assert reason.startswith(f'{path}: expected a photo that the network sees with at most ')
