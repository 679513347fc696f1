"""One script a source: fetch or take a local copy, convert, verify the counts."""
