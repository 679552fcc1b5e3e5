"""Lists the weights that ship and the runtimes that are installed.

  mattingjax list

The names of weights stand wherever a checkpoint can (--checkpoint modnet_p).
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Iterator
from pathlib import Path

# JAX is not imported: what is told stands in files.
_WEIGHTS = Path(__file__).parents[1] / 'weights'
_RUNTIMES = {  # the package of each, and the extra that installs it
    'jax': '',
    'openvino': 'export',
    'onnxruntime': 'export',
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
    for package, extra in _RUNTIMES.items():
        try:
            found = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found = f"not installed (pip install 'mattingjax[{extra}]')"
        yield f'  {package:12} {found}'
