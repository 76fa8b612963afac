"""Word times from the Montreal Forced Aligner, run as a program."""
