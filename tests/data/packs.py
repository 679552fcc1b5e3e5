"""Packs of small data sets, as the tests of packing and of reading use them."""

from mattingjax.data.pack_sources import open_sources
from mattingjax.data.packing import Encoder, pack

LOSSLESS = Encoder(photos='png')


def make_pack(output, *datasets, encoder=LOSSLESS, overwrite=False, shard_mb=256, **options):
    """Packs data sets named as the flags of scripts/pack.py name them; returns what was told."""
    lines = []
    sources = open_sources(datasets, **options)
    pack(sources, output, encoder, shard_mb=shard_mb, overwrite=overwrite, tell=lines.append)
    return lines
