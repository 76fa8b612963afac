"""Word boundaries from the corpus alone: a flat-start HMM aligner."""
