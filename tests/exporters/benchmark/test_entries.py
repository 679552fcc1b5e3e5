import pytest

from exporters.benchmark import entries, list_entries
from mattingjax.errors import ArtefactError, MattingError

ALL = ['openvino', 'onnxruntime']


@pytest.fixture
def exports(tmp_path, monkeypatch):
    """Two folders of files that are never opened, on a CPU that computes in bf16."""
    monkeypatch.setattr(entries, 'can_compute', lambda precision: precision in ('f32', 'bf16'))
    files = {
        'a': ('model.xml', 'model.bin', 'model_int8.xml', 'model_fp16.onnx', 'manifest.json'),
        'b': ('model.xml', 'model.pb'),
    }
    for folder, names in files.items():
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / name).write_bytes(b'12345')
    return tmp_path


def names(found):
    return [str(entry) for entry in found]


def test_each_artefact_in_each_runtime_and_precision(exports):
    found = list_entries([str(exports / 'a')], ALL, ['f32', 'bf16'])
    assert names(found) == [
        'model.xml, openvino',
        'model.xml, openvino, bf16',
        'model_int8.xml, openvino',
        'model_int8.xml, openvino, bf16',
        'model_fp16.onnx, openvino',
        'model_fp16.onnx, openvino, bf16',
        'model_fp16.onnx, onnxruntime',
    ]
    assert [entry.form(None) for entry in found] == [
        'FP32', 'BF16', 'INT8', 'INT8', 'FP16', 'BF16', 'FP16'
    ]  # fmt: skip
    assert [file.name for file in found[0].files] == ['model.xml', 'model.bin']
    assert [file.name for file in found[2].files] == ['model_int8.xml']


@pytest.mark.parametrize(
    ('file', 'metadata', 'forms'),
    [
        ('a/model.xml', '{"precision": "int8"}', ['INT8', 'INT8']),  # renamed
        ('a/model_int8.xml', '{"precision": "fp16"}', ['FP16', 'BF16']),
        ('a/model_int8.xml', '{"signature": {}}', ['INT8', 'INT8']),  # of an earlier export
        ('a/model_int8.xml', '{"precision": ["fp32"]}', ['INT8', 'INT8']),
        ('a/model.xml', '[1]', ['FP32', 'BF16']),
        ('a/model.xml', 'no JSON', ['FP32', 'BF16']),
    ],
)
def test_what_an_artefact_tells_of_its_precision_counts_more_than_its_name(
    exports, file, metadata, forms
):
    found = list_entries([str(exports / file)], ['openvino'], ['f32', 'bf16'])
    assert [entry.form(metadata) for entry in found] == forms


def test_names_are_as_long_as_they_must_be(exports):
    models = [str(exports / name) for name in ('b/model.xml', 'a', 'b/model.xml')]
    found = list_entries(models, ['openvino'], ['f32'])
    assert [entry.name for entry in found] == [
        'b/model.xml', 'a/model.xml', 'model_int8.xml', 'model_fp16.onnx'
    ]  # fmt: skip


def test_a_frozen_graph_is_converted_where_it_is_named(exports):
    assert names(list_entries([str(exports / 'b')], ['onnxruntime', 'openvino'], ['f32'])) == [
        'b/model.xml, openvino'.removeprefix('b/'),
        'model.pb, openvino',
    ]
    (graph,) = list_entries([str(exports / 'b/model.pb')], ['onnxruntime'], ['f32'])
    assert graph.is_converted


def test_a_precision_that_is_not_here_is_left_out(exports, caplog):
    found = list_entries([str(exports / 'b/model.xml')], ['openvino'], ['f16', 'f32'])
    assert names(found) == ['model.xml, openvino']
    assert caplog.messages == ['f16: left out, this CPU does not compute in it']


@pytest.mark.parametrize(
    ('models', 'runtimes', 'precisions', 'error', 'message'),
    [
        (['a/model.xml'], ['abacus'], ['f32'], MattingError, 'runtimes: expected some of openvino'),
        (['a/model.xml'], [], ['f32'], MattingError, 'runtimes: expected some of .* got none'),
        (['a/model.xml'], ['openvino'], ['f16'], MattingError, 'precisions: .* got f16'),
        (['a/model.xml'], ['openvino'], [], MattingError, 'precisions: .* got none'),
        (['b/none.xml'], ALL, ['f32', 'f8'], MattingError, 'precisions: .* f16, got f32, f8'),
        (
            ['a/model.xml'], ['onnxruntime'], ['f32'], ArtefactError,
            'a/model.xml: expected the runtime openvino, got onnxruntime',
        ),
        ([], ALL, ['f32'], MattingError, 'models: expected at least one artefact, got none'),
        (['b'], ['onnxruntime'], ['f32'], MattingError, 'models: expected at least one artefact'),
        (['.'], ALL, ['f32'], ArtefactError, r'expected artefacts \(.xml, .* in the folder'),
        (['a/none.xml'], ALL, ['f32'], ArtefactError, 'a/none.xml: no such file'),
    ],
)  # fmt: skip
def test_what_cannot_be_measured(exports, models, runtimes, precisions, error, message):
    with pytest.raises(error, match=message):
        list_entries([str(exports / model) for model in models], runtimes, precisions)
