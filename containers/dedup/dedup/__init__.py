"""Which documents and recordings of a corpus are copies of each other, and which copy is kept."""
