"""Streams, towers, interaction blocks, fusion and heads: what a model is made of."""
