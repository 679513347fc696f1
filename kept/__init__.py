"""From graphs and media to a model, its training and its probes."""
