"""Prints parameters and multiply-accumulates (MACs) of a network, layer by layer.

  python scripts/complexity.py --network modnet
  python scripts/complexity.py --network mmnet --width_multiplier 0.5 --height 128 --width 128
  python scripts/complexity.py --checkpoint CKPT --json > complexity.json

MACs are those of one image, of the network's input size unless --height and --width say another.
"""

import json

from absl import flags

from mattingjax.process import command_line

_CHECKPOINT = flags.DEFINE_string('checkpoint', None, 'Checkpoint directory or shipped name.')
_NETWORK = flags.DEFINE_string(
    'network', None, 'A network with its published widths, such as modnet or mmnet.'
)
_MULTIPLIER = flags.DEFINE_float(
    'width_multiplier', None, 'Of MMNet; published: 0.5, 0.75, 1.0 (default), 1.4.'
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

    if (_CHECKPOINT.value is None) == (_NETWORK.value is None):
        raise MattingError('expected one of --checkpoint and --network')
    if _NETWORK.value is not None:
        config = create_published_config(_NETWORK.value, _MULTIPLIER.value)
    elif _MULTIPLIER.value is not None:
        raise MattingError('--width_multiplier: only with --network')
    else:
        config = load_config(_CHECKPOINT.value)
    complexity = measure_complexity(config, _HEIGHT.value, _WIDTH.value)
    print(json.dumps(complexity, indent=1) if _JSON.value else format_complexity(complexity))


if __name__ == '__main__':
    command_line.run(main)
