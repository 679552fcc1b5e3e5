import json

import pytest

from mattingjax.checkpoints import load_checkpoint
from tests.conftest import ROOT, assert_one_line_error

CONFIG = ROOT / 'configs' / 'prune_mmnet.py'


@pytest.fixture
def prune(run_script, mmnet_path):
    return lambda *arguments: run_script('prune', '--checkpoint', mmnet_path, *arguments)


def test_plans_first_and_writes_then(prune, run_script, tmp_path):
    output = tmp_path / 'pruned'
    arguments = ('--output', output, '--target_macs=0.5x', '--round_to=2', '--min_channels=2')
    plan = prune(*arguments, '--dry_run')
    assert plan.returncode == 0, plan.stderr.decode()
    assert b'encoder.0.expanded.0' in plan.stdout
    assert not output.exists()

    process = prune(*arguments)
    assert process.returncode == 0, process.stderr.decode()
    assert process.stdout.startswith(plan.stdout)
    assert sorted(path.name for path in output.iterdir()) == [
        'config.json',
        'variables',
        'widths.png',
    ]
    pruned = load_checkpoint(output).config.provenance['pruned']
    assert pruned['after']['macs'] <= 0.5 * pruned['before']['macs']
    assert pruned['options']['target_macs'] == '0.5x'
    assert len(pruned['sha256']) == 64

    again = prune(*arguments)
    assert_one_line_error(again, 'pruned: a checkpoint lies there already')


def test_a_file_of_settings_and_flags_over_it(prune):
    for name in ('prune_mmnet.py', 'prune_modnet.py'):
        process = prune(
            '--config', ROOT / 'configs' / name, '--ratio=0.25', '--round_to=1', '--min_channels=1',
            '--ignore=encoder.*', '--group_ratios=final=0.5', '--dry_run',
        )  # fmt: skip
        assert process.returncode == 0, process.stderr.decode()
        rows = {line.split()[0]: line.split()[1:3] for line in process.stdout.decode().splitlines()}
        assert rows['init'] == ['8', '6']
        assert rows['encoder.0.features'] == ['8', '8']
        assert rows['final'] == ['8', '4']


@pytest.mark.parametrize(
    ('arguments', 'parts'),
    [
        (['--output=o'], ['how much to prune']),
        (['--ratio=0.5'], ['--output: a folder for the pruned checkpoint is needed']),
        (['--ratio=1', '--dry_run'], ['ratio: expected 0 or more and below 1, got 1.0']),
        (['--ratio=0.5', '--threshold=2', '--dry_run'], ['the reference rule is for modnet']),
        (['--ratio=0.5', '--group_ratios=a', '--dry_run'], ['group_ratios: expected NAME=RATIO']),
        (['--ratio=0.5', '--method=taylor', '--dry_run'], ['needs --images and --alphas']),
        (['--ratio=0.5', '--ignore=stem', '--dry_run'], ['stem: no channel group']),
        (['--ratio=0.5', '--output=/dev/null/o', '--recalibrate=nowhere'], ['/dev/null']),
        (['--target_params=10', '--dry_run'], ['target_params: 10 is out of reach']),
        (['--config=nowhere.py'], ['nowhere.py', 'No such file']),
        ([f'--config={CONFIG}', '--config.ratoi=1'], ['--config', 'ratoi', 'ratio']),
        ([f'--config={CONFIG}', '--config.round_to=x'], ['--config.round_to=x', 'int']),
    ],
)
def test_bad_input_is_one_line(prune, arguments, parts):
    assert_one_line_error(prune(*arguments), *parts)


def test_a_json_of_another_network(prune, run_script, modnet_path, tmp_path):
    info = tmp_path / 'prune_info.json'
    info.write_text(json.dumps({'ratio': 0.5}))
    assert_one_line_error(prune('--prune_info', info, '--dry_run'), 'prune_info.json: new_cfg')
