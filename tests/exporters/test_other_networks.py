"""Exports of published and pruned networks, and how strictly they are verified."""

import contextlib
import os

import numpy as np
import pytest

from mattingjax import MattingError, create_predictor, save_checkpoint
from mattingjax.inference.sessions import READERS
from mattingjax.networks import create_model_config, init_variables
from tests.conftest import require_export_tools

FORBIDDEN = {
    'XlaCallModule', 'Einsum', 'SelectV2', 'BroadcastTo', 'EnsureShape', 'PreventGradient',
    'StopGradient', 'PartitionedCall', 'StatefulPartitionedCall', 'While', 'If',
}  # fmt: skip


@pytest.mark.parametrize(
    ('network', 'size', 'limit'),
    [('modnet', 512, 500), ('mmnet', 256, 450), ('deeplab', 256, 250), ('deeplab_aspp', 256, 280)],
)
def test_the_published_networks_have_few_and_plain_ops(network, size, limit):
    require_export_tools()
    from exporters.ascend.op_check import check_ops
    from exporters.tensorflow_graph.folding import fold_batch_norm, fold_scaling
    from exporters.tensorflow_graph.freezing import count_ops, create_frozen_graph

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


@pytest.mark.parametrize(
    ('network', 'format'),
    [
        ('toy', 'openvino'),
        ('toy', 'onnx'),
        pytest.param('modnet', 'openvino', marks=pytest.mark.slow),
        pytest.param('mmnet', 'onnx', marks=pytest.mark.slow),
        pytest.param('deeplab', 'openvino', marks=pytest.mark.slow),
        pytest.param('deeplab', 'onnx', marks=pytest.mark.slow),
        pytest.param('deeplab', 'litert', marks=pytest.mark.slow),
    ],
)
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


def test_an_artefact_that_differs_is_not_kept(toy, photo_path, tmp_path, monkeypatch):
    require_export_tools()
    from exporters import export, verify

    def disturb(config, variables):
        params = dict(variables['params'])
        params['head'] = {**params['head'], 'bias': params['head']['bias'] + np.float32(0.01)}
        return config, {**variables, 'params': params}

    save_checkpoint(tmp_path / 'toy', toy)
    monkeypatch.setattr('exporters.pipeline.fold_scaling', disturb)
    options = export.ExportOptions(formats=('onnx',), photos=(photo_path,))
    with pytest.raises(
        verify.VerificationError, match=r'model.onnx in onnxruntime: .*waves.png 1x64'
    ):
        export.export_checkpoint(tmp_path / 'toy', tmp_path / 'out', options)
    assert os.listdir(tmp_path) == ['toy']


def test_a_network_that_amplifies_rounding_is_held_to_float64(toy):
    require_export_tools()
    from exporters.cases import Case
    from exporters.verify import VerificationError, Verifier

    images = np.random.default_rng(0).uniform(0, 255, (1, 32, 32, 3)).astype(np.float32)
    exact = np.asarray(toy.apply(images)['alpha'])
    near = Case('near', images, exact)
    rounded = Case('rounded', images, exact + 3e-4)  # as if JAX's own float32 were so far off
    verifier = Verifier(toy, [near, rounded])
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
        Verifier(toy, [near]).check('a', 'fp32', exact + 2e-4, near)
    far = Case('far', images, exact + 4e-3)
    with pytest.raises(VerificationError):
        Verifier(toy, [far]).check('a', 'fp32', exact + 6e-3, near)
    with pytest.raises(VerificationError):
        verifier.check('a', 'fp16', exact + np.nan, near)


@pytest.mark.slow
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


def test_an_unknown_order_of_colours_is_refused():
    from exporters.options import ExportOptions

    with pytest.raises(MattingError, match=r'embed_preprocessing: expected one of .* got .RBG'):
        ExportOptions(embed_preprocessing='RBG')
