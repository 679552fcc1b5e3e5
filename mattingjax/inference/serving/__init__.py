"""Mattes over HTTP: `mattingjax serve`, and the page that it shows."""

from pathlib import Path

PAGE = Path(__file__).parent / 'page'  # its files; an export of the page copies them
