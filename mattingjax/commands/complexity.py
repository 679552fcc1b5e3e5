"""Prints parameters and multiply-accumulates (MACs) of a network, layer by layer.

  mattingjax complexity --network modnet
  mattingjax complexity --network mmnet --width_multiplier 0.5 --height 128 --width 128
  mattingjax complexity --checkpoint CKPT --json > complexity.json

MACs are those of one image, of the network's input size unless --height and --width say another.
"""

import json

from absl import flags

_CHECKPOINT = flags.DEFINE_string('checkpoint', None, 'Checkpoint directory or shipped name.')
_NETWORK = flags.DEFINE_string(
    'network', None, 'A network with its published widths, such as modnet, mmnet or deeplab.'
)
_MULTIPLIER = flags.DEFINE_float(
    'width_multiplier',
    None,
    'Published of MMNet: 0.5, 0.75, 1.0, 1.4; of deeplab: 0.35, 0.5, 0.75, 1.0.',
)
_HEIGHT = flags.DEFINE_integer('height', None, "Pixels; the network's input size by default.")
_WIDTH = flags.DEFINE_integer('width', None, "Pixels; the network's input size by default.")
_JSON = flags.DEFINE_bool('json', False, 'Print JSON instead of a table.')


def main() -> None:
    from mattingjax.checkpoints import load_config
    from mattingjax.errors import MattingError
    from mattingjax.networks.complexity import (
        create_published_config,
        format_complexity,
        measure_complexity,
    )

    checkpoint, network = _CHECKPOINT.value, _NETWORK.value
    if network is not None and checkpoint is None:
        config = create_published_config(network, _MULTIPLIER.value)
    elif checkpoint is None or network is not None:
        raise MattingError('expected one of --checkpoint and --network')
    elif _MULTIPLIER.value is not None:
        raise MattingError('--width_multiplier: only with --network')
    else:
        config = load_config(checkpoint)
    complexity = measure_complexity(config, _HEIGHT.value, _WIDTH.value)
    print(json.dumps(complexity, indent=1) if _JSON.value else format_complexity(complexity))
