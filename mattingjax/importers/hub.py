"""Fetches weights from the Hugging Face Hub: hf://OWNER/REPO/FILE or OWNER/REPO@REVISION/FILE."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from mattingjax.errors import WeightsError, missing_package
from mattingjax.process.progress import say
from mattingjax.process.reading import hash_file

SCHEME = 'hf://'

# Known files with revision and SHA-256. The first is the published MODNet as ONNX.
_KNOWN = {
    'hf://Xenova/modnet/onnx/model.onnx': (
        'fa2fa546052fba4c08921230a26cc69a333fca12',
        '07c308cf0fc7e6e8b2065a12ed7fc07e1de8febb7dc7839d7b7f15dd66584df9',
    ),
}
_PART = r'\w[\w.-]*'
_ADDRESS = re.compile(rf'hf://({_PART}/{_PART}?)(?:@({_PART}))?/({_PART}(?:/{_PART})*)')


def fetch_from_hub(address: str, sha256: str | None = None) -> Path:
    """Downloads a file, unless the Hub's cache on this machine already holds it.

    Args:
      address: `hf://OWNER/REPO/FILE` for the known revision of a known file or the newest one of
        another file; `hf://OWNER/REPO@REVISION/FILE` for a given revision.
      sha256: The SHA-256 that the file must have, in hexadecimal; None for that of a known file. If
        the file is not known either, a warning tells its SHA-256.

    Returns:
      The path of the file in the cache.

    Raises:
      WeightsError: The address is invalid, the Hub cannot be reached or has no such file, or the
        file has another SHA-256.
      ImportError: The package huggingface_hub is not installed.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise WeightsError(f'{address}: expected hf://OWNER/REPO/FILE')
    repository, revision, name = match.groups()
    if revision is None and address in _KNOWN:
        revision, known = _KNOWN[address]
        sha256 = sha256 or known
    try:
        from huggingface_hub import hf_hub_download
    except ImportError as error:
        instead = f'download {_page(repository, revision, name)} and pass the file'
        raise missing_package(address, 'huggingface_hub', 'importers', instead) from error
    logging.getLogger('huggingface_hub').setLevel(logging.ERROR)  # it logs every retry
    say(f'asking the Hub for {address}; without a network it takes half a minute to give up')
    try:
        file = Path(hf_hub_download(repository, name, revision=revision))
    except Exception as error:  # many packages raise their own errors here
        raise WeightsError(
            f'{address}: cannot be downloaded ({type(error).__name__}); download '
            f'{_page(repository, revision, name)} by hand and pass the file'
        ) from error
    found = hash_file(file)
    if sha256 is None:
        logging.getLogger(__name__).warning(
            '%s: nobody vouches for this file, as its SHA-256 is not known here; it is %s, and '
            'sha256=... makes sure that it stays so', address, found,
        )  # fmt: skip
    elif found != sha256.lower():
        raise WeightsError(f'{address}: expected SHA-256 {sha256.lower()}, got {found}')
    return file


def _page(repository: str, revision: str | None, name: str) -> str:
    return f'https://huggingface.co/{repository}/resolve/{revision or "main"}/{name}'
