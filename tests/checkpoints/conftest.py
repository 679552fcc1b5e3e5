"""A checkpoint to break."""

import shutil

import pytest

from mattingjax.process.checksums import SUMS_FILE


@pytest.fixture
def broken(mmnet_path, tmp_path):
    """One without hashes, as earlier versions wrote it: what is changed is read, not told."""
    copied = shutil.copytree(mmnet_path, tmp_path / 'broken')
    (copied / SUMS_FILE).unlink()
    return copied
