"""Exported networks beside each other: time, size and errors, for scripts/benchmark.py."""

from exporters.benchmark.comparison import compare_artefacts
from exporters.benchmark.entries import Entry, list_entries

__all__ = ['Entry', 'compare_artefacts', 'list_entries']
