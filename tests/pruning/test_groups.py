import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

from mattingjax.networks import MMNetConfig, create_model_config, variable_shapes
from mattingjax.pruning import channel_groups, fixed_convolutions, with_widths
from mattingjax.pruning.surgery import slice_tree
from tests.conftest import LIBRARY_NETWORKS, narrow_modnet
from tests.pruning.conftest import choose

CONFIGS = {
    'modnet': create_model_config('modnet'),
    'narrow modnet': create_model_config('modnet', narrow_modnet(), input_size=64),
    'mmnet': create_model_config('mmnet'),
    'deeplab': create_model_config('deeplab'),
    'deeplab_aspp': create_model_config('deeplab_aspp'),
    'narrow mmnet': create_model_config('mmnet', MMNetConfig.from_multiplier(0.25)),
}


@pytest.fixture(params=CONFIGS.values(), ids=CONFIGS.keys())
def config(request):
    return request.param


def test_every_axis_of_channels_is_accounted_for(config):
    shapes = {k: v.shape for k, v in flatten_dict(variable_shapes(config), sep='/').items()}
    covered = {path: [np.zeros(size, int) for size in shape] for path, shape in shapes.items()}
    for group in channel_groups(config):
        for part in group.slices:
            covered[part.path][part.axis][part.offset : part.offset + part.count] += 1
    fixed = fixed_convolutions(config)
    for path, shape in shapes.items():
        name = path.removeprefix('params/').rsplit('/', 1)[0]
        *_, reads, writes = [None, *covered[path]] if len(shape) == 1 else covered[path]
        # Each output channel, and each number per channel, belongs to exactly one group.
        assert np.all(writes == (0 if name in fixed else 1)), path
        if path.endswith('/kernel'):
            # A depthwise kernel reads by its output axis; else all is read but a photo's colours.
            assert np.all(reads <= 1)
            missing = np.count_nonzero(reads == 0)
            assert missing in (0, 3) or shape[2] == 1, path


def test_photos_enter_where_they_are_concatenated():
    shapes = {
        k: v.shape for k, v in flatten_dict(variable_shapes(CONFIGS['modnet']), sep='/').items()
    }
    unread = {
        path: set(range(shape[2])) for path, shape in shapes.items() if path.endswith('/kernel')
    }
    for group in channel_groups(CONFIGS['modnet']):
        for part in group.having('input'):
            unread[part.path] -= set(range(part.offset, part.offset + part.count))
    branch = 'params/hr_branch'
    assert unread[f'{branch}/conv_enc2x/conv/kernel'] == {0, 1, 2}  # photo, tohr_enc2x
    assert unread[f'{branch}/conv_hr4x_0/conv/kernel'] == {96, 97, 98}  # conv_enc4x, lr8x, photo
    assert unread[f'{branch}/conv_hr_0/conv/kernel'] == {32, 33, 34}
    assert unread['params/f_branch/conv_f_0/conv/kernel'] == {32, 33, 34}
    assert unread['params/f_branch/conv_f2x/conv/kernel'] == set()


def test_groups_of_the_published_modnet():
    groups = {group.name: group for group in channel_groups(CONFIGS['modnet'])}
    assert groups['backbone.stem'].fields == ('backbone.stem', 'backbone.blocks.0.hidden')
    # A stage's blocks are tied by their shortcuts; the taps of other branches read them.
    stage = groups['backbone.blocks.1.features']
    assert stage.fields == ('backbone.blocks.1.features', 'backbone.blocks.2.features')
    assert 'params/hr_branch/tohr_enc4x/conv/kernel' in {p.path for p in stage.having('input')}
    assert groups['conv_lr8x'].is_halved
    readers = {part.path.split('/')[2] for part in groups['conv_lr8x'].having('input')}
    assert readers == {'conv_lr', 'conv_hr4x_0', 'conv_lr4x'}
    gates = {part.path for part in groups['backbone.last'].having('companion')}
    assert 'params/lr_branch/se_block/fc_2/kernel' in gates
    assert fixed_convolutions(CONFIGS['modnet']) == (
        'lr_branch/conv_lr',
        'hr_branch/conv_hr_1',
        'f_branch/conv_f_1',
    )


def test_groups_hold_every_width_of_the_config():
    for config in CONFIGS.values():
        fields = [field for group in channel_groups(config) for field in group.fields]
        assert len(set(fields)) == len(fields)
        numbers = flatten_dict(config.architecture.to_dict(), sep='.')
        assert len(fields) == sum(_count_widths(value) for value in numbers.values())


def _count_widths(value):
    if isinstance(value, list):
        return sum(map(_count_widths, value))
    if isinstance(value, dict):
        return sum(map(_count_widths, value.values()))
    return isinstance(value, int) and not isinstance(value, bool)


@pytest.mark.parametrize('network', LIBRARY_NETWORKS)
def test_groups_are_closed(network):
    """What goes from a group goes wherever its config and its variables need it, nowhere else.

    Of each group, by its number in base 8, one to eight channels go: first by one digit, then by
    the other. Any two groups differ in one of them, so that none can stand in for another.
    """
    config = CONFIGS[network]
    rng = np.random.default_rng(0)
    groups = channel_groups(config)
    assert len(groups) <= 64
    for divisor in (1, 8):
        gone = [1 + number // divisor % 8 for number in range(len(groups))]
        keep = {g.name: choose(g, g.width - n, rng) for g, n in zip(groups, gone, strict=True)}
        _check_closed(config, keep)


def _check_closed(config, keep):
    zeros = {
        path: np.zeros(leaf.shape, np.float32)
        for path, leaf in flatten_dict(variable_shapes(config), sep='/').items()
    }
    new_config = with_widths(config, {name: len(indices) for name, indices in keep.items()})
    cut = flatten_dict(slice_tree(config, unflatten_dict(zeros, sep='/'), keep), sep='/')
    expected = flatten_dict(variable_shapes(new_config), sep='/')
    assert {k: v.shape for k, v in cut.items()} == {k: v.shape for k, v in expected.items()}


def test_groups_are_printable():
    text = str(channel_groups(CONFIGS['modnet'])[0])
    assert text.startswith('backbone.stem, backbone.blocks.0.hidden: 32 channels\n')
    assert 'params/backbone/features_1/project/conv/kernel, axis 2, 0 to 31' in text
