"""OpenVINO IR that is more than a plain network, or whose numbers contradict each other."""

import re

import numpy as np
import pytest

openvino = pytest.importorskip('openvino')
from openvino import opset13  # noqa: E402

from mattingjax.errors import ArtefactError  # noqa: E402
from mattingjax.inference.sessions import create_session  # noqa: E402


def constant(values, dtype=np.int64):
    return opset13.constant(np.array(values, dtype))


def mean(x, axis=3):
    return opset13.reduce_mean(x, constant([axis]), keep_dims=True)


@pytest.fixture
def write(tmp_path):
    def write(build=mean):
        source = opset13.parameter([1, 32, 32, 3], np.float32, name='input')
        model = openvino.Model([build(source)], [source], 'model')
        openvino.save_model(model, tmp_path / 'model.xml', compress_to_fp16=False)
        return tmp_path / 'model.xml'

    return write


LAUGHS = '<!DOCTYPE net [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
BODY = '<layer id="9" name="hidden" type="{}" version="opset1">{}</layer></layers>'


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        (r'type="ReduceMean" version="opset1"', 'type="ReduceMean" version="extension"',
         "expected an operation of a standard set .* 'ReduceMean' of 'extension'"),
        ('type="ReduceMean"', 'type="Own"', 'OpenVINO cannot read it'),
        ('<net', f'{LAUGHS}<net', 'expected no document type'),
        ('</layers>', BODY.format('TensorIterator', ''), 'hidden: TensorIterator: no operation'),
        ('</layers>', BODY.format('Sigmoid', '<then_body/>'), 'hidden: expected no network inside'),
        ('size="8"', 'size="80000000000"', 'expected 80000000000 bytes at 0 in model.bin, .* 8$'),
        ('offset="0"', 'offset="-8"', "expected an offset and a size .* '-8' and '8'"),
        ('shape="1" offset', 'shape="1000000000000" offset', 'OpenVINO cannot read it'),
        ('1,32,32,3', '1,65536,65536,3', r'input \(Parameter\): would need 48 GB'),
        ('<net', '<graph', r'expected an IR, <net version="11">, found <graph> of version .11.'),
        ('version="11"', '', r'expected an IR, .* found <net> of version ..'),
        ('</net>', '', 'OpenVINO cannot read it .no XML: '),
        (r'encoding="[^"]*"|\?>', ' encoding="none"?>', 'OpenVINO cannot read it .no XML: '),
    ],
)  # fmt: skip
def test_no_such_ir(write, old, new, message):
    path = write()
    text, count = re.subn(old, new, path.read_text(), count=1)
    assert count
    path.write_text(text)
    with pytest.raises(ArtefactError, match=message):
        create_session(path)


def test_the_weights_must_be_there(write):
    path = write()
    path.with_suffix('.bin').write_bytes(b'123')
    with pytest.raises(ArtefactError, match=r'expected 8 bytes at 0 in model\.bin, which has 3'):
        create_session(path)
    path.with_suffix('.bin').unlink()
    with pytest.raises(ArtefactError, match=r'model\.bin: no such file; an \.xml has its weights'):
        create_session(path)


def interpolate(x):
    return opset13.interpolate(x, constant([10**5] * 2), 'nearest', 'sizes', axes=constant([1, 2]))


@pytest.mark.parametrize(
    ('build', 'message'),
    [
        (interpolate, r'\(Interpolate\): would need 112 GB'),
        (
            lambda x: mean(opset13.broadcast(mean(x), constant([10**7, 32, 32, 1])), 0),
            r'\(Broadcast\): would need',
        ),
    ],
)
def test_tensors_out_of_nothing(write, build, message):
    with pytest.raises(ArtefactError, match=message):
        create_session(write(build))


def test_endless_arithmetic(write):
    def build(x):
        large = opset13.broadcast(mean(mean(mean(x), 1), 2), constant([1, 1, 10000, 10000]))
        return opset13.add(mean(x), mean(mean(opset13.matmul(large, large, False, True)), 2))

    with pytest.raises(
        ArtefactError, match=r'1e.03 G .*, most of them in .*MatMul.*at most 52\.4 G'
    ):
        create_session(write(build))


def test_what_openvino_folds_as_it_reads_is_limited(write):
    """A shape out of a constant of 22 GB: OpenVINO computes it before anybody can ask for sizes."""

    def build(x):
        ones = opset13.broadcast(constant([1]), constant([777]))
        first = opset13.gather(ones, constant([0, 1, 2]), constant(0))
        return opset13.reshape(mean(x), opset13.concat([first, constant([-1])], 0), False)

    path = write(build)
    weights = path.with_suffix('.bin')
    content = weights.read_bytes()
    number = (777).to_bytes(8, 'little')
    assert number in content
    weights.write_bytes(content.replace(number, (3 * 10**9).to_bytes(8, 'little')))
    with pytest.raises(ArtefactError, match='it would need too much memory'):
        create_session(path)


def test_a_plain_ir_runs(write):
    session = create_session(write())
    images = np.full((1, 32, 32, 3), 5, np.float32)
    np.testing.assert_array_equal(session(images), images[..., :1])
