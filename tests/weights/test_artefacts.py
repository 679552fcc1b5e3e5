"""The artefacts that ship beside the checkpoints: whole, of the same networks, and without JAX."""

import contextlib
import hashlib
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

import mattingjax
from mattingjax import weights
from mattingjax.checkpoints import hash_checkpoint, load_checkpoint
from mattingjax.errors import ArtefactError
from mattingjax.weights import ARTEFACT_FILE, MANIFEST_FILE, find_artefact, find_checkpoint
from tests.conftest import assert_one_line_error

NAMES = mattingjax.list_weights()
MEGABYTES = 17  # of all artefacts together


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A copy of the smallest weights that ship, under their name."""
    shutil.copytree(find_checkpoint('mmnet_0.5'), tmp_path / 'mmnet_0.5')
    monkeypatch.setattr(weights, '_SHIPPED', tmp_path)
    return tmp_path / 'mmnet_0.5'


def test_they_are_small():
    sizes = [(find_checkpoint(name) / ARTEFACT_FILE).stat().st_size for name in NAMES]
    assert sum(sizes) < MEGABYTES * 1e6


@pytest.mark.parametrize('name', NAMES)
def test_each_is_of_its_checkpoint(name):
    assert find_artefact(name) == find_checkpoint(name) / ARTEFACT_FILE
    manifest = json.loads((find_checkpoint(name) / MANIFEST_FILE).read_text())
    assert manifest['network']['sha256'] == hash_checkpoint(load_checkpoint(name))
    parities = manifest['artefacts'][ARTEFACT_FILE]['parity']['onnxruntime']
    assert len(parities) > 3
    assert all(case['max'] < 1e-4 for case in parities.values())


@pytest.mark.parametrize('name', NAMES)
def test_each_gives_the_mattes_of_its_checkpoint(name):
    photo = np.random.default_rng(0).integers(0, 256, (96, 64, 3), dtype=np.uint8)
    alphas = [
        mattingjax.create_predictor(name, runtime, input_size=64)(photo)
        for runtime in ('onnxruntime', 'jax')
    ]
    assert alphas[0].std() > 0
    np.testing.assert_allclose(alphas[0], alphas[1], atol=1e-4)


def test_matting_imports_no_jax():
    code = (
        'import mattingjax, sys, numpy as np\n'
        'alpha = mattingjax.create_predictor("mmnet_0.5")(np.zeros((40, 50, 3), np.uint8))\n'
        'assert alpha.shape == (40, 50)\n'
        'print(*sys.modules)'
    )
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    modules = {name.split('.')[0] for name in run.stdout.split()}
    assert 'onnxruntime' in modules
    assert not modules & {
        'jax',
        'flax',
        'orbax',
        'onnx',
        'openvino',
        'tensorflow',
        'ml_collections',
    }


def test_a_damaged_one_is_told(copied):
    content = bytearray((copied / ARTEFACT_FILE).read_bytes())
    content[5000] ^= 1
    (copied / ARTEFACT_FILE).write_bytes(content)
    message = r'model_dynamic.onnx: damaged: expected SHA-256 \w{12}….*; runtime=jax runs'
    with pytest.raises(ArtefactError, match=message):
        mattingjax.create_predictor('mmnet_0.5')
    (copied / ARTEFACT_FILE).unlink()
    with pytest.raises(ArtefactError, match=r'model_dynamic.onnx: damaged: .* found no such file'):
        mattingjax.create_predictor(copied)
    (copied / ARTEFACT_FILE).write_bytes(content)
    for manifest in (
        '{}',
        '[]',
        'x',
        '{"artefacts": {"model_dynamic.onnx": {"sha256": 5}}, "network": {}}',
        '{"artefacts": {"model_dynamic.onnx": {"sha256": "5"}}, "network": []}',
    ):
        (copied / MANIFEST_FILE).write_text(manifest)
        with pytest.raises(ArtefactError, match=r'manifest.json: expected the hash of model_dyn'):
            mattingjax.create_predictor('mmnet_0.5')


def write_exported(folder, name, content, **entry):
    """A file as an export lists it."""
    (folder / name).write_bytes(content)
    entry = {'sha256': hashlib.sha256(content).hexdigest(), **entry}
    (folder / MANIFEST_FILE).write_text(json.dumps({'artefacts': {name: entry}}))
    return folder / name


@pytest.mark.parametrize('name', ['model.onnx', 'model.xml', 'model.pb', 'model.tflite'])
def test_a_flipped_bit_is_told_before_anything_is_read(tmp_path, name):
    path = write_exported(tmp_path, name, b'a network')
    weights.check_whole(path)
    path.write_bytes(b'b network')
    found = hashlib.sha256(b'b network').hexdigest()[:12]
    message = (
        rf'{name}: damaged: expected SHA-256 \w{{12}}…, found {found}…; if it was replaced on '
        r'purpose, remove its sha256 from manifest\.json$'
    )
    with pytest.raises(ArtefactError, match=message):
        mattingjax.create_predictor(path)
    (tmp_path / MANIFEST_FILE).write_text(json.dumps({'artefacts': {name: {}}}))
    weights.check_whole(path)


def test_weights_of_an_ir_are_compared_too(tmp_path):
    digest = hashlib.sha256(b'weights').hexdigest()
    path = write_exported(tmp_path, 'model.xml', b'<net/>', weights_sha256=digest)
    for content, found in ((None, 'no such file'), (b'weightz', '…')):
        if content is not None:
            (tmp_path / 'model.bin').write_bytes(content)
        message = rf'model\.bin: damaged: .*{found}.* remove its weights_sha256'
        with pytest.raises(ArtefactError, match=message):
            weights.check_whole(path)
    (tmp_path / 'model.bin').write_bytes(b'weights')
    weights.check_whole(path)


@pytest.mark.parametrize(
    ('manifest', 'message'),
    [
        (None, None),
        ('{}', None),
        ('{"name": "a page", "icons": []}', None),
        ('{"artefacts": {"other.onnx": {"sha256": "5"}}}', None),
        ('{"artefacts": {"model.onnx": {"sha256": 5}}}', 'damaged: expected SHA-256 5…'),
        ('{"artefacts": ', 'manifest.json: not a JSON file'),
    ],
)
def test_manifests_that_say_nothing_of_it(tmp_path, manifest, message):
    (tmp_path / 'model.onnx').write_bytes(b'a network')
    if manifest is not None:
        (tmp_path / MANIFEST_FILE).write_text(manifest)
    with pytest.raises(ArtefactError, match=message) if message else contextlib.nullcontext():
        weights.check_whole(tmp_path / 'model.onnx')


def test_one_of_another_configuration_is_told(copied):
    file = copied / 'config.json'
    config = json.loads(file.read_text())
    file.write_text(json.dumps(config | {'provenance': {}}))
    assert find_artefact('mmnet_0.5') is not None  # what does not decide about mattes may change
    for changed in (config | {'input_size': 320}, []):
        file.write_text(json.dumps(changed))
        with pytest.raises(ArtefactError, match=r'made of another config.json'):
            mattingjax.create_predictor('mmnet_0.5')


def test_one_that_does_not_ship_is_screened(tmp_path, monkeypatch):
    """Whoever made a folder wrote its manifest too: a hash proves nothing there."""
    onnx = pytest.importorskip('onnx')
    folder = tmp_path / 'evil'
    shutil.copytree(find_checkpoint('mmnet_0.5'), folder)
    assert mattingjax.create_predictor(folder).describe_runtime() == 'onnxruntime on CPU'
    model = onnx.load(folder / ARTEFACT_FILE)
    large = onnx.helper.make_node('RandomNormal', [], ['bigv'], shape=[2**30])
    last = onnx.helper.make_node('ReduceMin', ['bigv'], ['least'], keepdims=0)
    add = onnx.helper.make_node('Add', [model.graph.output[0].name, 'least'], ['more'])
    model.graph.node.extend([large, last, add])
    model.graph.output[0].name = 'more'
    onnx.save(model, folder / ARTEFACT_FILE)
    manifest = json.loads((folder / MANIFEST_FILE).read_text())
    digest = hashlib.sha256((folder / ARTEFACT_FILE).read_bytes()).hexdigest()
    manifest['artefacts'][ARTEFACT_FILE]['sha256'] = digest
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest))
    monkeypatch.setattr('onnxruntime.InferenceSession', None)
    with pytest.raises(ArtefactError, match=r'would need .* GB|RandomNormal'):
        mattingjax.create_predictor(folder)


def test_reports_tell_what_ran():
    described = mattingjax.create_predictor('mmnet_0.5').describe()
    assert described['checkpoint'] == 'mmnet_0.5'
    assert (described['name'], described['runtime']) == ('mmnet', 'onnxruntime')
    assert described['sha256'] == hash_checkpoint(load_checkpoint('mmnet_0.5'))


def test_without_one_jax_runs_the_checkpoint(copied, monkeypatch):
    (copied / ARTEFACT_FILE).unlink()
    (copied / MANIFEST_FILE).unlink()
    predictor = mattingjax.create_predictor('mmnet_0.5')
    assert predictor.describe_runtime().startswith('jax on ')
    with pytest.raises(mattingjax.MattingError, match=r'mmnet_0\.5: expected an artefact'):
        mattingjax.create_predictor('mmnet_0.5', 'openvino')


def test_too_large_an_input_is_refused():
    predictor = mattingjax.create_predictor('modnet_p', input_size=2880)
    photo = np.zeros((200, 300, 3), np.uint8)
    message = r'at most 8388608 pixels, got 300x200, which it would see at 4320x2880$'
    with pytest.raises(mattingjax.MattingError, match=message):
        predictor(photo)


def test_predict_tells_of_a_damaged_one(run_script, tmp_path):
    shutil.copytree(find_checkpoint('mmnet_0.5'), tmp_path / 'weights')
    (tmp_path / 'weights' / ARTEFACT_FILE).write_bytes(b'nothing')
    photo = tmp_path / 'photo.png'
    shutil.copy(find_checkpoint('mmnet_0.5') / 'README.md', photo)
    process = run_script(
        'predict', '--checkpoint', tmp_path / 'weights', '--input', photo, '--output',
        tmp_path / 'out',
    )  # fmt: skip
    assert_one_line_error(process, 'model_dynamic.onnx: damaged', '--runtime=jax')
    assert not (tmp_path / 'out').exists()
