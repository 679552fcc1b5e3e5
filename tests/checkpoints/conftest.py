"""A checkpoint to break."""

import shutil

import pytest


@pytest.fixture
def broken(mmnet_path, tmp_path):
    return shutil.copytree(mmnet_path, tmp_path / 'broken')
