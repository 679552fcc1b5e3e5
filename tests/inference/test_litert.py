"""Predictions with LiteRT."""

import dataclasses
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mattingjax import MattingError, create_predictor
from mattingjax.errors import ArtefactError
from mattingjax.inference.sessions import (
    LiteRtSession,
    SessionOptions,
    list_devices,
    litert_session,
)
from mattingjax.inference.signature import Signature
from mattingjax.networks import Preprocessing

pytest.importorskip('ai_edge_litert')
pytest.importorskip('flatbuffers')

from tests.inference.screening.lite_models import SHAPE, brightness

SIGNATURE = Signature(
    input_name='input',
    output_name='output',
    shape=SHAPE,
    dtype='float32',
    scaling_inside=True,
    colour_order='RGB',
    resize_inside=False,
    input_size=32,
    preprocessing=Preprocessing((0.0,) * 3, (255.0,) * 3, 'exact', 16),
)


@pytest.fixture
def save(tmp_path):
    def save(**changes):
        signature = dataclasses.replace(SIGNATURE, **changes)
        path = tmp_path / 'model.tflite'
        metadata = json.dumps({'signature': signature.to_dict()})
        path.write_bytes(brightness().pack(metadata=metadata))
        return path

    return save


def test_a_predictor_runs_it(save):
    predictor = create_predictor(save())
    assert predictor.describe_runtime() == 'litert on CPU'
    assert predictor.network_size(64, 96) == (32, 32)
    alpha = predictor(np.full((64, 96, 3), 51, np.uint8))
    assert (alpha.shape, alpha.dtype) == ((64, 96), np.float32)
    np.testing.assert_allclose(alpha, 0.2, atol=1e-6)
    assert list_devices()['litert'] == ['CPU']


def test_threads_run_it_side_by_side(save):
    together = create_predictor(save(), 'litert', parallel=2)
    assert together.parallel == 2
    photos = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    with ThreadPoolExecutor(4) as pool:
        alphas = list(pool.map(together, photos))
    np.testing.assert_allclose(alphas, photos.mean(3) / 255, atol=1e-6)


def test_more_threads_than_interpreters_wait(save):
    session = LiteRtSession(save(), SessionOptions(parallel=2))
    images = np.random.default_rng(0).uniform(0, 255, (40, *SHAPE)).astype(np.float32)
    with ThreadPoolExecutor(8) as pool:
        alphas = list(pool.map(session, images))
    np.testing.assert_allclose(alphas, images.mean(4, keepdims=True) / 255, rtol=1e-5)


@pytest.mark.parametrize(('parallel', 'threads'), [(1, 6), (2, 3), (4, 1), (9, 1)])
def test_interpreters_share_the_cores_that_the_process_may_use(monkeypatch, parallel, threads):
    from ai_edge_litert import interpreter

    made = []

    class Counted(interpreter.Interpreter):
        def __init__(self, num_threads, **options):
            made.append(num_threads)
            super().__init__(num_threads=1, **options)

    monkeypatch.setattr(interpreter, 'Interpreter', Counted)
    monkeypatch.setattr(litert_session, 'count_cores', lambda: 6)
    LiteRtSession(brightness().pack(), SessionOptions(parallel=parallel))
    assert made == [threads] * parallel


def test_a_model_in_memory_runs():
    session = LiteRtSession(brightness().pack(metadata='{}'))
    assert (session.input_name, session.input_shape, session.metadata) == ('input', SHAPE, '{}')


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'device': 'GPU'}, 'device: expected one of CPU, which LiteRT has here'),
        ({'precision': 'bf16'}, 'precision: LiteRT computes in that of the file'),
        ({'openvino_cache': 'x'}, 'openvino_cache: LiteRT keeps nothing'),
        ({'runtime': 'onnxruntime'}, "expected the runtime litert, got 'onnxruntime'"),
        ({'input_size': 64}, 'has the fixed size 32x32'),
    ],
)
def test_what_it_cannot_do_is_told(save, options, message):
    with pytest.raises(MattingError, match=message):
        create_predictor(save(), **options)


def test_an_input_of_another_size_is_told(save):
    session = LiteRtSession(save())
    for shape in ((1, 16, 32, 3), (1, 64, 64, 3), (32, 32, 3)):
        with pytest.raises(ArtefactError, match=r'model\.tflite: LiteRT cannot run it \(.*\)$'):
            session(np.zeros(shape, np.float32))
    with pytest.raises(ArtefactError, match='LiteRT cannot run it'):
        session(np.zeros(SHAPE, np.uint8))


@pytest.mark.parametrize('content', [b'', b'TFL3', b'\0nothing of the kind', b'\x1c\0\0\0TFL3'])
def test_damaged_files_are_one_line(tmp_path, content):
    path = tmp_path / 'model.tflite'
    path.write_bytes(content)
    with pytest.raises(ArtefactError, match=r'model\.tflite: LiteRT cannot read it') as caught:
        create_predictor(path)
    assert '\n' not in str(caught.value)


def test_metadata_that_is_no_text_is_told(tmp_path):
    path = tmp_path / 'model.tflite'
    path.write_bytes(brightness().pack(metadata='[[]]').replace(b'[[]]', b'\xff\xfe[['))
    with pytest.raises(ArtefactError, match=r'model\.tflite: its metadata: expected UTF-8'):
        create_predictor(path)


def test_a_missing_package_is_named(save, monkeypatch):
    path = save()
    monkeypatch.setitem(__import__('sys').modules, 'ai_edge_litert.interpreter', None)
    with pytest.raises(ImportError, match=r"ai_edge_litert: pip install 'mattingjax\[litert\]'"):
        create_predictor(path)
