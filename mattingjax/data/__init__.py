"""From photos and alphas in files to batches for training.

A dataset yields records (a photo with what is known of it), a transform makes an example of a
record, and a pipeline makes batches of examples.
"""
