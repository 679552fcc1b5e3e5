"""Labels for training: a teacher's mattes, put right by masks, and backgrounds without people."""

from mattingjax.training.labels.labelling import (
    Summary,
    label_folder,
    label_photos,
    parse_input_sizes,
)

__all__ = ['Summary', 'label_folder', 'label_photos', 'parse_input_sizes']
