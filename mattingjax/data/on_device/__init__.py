"""Photos that lie on the device, and batches that are made of them inside of the training step."""
