"""Checkpoint → frozen TensorFlow graph → ONNX → OpenVINO IR and Ascend kit, each proven equal.

`pipeline` goes the whole road, `export` is its command; every step is a module of its own.
"""
