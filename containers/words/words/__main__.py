"""``python -m words <stage>``; see the README."""

import os

from stagekit.pool import ONE_THREAD

os.environ.update(dict.fromkeys(ONE_THREAD, "1"))  # before numpy is read: threads of our own share out the utterances

from stagekit.cli import main  # noqa: E402

main("words", {"train": "words.train", "align": "words.align", "refine": "words.boundaries"})
