"""Exports in eight bits: calibrated, measured in every runtime, refused if they lose too much."""

import json

import numpy as np
import pytest
from PIL import Image

from mattingjax import create_predictor, save_checkpoint
from mattingjax.images import load_image, resize
from mattingjax.inference.sessions import create_session
from tests.conftest import require_export_tools

# What each file of an export in eight bits is measured in.
RUNTIMES = {
    'model_int8.onnx': {'onnxruntime', 'openvino'},
    'model_int8.xml': {'openvino'},
    'model_int8.tflite': {'litert'},
}


@pytest.fixture(scope='module')
def calibration(mmnet, tmp_path_factory):
    """Folders of four photos and of what the network makes of them."""
    folder = tmp_path_factory.mktemp('calibration')
    rows, columns = np.mgrid[0:80, 0:100]
    for name in ('images', 'alphas'):
        (folder / name).mkdir()
    for i in range(4):
        waves = np.sin(rows / (5 + 2 * i))[..., None] * np.cos(columns[..., None] / [7 + i, 11, 13])
        photo = (127 + 80 * waves).astype(np.uint8)
        Image.fromarray(photo).save(folder / 'images' / f'{i}.png')
        small = resize(photo.astype(np.float32), 64, 64)
        alpha = np.asarray(mmnet.apply(small[None])['alpha'])[0, :, :, 0]
        pixels = np.round(255 * resize(alpha, 80, 100).clip(0, 1)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / 'alphas' / f'{i}.png')
    return folder


def make_options(calibration, **changes):
    from exporters.export import ExportOptions

    return ExportOptions(
        **{
            'formats': ('onnx', 'openvino', 'litert'),
            'precisions': ('int8',),
            'calibration_images': calibration / 'images',
            'calibration_alphas': calibration / 'alphas',
            'max_mad_drop': 0.05,
            'photos': (calibration / 'images' / '0.png',),
            **changes,
        }
    )


@pytest.fixture
def toy_path(toy, tmp_path):
    save_checkpoint(tmp_path / 'toy', toy)
    return tmp_path / 'toy'


@pytest.fixture(scope='module')
def folder(mmnet_path, calibration, tmp_path_factory):
    require_export_tools()
    from exporters.export import export_checkpoint

    folder = tmp_path_factory.mktemp('exports') / 'int8'
    export_checkpoint(mmnet_path, folder, make_options(calibration))
    return folder


@pytest.mark.slow
def test_a_mean_over_the_image_beside_its_pixels(deeplab, calibration, tmp_path):
    """Whose map of ones, unlike one of zeros, has a scale in eight bits."""
    require_export_tools()
    from exporters.export import export_checkpoint

    save_checkpoint(tmp_path / 'deeplab', deeplab)
    options = make_options(calibration, max_mad_drop=0.2)
    manifest = export_checkpoint(tmp_path / 'deeplab', tmp_path / 'out', options)
    assert set(manifest['artefacts']) == set(RUNTIMES)


def test_each_file_is_measured_by_all_that_read_it(folder):
    manifest = json.loads((folder / 'manifest.json').read_text())
    assert set(manifest['artefacts']) == set(RUNTIMES)
    assert len(manifest['calibration'].pop('digest')) == 64
    assert manifest['calibration'] == {'photos': 4, 'alphas': True, 'max_mad_drop': 0.05}
    for name, runtimes in RUNTIMES.items():
        entry = manifest['artefacts'][name]
        assert entry['precision'] == 'int8'
        metadata = json.loads(create_session(folder / name).metadata)
        assert metadata['precision'] == 'int8'
        assert set(entry['loss']) == runtimes
        for loss in entry['loss'].values():
            assert loss['photos'] == 4
            assert 0 < loss['difference'] < 0.01
            assert loss['mad'] - loss['network_mad'] <= 0.05
        assert entry['accuracy_control'] is False
        floating = entry['in_floating_point']
        assert any(kind.upper() in ('SIGMOID', 'LOGISTIC') for kind in floating)
        assert all(names for names in floating.values())
    assert manifest['artefacts']['model_int8.onnx']['share_of_convolutions_in_int8'] > 0.9


@pytest.mark.parametrize('changes', [{'batch_size': 2}, {'scaling_inside': False}], ids=str)
def test_batches_and_photos_that_are_scaled_before(toy, toy_path, calibration, tmp_path, changes):
    require_export_tools()
    from exporters.export import export_checkpoint

    options = make_options(calibration, calibration_alphas=None, max_mad_drop=None, **changes)
    artefacts = export_checkpoint(toy_path, tmp_path / 'out', options)['artefacts']
    photos = [load_image(calibration / 'images' / f'{i}.png') for i in range(options.batch_size)]
    images = np.stack([resize(photo.astype(np.float32), 64, 64) for photo in photos])
    fed = images if options.scaling_inside else images / 255
    expected = np.asarray(toy.apply(images)['alpha'])
    assert set(artefacts) == set(RUNTIMES)
    for name, runtimes in RUNTIMES.items():
        for runtime in runtimes:
            assert 0 < artefacts[name]['loss'][runtime]['difference'] < 0.002
            alpha = create_session(tmp_path / 'out' / name, runtime)(fed)
            assert alpha.shape == (options.batch_size, 64, 64, 1)
            np.testing.assert_allclose(alpha, expected, atol=0.02)
            assert np.abs(alpha - expected).mean((1, 2, 3)).max() < 0.002


@pytest.mark.parametrize('name', RUNTIMES)
def test_predictors_run_them(folder, mmnet_path, calibration, name):
    photo = load_image(calibration / 'images' / '2.png')
    expected = create_predictor(mmnet_path)(photo)
    alpha = create_predictor(folder / name)(photo)
    assert np.abs(alpha - expected).mean() < 0.01


def test_the_weights_of_the_ir_are_a_quarter_and_the_photo_has_its_levels(folder):
    from mattingjax.process.packages import import_openvino

    model = import_openvino().Core().read_model(str(folder / 'model_int8.xml'))
    kinds = [
        node.input_value(0).get_element_type().get_type_name()
        for node in model.get_ordered_ops()
        if node.get_type_name() == 'Convert'
    ]
    assert set(kinds) == {'i8'}
    first = next(node for node in model.get_ordered_ops() if node.get_type_name() == 'FakeQuantize')
    bounds = [float(first.input_value(i).get_node().data.reshape(-1)[0]) for i in range(1, 5)]
    assert bounds == [0, 255, 0, 255]


def test_what_loses_too_much_is_refused_with_the_figures(mmnet_path, calibration, tmp_path):
    require_export_tools()
    from exporters.export import export_checkpoint
    from exporters.verify import VerificationError

    options = make_options(calibration, formats=('onnx',), max_mad_drop=1e-9)
    with pytest.raises(VerificationError, match=r'at most \d\S+, found \d\S+ \(MAD 0\.'):
        export_checkpoint(mmnet_path, tmp_path / 'out', options)
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
    ('format', 'name'),
    [('openvino', 'model_int8.xml in openvino'), ('litert', 'model_int8.tflite in litert')],
)
def test_without_alphas_what_differs_too_much_is_refused(
    toy_path, calibration, tmp_path, monkeypatch, format, name
):
    require_export_tools()
    from exporters.export import export_checkpoint
    from exporters.verify import VerificationError

    monkeypatch.setattr('exporters.precision.calibration.MAX_DIFFERENCE', 1e-12)
    options = make_options(
        calibration, formats=(format,), calibration_alphas=None, max_mad_drop=None
    )
    message = (
        f"{name}: .* a mean difference from the network's alpha of at most 1e-12, found "
        r'\d\S+ \(0\.0\d+ from the network on 4 photos\)'
    )
    with pytest.raises(VerificationError, match=message):
        export_checkpoint(toy_path, tmp_path / 'out', options)
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(('format', 'file'), [('openvino', 'xml'), ('litert', 'tflite')])
def test_what_the_alphas_do_not_bear_stays_in_floating_point(
    toy_path, calibration, tmp_path, caplog, format, file
):
    """Measured against the network's own alphas, of which eight bits cost more than allowed."""
    require_export_tools()
    from exporters.export import export_checkpoint

    write_alphas(toy_path, calibration / 'images', tmp_path / 'alphas')
    entries = []
    for bound in (0.05, 5e-5):
        options = make_options(
            calibration,
            formats=(format,),
            calibration_alphas=tmp_path / 'alphas',
            max_mad_drop=bound,
        )
        manifest = export_checkpoint(toy_path, tmp_path / str(bound), options)
        entries.append(manifest['artefacts'][f'model_int8.{file}'])
        (loss,) = entries[-1]['loss'].values()
        assert loss['mad'] - loss['network_mad'] <= bound
    assert [entry['accuracy_control'] for entry in entries] == [False, True]
    few, more = (
        sum(len(names) for names in entry['in_floating_point'].values()) for entry in entries
    )
    assert few < more
    assert caplog.messages[0] == (
        f'{calibration / "images"}: photos to calibrate on: expected 30 or more, of all kinds, '
        'found 4'
    )


def write_alphas(checkpoint, images, folder):
    """What a checkpoint makes of photos, of their names."""
    folder.mkdir()
    predictor = create_predictor(checkpoint, 'jax')
    for path in images.iterdir():
        pixels = np.round(255 * predictor(load_image(path))).astype(np.uint8)
        Image.fromarray(pixels).save(folder / path.name)
