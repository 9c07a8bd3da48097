"""A model in use: alarms at any time, a window, a steered half-width, certificates again and again."""
