"""What a command does with its process: flags, signals, progress, files, optional packages."""
