"""The commands: each a thin script over `kg` and `kept`."""
