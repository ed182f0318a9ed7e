"""THE ordered list of detectors, nothing else."""
