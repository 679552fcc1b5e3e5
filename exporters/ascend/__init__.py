"""The road to Ascend cards: the kit for ATC, and the check of a graph's operators."""
