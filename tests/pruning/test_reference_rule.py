import json

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

from mattingjax import import_weights
from mattingjax.checkpoints import Checkpoint
from mattingjax.errors import MattingError
from mattingjax.importers.modnet_names import read_prune_info
from mattingjax.networks import (
    MMNetConfig,
    create_model_config,
    init_variables,
    variable_shapes,
)
from mattingjax.networks.complexity import measure_complexity
from mattingjax.pruning import PruneOptions, plan_pruning, prune, prune_checkpoint, reference_rule
from mattingjax.pruning.reference_rule import architecture_of, count_kept, decide, round_to_8

PUBLISHED = create_model_config('modnet')


@pytest.fixture(scope='module')
def dense(shared):
    return import_weights(shared / 'reference' / 'modnet_torch' / 'our_modnet.ckpt')


@pytest.fixture(scope='module')
def decisions(shared):
    path = shared / 'reference' / 'modnet_torch' / 'our_modnet_pruned_configs.json'
    return json.loads(path.read_text())


@pytest.fixture(scope='module')
def random_variables():
    return init_variables(PUBLISHED, 0)


def _count_parameters(info):
    config = create_model_config('modnet', architecture_of(info))
    return sum(leaf.size for leaf in jax.tree.leaves(variable_shapes(config)['params']))


@pytest.mark.parametrize('index', range(4))
def test_decides_as_the_original(dense, decisions, index, tmp_path):
    expected = dict(decisions[index])
    parameters = expected.pop('num_parameters')
    ratio, threshold = expected['ratio'], expected['threshold']
    info, notes = decide(dense.config, dense.variables, ratio, threshold)
    assert info == expected
    assert notes == []
    assert _count_parameters(info) == parameters
    # The JSON that is written is read as the same network.
    (tmp_path / 'prune_info.json').write_text(reference_rule.format_prune_info(info))
    assert read_prune_info(tmp_path / 'prune_info.json') == architecture_of(info)
    assert reference_rule.read_prune_info(tmp_path / 'prune_info.json') == info


def test_the_checkpoint_is_the_network_of_the_json(dense, decisions):
    plan = plan_pruning(
        dense.config, dense.variables, PruneOptions('reference', ratio=0.5, threshold=0.5)
    )
    pruned = prune_checkpoint(dense, plan)
    assert pruned.config.architecture == architecture_of(plan.prune_info)
    assert plan.report.after.parameters == decisions[0]['num_parameters']
    shapes = flatten_dict(variable_shapes(pruned.config), sep='/')
    found = flatten_dict(pruned.variables, sep='/')
    assert {k: v.shape for k, v in found.items()} == {k: v.shape for k, v in shapes.items()}
    assert any('the shortcut goes' in note for note in plan.notes)
    assert pruned.config.provenance['pruned']['notes'] == list(plan.notes)


def test_shortcuts_can_be_kept(dense):
    options = PruneOptions('reference', ratio=0.5, threshold=0.5, keep_shortcuts=True)
    plan = plan_pruning(dense.config, dense.variables, options)
    pruned = prune_checkpoint(dense, plan)
    assert plan.prune_info is None  # the original's form cannot say this
    before, after = (
        [block.shortcut for block in config.architecture.backbone.blocks]
        for config in (dense.config, pruned.config)
    )
    assert before == after
    info, _ = decide(dense.config, dense.variables, 0.5, 0.5)
    blocks = pruned.config.architecture.backbone.blocks
    assert blocks[2].features == max(info['new_cfg'][2:4])


def _published_decision(decisions):
    return {key: value for key, value in decisions[0].items() if key != 'num_parameters'}


def test_a_given_decision_is_carried_out(dense, decisions):
    """Widths from the JSON of another network's pruning, this network's most important channels."""
    info = {key: value for key, value in decisions[2].items() if key != 'num_parameters'}
    plan = plan_pruning(dense.config, dense.variables, PruneOptions('reference'), prune_info=info)
    assert plan.report.after.parameters == decisions[2]['num_parameters']
    assert plan.prune_info == info


def test_the_rule_on_the_published_weights(shared):
    dense = import_weights(shared / 'weights' / 'modnet_photographic.onnx')
    info, notes = decide(dense.config, dense.variables, 0.5, 0.2)
    assert notes == []
    assert _count_parameters(info) == 5_121_275


def test_a_ratio_that_leaves_too_little_is_lowered(random_variables):
    info, notes = decide(PUBLISHED, random_variables, 0.9, 0.5)
    assert info['ratio'] == 0.875
    assert architecture_of(info).conv_f == 2
    assert notes == [
        'f_branch/conv_f_0: ratio 0.9 leaves no two channels to halve, so 0.875 is taken'
    ]
    info, notes = decide(PUBLISHED, random_variables, 0.875, 0.5)
    assert (info['ratio'], notes) == (0.875, [])


def kernel_of_norms(norms):
    return np.asarray(norms, np.float32)[None, None, None, :]


@pytest.mark.parametrize(
    ('norms', 'threshold', 'expected'),
    [
        (np.linspace(0, 1, 31), 0.5, 16),  # 16 above, 17 by the rule, rounded
        (np.linspace(0, 1, 31)[::-1], 0.5, 16),
        (np.linspace(0, 1, 31), 1.0, 8),
        ([1.0] * 31 + [0.0], 0.5, 32),
        ([1.0] + [0.0] * 31, 0.5, 8),
        (np.linspace(0, 1, 11), 0.05, 11),  # rounded up to 16, but there are only 11
    ],
)
def test_count_kept(norms, threshold, expected):
    assert count_kept(kernel_of_norms(norms), threshold) == (expected, None)


@pytest.mark.parametrize(
    ('count', 'expected'), [(1, 8), (8, 8), (11, 16), (12, 16), (17, 16), (19, 24), (44, 48)]
)
def test_round_to_8(count, expected):
    assert round_to_8(count) == expected


def test_where_the_rule_breaks_down():
    equal, note = count_kept(np.full((3, 3, 4, 24), -0.3), 0.5)
    assert equal == 24
    assert note == 'all filters have the same norm, so all stay'
    none_below, note = count_kept(kernel_of_norms(np.linspace(0, 1, 24)), 0.0)
    assert none_below == 24
    assert note == 'no filter lies below the threshold, so all stay'


def test_breakdowns_of_a_network_are_told(random_variables):
    variables = dict(flatten_dict(random_variables, sep='/'))
    expand = 'params/backbone/features_2/expand/conv/kernel'
    depthwise = 'params/backbone/features_2/depthwise/conv/kernel'
    equal = 'params/backbone/features_1/project/conv/kernel'
    variables[equal] = np.ones_like(variables[equal])
    for path in (expand, depthwise):  # one filter stands out: eight stay, of sixteen inputs
        variables[path] = np.array(variables[path]) * 1e-3
        variables[path][..., 0] = 1
    info, notes = decide(PUBLISHED, unflatten_dict(variables, sep='/'), 0.5, 0.5)
    assert info['new_cfg'][1] == 16
    assert info['new_expansion_cfg'][1] == 2
    assert any(note.startswith('backbone/features_1/project: all filters') for note in notes)
    assert any(note.startswith('backbone/features_2: fewer hidden') for note in notes)
    architecture = architecture_of(info)
    assert architecture.backbone.blocks[1].hidden == 32
    _, notes = decide(PUBLISHED, random_variables, 0.5, 0.0)
    assert notes == [
        'backbone/features_0 and 51 more: no filter lies below the threshold, so all stay'
    ]


def test_expansions_of_one_and_chance_shortcuts_are_the_originals(random_variables):
    """Threshold 1 leaves 8 channels everywhere: no block expands, every possible shortcut is."""
    plan = plan_pruning(
        PUBLISHED, random_variables, PruneOptions('reference', ratio=0.5, threshold=1.0)
    )
    assert plan.prune_info['new_expansion_cfg'] == [1] * 17
    assert any('loses its expansion' in note for note in plan.notes)
    assert any('gets a shortcut' in note for note in plan.notes)
    pruned = prune_checkpoint(Checkpoint(PUBLISHED, random_variables), plan)
    shapes = flatten_dict(variable_shapes(pruned.config), sep='/')
    assert set(flatten_dict(pruned.variables, sep='/')) == set(shapes)
    assert plan.report.after.parameters == measure_complexity(pruned.config)['parameters']


def test_bad_input(random_variables, dense, decisions):
    for ratio, threshold, message in (
        (1.0, 0.5, 'ratio: expected 0 or more and below 1, got 1.0'),
        (-0.1, 0.5, 'ratio: expected 0 or more'),
        (0.5, 1.1, 'threshold: expected 0 to 1, got 1.1'),
        (0.5, -0.1, 'threshold: expected 0 to 1, got -0.1'),
    ):
        with pytest.raises(MattingError, match=message):
            decide(PUBLISHED, random_variables, ratio, threshold)
    info = {**_published_decision(decisions), 'ratio': 0.9}
    with pytest.raises(
        MattingError, match=r'ratio 0.9: MODNetConfig.conv_f: expected a width of 2'
    ):
        plan_pruning(PUBLISHED, random_variables, PruneOptions('reference'), prune_info=info)
    mmnet = create_model_config('mmnet', MMNetConfig.from_multiplier(0.25))
    with pytest.raises(MattingError, match='the reference rule is for modnet, this is mmnet'):
        decide(mmnet, {}, 0.5, 0.5)
    narrow, variables, _ = prune(dense.config, dense.variables, {'backbone.last': np.arange(100)})
    info = _published_decision(decisions)
    with pytest.raises(MattingError, match=r'backbone.last: 616 channels .* has 100; the prune'):
        plan_pruning(narrow, variables, PruneOptions('reference'), prune_info=info)
    keep = {'conv_hr4x.0': np.r_[:10, 40:50]}
    narrow, variables, _ = prune(dense.config, dense.variables, keep)
    message = r'conv_hr4x.0: 32 channels wanted.* has 20; the reference rule is for the published'
    with pytest.raises(MattingError, match=message):
        plan_pruning(narrow, variables, PruneOptions('reference', 0.5, 0.5))
    with pytest.raises(MattingError, match='prune_info: belongs to modnet, this is mmnet'):
        plan_pruning(mmnet, {}, PruneOptions('reference'), prune_info=info)
