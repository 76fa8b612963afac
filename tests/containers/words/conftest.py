import sys
from pathlib import Path

TESTS = Path(__file__).parents[2]
sys.path[:0] = [str(TESTS / "containers"), str(TESTS / "known_answers/words"), str(TESTS / "known_answers")]
