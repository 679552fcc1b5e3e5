"""Checkpoint → frozen TensorFlow graph → ONNX → OpenVINO IR and Ascend kit, each proven equal.

`export.py` is the road from one end to the other; every step is a module of its own.
"""
