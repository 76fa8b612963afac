"""An item of the local archive, and what a search made of such items."""

from ingest.http import Manners
from ingest.sources import Item, Rejection

QUICK = Manners(patience_s=3, backoff_s=0.02, backoff_max_s=0.1, connections=3)
TALK = [
    {"name": "talk.mp3", "source": "original", "format": "VBR MP3", "size": "426735", "length": "148.97"},
    {"name": "talk.srt", "source": "original", "format": "SubRip", "size": "900"},
]


def ids(results, kind=Item):
    return [r.item_id.removeprefix("internet_archive:") for r in results if isinstance(r, kind)]


def reasons(results):
    return {r.item_id.removeprefix("internet_archive:"): r.reason for r in results if isinstance(r, Rejection)}
