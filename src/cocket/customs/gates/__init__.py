"""The roads: gates, phones and links to trips; what is decided before a barrier."""
