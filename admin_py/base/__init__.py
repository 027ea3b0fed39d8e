"""What everything stands on: checks, whole files, tensors, words, progress, threads, versions, the core."""
