"""Lists the weights that ship, and the runtimes that are installed with their devices.

  mattingjax list

The names of weights stand wherever a checkpoint can (--checkpoint modnet_p), those of runtimes and
devices after --runtime and --device of mattingjax predict.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Iterator
from pathlib import Path

from mattingjax.inference.sessions import list_devices

# JAX and TensorFlow are not imported, which take long: what is told of them stands in files.
_WEIGHTS = Path(__file__).parents[1] / 'weights'
_RUNTIMES = {  # the package of each, and the extra that installs it
    'onnxruntime': '',
    'openvino': 'openvino',
    'jax': '',
    'tensorflow': 'export',
}


def main() -> None:
    print('weights')
    print(*_describe_weights(), sep='\n')
    print('runtimes')
    print(*_describe_runtimes(), sep='\n')


def _describe_weights() -> Iterator[str]:
    """A line for each of the weights."""
    for file in sorted(_WEIGHTS.glob('*/config.json')):
        config = json.loads(file.read_text(encoding='utf-8'))
        about = config['provenance']['shipped']
        side = config['input_size']
        size = sum(path.stat().st_size for path in file.parent.rglob('*') if path.is_file())
        yield (
            f'  {file.parent.name:10} {config["network"]:7} {about["parameters"]:>9,} parameters  '
            f'{side}×{side}  {size / 1e6:.2f} MB  {about["use"]}'
        )


def _describe_runtimes() -> Iterator[str]:
    """A line for each of the runtimes."""
    devices = list_devices()
    for package, extra in _RUNTIMES.items():
        try:
            found = importlib.metadata.version(package)
            if package in devices:
                found += f'  on {", ".join(devices[package])}'
        except importlib.metadata.PackageNotFoundError:
            found = f"not installed (pip install 'mattingjax[{extra}]')"
        yield f'  {package:12} {found}'
