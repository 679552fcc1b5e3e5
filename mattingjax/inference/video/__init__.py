"""Videos and cameras: read, matted and written frame by frame, at the times that they had."""
