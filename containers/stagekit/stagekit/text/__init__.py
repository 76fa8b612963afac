"""Text as it is written to the words that are spoken, the same for transcripts (ingest) and for what was heard (align)."""
