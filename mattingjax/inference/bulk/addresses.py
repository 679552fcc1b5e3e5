"""Where photos are read and results are written, by their addresses."""

from __future__ import annotations

import os

from mattingjax.errors import MattingError, unwrapped
from mattingjax.inference.bulk.folder import Folder
from mattingjax.inference.bulk.object_store import ObjectStore
from mattingjax.inference.bulk.store import Store


def open_store(address: str | os.PathLike) -> Store:
    """Opens a folder on this machine, or of an object store.

    Args:
      address: A path, or an address such as 's3://bucket/folder' or 'gs://bucket/folder'.

    Raises:
      MattingError: It is no such address, or the store cannot be used.
    """
    text = os.fspath(address)
    if not text:
        raise MattingError('an empty path: expected a folder, s3://BUCKET/... or gs://BUCKET/...')
    if text.startswith('file://'):
        text = text.removeprefix('file://')
    if '://' not in text:
        return Folder(text)
    store = ObjectStore(text)
    try:
        store.connect()
    except (OSError, ValueError) as error:
        raise MattingError(
            f'{text}: expected a folder, s3://BUCKET/... or gs://BUCKET/... '
            f'({unwrapped(str(error))})'
        ) from error
    return store


def open_source(address: str | os.PathLike) -> Store:
    """Opens what photos are read from, as `open_store` does.

    Raises:
      MattingError: It is no such address, no folder on this machine, or cannot be used.
    """
    store = open_store(address)
    if isinstance(store, Folder):
        store.check()
    return store
