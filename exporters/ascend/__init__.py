"""The road to Ascend cards: the kit that ATC is given, and the check of its operators."""
