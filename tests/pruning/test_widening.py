import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from mattingjax.errors import MattingError
from mattingjax.pruning import channel_groups, prune, widen
from mattingjax.pruning.widening import parse_widths
from tests.pruning.conftest import photos, run


@pytest.fixture(params=['toy', 'modnet', 'mmnet', 'deeplab'])
def checkpoint(request):
    return request.getfixturevalue(request.param)


def test_every_group_may_grow_and_nothing_else_changes(checkpoint):
    config, variables = checkpoint.config, checkpoint.variables
    widths = {group.name: group.width + 1 + i % 4 for i, group in enumerate(channel_groups(config))}
    wide_config, wide, keep = widen(config, variables, widths, seed=1)
    assert {group.name: group.width for group in channel_groups(wide_config)} == widths
    images = photos()
    outputs, expected = run(wide_config, wide, images), run(config, variables, images)
    assert outputs.keys() == expected.keys()
    for name, value in outputs.items():
        np.testing.assert_allclose(value, expected[name], atol=1e-4, err_msg=name)

    back_config, back, _ = prune(wide_config, wide, keep)
    assert back_config == config
    flat, old = (flatten_dict(tree, sep='/') for tree in (back, variables))
    for path, value in old.items():
        np.testing.assert_array_equal(flat[path], value, err_msg=path)


def test_new_channels_are_computed_and_can_be_learned(toy):
    (group, *_) = channel_groups(toy.config)
    width = group.width + 4
    _, wide, keep = widen(toy.config, toy.variables, {group.name: width}, seed=2)
    new = np.setdiff1d(np.arange(width), keep[group.name])
    flat = flatten_dict(wide, sep='/')
    for part in group.having('output'):
        assert (flat[part.path][..., new] != 0).all()
    for part in group.having('input'):
        assert (flat[part.path][:, :, part.offset + new] == 0).all()
    again = flatten_dict(widen(toy.config, toy.variables, {group.name: width}, seed=2)[1], sep='/')
    for path, value in flat.items():
        np.testing.assert_array_equal(again[path], value)


def test_new_channels_read_each_other(toy):
    first, second, *_ = channel_groups(toy.config)
    widths = {first.name: first.width + 4, second.name: second.width + 4}
    wide_config, wide, keep = widen(toy.config, toy.variables, widths)
    new = {name: np.setdiff1d(np.arange(width), keep[name]) for name, width in widths.items()}
    flat = flatten_dict(wide, sep='/')
    wide_groups = {group.name: group for group in channel_groups(wide_config)}
    computed = {part.path for part in wide_groups[second.name].having('output')}
    read = [part for part in wide_groups[first.name].having('input') if part.path in computed]
    assert read
    for part in read:
        kernel = flat[part.path][:, :, part.offset + new[first.name]]
        assert (kernel[..., new[second.name]] != 0).all()
        assert (kernel[..., keep[second.name]] == 0).all()


def test_impossible_widths_are_named(toy):
    (group, *_) = channel_groups(toy.config)
    with pytest.raises(MattingError, match='nobody: no channel group of toy'):
        widen(toy.config, toy.variables, {'nobody': 8})
    with pytest.raises(MattingError, match=f'widths: {group.name}: expected at least its'):
        widen(toy.config, toy.variables, {group.name: group.width - 1})
    long = 'stem=' + '9' * 5000
    for entries in (['stem'], ['stem='], ['stem=8.5'], ['stem=-8'], ['stem=8', 'stem=9'], [long]):
        with pytest.raises(MattingError, match='widths: expected GROUP=WIDTH, each group once'):
            parse_widths(entries)
    assert parse_widths(['stem=8', 'a.b=12']) == {'stem': 8, 'a.b': 12}
