import dataclasses
import hashlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from mattingjax import MattingError, create_predictor
from mattingjax.errors import ArtefactError
from mattingjax.inference.sessions import SessionOptions, create_session, onnx_session
from mattingjax.inference.signature import Signature, read_signature
from mattingjax.networks import Preprocessing
from tests.conftest import assert_one_line_error

SIGNATURE = Signature(
    input_name='input',
    output_name='output',
    shape=(1, 0, 0, 3),
    dtype='float32',
    scaling_inside=True,
    colour_order='RGB',
    resize_inside=False,
    input_size=32,
    preprocessing=Preprocessing((127.5,) * 3, (127.5,) * 3, 'short_side', 32),
)


@pytest.fixture
def red(tmp_path):
    """A network of any size whose alpha is the red of the photo."""
    onnx = pytest.importorskip('onnx')
    pytest.importorskip('onnxruntime')
    from onnx import TensorProto, helper, numpy_helper

    def save(signature=SIGNATURE, batch='batch', height='height', width='width', **properties):
        sizes = [batch, height, width]
        graph = helper.make_graph(
            [helper.make_node('Conv', ['x', 'kernel'], ['z'])],
            'red',
            [helper.make_tensor_value_info('input', TensorProto.FLOAT, [*sizes, 3])],
            [helper.make_tensor_value_info('output', TensorProto.FLOAT, [*sizes, 1])],
            [numpy_helper.from_array(np.float32([1 / 255, 0, 0]).reshape(1, 3, 1, 1), 'kernel')],
        )
        for source, target, perm in (('input', 'x', [0, 3, 1, 2]), ('z', 'output', [0, 2, 3, 1])):
            graph.node.append(helper.make_node('Transpose', [source], [target], perm=perm))
        graph.node.insert(0, graph.node.pop(1))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=9)
        if signature is not None:
            properties['mattingjax'] = json.dumps({'signature': signature.to_dict()})
        helper.set_model_props(model, properties)
        path = tmp_path / 'red.onnx'
        onnx.save(model, path)
        return path

    return save


def test_a_predictor_runs_an_artefact(red):
    photo = np.zeros((64, 96, 3), np.uint8)
    photo[20:50, 30:60, 0] = 255
    path = red(dataclasses.replace(SIGNATURE, shape=(0, 0, 0, 3)))
    predictor = create_predictor(path)
    assert predictor.network_size(64, 96) == (32, 32)
    alpha = predictor(photo)
    assert alpha.shape == (64, 96)
    assert alpha[35, 45] > 0.9
    assert alpha[5, 5] == 0


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'shape': (1, 64, 64, 3)}, r'expected input \(1, 64, 64, 3\), found \(0, 0, 0, 3\)'),
        ({}, r'expected input \(1, 0, 0, 3\), found \(0, 0, 0, 3\)'),
    ],
)
def test_a_signature_that_does_not_fit_is_told(red, change, message):
    with pytest.raises(MattingError, match=message):
        create_predictor(red(dataclasses.replace(SIGNATURE, **change)))


def test_an_artefact_of_any_size_takes_an_input_size(red):
    path = red(dataclasses.replace(SIGNATURE, shape=(0, 0, 0, 3)))
    predictor = create_predictor(path, input_size=64)
    assert predictor.network_size(128, 192) == (64, 96)
    assert predictor.describe() == {
        'artefact': str(path),
        'sha256': {'red.onnx': hashlib.sha256(path.read_bytes()).hexdigest()},
        'runtime': 'onnxruntime',
        'device': 'CPU',
        'precision': 'f32',
        'input_size': 64,
    }
    photo = np.zeros((128, 192, 3), np.uint8)
    photo[0, 0, 0] = 255  # of the four pixels of the photo that make one of the input's
    assert predictor(photo)[0, 0] == pytest.approx(1 / 4, abs=0.1)
    message = r'^input_size: expected a multiple of 32 pixels, 32 to 2896, got {}$'
    for input_size in (48, 2912):
        with pytest.raises(MattingError, match=message.format(input_size)):
            create_predictor(path, input_size=input_size)


def test_an_artefact_of_a_fixed_size_takes_no_input_size(red):
    fixed = dataclasses.replace(SIGNATURE, shape=(0, 64, 96, 3))
    path = red(fixed, height=64, width=96)
    described = create_predictor(path).describe()
    assert (described['input_size'], described['fixed_size']) == (32, '64x96')
    message = (
        r'red.onnx: has the fixed size 64x96 \(height x width\); a checkpoint or an artefact of '
        r'any size takes input_size=64$'
    )
    with pytest.raises(ArtefactError, match=message):
        create_predictor(path, input_size=64)


def test_an_artefact_that_resizes_takes_no_input_size(red):
    path = red(dataclasses.replace(SIGNATURE, shape=(0, 0, 0, 3), resize_inside=True))
    message = r'red.onnx: resizes photos itself, for its input size 32; .* takes input_size=64$'
    with pytest.raises(ArtefactError, match=message):
        create_predictor(path, input_size=64)


def test_an_artefact_that_nobody_describes_is_told(red):
    path = red(signature=None)
    message = r'red.onnx: expected a manifest.json beside it.*; of .* mattingjax import-weights'
    with pytest.raises(MattingError, match=message):
        create_predictor(path)
    manifest = path.with_name('manifest.json')
    manifest.write_text('{"artefacts": {}}')
    with pytest.raises(MattingError, match=r'manifest.json: red.onnx: expected a signature'):
        create_predictor(path)
    manifest.write_text('{')
    with pytest.raises(MattingError, match=r'manifest.json: not a JSON file'):
        create_predictor(path)


@pytest.mark.parametrize('suffix', ['.onnx', '.xml', '.pb'])
def test_damaged_artefacts_are_one_line(tmp_path, suffix):
    # A graph that is none is told before TensorFlow is imported.
    for package in {'.onnx': ('onnx', 'onnxruntime'), '.xml': ('openvino',), '.pb': ()}[suffix]:
        pytest.importorskip(package)
    path = tmp_path / f'model{suffix}'
    path.write_bytes(b'\x00nothing of the kind')
    with pytest.raises(MattingError, match=rf'model{suffix}: .* cannot read it') as caught:
        create_session(path)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    ('name', 'runtime', 'message'),
    [
        ('absent.onnx', None, 'absent.onnx: no such file'),
        ('model.xml', 'onnxruntime', "expected the runtime openvino, got 'onnxruntime'"),
        ('model.xml', 'jax', 'JAX runs checkpoints, expected the runtime openvino'),
        ('checkpoint', 'openvino', 'expected an artefact .* for the runtime openvino'),
        ('hf://a/b/c.onnx', None, 'hf://a/b/c.onnx: weights of another format; .*import_weights'),
        ('none', 'openvino', 'none: not a checkpoint .no such folder.'),
        ('model.xml', 'tvm', "runtime: expected one of jax, openvino.*, got 'tvm'"),
    ],
)
def test_runtimes_that_do_not_suit_are_told(tmp_path, name, runtime, message):
    (tmp_path / 'model.xml').touch()
    (tmp_path / 'checkpoint').mkdir()
    (tmp_path / 'checkpoint' / 'config.json').touch()
    with pytest.raises(MattingError, match=message):
        create_predictor(name if '://' in name else tmp_path / name, runtime)


def test_what_lies_beside_an_artefact_is_told(tmp_path):
    for name in ('model.xml', 'model.bin', 'model.onnx', 'manifest.json'):
        (tmp_path / name).touch()
    with pytest.raises(MattingError, match=r'model.bin: the weights of an .* expected .*model.xml'):
        create_predictor(tmp_path / 'model.bin')
    with pytest.raises(MattingError, match=r'the folder of an export.*: model.onnx, model.xml$'):
        create_predictor(tmp_path)


@pytest.mark.parametrize('name', ['a' * 300 + '.onnx', 'a\0.xml'])
def test_names_that_no_file_has_are_told(name):
    with pytest.raises(MattingError, match='no such file'):
        create_predictor(name)


PIXELS = np.full((1, 32, 32, 1), 0.5, np.float32)


@pytest.mark.parametrize(
    ('output', 'message'),
    [
        (PIXELS * np.nan, r'found float32 \[1, 32, 32, 1\] with 1024 that are NaN or infinite'),
        (PIXELS * np.inf, 'with 1024 that are NaN or infinite'),
        (PIXELS.astype(np.int64), r'floating-point numbers, found int64 \[1, 32, 32, 1\]'),
        (PIXELS > 0, 'floating-point numbers, found bool'),
        (PIXELS[:, :0], r'floating-point numbers, found float32 \[1, 0, 32, 1\]'),
        (PIXELS[..., 0], r'expected alpha \[1, 32, 32, 1\], found \[1, 32, 32\]'),
        (PIXELS[:, :20], r'expected alpha \[1, 32, 32, 1\], found \[1, 20, 32, 1\]'),
        (np.repeat(PIXELS, 2, -1), r'found \[1, 32, 32, 2\]'),
        (PIXELS * 255, r'expected alpha in \[0, 1\], found 127.5 to 127.5'),
        (PIXELS - 1, r'expected alpha in \[0, 1\], found -0.5 to -0.5'),
    ],
)
def test_outputs_that_are_no_alpha_are_told(red, monkeypatch, output, message):
    predictor = create_predictor(red(dataclasses.replace(SIGNATURE, shape=(0, 0, 0, 3))))
    monkeypatch.setattr('onnxruntime.InferenceSession.run', lambda *_: [output])
    with pytest.raises(ArtefactError, match=message):
        predictor(np.zeros((32, 32, 3), np.uint8))


def test_half_precision_may_overshoot_a_little(red, monkeypatch):
    predictor = create_predictor(red(dataclasses.replace(SIGNATURE, shape=(0, 0, 0, 3))))
    output = np.where(np.arange(32) < 16, -0.001, 1.001).astype(np.float16)
    output = np.broadcast_to(output[:, None], PIXELS.shape)
    monkeypatch.setattr('onnxruntime.InferenceSession.run', lambda *_: [output])
    alpha = predictor(np.zeros((32, 32, 3), np.uint8))
    assert alpha.dtype == np.float32
    assert (alpha.min(), alpha.max()) == (0, 1)


@pytest.mark.parametrize('runtime', ['onnxruntime', 'openvino'])
def test_whatever_a_runtime_raises_is_one_line(red, monkeypatch, runtime):
    """OpenVINO's messages may hold bytes of a damaged file, which pybind cannot decode."""
    openvino = pytest.importorskip('openvino')
    path = red(dataclasses.replace(SIGNATURE, shape=(0, 0, 0, 3)))
    predictor = create_predictor(path, runtime)

    def fail(*_, **__):
        return b'Check failed\nat node \xff\xfe'.decode()

    monkeypatch.setattr('onnxruntime.InferenceSession.run', fail)
    monkeypatch.setattr(openvino.InferRequest, 'infer', fail)
    message = r'red.onnx: .* cannot run it \(at node .*\)'
    with pytest.raises(ArtefactError, match=message) as caught:
        predictor(np.zeros((32, 32, 3), np.uint8))
    assert '\n' not in str(caught.value)


def test_metadata_that_is_nested_deeply_is_told(red):
    path = red(signature=None, mattingjax='[' * 10**5 + ']' * 10**5)
    with pytest.raises(MattingError, match=r'red.onnx: its metadata: .*JSON'):
        create_predictor(path)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'shape': (1, 2**14, 2**14, 3)}, 'signature.shape: .* 8388608 pixels at most'),
        ({'shape': (1, 64, 64, 1)}, r'signature.shape: expected \[N, H, W, 3\]'),
        ({'input_size': 10**6}, 'signature.input_size: expected 1 to 2896 pixels'),
    ],
)
def test_signatures_are_of_a_sane_size(change, message):
    entry = {'signature': SIGNATURE.to_dict() | change}
    with pytest.raises(MattingError, match=message):
        read_signature('nowhere.pb', json.dumps(entry))


def test_signatures_survive_json(tmp_path):
    entry = {'signature': SIGNATURE.to_dict()}
    (tmp_path / 'manifest.json').write_text(json.dumps({'artefacts': {'a.pb': entry}}))
    assert read_signature(tmp_path / 'a.pb') == SIGNATURE
    assert read_signature('nowhere.pb', json.dumps(entry)) == SIGNATURE
    entry['signature']['dtype'] = 'int4'
    with pytest.raises(MattingError, match=r"signature.dtype: expected 'float32' or 'uint8'"):
        read_signature('nowhere.pb', json.dumps(entry))


def test_predict_takes_artefacts(red, run_script, tmp_path):
    path = red(dataclasses.replace(SIGNATURE, shape=(0, 0, 0, 3)))
    Image.fromarray(np.full((64, 64, 3), 200, np.uint8)).save(tmp_path / 'grey.png')
    arguments = ['--input', tmp_path / 'grey.png', '--output', tmp_path / 'out']
    process = run_script('predict', '--checkpoint', path, *arguments, '--outputs', 'alpha')
    assert process.returncode == 0, process.stderr
    assert np.asarray(Image.open(tmp_path / 'out' / 'grey_alpha.png')).mean() == 200
    process = run_script('predict', '--checkpoint', path, *arguments, '--runtime', 'jax')
    assert_one_line_error(process, 'red.onnx', 'onnxruntime or openvino')
    process = run_script('predict', '--checkpoint', path, *arguments, '--input_size=40')
    assert_one_line_error(process, '--input_size: expected a multiple of 32 pixels, 32 to 2896')


BETWEEN_FORBIDDEN_PAGES = """
import ctypes
import mmap

import jax
import jax.numpy as jnp
import numpy as np

from mattingjax.inference.jax_runtime import compiler_options

PAGE = mmap.PAGESIZE
array = np.zeros((1, 64, 64, 16), np.float32)
memory = mmap.mmap(-1, array.nbytes + 4 * PAGE)
start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
for forbidden in (start + PAGE, start + 2 * PAGE + array.nbytes):
    assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(forbidden), ctypes.c_size_t(PAGE), 0) == 0
array = np.frombuffer(memory, np.float32, array.size, 2 * PAGE).reshape(array.shape)
array[:] = 2


def normalise_and_pad(array, scale):
    return jnp.pad(array * scale + 1, ((0, 0), (1, 1), (1, 1), (0, 0)))


given = jax.device_put(array)
assert given.unsafe_buffer_pointer() == array.ctypes.data, 'a copy lies elsewhere'
scale = np.full(16, 3, np.float32)
padded = jax.jit(normalise_and_pad).lower(given, scale).compile(compiler_options())(given, scale)
print(float(padded.sum()) / array.size)
"""


@pytest.mark.skipif(sys.platform == 'win32', reason='there is no mprotect')
def test_programs_read_no_memory_beyond_their_arrays():
    command = [sys.executable, '-c', BETWEEN_FORBIDDEN_PAGES]
    on_cpu = os.environ | {'JAX_PLATFORMS': 'cpu'}
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=on_cpu)
    assert (result.returncode, result.stdout) == (0, '7.0\n'), result.stderr


def test_openvino_has_forms_of_sizes_that_come_again(red, monkeypatch):
    pytest.importorskip('openvino')
    from mattingjax.inference.sessions import openvino_session

    monkeypatch.setattr(openvino_session, '_RECURRING', 2)
    session = create_session(red(dataclasses.replace(SIGNATURE, shape=(0, 0, 0, 3))), 'openvino')
    forms = session._forms._forms

    def run(height, times=1):
        images = np.random.default_rng(0).uniform(0, 255, (1, height, 32, 3)).astype(np.float32)
        for _ in range(times):
            alpha = session(images)
            for form in forms.values():
                form.result()
            np.testing.assert_allclose(alpha, images[..., :1] / 255, rtol=1e-6)

    run(32)
    assert not forms  # it came once
    run(32, 2)
    assert list(forms) == [(1, 32, 32, 3)]
    compiled = forms[1, 32, 32, 3].result()
    assert [side.is_static for side in compiled.network.inputs[0].partial_shape] == [True] * 4
    for height in (64, 96, 128):
        run(height, 2)
    run(32)  # used, so that it stays
    run(160, 2)
    assert [shape[1] for shape in forms] == [96, 128, 32, 160]


@pytest.mark.parametrize('runtime', ['onnxruntime', 'openvino'])
def test_threads_run_one_network_side_by_side(runtime):
    pytest.importorskip(runtime)
    alone = create_predictor('mmnet_0.5', runtime)
    together = create_predictor('mmnet_0.5', runtime, parallel=2)
    assert (alone.parallel, together.parallel) == (1, 2)
    photos = np.random.default_rng(0).integers(0, 256, (8, 60, 50, 3), dtype=np.uint8)
    with ThreadPoolExecutor(4) as pool:  # more than may run at once: they wait
        alphas = list(pool.map(together, photos))
    for photo, alpha in zip(photos, alphas, strict=True):
        np.testing.assert_allclose(alpha, alone(photo), atol=1e-5)


@pytest.mark.parametrize(('parallel', 'threads'), [(2, 5), (4, 3), (9, 1)])
def test_onnx_runtime_shares_the_cores_that_the_process_may_use(
    red, monkeypatch, parallel, threads
):
    monkeypatch.setattr(onnx_session, 'count_cores', lambda: 6)
    session = create_session(red(), options=SessionOptions(parallel=parallel))
    assert session._session.get_session_options().intra_op_num_threads == threads


def test_many_inputs_run_in_openvino_where_it_is_installed(monkeypatch):
    pytest.importorskip('openvino')

    def runtime(**options):
        return create_predictor('mmnet_0.5', **options).describe()['runtime']

    assert runtime() == 'onnxruntime'
    assert runtime(parallel=2) == runtime(parallel=2, device='CPU') == 'openvino'
    assert runtime(parallel=2, runtime='onnxruntime') == 'onnxruntime'
    monkeypatch.setattr('importlib.util.find_spec', lambda _: None)
    assert runtime(parallel=2) == 'onnxruntime'


def test_jax_runs_one_input_at_a_time(mmnet_path):
    assert create_predictor(mmnet_path, 'jax', parallel=2).parallel == 1


@pytest.mark.parametrize('parallel', [0, -1, 65, 1.5, '2'])
def test_an_impossible_number_of_threads_is_told(parallel):
    with pytest.raises(MattingError, match=r'parallel: expected 1 to 64 threads, got'):
        create_predictor('mmnet_0.5', parallel=parallel)


def test_a_network_of_one_size_is_compiled_for_it(red):
    pytest.importorskip('openvino')
    exact = dataclasses.replace(SIGNATURE.preprocessing, resize='exact')
    path = red(dataclasses.replace(SIGNATURE, shape=(0, 0, 0, 3), preprocessing=exact))
    predictor = create_predictor(path, 'openvino', input_size=64)
    session = predictor._runtime._session
    assert session.input_shape == (None, None, None, 3)  # as the file has it
    assert list(session._compiled.network.inputs[0].shape) == [1, 64, 64, 3]
    assert predictor(np.full((50, 40, 3), 255, np.uint8)).mean() == pytest.approx(1)


def test_a_provider_that_falls_back_is_refused(red, monkeypatch):
    onnxruntime = pytest.importorskip('onnxruntime')
    path = red(dataclasses.replace(SIGNATURE, shape=(0, 0, 0, 3)))
    there = ['CUDAExecutionProvider', 'CPUExecutionProvider']
    monkeypatch.setattr(onnxruntime, 'get_available_providers', lambda: there)
    with pytest.raises(MattingError, match=r'device: expected one of CUDA, CPU, which ONNX .*TPU'):
        create_predictor(path, device='TPU')
    # ONNX Runtime itself would warn and go on without it.
    with pytest.raises(ArtefactError, match=r'CUDA'):
        create_predictor(path, device='cuda')


def test_devices_of_jax(mmnet_path):
    predictor = create_predictor(mmnet_path, device='cpu')
    assert predictor.describe_runtime() == 'jax on CPU'
    with pytest.raises(MattingError, match=r'device: expected one of CPU, which JAX has here, got'):
        create_predictor(mmnet_path, device='NPU')
    with pytest.raises(MattingError, match=r'precision: JAX computes in that of the file'):
        create_predictor(mmnet_path, precision='bf16')
