"""A trip as it was: the clean-trip report, on paper, and packs of evidence."""
