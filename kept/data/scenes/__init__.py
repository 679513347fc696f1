"""Scenes of real artwork with exact boxes, attributes, relations, captions and questions."""
