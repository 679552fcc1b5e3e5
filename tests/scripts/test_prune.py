import dataclasses

import numpy as np
import pytest
from PIL import Image

from mattingjax.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from mattingjax.config.pruning import PruneOptions
from mattingjax.importers.modnet_names import read_prune_info
from mattingjax.networks import create_model_config, init_variables
from tests import forked
from tests.conftest import ROOT, assert_one_line_error

CONFIG = ROOT / 'configs' / 'prune_mmnet.py'


@pytest.fixture
def prune(run_script, mmnet_path):
    return lambda *arguments: run_script('prune', '--checkpoint', mmnet_path, *arguments)


def test_plans_first_and_writes_then(prune, run_script, tmp_path):
    output = tmp_path / 'r[0.3] *'  # brackets and stars are no patterns here
    arguments = ('--output', output, '--target_macs=0.5x', '--round_to=2', '--min_channels=2')
    plan = prune(*arguments, '--dry_run')
    assert plan.returncode == 0, plan.stderr.decode()
    assert b'encoder.0.expanded.0' in plan.stdout
    assert not output.exists()

    process = prune(*arguments)
    assert process.returncode == 0, process.stderr.decode()
    assert process.stdout.startswith(plan.stdout)
    assert sorted(path.name for path in output.iterdir()) == [
        'SHA256SUMS',
        'config.json',
        'variables',
        'widths.png',
    ]
    pruned = load_checkpoint(output).config.provenance['pruned']
    assert pruned['after']['macs'] <= 0.5 * pruned['before']['macs']
    assert pruned['options']['target_macs'] == '0.5x'
    assert len(pruned['sha256']) == 64

    again = prune(*arguments)
    assert_one_line_error(again, 'r[0.3] *: a checkpoint lies there already')


def test_a_file_of_settings_and_flags_over_it(prune):
    process = prune(
        '--config', ROOT / 'configs' / 'prune_modnet.py', '--config.ratio=0.25', '--round_to=1',
        '--min_channels=1', '--ignore=encoder.*', '--group_ratios=final=0.5', '--dry_run',
    )  # fmt: skip
    assert process.returncode == 0, process.stderr.decode()
    rows = {line.split()[0]: line.split()[1:3] for line in process.stdout.decode().splitlines()}
    assert rows['init'] == ['8', '6']
    assert rows['encoder.0.features'] == ['8', '8']
    assert rows['final'] == ['8', '4']


def test_photos_tell_what_matters_and_recalibrate(
    run_script, modnet, modnet_path, tmp_path, monkeypatch
):
    monkeypatch.setenv('JAX_DISABLE_MOST_OPTIMIZATIONS', 'true')  # compiles in less time
    rng = np.random.default_rng(0)
    for folder, shape in (('images', (40, 30, 3)), ('alphas', (40, 30))):
        (tmp_path / folder).mkdir()
        for i in range(3):
            picture = Image.fromarray(rng.integers(0, 256, shape, np.uint8))
            picture.save(tmp_path / folder / f'{i}.png')
    images, output = tmp_path / 'images', tmp_path / 'pruned'
    process = run_script(
        'prune', '--checkpoint', modnet_path, '--output', output, '--ratio=0.5', '--round_to=2',
        '--min_channels=2', '--method=taylor', '--images', images, '--alphas', tmp_path / 'alphas',
        '--recalibrate', images, '--photos=2',
    )  # fmt: skip
    assert process.returncode == 0, process.stderr.decode()
    loaded = load_checkpoint(output)
    pruned = loaded.config.provenance['pruned']
    assert (pruned['recalibrated_on'], pruned['options']['method']) == (2, 'taylor')
    before, after = (
        checkpoint.variables['batch_stats']['backbone']['features_0']['bn']['mean']
        for checkpoint in (modnet, loaded)
    )
    assert not np.isin(after, before).any()


def test_the_reference_rule_writes_its_decision(run_script, modnet_path, tmp_path):
    config = create_model_config('modnet', input_size=64)
    dense, output = tmp_path / 'dense', tmp_path / 'pruned'
    save_checkpoint(dense, Checkpoint(config, init_variables(config, 0)))
    process = run_script(
        'prune', '--checkpoint', dense, '--output', output, '--ratio=0.5', '--threshold=0.5'
    )
    assert process.returncode == 0, process.stderr.decode()
    pruned, info = load_checkpoint(output), output / 'prune_info.json'
    assert read_prune_info(info) == pruned.config.architecture
    parameters = pruned.config.provenance['pruned']['after']['parameters']
    assert f'{output}: {parameters:,} parameters, written' in process.stdout.decode()
    other = run_script('prune', '--checkpoint', modnet_path, '--prune_info', info, '--dry_run')
    assert_one_line_error(other, 'channels wanted', 'the prune_info is of another network')


@pytest.mark.parametrize(
    ('arguments', 'parts'),
    [
        (['--output=o'], ['how much to prune']),
        (['--ratio=0.5'], ['--output: a folder for the pruned checkpoint is needed']),
        (['--ratio=0.5', '--threshold=2', '--dry_run'], ['threshold: expected 0 to 1, got 2.0']),
        (['--ratio=0.5', '--threshold=1', '--selection=global'], ['--threshold: only with']),
        (['--ratio=0.5', '--group_ratios=a', '--dry_run'], ['group_ratios: expected NAME=RATIO']),
        (
            ['--ratio=0.5', '--method=taylor', '--dry_run'],
            ['--images, --alphas: expected both for --method=taylor'],
        ),
        (['--ratio=0.5', '--images=nowhere', '--dry_run'], ['only with --method=taylor']),
        (['--ratio=0.5', '--ignore=stem', '--dry_run'], ['--ignore: no channel group is named']),
        (['--ratio=0.5', '--output=/dev/null/o', '--recalibrate=nowhere'], ['/dev/null']),
        (['--prune_info=README.md', '--dry_run'], ['README.md', 'not a JSON file']),
        (['--config=nowhere.py'], ['nowhere.py', 'not a file; there are ']),
        ([f'--config={CONFIG}:bad'], ['prune_mmnet.py', 'get_config']),
        ([f'--config={CONFIG}', '--config.ratoi=1'], ['--config', 'ratoi', 'ratio']),
        ([f'--config={CONFIG}', '--config.round_to=x'], ['--config.round_to: expected a whole']),
    ],
)
def test_bad_input_is_one_line(prune, arguments, parts):
    process = prune(*arguments)
    assert_one_line_error(process, *parts)
    assert b'Traceback' not in process.stderr


def test_a_path_that_looks_like_a_setting_stays_a_path(run_script, tmp_path):
    (tmp_path / 'config.old').mkdir()
    (tmp_path / 'config.old' / 'config.json').write_text('{')
    process = forked.run_script(
        ROOT / 'scripts' / 'prune.py',
        *('--checkpoint=config.old', '--ratio=0.5', '--dry_run'),
        cwd=tmp_path,
    )
    assert_one_line_error(process, 'error: config.old/config.json: not a JSON file')


def test_help_tells_every_default(run_script):
    told = run_script('prune', '--help').stdout.decode()
    for field in dataclasses.fields(PruneOptions):
        if field.default not in (None, (), dataclasses.MISSING) and field.default is not False:
            assert f'Default: {field.default}.' in ' '.join(told.split())
