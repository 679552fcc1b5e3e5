"""A page that mattes in the browser alone: ONNX Runtime Web, and the modules that use it."""
