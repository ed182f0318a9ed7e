"""Codes on papers and excise stamps: signed so that anyone can check them without a network, good for one use each."""
