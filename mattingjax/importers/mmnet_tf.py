"""MMNet's names in TensorFlow 1 checkpoints, and the widths that shapes imply."""

from __future__ import annotations

from collections.abc import Mapping

from mattingjax.errors import MattingError
from mattingjax.importers.matching import Shape, Source
from mattingjax.importers.tf_checkpoint import find_slim_source
from mattingjax.networks import MMNetConfig
from mattingjax.networks.mmnet.module import RATES, REFINEMENT_RATES, EncoderBlockConfig

_UNITS = {
    'pointwise': 'pointwise_conv',
    'stride': 'depthwise_conv_stride',
    'dilation': 'depthwise_conv_dilation',
    'depthwise': 'depthwise_conv',
}


def find_tensorflow_source(path: str) -> Source:
    """Returns the source, in the checkpoint, of the variable at 'params/enc_block0/…/kernel'."""
    _, block, *modules, leaf = path.split('/')
    depthwise = False
    if block in ('final_block', 'aux_block'):
        unit = 'pointwise_conv'
    elif block == 'init_block':
        unit = 'conv'
    elif modules[0] in ('conv', 'bn'):  # dec_block4 is one convolution
        unit = 'pointwise_conv'
    elif modules[0] == 'merge':
        unit = 'merge/pointwise_conv'
    elif modules[0] == 'pointwise':
        unit = 'pointwise_conv'
    else:
        group, kind = modules[0].rsplit('_', 1)
        unit = f'{group}/{_UNITS[kind]}'
        depthwise = kind != 'pointwise'
    part = modules[-1] if modules else ''
    return find_slim_source(f'MMNet/{block}/{unit}', part, leaf, depthwise=depthwise)


def mmnet_config_from_shapes(shapes: Mapping[str, Shape]) -> MMNetConfig | None:
    """Returns the widths that the tensors' shapes imply, or None if a tensor is missing.

    Args:
      shapes: Name → shape of each tensor.
    """

    def width(scope: str) -> int:
        return shapes[f'MMNet/{scope}/weights'][-1]

    def blocks(
        prefix: str, first: int, rates: tuple[tuple[int, ...], ...]
    ) -> tuple[EncoderBlockConfig, ...]:
        return tuple(
            EncoderBlockConfig(
                tuple(
                    width(f'{prefix}{i}/branch{branch}/pointwise_conv')
                    for branch in range(len(branches))
                ),
                width(f'{prefix}{i}/merge/pointwise_conv'),
            )
            for i, branches in enumerate(rates, start=first)
        )

    try:
        return MMNetConfig(
            init=width('init_block/conv'),
            encoder=blocks('enc_block', 0, RATES),
            compressed=(width('dec_block0/pointwise_conv'), width('dec_block1/pointwise_conv')),
            shortcut=(
                width('dec_block0/shortcut/pointwise_conv'),
                width('dec_block1/shortcut/pointwise_conv'),
            ),
            refinement=blocks('dec_block', 2, REFINEMENT_RATES),
            final=width('dec_block4/pointwise_conv'),
        )
    except (KeyError, IndexError, MattingError):
        return None
