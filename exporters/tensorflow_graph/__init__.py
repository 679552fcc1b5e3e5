"""Frozen TensorFlow graphs, from which every other format is made."""
