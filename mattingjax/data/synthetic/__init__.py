"""Synthetic portraits: people drawn by a program, with the exact alpha of every hair."""

from mattingjax.data.synthetic.files import write_portraits
from mattingjax.data.synthetic.portraits import SyntheticPortraits, render_portrait

__all__ = ['SyntheticPortraits', 'render_portrait', 'write_portraits']
