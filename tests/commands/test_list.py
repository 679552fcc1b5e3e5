import importlib.metadata

import pytest

import mattingjax
from mattingjax.checkpoints import load_config
from mattingjax.commands import list as command
from mattingjax.networks.complexity import measure_complexity
from tests.forked import run_script


def test_it_lists_weights_and_runtimes():
    process = run_script('mattingjax', 'list')
    assert (process.returncode, process.stderr) == (0, b'')
    lines = process.stdout.decode().splitlines()
    names = mattingjax.list_weights()
    assert lines[0] == 'weights'
    assert [line.split()[0] for line in lines[1 : 1 + len(names)]] == names
    assert lines[1 + len(names)] == 'runtimes'
    version = importlib.metadata.version('onnxruntime')
    assert lines[2 + len(names)].split()[:3] == ['onnxruntime', version, 'on']
    assert 'CPU' in lines[2 + len(names)]


@pytest.mark.parametrize('name', mattingjax.list_weights())
def test_what_it_tells_of_weights_is_true(name):
    (line,) = (line for line in command._describe_weights() if line.split()[0] == name)
    config = load_config(name)
    parameters = measure_complexity(config)['parameters']
    assert f' {config.network} ' in line
    assert f' {parameters:,} parameters ' in line
    assert f' {config.input_size}×{config.input_size} ' in line
    assert config.provenance['shipped'] == {
        'parameters': parameters,
        'use': line.split(' MB  ')[1],
    }


def test_a_runtime_that_is_missing(monkeypatch):
    def version(package):
        if package == 'openvino':
            raise importlib.metadata.PackageNotFoundError(package)
        return '1.2'

    monkeypatch.setattr(importlib.metadata, 'version', version)
    monkeypatch.setattr(command, 'list_devices', lambda: {'onnxruntime': ['CUDA', 'CPU']})
    lines = [line.split(maxsplit=1) for line in command._describe_runtimes()]
    assert dict(lines) == {
        'onnxruntime': '1.2  on CUDA, CPU',
        'openvino': "not installed (pip install 'mattingjax[openvino]')",
        'jax': '1.2',
        'tensorflow': '1.2',
        'litert': '1.2',
    }
