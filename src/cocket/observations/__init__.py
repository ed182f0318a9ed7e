"""Bodies to columns: reading, checking, quarantining."""
