"""The doors for devices: listeners, MQTT, folders; who is trusted; what becomes durable before it is acknowledged."""
