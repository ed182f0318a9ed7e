"""The demo: real tracks, simulated declarations, seals and incidents, and the truth about them."""
