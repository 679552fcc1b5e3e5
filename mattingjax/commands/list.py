"""Lists the weights that ship, and the runtimes that are installed with their devices.

  mattingjax list

The names of weights stand wherever a checkpoint can (--checkpoint modnet_p), those of runtimes and
devices after --runtime and --device of mattingjax predict.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Iterator

from mattingjax.inference.sessions import list_devices
from mattingjax.weights import describe_weights, list_checkpoint_files, list_weights

# JAX and TensorFlow are not imported, which take long: what is told of them stands in files.
_RUNTIMES = {  # the package of each, and what installs it
    'onnxruntime': ('onnxruntime', 'onnxruntime'),
    'openvino': ('openvino', "'mattingjax[openvino]'"),
    'jax': ('jax', 'jax'),
    'tensorflow': ('tensorflow', "'mattingjax[export]'"),
    'litert': ('ai-edge-litert', "'mattingjax[litert]'"),
}


def main() -> None:
    print('weights')
    print(*_describe_weights(), sep='\n')
    print('runtimes')
    print(*_describe_runtimes(), sep='\n')


def _describe_weights() -> Iterator[str]:
    """A line for each of the weights."""
    for name in list_weights():
        about = describe_weights(name)
        side = about['input_size']
        size = sum(path.stat().st_size for path in list_checkpoint_files(name))
        yield (
            f'  {name:10} {about["network"]:7} {about["parameters"]:>9,} parameters  '
            f'{side}×{side}  {size / 1e6:.2f} MB  {about["use"]}'
        )


def _describe_runtimes() -> Iterator[str]:
    """A line for each of the runtimes."""
    devices = list_devices()
    for runtime, (package, installs) in _RUNTIMES.items():
        try:
            found = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found = f'not installed (pip install {installs})'
            if runtime in devices:  # from a package of another name, such as onnxruntime-gpu
                found = importlib.import_module(package).__version__
        if runtime in devices:
            found += f'  on {", ".join(devices[runtime])}'
        yield f'  {runtime:12} {found}'
