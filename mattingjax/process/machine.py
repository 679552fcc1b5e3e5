"""What a measurement ran on: the processor, and the versions of packages."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

# Each runtime of `mattingjax.inference.sessions` → its package, by its name on PyPI.
RUNTIME_PACKAGES = {
    'onnxruntime': 'onnxruntime',
    'openvino': 'openvino',
    'litert': 'ai-edge-litert',
    'tensorflow': 'tensorflow',
}


def describe_machine() -> dict[str, str | int]:
    """The processor's name and how many of its cores this process may use, as JSON types."""
    return {'cpu': _name_processor(), 'cores': count_cores()}


def format_machine(machine: Mapping[str, str | int]) -> str:
    """What `describe_machine` returned, in words."""
    cores = machine['cores']
    return f'{machine["cpu"]}, {cores} {"core" if cores == 1 else "cores"}'


def count_cores() -> int:
    """How many cores this process may use, which `taskset` or a container may have limited."""
    if hasattr(os, 'sched_getaffinity'):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _name_processor() -> str:
    with contextlib.suppress(OSError):
        if found := re.search(r'^model name\s*:\s*(.+)$', Path('/proc/cpuinfo').read_text(), re.M):
            return found[1]
    return platform.processor() or platform.machine()


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """Versions of Python and of packages, by their names on PyPI, as far as they are there."""
    versions = {'python': platform.python_version()}
    for package in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions
