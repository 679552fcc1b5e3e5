"""Times exported networks against each other, in turn in one process.

  python scripts/benchmark.py --models modnet_photographic.onnx,export/model.xml --size 512x512
  python scripts/benchmark.py --models published.onnx,export/model.onnx --runtime onnxruntime

Compare the ratios of the medians to the first model's; milliseconds depend on the machine. A model
of free size is fixed to --size; ONNX Runtime gets a frozen graph as tf2onnx converts it.
"""

import functools

from absl import flags

from mattingjax.process import command_line

_MODELS = flags.DEFINE_list(
    'models', None, 'Artefacts (.xml, .onnx, .pb); the first is what the others are compared with.',
    required=True,
)  # fmt: skip
_RUNTIME = flags.DEFINE_enum('runtime', 'openvino', ['openvino', 'onnxruntime'], 'What runs them.')
_PRECISIONS = flags.DEFINE_list(
    'precisions',
    ['f32', 'bf16'],
    "OpenVINO's; one that the CPU does not compute in is left out.",
)
_SIZE = flags.DEFINE_string(
    'size', '512x512', 'Height and width for models of free size, as 800x600.'
)
_ROUNDS = flags.DEFINE_integer('rounds', 30, 'Timed runs of each.', lower_bound=1)


def main() -> None:
    from pathlib import Path

    import numpy as np

    from exporters.peers import load_peer
    from mattingjax.evaluation import parse_size
    from mattingjax.inference.sessions import can_compute
    from mattingjax.process.timing import time_in_turn

    size = parse_size(_SIZE.value, 'size')
    is_openvino = _RUNTIME.value == 'openvino'
    for precision in _PRECISIONS.value if is_openvino else ['f32']:
        if is_openvino and not can_compute(precision):
            print(f'{precision}: not on this CPU')
            continue
        runs, names = {}, {}
        for path in _MODELS.value:
            session, shape = load_peer(Path(path), _RUNTIME.value, size, precision)
            images = np.random.default_rng(0).uniform(0, 255, shape).astype(session.input_dtype)
            runs[path] = functools.partial(session, images)
            names[path] = f'{path[-48:]} at {"×".join(map(str, shape))}'
        medians = time_in_turn(runs, _ROUNDS.value)
        print(f'{_RUNTIME.value} {precision}, {_ROUNDS.value} rounds')
        for path, seconds in medians.items():
            ratio = seconds / medians[_MODELS.value[0]]
            print(f'{names[path]:70}{seconds * 1e3:9.2f} ms{ratio:8.3f}')


if __name__ == '__main__':
    command_line.run()
