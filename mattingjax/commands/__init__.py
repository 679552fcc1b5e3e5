"""Portrait matting: from photos to a small network on edge hardware.

mattingjax predict photo.jpg folder/ --output out
mattingjax COMMAND --help
mattingjax --version
"""

from __future__ import annotations

import multiprocessing
import sys
from typing import NoReturn

from mattingjax.commands.dispatch import dispatch, show

COMMANDS = {
    'predict': 'mattes photos: alphas, cut-outs, composites',
    'bulk': 'mattes millions of photos, in folders or object stores, on many cores',
    'video': 'mattes videos and cameras, with their sound',
    'serve': 'mattes photos and clips on a page, and over HTTP',
    'evaluate': 'compares mattes with the true alphas',
    'train': 'trains a network, or goes on with a training',
    'prune': 'removes channels from a network',
    'label': 'labels photos for a training with the mattes of a teacher',
    'import-weights': 'makes a checkpoint of the weights of others',
    'export': 'writes a network as TensorFlow graph, ONNX, OpenVINO IR and kit for Ascend',
    'bins': 'prepares, runs and evaluates .bin files, as msame of Ascend does',
    'complexity': 'counts parameters and multiply-accumulates of a network, layer by layer',
    'list': 'lists the weights that ship and the runtimes that are installed',
}

if multiprocessing.current_process().name != 'MainProcess':
    # A worker process imports its program, which is this module, and then Grain.
    from mattingjax.process import command_line as command_line  # keeps its remarks away


def main() -> NoReturn:
    """Runs the command that the command line names."""
    sys.argv[0] = 'mattingjax'
    if sys.argv[1:] == ['--version']:
        show(f'mattingjax {_find_version()}')
    dispatch(sys.modules[__name__])


def _find_version() -> str:
    import importlib.metadata

    try:
        return importlib.metadata.version('mattingjax')
    except importlib.metadata.PackageNotFoundError:  # a folder that is only on the path
        return '(not installed)'
