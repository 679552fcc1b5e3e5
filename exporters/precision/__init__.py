"""What every format in fewer bits needs: photos to measure on, rounding, a bounded search."""
