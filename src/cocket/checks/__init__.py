"""The kit for makers and integrators: read frames, drive a device against a checklist, begin a decoder."""
