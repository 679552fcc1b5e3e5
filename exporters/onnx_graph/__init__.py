"""Frozen TensorFlow graphs as ONNX: the conversion, and passes that clean what comes of it."""
