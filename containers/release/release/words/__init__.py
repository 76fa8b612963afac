"""The release of the spoken words: one-second clips of single words, per language."""
