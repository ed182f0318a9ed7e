"""Systems of the field as executable scenarios: each through public doors only, each with its failing twins.

One file is one scenario, named after its id; the rest is the stage on which they play.
"""
