"""Fixtures that several test files share."""

import dataclasses
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import jax
import numpy as np
import pytest

from mattingjax import Checkpoint, save_checkpoint
from mattingjax.networks import (
    MMNetConfig,
    ModelConfig,
    MODNetConfig,
    create_model_config,
    init_variables,
    network_names,
)
from mattingjax.networks.deeplab import DeepLabASPPConfig
from mattingjax.networks.mobilenet_v2 import (
    STRIDES,
    InvertedResidualConfig,
    MobileNetV2Config,
)
from mattingjax.process.compilation import keep_compiled
from tests import forked
from tests.forked import ROOT

# Nothing here reports to OpenVINO's makers, from a forked process, if a test imports it first.
sys.modules.setdefault('openvino_telemetry', None)  # type: ignore[arg-type]

LIBRARY_NETWORKS = network_names()  # the toy of tests/toy is not imported yet
# Files of tests that take longest.
_LONGEST = {
    'test_fuzz', 'test_smoke', 'test_other_networks', 'test_export', 'test_interruption',
    'test_paths', 'test_configs', 'test_surgery', 'test_cpu_operations', 'test_originals',
    'test_networks',
}  # fmt: skip
_ABOUT_NETWORKS = (
    'checkpoints', 'config', 'evaluation', 'inference', 'networks', 'pruning', 'toy', 'training',
    'weights',
)  # fmt: skip
_NETWORKS = {'modnet', 'mmnet', 'deeplab', 'toy', 'modnet_path', 'mmnet_path'}
_ABOUT_NO_NETWORK = {('inference', 'bulk'), ('inference', 'serving')}
_ABOUT_PATHS = {'test_paths'}  # they are given a network, which none of them runs
_IMPORTS_JAX = re.compile(r'^ *(?:import|from) (?:jax|flax|optax|orbax)\b', re.M)


def pytest_configure() -> None:
    """Has Ctrl-C heard, and compiled programs shared, by test processes and scripts they run.

    The programs are kept for the next run of the tests, as far as there is room for them.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as shells let it be in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if 'JAX_COMPILATION_CACHE_DIR' in os.environ:
        return
    folder = str(keep_compiled(str(ROOT / '.jax_cache')))
    settings = {
        'jax_compilation_cache_dir': folder,
        'jax_persistent_cache_min_compile_time_secs': 0.2,
    }
    for name, value in settings.items():
        jax.config.update(name, value)
        os.environ[name.upper()] = str(value)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        '--jax_only', action='store_true', help='Only what depends on JAX: see depends_on_jax.'
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The longest tests first, so that no process is left alone with them in the end."""
    items.sort(key=lambda item: item.path.stem not in _LONGEST)
    if config.getoption('jax_only'):
        chosen = [item for item in items if depends_on_jax(item.path, item.fixturenames)]
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = chosen


def depends_on_jax(path: Path, fixtures: Iterable[str] = ()) -> bool:
    """Whether a test could fail on another version of JAX.

    Its folder is about networks, its file imports JAX, Flax, Optax or Orbax, or it is given a
    network. The server, bulk matting, datasets, images, files of strangers and messages about
    paths are left to the tested versions.

    Args:
      path: The file of the test.
      fixtures: The names of its fixtures.
    """
    folders = path.relative_to(ROOT / 'tests').parts
    if path.stem in _ABOUT_PATHS or folders[:2] in _ABOUT_NO_NETWORK:
        return False
    return (
        folders[0] in _ABOUT_NETWORKS
        or not _NETWORKS.isdisjoint(fixtures)
        or _IMPORTS_JAX.search(path.read_text()) is not None
    )


@pytest.fixture(scope='session')
def shared() -> Path:
    """The folder with the originals' reference data, or skip; MATTINGJAX_SHARED overrides it."""
    path = Path(os.environ.get('MATTINGJAX_SHARED', ROOT.parent / 'shared'))
    if not (path / 'reference').is_dir():
        pytest.skip(f'no reference data at {path} (MATTINGJAX_SHARED names another folder)')
    return path


@pytest.fixture(scope='module')
def quickly_compiled() -> Iterator[None]:
    """Half the time to compile a program, which takes twice the time to run; in scripts too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('JAX_DISABLE_MOST_OPTIMIZATIONS', 'True')
        jax.config.update('jax_disable_most_optimizations', True)
        yield
        jax.config.update('jax_disable_most_optimizations', False)


def narrow_modnet() -> MODNetConfig:
    """A MODNet of a few channels: the same layers, compiled and run in little time."""
    blocks, width = [], 4
    for i, stride in enumerate(STRIDES):
        features = (4, 6, 6, 5, 5)[i % 5]
        expand = i not in (0, 7)
        # Shortcuts where the originals have them, so that the originals' formats can hold it.
        shortcut = stride == 1 and features == width
        blocks.append(InvertedResidualConfig(7 if expand else width, features, expand, shortcut))
        width = features
    return MODNetConfig(
        backbone=MobileNetV2Config(4, tuple(blocks), 10),
        se_hidden=3,
        conv_lr16x=6,
        conv_lr8x=4,
        tohr_enc2x=4,
        conv_enc2x=6,
        tohr_enc4x=4,
        conv_enc4x=8,
        conv_hr4x=(6, 4, 4),
        conv_hr2x=(6, 4, 5, 4),
        conv_hr=6,
        conv_lr4x=4,
        conv_f2x=4,
        conv_f=4,
    )


def random_checkpoint(config: ModelConfig, seed: int = 0) -> Checkpoint:
    """Variables that leave no tensor at its neutral value, so that a mix-up shows."""
    rng = np.random.default_rng(seed)

    def disturb(tree):
        if isinstance(tree, dict):
            return {name: disturb(branch) for name, branch in tree.items()}
        return (tree * rng.uniform(0.8, 1.2, tree.shape) + rng.uniform(0, 0.1, tree.shape)).astype(
            np.float32
        )

    return Checkpoint(config, disturb(init_variables(config, seed)))


@pytest.fixture(scope='session')
def modnet() -> Checkpoint:
    return random_checkpoint(create_model_config('modnet', narrow_modnet(), input_size=64))


@pytest.fixture(scope='session')
def mmnet() -> Checkpoint:
    architecture = MMNetConfig.from_multiplier(0.25)
    return random_checkpoint(create_model_config('mmnet', architecture, input_size=64))


@pytest.fixture(scope='session')
def deeplab() -> Checkpoint:
    """With atrous branches: every kind of layer that either of its records has.

    With this seed its alphas are between 0.9 and 1, not 0 or 1 everywhere.
    """
    head = {'image_pooling': 7, 'aspp': (6, 5, 4, 6), 'projection': 9}
    narrow = DeepLabASPPConfig.from_multiplier(0.1)
    architecture = dataclasses.replace(narrow, **head)
    config = create_model_config('deeplab_aspp', architecture, input_size=64)
    return random_checkpoint(config, seed=1)


@pytest.fixture(scope='session')
def mmnet_path(mmnet: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('checkpoints') / 'mmnet'
    save_checkpoint(path, mmnet)
    return path


@pytest.fixture(scope='session')
def modnet_path(modnet: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('checkpoints') / 'modnet'
    save_checkpoint(path, modnet)
    return path


@pytest.fixture(scope='session')
def run_script():
    """Runs scripts/NAME.py with arguments; returns the finished process, its output as bytes."""

    def run(name: str, *arguments: object, stdin: bytes = b'') -> subprocess.CompletedProcess:
        script = ROOT / 'scripts' / f'{name}.py'
        return forked.run_script(script, *arguments, stdin=stdin, timeout=forked.LONG_SECONDS)

    return run


def run_module(name: str, *arguments: object) -> subprocess.CompletedProcess:
    """Runs `python -m NAME` with arguments; returns the finished process, its output as bytes."""
    return forked.run_script(
        name, *arguments, timeout=forked.LONG_SECONDS, preload=forked.EXPORTING
    )


def require_export_tools() -> None:
    """Skips a test where JAX is too new for graph export, or a package is missing."""
    from exporters.tensorflow_graph.freezing import ToolsError, check_tools

    try:
        check_tools()
    except ToolsError as error:
        pytest.skip(str(error))


def assert_one_line_error(process: subprocess.CompletedProcess, *parts: str) -> None:
    """Exit status 2, and one line on standard error that holds all the parts."""
    message = process.stderr.decode()
    assert process.returncode == 2, message
    assert message.startswith('error: ')
    assert message.count('\n') == 1, message
    for part in parts:
        assert part in message


@pytest.fixture(scope='session')
def toy() -> Checkpoint:
    """A checkpoint of the network of three layers that tests/toy holds."""
    from tests.toy import TOY

    return random_checkpoint(create_model_config(TOY.name, input_size=64))
