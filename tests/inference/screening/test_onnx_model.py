"""ONNX models that do what no matting network does, or take more memory than one."""

import subprocess
import sys

import numpy as np
import pytest

onnx = pytest.importorskip('onnx')
from onnx import TensorProto, helper  # noqa: E402

from mattingjax.errors import ArtefactError  # noqa: E402
from mattingjax.inference.screening import (  # noqa: E402
    InputGuard,
    list_onnx_steps,
    read_onnx,
)
from mattingjax.inference.sessions import create_session  # noqa: E402
from tests.inference.screening.onnx_models import (  # noqa: E402
    ADDED,
    BRANCH,
    END,
    FUNCTION,
    MEAN,
    SHAPE,
    declared,
    enlarged,
    numbers,
    peak,
    write,
)

REFUSED = {
    'if': (
        ([MEAN, helper.make_node('If', ['yes'], ['output'], then_branch=BRANCH,
                                 else_branch=BRANCH)], [numbers('yes', True, bool)]),
        'output: If: control flow',
    ),
    'loop': (
        ([MEAN, helper.make_node('Loop', ['', 'yes', 'mean'], ['output'], body=BRANCH)],
         [numbers('yes', True, bool)]),
        'output: Loop: control flow',
    ),
    'another maker': (
        ([helper.make_node('Gelu', ['input'], ['output'], domain='com.microsoft')],),
        "found 'Gelu' of 'com.microsoft'",
    ),
    'a function': (([MEAN, END], [], SHAPE), 'expected no functions'),
    'another file': (
        (ADDED, [declared([1], TensorProto.EXTERNAL)]), 'big: its data is in another file'
    ),
    'another file in an attribute': (
        ([MEAN, helper.make_node('Constant', [], ['big'],
                                 value=declared([1], TensorProto.EXTERNAL)), ADDED[1]],),
        'value: its data is in another file',
    ),
    'a declared tensor': (
        (ADDED, [declared([2**31, 2])]), r'declares a tensor of \[2147483648, 2\] and holds 4'
    ),
    'a negative size': ((ADDED, [declared([-1, 2**62])]), 'expected sizes of at least 0'),
    'a filled tensor': (
        (enlarged('ConstantOfShape', 'sizes'), [numbers('sizes', [60000, 60000])]),
        r'big \(ConstantOfShape\): would need 13.4 GB',
    ),
    'copies': (
        (enlarged('Expand', 'mean', 'sizes'), [numbers('sizes', [10**7, 32, 32, 1])]),
        r'big \(Expand\): would need',
    ),
    'tiles': (
        (enlarged('Tile', 'mean', 'sizes'), [numbers('sizes', [10**7, 1, 1, 1])]),
        r'big \(Tile\): would need',
    ),
    'enlarging': (
        (enlarged('Resize', 'mean', '', 'sizes', mode='nearest'),
         [numbers('sizes', [1, 2000, 2000, 1], np.float32)]),
        r'big \(Resize\): would need',
    ),
    'padding': (
        (enlarged('Pad', 'mean', 'sizes'), [numbers('sizes', [0, 0, 0, 0, 0, 60000, 60000, 0])]),
        r'big \(Pad\): would need',
    ),
    'a range': (
        (enlarged('Range', 'zero', 'many', 'one'),
         [numbers(name, value, np.float32)
          for name, value in (('zero', 0), ('many', 3e9), ('one', 1))]),
        r'big \(Range\): would need',
    ),
    'a range that overflows': (
        ([MEAN, helper.make_node('Range', ['first', 'last', 'step'], ['big']),
          helper.make_node('Size', ['big'], ['output'])],
         [numbers(name, value)
          for name, value in (('first', -2**63), ('last', 2**63 - 1), ('step', 2**33))]),
        r'big \(Range\): would need 16 GB',
    ),
    'text': (
        ([MEAN, helper.make_node('Cast', ['mean'], ['text'], to=TensorProto.STRING),
          helper.make_node('Cast', ['text'], ['output'], to=TensorProto.FLOAT)],),
        r'text \(Cast\): expected a tensor of numbers, found type 8',
    ),
    'text that is constant': (
        (ADDED, [helper.make_tensor('big', TensorProto.STRING, [1], [b'long'])]),
        'big: expected a tensor of numbers, found type 8',
    ),
    'a large product': (
        ([MEAN, helper.make_node('ConstantOfShape', ['sizes'], ['big']),
          helper.make_node('MatMul', ['big', 'big'], ['product']),
          helper.make_node('ReduceMean', ['product'], ['small'], keepdims=0),
          helper.make_node('Add', ['mean', 'small'], ['output'])],
         [numbers('sizes', [10000, 10000])]),
        r'with an input of \[1, 32, 32, 3\] it would need 1e.03 G multiply-adds, '
        r'most of them in product \(MatMul\), expected at most 52.4 G',
    ),
    'a size out of the photo': (
        ([helper.make_node('Cast', ['input'], ['sizes'], to=TensorProto.INT64),
          helper.make_node('Reshape', ['sizes', 'flat'], ['list']),
          helper.make_node('ConstantOfShape', ['list'], ['output'])], [numbers('flat', [-1])]),
        'found one that only running it would tell',
    ),
    'many at once': (
        ([MEAN,
          *(helper.make_node('ConstantOfShape', ['sizes'], [f'big{i}']) for i in range(9)),
          *(helper.make_node('ReduceMean', [f'big{i}'], [f'small{i}'], keepdims=0)
            for i in range(9)),
          helper.make_node('Sum', ['mean', *(f'small{i}' for i in range(9))], ['output'])],
         [numbers('sizes', [2**27])]),
        r'with an input of \[1, 32, 32, 3\] it would need 4.5 GB of memory, expected at most 2',
    ),
    'a huge input': (([MEAN, END], [], (1, 2**15, 2**15, 3)), r'input: would need 12 GB'),
    'no schema': (([helper.make_node('Nothing', ['input'], ['output'])],), 'does not fit together'),
    'twice the same name': (([MEAN, MEAN, END],), "makes 'mean', which is there already"),
}  # fmt: skip


@pytest.mark.parametrize('kind', REFUSED)
@pytest.mark.parametrize('runtime', ['onnxruntime', 'openvino'])
def test_no_runtime_gets_it(tmp_path, monkeypatch, kind, runtime):
    """Neither is asked to read the file."""
    for package in ('onnxruntime', 'openvino'):
        pytest.importorskip(package)
    arguments, message = REFUSED[kind]
    options = {'functions': [FUNCTION]} if kind == 'a function' else {}
    path = write(tmp_path / 'model.onnx', *arguments, **options)
    monkeypatch.setattr('onnxruntime.InferenceSession', None)
    monkeypatch.setattr('openvino.Core', None)
    with pytest.raises(ArtefactError, match=message) as caught:
        create_session(path, runtime)
    assert str(caught.value).startswith(str(path))


def test_names_that_are_no_text_are_told(tmp_path):
    path = write(tmp_path / 'model.onnx', [MEAN, END])
    for name in (b'Sigmoid', b'mean', b'output'):
        damaged = tmp_path / 'damaged.onnx'
        damaged.write_bytes(path.read_bytes().replace(name, b'\xff' + name[1:]))
        with pytest.raises(ArtefactError, match='expected names in UTF-8'):
            read_onnx(damaged)


def test_the_peak_counts_what_lives_at_once(tmp_path):
    path = write(tmp_path / 'model.onnx', [MEAN, END], shape=(1, 'height', 'width', 3))
    # While the mean is made, the input is there as well; then mean and output.
    assert peak(path, (1, 10, 20, 3)) == 4 * 10 * 20 * (3 + 1)


def test_sizes_are_followed_through_the_graph(tmp_path):
    """As PyTorch exports a resize to the size of another tensor: a shape, cut and multiplied."""
    nodes = [
        MEAN,
        helper.make_node('Shape', ['mean'], ['shape']),
        helper.make_node('Cast', ['shape'], ['real'], to=TensorProto.FLOAT),
        helper.make_node('Mul', ['real', 'half'], ['product']),
        helper.make_node('Floor', ['product'], ['floor']),
        helper.make_node('Cast', ['floor'], ['sizes'], to=TensorProto.INT64),
        helper.make_node('Resize', ['mean', '', '', 'sizes'], ['output'], mode='linear'),
    ]
    half = numbers('half', [1, 1.5, 3, 1], np.float32)
    path = write(tmp_path / 'model.onnx', nodes, [half], ('n', 'h', 'w', 3))
    steps = list(list_onnx_steps(read_onnx(path), (1, 11, 10, 3)))
    assert steps[-1].outputs == {'output': 4 * 16 * 30}


def test_larger_inputs_are_looked_at_when_they_come(tmp_path):
    path = write(tmp_path / 'model.onnx', [MEAN, END], shape=('n', 'height', 'width', 3))
    model = read_onnx(path)
    asked = []

    def list_steps(shape):
        asked.append(shape)
        return list_onnx_steps(model, shape)

    guard = InputGuard(path, (None, None, None, 3), list_steps, 'input')
    guard.check((1, 100, 100, 3))
    guard.check((1, 600, 600, 3))
    guard.check((1, 600, 500, 3))
    guard.check((1, 100, 2000, 3))  # of fewer pixels, but wider
    assert asked == [(1, 512, 512, 3), (1, 600, 600, 3), (1, 100, 2000, 3)]
    with pytest.raises(ArtefactError, match=r'an input of \[1, 13000, 13000, 3\].* 2.52 GB'):
        guard.check((1, 13000, 13000, 3))


def test_what_grows_with_one_side_only_is_found(tmp_path):
    row = [
        helper.make_node('ReduceMax', ['input'], ['row'], axes=[1, 3], keepdims=1),
        helper.make_node('Transpose', ['row'], ['column'], perm=[0, 1, 3, 2]),
        helper.make_node('MatMul', ['row', 'column'], ['square']),
        helper.make_node('Expand', ['square', 'sizes'], ['output']),
    ]
    sizes = numbers('sizes', [1, 1500, 1, 1])
    model = read_onnx(write(tmp_path / 'model.onnx', row, [sizes], ('n', 'h', 'w', 3)))
    guard = InputGuard(
        'model.onnx', (None, None, None, 3), lambda shape: list_onnx_steps(model, shape), 'input'
    )
    with pytest.raises(ArtefactError, match=r'would need 23\.4 GB'):
        guard.check((1, 64, 2048, 3))


def test_what_fails_as_it_runs_is_said_once(tmp_path):
    pytest.importorskip('onnxruntime')
    nodes = [
        helper.make_node('ReduceMax', ['input'], ['largest'], keepdims=0),
        helper.make_node('Cast', ['largest'], ['index'], to=TensorProto.INT64),
        helper.make_node('Gather', ['three', 'index'], ['output']),
    ]
    path = write(tmp_path / 'model.onnx', nodes, [numbers('three', [0, 0, 0], np.float32)])
    program = (
        'import numpy as np; from mattingjax.inference.sessions import create_session\n'
        f'try: create_session({str(path)!r})(np.full({SHAPE}, 9, np.float32))\n'
        'except ValueError as error: print(error)'
    )
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
    assert done.stderr == ''
    assert 'model.onnx: ONNX Runtime cannot run it' in done.stdout
    assert done.stdout.count('\n') == 1


def test_published_networks_are_taken(shared):
    files = [
        shared / 'weights' / 'modnet_photographic.onnx',
        shared / 'reference' / 'modnet_torch' / 'modnet_p_ratio_0.5_thresh_0.5_reference.onnx',
    ]
    for path in files:
        assert 30e6 < peak(path, (1, 3, 512, 512)) < 200e6
