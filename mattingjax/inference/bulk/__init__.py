"""Mattes any number of photos by Ray Data: from a folder or an object store into another."""

from mattingjax.inference.bulk.matting import matte_bulk
from mattingjax.inference.bulk.summary import BulkSummary

__all__ = ['BulkSummary', 'matte_bulk']
