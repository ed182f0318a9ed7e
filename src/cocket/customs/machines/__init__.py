"""The four machines: explicit tables of what may follow what, and nothing else."""
