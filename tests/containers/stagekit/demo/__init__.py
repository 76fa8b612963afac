"""A tiny image for the tests of the stage contract: real stages on real files."""
