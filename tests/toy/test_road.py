"""A third network goes the whole road, by its record alone."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

import mattingjax
from mattingjax.checkpoints import load_checkpoint, save_checkpoint
from mattingjax.config import train_config
from mattingjax.config.schema import read_json
from mattingjax.errors import MattingError
from mattingjax.evaluation import EvaluationOptions, Folders, evaluate_folders
from mattingjax.evaluation.temperature import compare_temperatures, with_temperature
from mattingjax.inference.sessions import READERS
from mattingjax.inference.signature import MANIFEST_FILE
from mattingjax.networks import create_model_config, init_variables, register_network
from mattingjax.networks.complexity import format_complexity, measure_complexity
from mattingjax.pruning import (
    PruneOptions,
    load_batches,
    load_pairs,
    plan_pruning,
    prune,
    prune_checkpoint,
    silence,
)
from mattingjax.pruning.gradients import compute_gradients
from mattingjax.training import train
from mattingjax.training.settings import complete_settings
from tests.conftest import require_export_tools
from tests.toy import TOY, ToyConfig
from tests.training.conftest import tiny_config

ARTEFACTS = (
    'model.pb', 'model.onnx', 'model_dynamic.onnx', 'model_fp16.onnx', 'model.xml',
    'model_fp16.xml', 'model.tflite', 'model_fp16.tflite',
)  # fmt: skip


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    """Folders of three photos and of their alphas."""
    root = tmp_path_factory.mktemp('photos')
    for i in range(3):
        rows, columns = np.mgrid[0:40, 0:50]
        alpha = np.clip(2 * np.sin((rows + 5 * i) / 9) * np.cos(columns / 11), 0, 1)
        noise = np.random.default_rng(i).uniform(0, 60, (40, 50, 3))
        for folder, pixels in (('image', 190 * alpha[..., None] + noise), ('alpha', 255 * alpha)):
            (root / folder).mkdir(exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(root / folder / f'{i}.png')
    return root


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """The folder of a training that was resumed."""
    workdir = tmp_path_factory.mktemp('trained') / 'run'
    for steps in (4, 8):
        outcome = train(tiny_config('toy', steps=steps), workdir)
        assert (outcome.step, outcome.is_finished) == (steps, True)
    return workdir


@pytest.fixture(scope='module')
def pruned(trained, photos):
    """The trained network with fewer channels, fitted to the photos."""
    checkpoint = load_checkpoint(trained / 'last')
    options = PruneOptions(target_macs='0.6x', round_to=1, min_channels=1)
    plan = plan_pruning(checkpoint.config, checkpoint.variables, options)
    batches = load_batches(checkpoint.config, sorted((photos / 'image').iterdir()))
    return prune_checkpoint(checkpoint, plan, list(batches))


@pytest.fixture(scope='module')
def exported(pruned, photos, tmp_path_factory):
    """The pruned network's checkpoint, and the folder of its artefacts."""
    require_export_tools()
    from exporters.export import ExportOptions, export_checkpoint

    folder = tmp_path_factory.mktemp('exported')
    save_checkpoint(folder / 'checkpoint', pruned)
    options = ExportOptions(precisions=('fp32', 'fp16'), photos=(photos / 'image' / '0.png',))
    export_checkpoint(folder / 'checkpoint', folder / 'export', options)
    return folder


def test_it_has_a_name_of_its_own():
    register_network(TOY)  # once more: nothing happens
    with pytest.raises(MattingError, match=r"network: 'toy' is registered already"):
        register_network(dataclasses.replace(TOY))
    config = create_model_config('toy')
    assert (config.architecture, config.input_size) == (ToyConfig(), 32)
    assert type(config).from_dict(config.to_dict()) == config


def test_its_settings_are_the_records():
    config = complete_settings(train_config('toy'))
    assert (config.data.transform, config.data.keep_aspect) == ('evaluation', False)
    assert config.loss.l2 == 0


def test_it_is_trained_and_resumed(trained):
    checkpoint = load_checkpoint(trained / 'last')
    assert checkpoint.config.network == 'toy'
    assert checkpoint.config.provenance['trained']['step'] == 8
    start = init_variables(checkpoint.config, seed=0)['params']['head']['kernel']
    assert not np.array_equal(checkpoint.variables['params']['head']['kernel'], start)
    assert len((trained / 'metrics.csv').read_text().splitlines()) == 1 + 8


@pytest.mark.parametrize('method', ['l1', 'bn_scale', 'taylor'])
def test_pruning_is_exact(trained, photos, method):
    checkpoint = load_checkpoint(trained / 'last')
    config, variables = checkpoint.config, checkpoint.variables
    pairs = load_pairs(config, photos / 'image', photos / 'alpha', 2)
    gradients = compute_gradients(config, variables, pairs) if method == 'taylor' else None
    options = PruneOptions(ratio=0.5, round_to=1, min_channels=1, method=method)
    plan = plan_pruning(config, variables, options, gradients=gradients)
    new_config, new_variables, report = prune(plan.config, variables, plan.keep_indices)
    assert new_config.architecture == ToyConfig(4, 12)
    assert report.widths == {'stem': (8, 4), 'body': (24, 12)}
    images = np.random.default_rng(0).uniform(0, 255, (2, 32, 48, 3)).astype(np.float32)
    narrow = mattingjax.Checkpoint(new_config, new_variables).apply(images)
    silenced = silence(config, variables, plan.keep_indices)
    wide = mattingjax.Checkpoint(config, silenced).apply(images)
    for name in ('alpha', 'semantic'):
        np.testing.assert_allclose(narrow[name], wide[name], atol=1e-5)


def test_a_pruned_network_is_trained_on(pruned, tmp_path):
    save_checkpoint(tmp_path / 'pruned', pruned)
    config = tiny_config('toy', steps=2, model__checkpoint=str(tmp_path / 'pruned'))
    assert train(config, tmp_path / 'run').is_finished
    retrained = load_checkpoint(tmp_path / 'run' / 'last').config
    assert retrained.architecture == pruned.config.architecture != ToyConfig()


@pytest.mark.parametrize('name', ARTEFACTS)
def test_every_artefact_mattes_as_the_checkpoint_does(exported, photos, name):
    photo = photos / 'image' / '1.png'
    expected = mattingjax.create_predictor(exported / 'checkpoint')(photo)
    alpha = mattingjax.create_predictor(exported / 'export' / name)(photo)
    assert alpha.shape == (40, 50)
    assert expected.std() > 0.01
    np.testing.assert_allclose(alpha, expected, atol=5e-3 if 'fp16' in name else 1e-4)


def test_every_artefact_was_verified(exported):
    manifest = read_json(exported / 'export' / MANIFEST_FILE)
    assert manifest['network']['network'] == 'toy'
    found = {path.name for path in (exported / 'export').iterdir() if path.suffix in READERS}
    assert found == set(ARTEFACTS) == set(manifest['artefacts'])
    for name, entry in manifest['artefacts'].items():
        assert all(entry['parity'].values()), name


def test_it_is_measured(trained, photos):
    checkpoint = load_checkpoint(trained / 'last')
    complexity = measure_complexity(checkpoint.config)
    # 3×3×3×8 and 8×24 weights with two numbers a channel to normalise, 24 weights and a bias.
    assert complexity['parameters'] == (216 + 16) + (192 + 48) + (24 + 1)
    assert complexity['inference_macs'] == 16 * 16 * (216 + 192 + 24)
    assert 'toy at 32x32' in format_complexity(complexity)
    folders = Folders(images=photos / 'image', alphas=photos / 'alpha')
    options = EvaluationOptions(metrics=('mad',), regions=('whole',))
    report, about = evaluate_folders(folders, options, network=str(trained / 'last'))
    assert 0 < report.means['mad'] < 1
    assert about['network']['name'] == 'toy'
    errors = compare_temperatures(checkpoint, folders.open(), (0.5, 1.0))
    assert errors[1.0]['mad'] == pytest.approx(report.means['mad'])
    assert errors[0.5]['mad'] != errors[1.0]['mad']


def test_its_logit_is_divided(trained):
    checkpoint = load_checkpoint(trained / 'last')
    images = np.random.default_rng(0).uniform(0, 255, (1, 32, 32, 3)).astype(np.float32)
    before, after = (
        np.asarray(network.apply(images)['alpha'], float)
        for network in (checkpoint, with_temperature(checkpoint, 0.5))
    )
    unsure = np.abs(before - 0.5) < 0.49  # float32 is exact enough there
    assert unsure.mean() > 0.02
    logits = [np.log(alpha / (1 - alpha))[unsure] for alpha in (before, after)]
    np.testing.assert_allclose(logits[1], 2 * logits[0], atol=1e-3)
