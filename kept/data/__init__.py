"""Records: their sources and readers, their shards and streams, and what becomes of them on the way to a batch."""
