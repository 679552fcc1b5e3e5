import dataclasses
import math

import pytest

from mattingjax.config import train_config
from mattingjax.errors import MAX_LINE, MattingError
from mattingjax.pruning import PruneOptions, merge_settings
from mattingjax.pruning.plan import parse_target


@pytest.mark.parametrize(
    ('text', 'value'),
    [('1.34M', 1.34e6), ('4.4G', 4.4e9), ('250k', 250e3), ('1000', 1000), ('0.5x', 50)],
)
def test_targets(text, value):
    assert parse_target('target', text, lambda: 100.0) == pytest.approx(value)


@pytest.mark.parametrize('text', ['', 'much', '-1M', '0', '1.3MM', 'nanM', 'infG', 'x'])
def test_impossible_targets(text):
    with pytest.raises(MattingError, match='target: expected a number over 0'):
        parse_target('target', text, lambda: 100.0)


def test_ratios_of_groups_are_texts_or_a_dictionary():
    expected = {'conv_hr4x.*': 0.25, 'final': 0.0}
    for ratios in (expected, ['conv_hr4x.*=0.25', 'final=0'], ('conv_hr4x.*=0.25', 'final=0')):
        settings = {'ratio': 0.5, 'group_ratios': ratios, 'ignore': ['init']}
        options = PruneOptions.from_settings(settings)
        assert options.group_ratios == expected
        assert options.ignore == ('init',)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({}, 'how much to prune: expected either a ratio or'),
        ({'ratio': 0.5, 'target_macs': '1G'}, 'how much to prune: expected either a ratio or'),
        ({'ratio': 1.0}, 'ratio: expected 0 or more and below 1, got 1.0'),
        ({'ratio': 0.5, 'min_channels': 2**62}, 'min_channels: expected 1 to 65536, got 4611'),
        (
            {'ratio': 0.5, 'round_to': 10**400},
            r'round_to: expected less than 2\*\*63 in size, got more',
        ),
        ({'ratio': 0.5, 'seed': -(10**5000)}, r'seed: expected less than 2\*\*63 in size'),
        ({'ratio': 0.5, 'seed': 2**63}, r'seed: expected less than 2\*\*63 in size'),
        ({'ratio': '0.5'}, "PruneOptions.ratio: expected float or NoneType, got '0.5'"),
        ({'ratio': 0.5, 'threshold': 0.5}, 'only with selection reference'),
        ({'selection': 'reference', 'threshold': 2.0}, 'threshold: expected 0 to 1, got 2.0'),
        ({'selection': 'best', 'ratio': 0.5}, "selection: expected one of .*, got 'best'"),
        ({'selection': 'reference', 'target_macs': '1G'}, 'the reference rule knows no targets'),
        ({'selection': 'reference', 'ignore': ('a',)}, 'the reference rule decides every group'),
        ({'ratio': 0.5, 'speed': 1}, 'speed: unknown setting; known: selection, ratio'),
        ({'ratio': 0.5, 'round_to': 0}, 'round_to: expected 1 to 65536, got 0'),
        (
            {'ratio': 0.5, 'seed': -1},
            r'PruneOptions.seed: expected 0 or more, below 2\*\*63, got -1',
        ),
        ({'ratio': 0.5, 'group_ratios': ('a', 'b=0')}, 'group_ratios: expected NAME=RATIO, got a'),
        ({'ratio': 0.5, 'group_ratios': 'a=b'}, 'group_ratios: expected NAME=RATIO, got a=b'),
        ({'ratio': 0.5, 'group_ratios': ['=0.5']}, 'group_ratios: expected NAME=RATIO, got =0.5'),
        ({'ratio': 0.5, 'group_ratios': {'a': 'b'}}, 'ratio of a: expected 0 or more and .* got b'),
        ({'ratio': 0.5, 'group_ratios': ['a=1']}, 'ratio of a: expected 0 or more and .* got 1.0'),
    ],
)
def test_impossible_options(settings, message):
    with pytest.raises(MattingError, match=message):
        PruneOptions.from_settings(settings)


@pytest.mark.parametrize('field', [field.name for field in dataclasses.fields(PruneOptions)])
def test_what_no_option_may_be(field):
    for value in (
        b'x', [1, 2, 3], ('a', 3), math.nan, math.inf, -1, 10**300, 10**5000, 'x' * 300, object()
    ):  # fmt: skip
        if (field, value) in [(name, 'x' * 300) for name in TEXTS]:
            continue
        with pytest.raises(MattingError, match=field) as caught:
            PruneOptions.from_settings({'ratio': 0.5, field: value})
        assert len(str(caught.value)) <= MAX_LINE


def test_settings_of_a_training_are_none_of_pruning():
    with pytest.raises(
        MattingError, match='expected settings of pruning, got those of mattingjax tr'
    ):
        PruneOptions.from_settings(train_config().to_dict())


TEXTS = ('target_params', 'target_macs', 'target_latency')
TARGETS = {'selection': 'uniform', 'target_params': '1M', 'target_macs': '1G', 'ignore': ('a',)}
RULE = {'selection': 'reference', 'ratio': 0.5, 'threshold': 0.2, 'keep_shortcuts': True}


@pytest.mark.parametrize(
    ('file', 'flags', 'expected'),
    [
        (TARGETS, {'round_to': 4}, TARGETS | {'round_to': 4}),
        (TARGETS, {'ratio': 0.5}, {'selection': 'uniform', 'ratio': 0.5, 'ignore': ('a',)}),
        (
            {'ratio': 0.5} | TARGETS,
            {'target_macs': '2G'},
            {'selection': 'uniform', 'target_macs': '2G', 'ignore': ('a',)},
        ),
        (
            {'ratio': 0.9, 'method': 'l2', 'group_ratios': ('b=1',)} | TARGETS,
            {'threshold': 0.5},
            {'selection': 'reference', 'threshold': 0.5, 'method': 'l2'},
        ),
        (RULE, {'threshold': 0.3}, RULE | {'threshold': 0.3}),
        (RULE, {'selection': 'global'}, {'selection': 'global', 'ratio': 0.5}),
        ({'threshold': 0.2}, {}, {'selection': 'reference', 'threshold': 0.2}),
    ],
)
def test_flags_win_over_a_file(file, flags, expected):
    assert merge_settings(file, flags) == expected


def test_a_change_of_the_file_wins_over_it():
    file = TARGETS | {'ratio': 0.3}
    expected = {'selection': 'uniform', 'ratio': 0.3, 'ignore': ('a',)}
    assert merge_settings(file, {}, changed=['ratio']) == expected
    assert merge_settings(file, {}, changed=['target_macs']) == TARGETS
    assert merge_settings(RULE, {}, has_info=True) == {
        'selection': 'reference',
        'keep_shortcuts': True,
    }


@pytest.mark.parametrize(
    ('flags', 'has_info', 'message'),
    [
        ({'selection': 'uniform', 'threshold': 0.5}, False, 'threshold: only with selection'),
        ({'selection': 'global'}, True, 'prune_info: only with selection=reference'),
        ({'ratio': 0.5}, True, 'ratio: not with a prune_info'),
        ({'threshold': 0.5}, True, 'threshold: not with a prune_info'),
        ({'target_macs': '1G'}, True, 'target_macs: not with a prune_info'),
    ],
)
def test_flags_that_contradict_each_other(flags, has_info, message):
    with pytest.raises(MattingError, match=message):
        merge_settings({}, flags, has_info=has_info)
