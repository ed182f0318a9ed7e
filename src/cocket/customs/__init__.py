"""The customs file: movements, bindings, zones and the alert's state machine."""
