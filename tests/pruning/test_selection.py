import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mattingjax.errors import MattingError
from mattingjax.networks import create_model_config
from mattingjax.networks.channel_groups import ChannelGroup
from mattingjax.networks.complexity import measure_complexity
from mattingjax.pruning import (
    Budget,
    Limits,
    channel_groups,
    compute_importance,
    cost_model,
    keep_best,
    search_widths,
    select_global,
    select_uniform,
    with_widths,
)
from tests.conftest import LIBRARY_NETWORKS

MODNET = create_model_config('modnet')
GROUPS = channel_groups(MODNET)


def group(name, width, is_halved=False):
    return ChannelGroup(name, width, (name,), (), is_halved)


def test_uniform():
    widths = select_uniform(GROUPS, 0.5)
    assert all(widths[g.name] == g.width // 2 for g in GROUPS)
    assert select_uniform(GROUPS, 0) == {g.name: g.width for g in GROUPS}


@given(
    ratio=st.floats(0, 0.999),
    round_to=st.integers(1, 16),
    min_channels=st.integers(1, 40),
    max_ratio=st.floats(0, 1),
)
def test_limits_hold(ratio, round_to, min_channels, max_ratio):
    limits = Limits(round_to, min_channels, max_ratio)
    importance = {g.name: np.arange(g.width) / g.width for g in GROUPS}
    for widths in (
        select_uniform(GROUPS, ratio, limits),
        select_global(GROUPS, importance, ratio, limits),
    ):
        for g in GROUPS:
            width = widths[g.name]
            assert g.minimum <= width <= g.width
            assert width >= min(g.width, min_channels)
            assert width >= g.width * (1 - max_ratio) - 1e-6
            assert width % round_to == 0 or width == g.width


@pytest.mark.parametrize(
    ('width', 'ratio', 'limits', 'expected'),
    [
        (24, 0.5, Limits(round_to=8), 16),  # halves go up, whether even or odd
        (40, 0.5, Limits(round_to=8), 24),
        (120, 0.9, Limits(round_to=8), 16),  # 11.999999999999998 is 12
        (320, 0.9, Limits(round_to=8, max_ratio=0.7), 96),  # 96.00000000000001 is 96
        (100, 0.9, Limits(round_to=8, max_ratio=0.7), 32),  # 30, and the floor's multiple
        (20, 0.9, Limits(round_to=8, min_channels=20), 20),
        (10, 0.5, Limits(), 5),
    ],
)
def test_widths_are_rounded_exactly(width, ratio, limits, expected):
    assert select_uniform([group('a', width)], ratio, limits) == {'a': expected}


def test_ignored_groups_and_ratios_of_their_own():
    limits = Limits(
        ignored=('backbone.blocks.2.features', 'conv_hr*'), ratios={'backbone.*.hidden': 0.75}
    )
    importance = {g.name: np.linspace(0.01, 1, g.width) for g in GROUPS}
    for widths in (
        select_uniform(GROUPS, 0.5, limits),
        select_global(GROUPS, importance, 0.5, limits),
    ):
        # A group is known by any of its fields.
        assert widths['backbone.blocks.1.features'] == 24
        assert widths['conv_hr4x.0'] == 64
        assert widths['backbone.blocks.5.hidden'] == 48
        assert widths['backbone.last'] == 640
    with pytest.raises(MattingError, match="ignore: no channel group is named 'stem'"):
        select_uniform(GROUPS, 0.5, Limits(ignored=('stem',)))
    with pytest.raises(MattingError, match="group_ratios: no channel group is named 'stem'"):
        select_uniform(GROUPS, 0.5, Limits(ratios={'stem': 0.5}))


def test_global_takes_the_least_important_wherever_they_are():
    groups = [group('a', 4), group('b', 4)]
    importance = {'a': np.array([5.0, 6, 7, 8]), 'b': np.array([1.0, 9, 2, 3])}
    assert select_global(groups, importance, 0.5) == {'a': 3, 'b': 1}
    # What was removed last stays where the floor of another group stops it.
    assert select_global(groups, importance, 0.5, Limits(min_channels=2)) == {'a': 3, 'b': 2}


def test_keep_best():
    groups = [group('a', 5), group('b', 7, is_halved=True)]
    importance = {'a': np.array([1.0, 5, 2, 5, 3]), 'b': np.array([9.0, 1, 8, 7, 2, 6, 5])}
    keep = keep_best(groups, importance, {'a': 2, 'b': 5})
    np.testing.assert_array_equal(keep['a'], [1, 3])
    # Three channels are batch-normed; two of five stay so.
    np.testing.assert_array_equal(keep['b'], [0, 2, 3, 5, 6])
    keep = keep_best(groups, importance, {'a': 1})
    np.testing.assert_array_equal(keep['a'], [1])  # of equal ones the first
    np.testing.assert_array_equal(keep['b'], np.arange(7))


@given(width=st.integers(2, 40), data=st.data())
def test_halves_keep_their_places(width, data):
    kept = data.draw(st.integers(2, width))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    keep = keep_best([group('a', width, True)], {'a': rng.random(width)}, {'a': kept})['a']
    assert len(keep) == kept
    assert np.count_nonzero(keep < width // 2) == kept // 2


@pytest.mark.parametrize('rule', ['uniform', 'global'])
def test_search_meets_every_budget_closely(rule):
    cost = cost_model(MODNET)
    rng = np.random.default_rng(0)
    importance = {g.name: rng.random(g.width) for g in GROUPS}
    limits = Limits(round_to=8, min_channels=8)

    def select(ratio):
        if rule == 'uniform':
            return select_uniform(GROUPS, ratio, limits)
        return select_global(GROUPS, importance, ratio, limits)

    budgets = [
        Budget('params', 1.34e6, lambda widths: cost(widths).parameters),
        Budget('macs', 4.4e9, lambda widths: cost(widths).macs),
    ]
    ratio, widths = search_widths(select, budgets)
    assert cost(widths).parameters <= 1.34e6
    assert cost(widths).macs <= 4.4e9
    assert max(cost(widths).parameters / 1.34e6, cost(widths).macs / 4.4e9) > 0.9
    assert widths == select(ratio)


def test_search_leaves_alone_what_fits():
    ratio, widths = search_widths(
        lambda ratio: select_uniform(GROUPS, ratio), [Budget('params', 1e9, lambda widths: 1)]
    )
    assert ratio == 0
    assert widths == {g.name: g.width for g in GROUPS}


def test_search_says_what_is_out_of_reach():
    budget = Budget('target_params', 1000, lambda widths: sum(widths.values()) * 100)
    with pytest.raises(MattingError, match=r'target_params: 1000 is out of reach, .* is left'):
        search_widths(lambda ratio: select_uniform(GROUPS, ratio), [budget])


@pytest.mark.parametrize('network', LIBRARY_NETWORKS)
def test_costs_are_those_of_the_traced_network(network):
    config = create_model_config(network)
    widths = select_uniform(channel_groups(config), 0.37)
    cost = cost_model(config)(widths)
    expected = measure_complexity(with_widths(config, widths))
    assert cost.parameters == expected['parameters']
    assert cost.macs == expected['macs']
    assert cost.inference_macs == expected['inference_macs']
    assert cost.megabytes == expected['variables'] * 4 / 1e6


def test_mmnet_loses_half_of_its_macs():
    config = create_model_config('mmnet')
    cost = cost_model(config)
    budget = Budget('macs', 0.6 * cost({}).macs, lambda widths: cost(widths).macs)
    _, widths = search_widths(
        lambda ratio: select_uniform(channel_groups(config), ratio, Limits(4, 4)), [budget]
    )
    assert cost(widths).macs <= 0.6 * cost({}).macs


@pytest.mark.parametrize('ratio', [-0.1, 1.0, 1.5, float('nan')])
def test_ratios_outside_their_range(ratio):
    with pytest.raises(MattingError, match='ratio: expected 0 or more and below 1'):
        select_uniform(GROUPS, ratio)
    with pytest.raises(MattingError, match='ratio: expected 0 or more and below 1'):
        select_global(GROUPS, {}, ratio)
    with pytest.raises(MattingError, match=r'ratio of conv\*: expected 0 or more'):
        Limits(ratios={'conv*': ratio})


@pytest.mark.parametrize(
    ('limits', 'message'),
    [
        ({'round_to': 0}, 'round_to: expected 1 to 65536, got 0'),
        ({'min_channels': 0}, 'min_channels: expected 1 to 65536, got 0'),
        ({'max_ratio': 1.1}, 'max_ratio: expected 0 to 1, got 1.1'),
    ],
)
def test_impossible_limits(limits, message):
    with pytest.raises(MattingError, match=message):
        Limits(**limits)


def test_importance_and_widths_make_a_selection():
    from mattingjax.networks import init_variables

    importance = compute_importance(MODNET, init_variables(MODNET, 0))
    keep = keep_best(GROUPS, importance, select_uniform(GROUPS, 0.3))
    assert {name: len(indices) for name, indices in keep.items()} == select_uniform(GROUPS, 0.3)
