"""MODNet's published variable names, and the widths that shapes or a pruner's JSON imply."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mattingjax.config.schema import read_json
from mattingjax.errors import MattingError, WeightsError
from mattingjax.importers.matching import Shape, Source
from mattingjax.networks import MODNetConfig
from mattingjax.networks.mobilenet_v2 import (
    ENC2X,
    ENC4X,
    STRIDES,
    InvertedResidualConfig,
    MobileNetV2Config,
)

_OIHW = (2, 3, 1, 0)  # from PyTorch's kernels [out, in, h, w]
_LEAVES = {'kernel': 'weight', 'scale': 'weight', 'mean': 'running_mean', 'var': 'running_var'}
_MAX_WRAPPERS = 8  # prefixes of wrappers around wrappers
_BRANCHES = ('backbone.', 'lr_branch.', 'hr_branch.', 'f_branch.')
# The heads that only training needs, which inference exports leave out.
TRAINING_HEADS = ('lr_branch.conv_lr.', 'hr_branch.conv_hr.')


def canonical_names(names: Iterable[str]) -> dict[str, str]:
    """Maps the names in a file to the published names, without the parts that wrappers add.

    Prefixes that all names have, such as `module.` of data parallelism and `model.` or `net.` of
    training frameworks, are removed if more names begin as published without them. `module.` is
    also removed from single names, and `_orig_mod.` of compilation and `.cbr.` of the pruner are
    removed everywhere.

    Args:
      names: The names in the file.

    Returns:
      Name in the file → published name.
    """
    plain = {name: name.replace('_orig_mod.', '').replace('.cbr.', '.') for name in names}
    first = min(plain.values(), default='').split('.')
    last = max(plain.values(), default='').split('.')
    prefixes = ['']
    common = zip(first[:-1], last[:-1], strict=False)
    for part, other in itertools.islice(common, _MAX_WRAPPERS):
        if part != other:
            break
        prefixes.append(f'{prefixes[-1]}{part}.')

    def count_published(prefix: str) -> int:
        return sum(name.startswith(_BRANCHES, len(prefix)) for name in plain.values())

    prefix = max(prefixes, key=count_published)
    return {
        name: published[len(prefix) :].removeprefix('module.') for name, published in plain.items()
    }


def find_torch_source(config: MODNetConfig, path: str) -> Source:
    """Returns the source, in a PyTorch checkpoint, of the variable at 'params/backbone/…/kernel'.

    Args:
      config: The architecture.
      path: The path of the variable.
    """
    _, branch, *modules, leaf = path.split('/')
    name = _LEAVES.get(leaf, leaf)
    if branch == 'backbone':
        return Source(
            f'backbone.model.{_backbone_module(config.backbone, modules)}.{name}',
            _OIHW if leaf == 'kernel' else None,
        )
    layer = re.sub(r'_(\d)$', r'.\1', modules[0])
    if modules[0] == 'se_block':
        fc = modules[1].replace('_', '.')
        return Source(f'{branch}.se_block.{fc}.weight', (1, 0), pixel=True)
    part = 'layers.1.bnorm' if modules[1:] == ['bn'] else 'layers.0'
    return Source(f'{branch}.{layer}.{part}.{name}', _OIHW if leaf == 'kernel' else None)


def _backbone_module(config: MobileNetV2Config, modules: list[str]) -> str:
    index = int(modules[0].removeprefix('features_'))
    position = 0
    inside = ''
    if len(modules) == 3:
        # PyTorch numbers the layers in a block: convolution, BatchNorm, ReLU6, convolution, ...
        units = ['expand', 'depthwise', 'project']
        if not config.blocks[index - 1].expand:
            units.remove('expand')
        position, inside = 3 * units.index(modules[1]), 'conv.'
    return f'features.{index}.{inside}{position + (modules[-1] == "bn")}'


def modnet_config_from_shapes(shapes: Mapping[str, Shape]) -> MODNetConfig | None:
    """Returns the widths that the tensors' shapes imply, or None if a tensor is missing.

    Shapes do not tell which blocks have a shortcut. The original adds one wherever the stride is 1
    and the block's input and output have the same width, so its files mean that.

    Args:
      shapes: Published name → shape of each tensor.
    """

    def width(name: str) -> int:
        return shapes[name + '.weight'][0]

    try:
        backbone = 'backbone.model.features'
        stem = inputs = width(f'{backbone}.0.0')
        blocks = []
        for i, stride in enumerate(STRIDES, start=1):
            expand = f'{backbone}.{i}.conv.6.weight' in shapes
            features = width(f'{backbone}.{i}.conv.{6 if expand else 3}')
            hidden = width(f'{backbone}.{i}.conv.0')
            shortcut = stride == 1 and features == inputs
            blocks.append(InvertedResidualConfig(hidden, features, expand, shortcut))
            inputs = features
        high = 'hr_branch'
        return MODNetConfig(
            backbone=MobileNetV2Config(stem, tuple(blocks), width(f'{backbone}.18.0')),
            se_hidden=width('lr_branch.se_block.fc.0'),
            conv_lr16x=width('lr_branch.conv_lr16x.layers.0'),
            conv_lr8x=width('lr_branch.conv_lr8x.layers.0'),
            tohr_enc2x=width(f'{high}.tohr_enc2x.layers.0'),
            conv_enc2x=width(f'{high}.conv_enc2x.layers.0'),
            tohr_enc4x=width(f'{high}.tohr_enc4x.layers.0'),
            conv_enc4x=width(f'{high}.conv_enc4x.layers.0'),
            conv_hr4x=tuple(width(f'{high}.conv_hr4x.{i}.layers.0') for i in range(3)),  # type: ignore[arg-type]
            conv_hr2x=tuple(width(f'{high}.conv_hr2x.{i}.layers.0') for i in range(4)),  # type: ignore[arg-type]
            # If an export lacks the detail head, the head gets the width of its input.
            conv_hr=width(
                f'{high}.conv_hr.0.layers.0'
                if f'{high}.conv_hr.0.layers.0.weight' in shapes
                else f'{high}.conv_hr2x.3.layers.0'
            ),
            conv_lr4x=width('f_branch.conv_lr4x.layers.0'),
            conv_f2x=width('f_branch.conv_f2x.layers.0'),
            conv_f=width('f_branch.conv_f.0.layers.0'),
        )
    except (KeyError, IndexError, MattingError):
        return None


def read_prune_info(path: Path | str) -> MODNetConfig:
    """Reads the architecture that a pruner's JSON describes.

    Args:
      path: A file with `ratio`, `threshold`, `new_cfg` (19 widths), `new_expansion_cfg` (17),
        `new_lr_channels`, `new_hr_channels` and `new_f_channels`, as MODNet-ModelCompression
        writes it.

    Raises:
      WeightsError: The file is not such a JSON; the message names the field.
    """
    path = Path(path)
    try:
        info = read_json(path)
        if not isinstance(info, dict):
            raise WeightsError(f'expected a JSON object, got {info!r:.80}')
        return config_from_prune_info(info)
    except MattingError as error:
        raise WeightsError(f'{path}: {error}') from error


def config_from_prune_info(info: dict[str, Any]) -> MODNetConfig:
    """Makes the architecture that a pruner's JSON describes.

    Args:
      info: The content of the JSON.

    Raises:
      WeightsError: A field is missing, invalid or contradicts another; the message names it.
    """
    widths = _integers(info, 'new_cfg', len(STRIDES) + 2)
    expansions = _integers(info, 'new_expansion_cfg', len(STRIDES))
    lr8x, lr16x = _integers(info, 'new_lr_channels', 2)
    enc2x, enc4x = _integers(info, 'new_hr_channels', 2)
    (fusion_input,) = _integers(info, 'new_f_channels', 1)
    ratio = info.get('ratio')
    if isinstance(ratio, bool) or not isinstance(ratio, int | float) or not 0 <= ratio < 1:
        raise WeightsError(f'ratio: expected a number in [0, 1), got {ratio!r}')
    for field, found, expected in (
        ('new_hr_channels', [enc2x, enc4x], [widths[ENC2X], widths[ENC4X]]),
        ('new_f_channels', [fusion_input], [lr8x]),
    ):
        if found != expected:
            raise WeightsError(f'{field}: expected {expected} as the other fields say, got {found}')
    blocks = []
    for stride, expansion, inputs, features in zip(
        STRIDES, expansions, widths, widths[1:], strict=False
    ):
        # The original decides on shortcuts by the new widths.
        shortcut = stride == 1 and inputs == features
        blocks.append(
            InvertedResidualConfig(inputs * expansion, features, expansion != 1, shortcut)
        )
    hr = int(32 * (1 - ratio))
    return MODNetConfig(
        backbone=MobileNetV2Config(widths[0], tuple(blocks), widths[-1]),
        se_hidden=widths[-1] // 4,
        conv_lr16x=lr16x,
        conv_lr8x=lr8x,
        tohr_enc2x=hr,
        conv_enc2x=hr,
        tohr_enc4x=hr,
        conv_enc4x=2 * hr,
        conv_hr4x=(2 * hr, 2 * hr, hr),
        conv_hr2x=(2 * hr, hr, hr, hr),
        conv_hr=hr,
        conv_lr4x=hr,
        conv_f2x=hr,
        conv_f=hr // 2,
    )


def _integers(info: dict[str, Any], field: str, count: int) -> list[int]:
    values = info.get(field)
    if (
        not isinstance(values, list)
        or len(values) != count
        or not all(isinstance(value, int) and value >= 1 for value in values)
    ):
        raise WeightsError(f'{field}: expected {count} positive integers, got {values!r:.80}')
    return values
