"""Runs the pipeline: group commit in, alerts out, re-runs, checkpoints."""
