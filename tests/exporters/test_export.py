"""What an export writes, and that it is the network."""

import hashlib
import json
import shutil
from collections import Counter

import jax
import numpy as np
import pytest
from PIL import Image

from mattingjax import MattingError, create_predictor
from mattingjax.images import load_image, resize
from mattingjax.inference.sessions import create_session
from mattingjax.inference.signature import read_signature
from tests.conftest import require_export_tools


def load_graph(path):
    import tensorflow as tf

    graph = tf.compat.v1.GraphDef()
    graph.ParseFromString(path.read_bytes())
    return graph


def images_for(export, shape=None):
    signature = read_signature(export.folder / 'model.pb')
    shape = shape or signature.shape
    return np.random.default_rng(1).uniform(0, 255, shape).astype(np.float32)


def test_all_of_it_is_written_and_described(modnet_export):
    folder, manifest = modnet_export.folder, modnet_export.manifest
    assert {path.name for path in folder.iterdir()} == {
        'model.pb', 'atc.sh', 'aipp.cfg', 'README.md', 'model.onnx', 'model_dynamic.onnx',
        'model_fp16.onnx', 'model.xml', 'model.bin', 'model_fp16.xml', 'model_fp16.bin',
        'model_uint8.xml', 'model_uint8.bin', 'model.tflite', 'model_fp16.tflite', 'manifest.json',
        'verification.png',
    }  # fmt: skip
    assert json.loads((folder / 'manifest.json').read_text()) == manifest
    for name, entry in manifest['artefacts'].items():
        assert entry['sha256'] == hashlib.sha256((folder / name).read_bytes()).hexdigest()
        tolerance = 5e-3 if entry['precision'] == 'fp16' else 1e-4
        parities = [parity for cases in entry['parity'].values() for parity in cases.values()]
        assert parities
        assert all(parity['max'] <= tolerance for parity in parities), name
    dynamic = manifest['artefacts']['model_dynamic.onnx']['parity']['onnxruntime']
    assert {case.split()[-1] for case in dynamic} == {'1x64x64', '2x32x32', '1x64x96'}
    assert manifest['versions']['jax'] == jax.__version__
    assert manifest['network']['architecture']['conv_f'] == 4


def test_artefacts_tell_their_precision(modnet_export):
    for name, entry in modnet_export.manifest['artefacts'].items():
        if name != 'model.pb':  # which has no metadata
            metadata = json.loads(create_session(modnet_export.folder / name).metadata)
            assert metadata['precision'] == entry['precision'], name
    assert modnet_export.manifest['artefacts']['model_uint8.xml']['precision'] == 'fp32'


@pytest.mark.parametrize(
    ('name', 'runtime'),
    [
        ('model.pb', 'tensorflow'),
        ('model.pb', 'openvino'),
        ('model.onnx', 'onnxruntime'),
        ('model.onnx', 'openvino'),
        ('model_dynamic.onnx', 'onnxruntime'),
        ('model.xml', 'openvino'),
        ('model.tflite', 'litert'),
    ],
)
def test_artefacts_equal_the_network(modnet_export, name, runtime):
    images = images_for(modnet_export)
    expected = modnet_export.checkpoint.apply(images)['alpha']
    alpha = create_session(modnet_export.folder / name, runtime)(images)
    np.testing.assert_allclose(alpha, expected, atol=1e-4)


@pytest.mark.parametrize('shape', [(2, 64, 96, 3), (1, 512, 32, 3), (3, 32, 32, 3)])
def test_the_dynamic_model_takes_any_size(modnet_export, shape):
    images = images_for(modnet_export, shape)
    expected = modnet_export.checkpoint.apply(images)['alpha']
    alpha = create_session(modnet_export.folder / 'model_dynamic.onnx')(images)
    np.testing.assert_allclose(alpha, expected, atol=1e-4)


@pytest.mark.parametrize(
    ('name', 'tolerance'),
    [
        ('model.pb', 1e-4),
        ('model.onnx', 1e-4),
        ('model.xml', 1e-4),
        ('model.tflite', 1e-4),
        ('model_fp16.onnx', 5e-3),
        ('model_fp16.xml', 5e-3),
        ('model_fp16.tflite', 5e-3),
    ],
)
def test_predictors_run_artefacts(modnet_export, modnet_path, photo_path, name, tolerance):
    photo = np.tile(load_image(photo_path), (2, 2, 1))[:128, :128]
    expected = create_predictor(modnet_path)(photo)
    alpha = create_predictor(modnet_export.folder / name)(photo)
    np.testing.assert_allclose(alpha, expected, atol=tolerance)


def test_the_dynamic_model_sees_photos_in_their_proportions(modnet_export, modnet_path, photo_path):
    photo = load_image(photo_path)
    expected = create_predictor(modnet_path)(photo)
    predictor = create_predictor(modnet_export.folder / 'model_dynamic.onnx')
    assert predictor.network_size(80, 100) == (64, 64)
    np.testing.assert_allclose(predictor(photo), expected, atol=1e-4)


def test_embedded_preprocessing_takes_frames_of_any_size(modnet_export, modnet_path, photo_path):
    path = modnet_export.folder / 'model_uint8.xml'
    photo = np.tile(load_image(photo_path), (2, 2, 1))[:128, :128]
    frame = np.ascontiguousarray(photo[..., ::-1])  # BGR
    alpha = create_session(path)(frame[None])[0, :, :, 0]
    assert alpha.shape == (64, 64)
    # What the embedded resizing should do, by Pillow.
    small = Image.fromarray(photo).resize((64, 64), Image.Resampling.BILINEAR)
    images = np.asarray(small, np.float32)[None]
    expected, swapped = (
        np.asarray(modnet_export.checkpoint.apply(pictures)['alpha'])[0, :, :, 0]
        for pictures in (images, images[..., ::-1])
    )
    assert np.abs(alpha - expected).max() < 0.02  # Pillow rounds in between
    assert np.abs(alpha - expected).mean() < 0.2 * np.abs(swapped - expected).mean()
    predicted = create_predictor(path)(photo)
    np.testing.assert_allclose(predicted, resize(alpha, 128, 128).clip(0, 1), atol=1e-5)


def test_half_precision_is_half_the_size(modnet_export):
    entries = modnet_export.manifest['artefacts']
    assert entries['model.xml']['share_of_weights_in_fp16'] == 0
    share = entries['model_fp16.xml']['share_of_weights_in_fp16']
    assert share > 0.5
    sizes = [entries[f'model{suffix}.xml']['weights_bytes'] for suffix in ('', '_fp16')]
    assert sizes[1] < sizes[0] * (1 - share / 2) + 4096


def test_the_graph_has_the_names_and_shapes_asked_for(mmnet_export):
    graph = load_graph(mmnet_export.folder / 'model.pb')
    (placeholder,) = (node for node in graph.node if node.op == 'Placeholder')
    assert placeholder.name == 'input_x'
    sizes = [dim.size for dim in placeholder.attr['shape'].shape.dim]
    assert sizes == [2, 48, 80, 3]
    assert graph.node[-1].name == 'alpha'
    for name in ('model.onnx', 'model.xml', 'model.tflite'):
        session = create_session(mmnet_export.folder / name)
        assert (session.input_name, session.input_shape) == ('input_x', (2, 48, 80, 3))


@pytest.mark.parametrize(
    'name', ['model.pb', 'model.onnx', 'model_dynamic.onnx', 'model.xml', 'model.tflite']
)
def test_scaling_can_be_left_to_others(mmnet_export, name):
    images = images_for(mmnet_export)
    expected = mmnet_export.checkpoint.apply(images)['alpha']
    alpha = create_session(mmnet_export.folder / name)(images / 255)
    np.testing.assert_allclose(alpha, expected, atol=1e-4)
    if name == 'model_dynamic.onnx':
        alpha = create_predictor(mmnet_export.folder / name)(images[0].astype(np.uint8))
        assert alpha.shape == (48, 80)


def test_the_kit_scales_where_the_graph_does_not(mmnet_export):
    assert 'var_reci_chn_0: 0.0039215' in (mmnet_export.folder / 'aipp.cfg').read_text()
    assert 'input_x:2,48,80,3' in (mmnet_export.folder / 'atc.sh').read_text()


def test_the_onnx_is_clean(modnet_export, mmnet_export):
    import onnx

    for export in (modnet_export, mmnet_export):
        for name, transposes in (('model.onnx', 3), ('model_dynamic.onnx', 2)):
            model = onnx.load(export.folder / name)
            onnx.checker.check_model(model, full_check=True)
            ops = Counter(node.op_type for node in model.graph.node)
            assert model.opset_import[0].version == 17
            assert ops['Transpose'] <= transposes, name
            assert not {'Identity', 'Loop', 'If'} & set(ops)
            assert 'mattingjax' in {item.key for item in model.metadata_props}


def test_a_jax_that_is_too_new_is_told_before_any_work(monkeypatch):
    from exporters.tensorflow_graph import freezing

    monkeypatch.setattr(jax, '__version_info__', (0, 8, 1))
    monkeypatch.setattr(jax, '__version__', '0.8.1')
    with pytest.raises(MattingError, match=r'expected JAX 0.7.1 or earlier, found 0.8.1.*XlaCall'):
        freezing.check_tools()


def test_what_lies_there_is_spared(mmnet_path, tmp_path):
    require_export_tools()
    from exporters.export import export_checkpoint

    (tmp_path / 'letter.txt').write_text('dear')
    with pytest.raises(MattingError, match='the folder is not empty'):
        export_checkpoint(mmnet_path, tmp_path, overwrite=True)
    with pytest.raises(MattingError, match=r'letter.txt: expected a folder'):
        export_checkpoint(mmnet_path, tmp_path / 'letter.txt' / 'out')


def test_overwriting_spares_what_no_export_wrote(mmnet_export, mmnet_path, tmp_path):
    from exporters.export import export_checkpoint

    for name in ('manifest.json', 'model.pb'):
        shutil.copy(mmnet_export.folder / name, tmp_path)
    (tmp_path / 'model.om').touch()
    with pytest.raises(MattingError, match=r'model.om: no file of an export'):
        export_checkpoint(mmnet_path, tmp_path, overwrite=True)
    (tmp_path / 'model.om').unlink()
    (tmp_path / 'manifest.json').write_text('{"name": "a web app"}')
    with pytest.raises(MattingError, match=r'manifest.json: no file of an export'):
        export_checkpoint(mmnet_path, tmp_path, overwrite=True)


def test_an_artefact_is_evaluated_as_its_checkpoint_is(modnet_export, modnet_path, tmp_path):
    from mattingjax.evaluation import EvaluationOptions, Folders, evaluate_folders

    folders = Folders(images=tmp_path / 'images', alphas=tmp_path / 'alphas')
    for folder, shape in ((folders.images, (64, 64, 3)), (folders.alphas, (64, 64))):
        folder.mkdir()
        for i in range(2):
            pixels = np.random.default_rng(i).integers(0, 256, shape, np.uint8)
            Image.fromarray(pixels).save(folder / f'{i}.png')
    options = EvaluationOptions(metrics=('mad', 'mse'), regions=('whole',))
    (errors, network), (expected, _) = (
        (report.errors, about['network'])
        for report, about in (
            evaluate_folders(folders, options, network=str(path), worst=0)
            for path in (modnet_export.folder / 'model.onnx', modnet_path)
        )
    )
    assert network['runtime'] == 'onnxruntime'
    assert errors.keys() == {'0', '1'}
    for name, figures in errors.items():
        assert figures == pytest.approx(expected[name], abs=1e-4)
