"""The HTTP doors, the live stream and the built control room."""
