"""Checkpoint → frozen TensorFlow graph → LiteRT; → ONNX → OpenVINO IR; and a kit for Ascend.

`pipeline` goes the whole road, `export` is its command, and `verify` compares each file with the
network. Every format's graph has a room of its own; `precision` has what half precision and eight
bits need, and `writers` write the files.
"""
