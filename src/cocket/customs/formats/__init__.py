"""How customs documents are written: one file a standard; bytes in, the canonical model out."""
