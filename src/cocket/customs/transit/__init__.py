"""The movement at work: its desk and steps, seals and guarantees, what documents mean for it, how it is shown."""
