"""Photos and alphas become .bin files."""

import os

import numpy as np
import pytest
from PIL import Image

from exporters.bins.files import load_input
from exporters.bins.index import create_layout
from exporters.bins.preparation import prepare_bins
from mattingjax import Predictor
from mattingjax.data.records import RecordError
from mattingjax.errors import MattingError, OutputError
from mattingjax.networks import Preprocessing
from tests.conftest import assert_one_line_error
from tests.exporters.bins.photos import (
    NAMES,
    SIZE,
    bins,
    compose_photos,
    evaluate,
    pair_photos,
    signature,
    some,
    write_manifest,
)


class _Recorder:
    """A runtime that keeps what it is fed."""

    input_size, fixed_size, resizes, parallel = SIZE, (SIZE, 48), False, 1
    preprocessing = signature().preprocessing

    def __call__(self, images):
        self.images = images
        return images[..., :1] / 255


def test_inputs_are_what_the_predictor_feeds(dataset):
    samples = pair_photos(dataset / 'photos', dataset / 'mattes')
    index = prepare_bins(samples, create_layout(height=SIZE, width=48), dataset / 'bins')
    for record, item in zip(map(samples.__getitem__, range(3)), index.items, strict=True):
        recorder = _Recorder()
        Predictor(recorder)(record['image'])
        images = load_input(dataset / 'bins', item, index.layout)
        np.testing.assert_array_equal(images, recorder.images)
        assert item.size == record['image'].shape[:2]


def test_inputs_are_scaled_where_the_artefact_does_not(dataset):
    preprocessing = Preprocessing((100.0, 110.0, 120.0), (50.0, 60.0, 70.0), 'exact', 16)
    unscaled = {'scaling_inside': False, 'preprocessing': preprocessing}
    artefact = write_manifest(dataset / 'export', **unscaled)
    samples = some(pair_photos(dataset / 'photos', dataset / 'mattes'), 3)

    def prepare(name, **options):
        layout = create_layout(artefact, **options)
        index = prepare_bins(samples, layout, dataset / name)
        return load_input(dataset / name, index.items[0], layout)

    # AIPP scales uint8 itself.
    pixels = prepare('uint8', dtype='uint8')
    assert pixels.dtype == np.uint8
    scaled = prepare('float32')
    assert scaled.dtype == np.float32
    restored = scaled * np.float32([50, 60, 70]) + np.float32([100, 110, 120])
    np.testing.assert_allclose(restored, pixels, atol=0.501)
    assert np.ptp(restored) > 50


def test_blue_comes_first_where_the_artefact_wants_it(dataset):
    samples = some(pair_photos(dataset / 'photos', dataset / 'mattes'), 3)
    inputs = {}
    for order in ('RGB', 'BGR'):
        layout = create_layout(write_manifest(dataset / 'export', colour_order=order))
        index = prepare_bins(samples, layout, dataset / order)
        inputs[order] = load_input(dataset / order, index.items[0], layout)
    np.testing.assert_array_equal(inputs['RGB'][..., ::-1], inputs['BGR'])
    previews = [(dataset / order / 'preview.png').read_bytes() for order in inputs]
    assert previews[0] == previews[1]


def test_cutouts_lie_on_backgrounds_in_turn(cutouts):
    folders = cutouts / 'cutouts', cutouts / 'places'
    samples = compose_photos(*folders, 3)
    assert [entry.name for entry in samples.entries] == list('vwxyz')

    def backgrounds(seed: int) -> list[str]:
        entries = compose_photos(*folders, seed).entries
        return [entry.files['background'].name for entry in entries]

    used = backgrounds(3)
    assert used == [entry.files['background'].name for entry in samples.entries]
    assert used[0] == used[2] == used[4] != used[1] == used[3]
    assert len({backgrounds(seed)[0] for seed in range(9)}) == 2

    image, alpha = samples[0]['image'], samples[0]['alpha']
    rgba = np.asarray(Image.open(samples.entries[0].files['foreground']))
    np.testing.assert_array_equal(alpha, np.float32(rgba[..., 3]) / 255)
    np.testing.assert_array_equal(image[alpha == 1], rgba[alpha == 1][:, :3])


def test_masks_of_another_size(dataset):
    folders = ['--images', dataset / 'photos', '--alphas', dataset / 'mattes']
    size = ['--height=32', '--width=48', '--mask_size=60x80']
    process = bins('prepare', *folders, *size, '--output', dataset / 'bins')
    assert process.returncode == 0, process.stderr.decode()
    for name in NAMES:
        assert (dataset / 'bins' / 'images' / f'{name}.bin').stat().st_size == 32 * 48 * 3 * 4
        assert (dataset / 'bins' / 'masks' / f'{name}.bin').stat().st_size == 60 * 80 * 4
    (dataset / 'outputs').mkdir()
    for name in NAMES:
        values = np.full((1, 32, 48, 1), 0.25, np.float16)
        (dataset / 'outputs' / f'{name}_output_0.bin').write_bytes(values.tobytes())
    process = evaluate(dataset / 'bins', dataset / 'outputs', '--timestamp=.')
    assert process.returncode == 0, process.stderr.decode()
    assert b'float16 of 1 channel, compared at 60 by 80 pixels' in process.stdout


def test_nothing_is_left_of_a_preparation_that_failed(dataset):
    (dataset / 'photos' / 'b.png').write_bytes(b'')
    samples = pair_photos(dataset / 'photos', dataset / 'mattes')
    with pytest.raises(RecordError, match=r'b\.png: not a picture'):
        prepare_bins(samples, create_layout(height=SIZE, width=SIZE), dataset / 'bins')
    assert sorted(os.listdir(dataset)) == ['mattes', 'photos']


def test_names_are_told_apart_by_more_than_their_composition(tmp_path):
    halves = np.repeat(np.uint8([[0, 255]]), 10, axis=1).repeat(20, axis=0)
    for folder, pixels in (('images', np.dstack([halves] * 3)), ('alphas', halves)):
        for below, name in (('x', '\u00e9'), ('y', 'e\u0301')):
            (tmp_path / folder / below).mkdir(parents=True)
            Image.fromarray(pixels).save(tmp_path / folder / below / f'{name}.png')
    samples = pair_photos(tmp_path / 'images', tmp_path / 'alphas')
    with pytest.raises(MattingError, match=r'has the name of .*folders do not tell them apart'):
        prepare_bins(samples, create_layout(height=SIZE, width=SIZE), tmp_path / 'bins')


def test_only_a_preparation_is_overwritten(dataset, prepared):
    layout = create_layout(height=SIZE, width=SIZE)
    samples = pair_photos(dataset / 'photos', dataset / 'mattes')
    with pytest.raises(OutputError, match='a preparation lies there already'):
        prepare_bins(samples, layout, prepared)
    (prepared / 'outputs').mkdir()
    prepare_bins(samples, layout, prepared, overwrite=True)
    assert not (prepared / 'outputs').exists()
    with pytest.raises(OutputError, match='the folder is not empty'):
        prepare_bins(samples, layout, dataset / 'photos', overwrite=True)
    (dataset / 'photos' / 'index.json').write_text('{}')
    with pytest.raises(MattingError, match=r'index\.json: index\.items: missing'):
        prepare_bins(samples, layout, dataset / 'photos', overwrite=True)
    assert (dataset / 'photos' / 'a.png').is_file()


def test_sources_are_not_overwritten(dataset, prepared):
    (dataset / 'photos').rename(prepared / 'photos')
    samples = pair_photos(prepared / 'photos', dataset / 'mattes')
    layout = create_layout(height=SIZE, width=SIZE)
    with pytest.raises(OutputError, match=r'would be replaced, but .*a\.png lies in it'):
        prepare_bins(samples, layout, prepared, overwrite=True)


def test_results_do_not_lie_among_the_photos(dataset):
    process = bins(
        'prepare', '--height=32', '--width=32', '--images', dataset / 'photos',
        '--alphas', dataset / 'mattes', '--output', dataset / 'photos' / 'bins',
    )  # fmt: skip
    assert_one_line_error(process, 'photos/bins: expected a place outside of')


def remove_an_alpha(dataset):
    (dataset / 'mattes' / 'c d.tif').unlink()


def add_an_alpha(dataset):
    Image.new('L', (40, 40)).save(dataset / 'mattes' / 'zz.png')


def add_a_photo_of_the_same_name(dataset):
    Image.new('RGB', (40, 40)).save(dataset / 'photos' / 'a.jpg')


def crop_an_alpha(dataset):
    Image.new('L', (40, 40)).save(dataset / 'mattes' / 'a.tif')


def colour_an_alpha(dataset):
    Image.new('RGB', (70, 40), 'red').save(dataset / 'mattes' / 'a.tif')


def damage_a_photo(dataset):
    (dataset / 'photos' / 'a.png').write_bytes(b'no picture')


@pytest.mark.parametrize(
    ('harm', 'arguments', 'message'),
    [
        (remove_an_alpha, [], '1 of 3 images without alpha (c d.png)'),
        (add_an_alpha, [], '1 of 4 alphas without image (zz.png)'),
        (add_a_photo_of_the_same_name, [], 'a.png: has the name of'),
        (crop_an_alpha, [], '70x40, got 40x40'),
        (colour_an_alpha, [], 'a.tif: expected an alpha (a grey picture), found colours'),
        (damage_a_photo, [], 'a.png: not a picture'),
        (None, ['--mask_size=big'], "--mask_size: expected height x width, as 800x600, got 'big'"),
        (None, ['--height=64'], 'takes 32 by 32 pixels only'),
        (None, ['--output=README.md/bins'], 'README.md: expected a folder to write to'),
        (None, ['--output=tests'], 'tests: the folder is not empty'),
        (None, ['--artefact=none.pb'], 'none.pb: no such file'),
        (None, ['--artefact=README.md'], 'README.md: expected an artefact'),
        (None, ['--images=none'], 'none: expected a folder of pictures, found nothing'),
    ],
)
def test_prepare_refuses_in_one_line(dataset, harm, arguments, message):
    if harm:
        harm(dataset)
    artefact = write_manifest(dataset / 'export')
    process = bins(
        'prepare', '--artefact', artefact, '--images', dataset / 'photos',
        '--alphas', dataset / 'mattes', '--output', dataset / 'bins', *arguments,
    )  # fmt: skip
    assert_one_line_error(process, message)
    assert sorted(os.listdir(dataset)) == ['export', 'mattes', 'photos']


def test_opaque_cutouts_are_refused(dataset):
    samples = compose_photos(dataset / 'photos', dataset / 'photos', 0)
    with pytest.raises(RecordError, match=r'a\.png: expected a transparent picture'):
        samples[0]


@pytest.mark.skipif(os.geteuid() == 0, reason='no permission stops root')
def test_a_folder_without_permission_is_one_line(prepared, outputs):
    prepared.parent.chmod(0o500)
    process = bins('prepare', '--height=32', '--width=32', '--images=.github', '--alphas=.github',
                   '--output', prepared.parent / 'new')  # fmt: skip
    prepared.parent.chmod(0o700)
    assert_one_line_error(process, 'cannot be written to (permission denied)')
