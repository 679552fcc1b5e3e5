"""The files of an export: each kind is written here, in the precisions that it has."""
