import contextlib
import hashlib
import json
import shutil
import subprocess
import sys
from collections import Counter

import jax
import numpy as np
import pytest
from PIL import Image

from mattingjax import MattingError, create_predictor, save_checkpoint
from mattingjax.images import load_image, resize
from mattingjax.inference.sessions import READERS, create_session
from mattingjax.inference.signature import read_signature
from mattingjax.networks import create_model_config, init_variables
from tests.conftest import ROOT, assert_one_line_error, require_export_tools, run_module

FORBIDDEN = {
    'XlaCallModule', 'Einsum', 'SelectV2', 'BroadcastTo', 'EnsureShape', 'PreventGradient',
    'StopGradient', 'PartitionedCall', 'StatefulPartitionedCall', 'While', 'If',
}  # fmt: skip


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
        'model.xml', 'model.bin', 'model_fp16.xml', 'model_fp16.bin', 'model_uint8.xml',
        'model_uint8.bin', 'manifest.json', 'verification.png',
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


@pytest.mark.parametrize(
    ('name', 'runtime'),
    [
        ('model.pb', 'tensorflow'),
        ('model.pb', 'openvino'),
        ('model.onnx', 'onnxruntime'),
        ('model.onnx', 'openvino'),
        ('model_dynamic.onnx', 'onnxruntime'),
        ('model.xml', 'openvino'),
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
    [('model.pb', 1e-4), ('model.onnx', 1e-4), ('model.xml', 1e-4), ('model_fp16.xml', 5e-3)],
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
    for name in ('model.onnx', 'model.xml'):
        session = create_session(mmnet_export.folder / name)
        assert (session.input_name, session.input_shape) == ('input_x', (2, 48, 80, 3))


@pytest.mark.parametrize('name', ['model.pb', 'model.onnx', 'model_dynamic.onnx', 'model.xml'])
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


@pytest.mark.parametrize(('network', 'size', 'limit'), [('modnet', 512, 500), ('mmnet', 256, 450)])
def test_the_published_networks_have_few_and_plain_ops(network, size, limit):
    require_export_tools()
    from exporters.ascend.op_check import check_ops
    from exporters.folding import fold_batch_norm, fold_scaling
    from exporters.frozen_graph import count_ops, create_frozen_graph

    config = create_model_config(network)
    variables = fold_batch_norm(config, init_variables(config, seed=0))
    graph = create_frozen_graph(*fold_scaling(config, variables), (1, size, size, 3))
    ops = count_ops(graph)
    assert ops.total() < limit
    assert not FORBIDDEN & set(ops)
    assert not graph.library.function
    assert check_ops(graph) == []


class Steps(list):
    """What an export shows of its progress."""

    def __call__(self, *, total, unit):
        self.total = total
        return contextlib.nullcontext(self)

    set_description_str = list.append

    def update(self):
        pass


@pytest.mark.parametrize(('network', 'format'), [('modnet', 'openvino'), ('mmnet', 'onnx')])
def test_a_pruned_network_is_exported_like_any_other(
    request, monkeypatch, network, format, photo_path, tmp_path
):
    require_export_tools()
    from exporters.export import ExportOptions, export_checkpoint

    steps = Steps()
    monkeypatch.setattr('exporters.pipeline.show_progress', steps)
    from mattingjax.pruning import PruneOptions, plan_pruning, prune_checkpoint

    dense = request.getfixturevalue(network)
    options = PruneOptions(ratio=0.4, round_to=1, min_channels=2)
    plan = plan_pruning(dense.config, dense.variables, options)
    save_checkpoint(tmp_path / 'pruned', prune_checkpoint(dense, plan))
    options = ExportOptions(formats=(format,), photos=(photo_path,))
    # A name as people have them: shells and globs read something else into it.
    output = tmp_path / "-out [0.3] *?%#~{} 'é"
    manifest = export_checkpoint(tmp_path / 'pruned', output, options)
    assert len(steps) == steps.total
    assert ('converting to OpenVINO' in steps) == (format == 'openvino')
    for path in [path for path in output.iterdir() if path.suffix in READERS]:
        assert create_predictor(path)(np.zeros((64, 64, 3), np.uint8)).shape == (64, 64)
    assert manifest['network']['provenance']['pruned']['after']['macs'] < plan.report.before.macs
    for name, entry in manifest['artefacts'].items():
        cases = [case for cases in entry['parity'].values() for case in cases.values()]
        assert len(cases) >= 2
        assert all(case['max'] <= 1e-4 for case in cases), name


def test_an_artefact_that_differs_is_not_kept(mmnet_path, photo_path, tmp_path, monkeypatch):
    require_export_tools()
    from exporters import export, verify

    def disturb(config, variables):
        params = dict(variables['params'])
        head = params['final_block']
        params['final_block'] = {**head, 'bias': head['bias'] + np.float32([0.01, 0])}
        return config, {**variables, 'params': params}

    monkeypatch.setattr('exporters.pipeline.fold_scaling', disturb)
    options = export.ExportOptions(formats=('onnx',), photos=(photo_path,))
    with pytest.raises(
        verify.VerificationError, match=r'model.onnx in onnxruntime: .*waves.png 1x64'
    ):
        export.export_checkpoint(mmnet_path, tmp_path / 'out', options)
    assert list(tmp_path.iterdir()) == []


def test_verification_that_fails_is_exit_status_3(tmp_path):
    require_export_tools()
    code = f"""
import sys
from exporters import export, verify
def fail(*_, **__):
    raise verify.VerificationError('model.pb: far off')
export.export_checkpoint = fail
export._define_flags()
sys.argv = ['export', '--checkpoint=a', '--output={tmp_path}']
export.command_line.run(export.main)
"""
    command = [sys.executable, '-c', code]
    process = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert process.returncode == 3
    assert process.stderr == 'error: model.pb: far off; nothing was written\n'


def test_a_network_that_amplifies_rounding_is_held_to_float64(mmnet):
    require_export_tools()
    from exporters.verify import Case, VerificationError, Verifier

    images = np.random.default_rng(0).uniform(0, 255, (1, 32, 32, 3)).astype(np.float32)
    exact = np.asarray(mmnet.apply(images)['alpha'])
    near = Case('near', images, exact)
    rounded = Case('rounded', images, exact + 3e-4)  # as if JAX's own float32 were so far off
    verifier = Verifier(mmnet, [near, rounded])
    parity = verifier.check('a', 'fp32', exact - 4e-4, rounded)
    assert parity.max == pytest.approx(7e-4, rel=1e-2)
    assert parity.from_float64 == pytest.approx(4e-4, rel=2e-2)
    assert parity.jax_from_float64 == pytest.approx(3e-4, rel=2e-2)
    # The worst of the cases counts, not where JAX happens to round well.
    assert verifier.check('a', 'fp32', exact - 4e-4, near).from_float64 is not None
    for case in (near, rounded):
        with pytest.raises(VerificationError, match=r'a: expected .* within 1e-04'):
            verifier.check('a', 'fp32', exact - 8e-4, case)
    with pytest.raises(VerificationError):
        Verifier(mmnet, [near]).check('a', 'fp32', exact + 2e-4, near)
    far = Case('far', images, exact + 4e-3)
    with pytest.raises(VerificationError):
        Verifier(mmnet, [far]).check('a', 'fp32', exact + 6e-3, near)
    with pytest.raises(VerificationError):
        verifier.check('a', 'fp16', exact + np.nan, near)


def test_an_unknown_order_of_colours_is_refused():
    from exporters.options import ExportOptions

    with pytest.raises(MattingError, match=r'embed_preprocessing: expected one of .* got .RBG'):
        ExportOptions(embed_preprocessing='RBG')


def test_a_jax_that_is_too_new_is_told_before_any_work(monkeypatch):
    from exporters import frozen_graph

    monkeypatch.setattr(jax, '__version_info__', (0, 8, 1))
    monkeypatch.setattr(jax, '__version__', '0.8.1')
    with pytest.raises(MattingError, match=r'expected JAX 0.7.1 or earlier, found 0.8.1.*XlaCall'):
        frozen_graph.check_tools()


@pytest.mark.parametrize(
    ('arguments', 'parts'),
    [
        (['--height', '100'], ['height', 'multiple of 16', '100']),
        (['--formats', 'pb,tflite'], ['formats', 'pb, onnx, openvino', 'pb,tflite']),
        (['--precision', 'int8'], ['--precision:', 'fp32, fp16', 'int8']),
        (['--batch_size', '0'], ['batch_size', '0']),
        (['--checkpoint', 'model.ckpt'], ['model.ckpt', 'not a checkpoint']),
        (['--photos', 'nowhere.jpg'], ['nowhere.jpg', 'no such file']),
        (['--input_name', '_in'], ['input_name', '_in']),
        (['--precision', 'fp16', '--noverify'], ['fp16', 'verification']),
        (['--precision', 'fp16', '--formats', 'pb,onnx'], ['--precision:', 'fp16', 'pb,onnx']),
        (['--batch_size', '1000000'], ['batch_size', '1000000 images']),
        (['--height', '9223372036854775808'], ['height']),
        (['--output', 'a' * 300], ['File name too long']),
        (['--soc_version', 'Ascend 310;'], ['soc_version', 'Ascend 310;']),
        (['--formats', 'pb', '--embed_preprocessing', 'RGB'], ['embed_preprocessing', 'openvino']),
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


def test_benchmark_compares_artefacts(modnet_export, run_script):
    folder = modnet_export.folder
    for runtime, name in (('openvino', 'model.xml'), ('onnxruntime', 'model.pb')):
        models = f'{folder}/model_dynamic.onnx,{folder / name}'
        process = run_script(
            'benchmark', '--models', models, '--runtime', runtime, '--size', '64x64', '--rounds', 2
        )
        assert process.returncode == 0, process.stderr
        first, second = process.stdout.decode().splitlines()[1:3]
        assert first.endswith('1.000')
        assert name in second


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


@pytest.mark.parametrize(
    ('arguments', 'parts'),
    [
        (['--models', 'absent.onnx'], ['absent.onnx', 'no such file']),
        (['--models', 'a.onnx', '--size', '²x3'], ['--size', '²x3']),
        (['--models', 'README.md'], ['README.md']),
        (['--models', 'a.onnx', '--precisions', 'f8'], ['precision', 'f8']),
    ],
)
def test_benchmark_tells_bad_input(run_script, arguments, parts):
    require_export_tools()
    assert_one_line_error(run_script('benchmark', *arguments), *parts)


def test_published_weights_at_full_size(shared, tmp_path):
    require_export_tools()
    from exporters.export import ExportOptions, export_checkpoint
    from mattingjax import import_weights, save_checkpoint

    checkpoint = import_weights(shared / 'weights' / 'modnet_photographic.onnx')
    save_checkpoint(tmp_path / 'checkpoint', checkpoint)
    photos = sorted((shared / 'data' / 'ccp' / 'test' / 'image').iterdir())[:2]
    options = ExportOptions(photos=tuple(photos))
    manifest = export_checkpoint(tmp_path / 'checkpoint', tmp_path / 'out', options)
    worst = {
        name: max(parity['max'] for cases in entry['parity'].values() for parity in cases.values())
        for name, entry in manifest['artefacts'].items()
    }
    print(worst)
    assert max(worst.values()) <= 1e-4
