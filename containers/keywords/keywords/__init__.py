"""Which words of a corpus of sentences become keywords, and their one-second clips."""
