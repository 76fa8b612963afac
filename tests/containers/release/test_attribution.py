"""What a credit says is what a reader of the page sees."""

import pytest

from release.attribution import markdown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('"Q & A *live*" by <X> [y] _z_', r'"Q & A \*live\*" by \<X> \[y\] \_z\_'),
        ("snake_case_name, R&amp;D", r"snake_case_name, R\&amp;D"),
        ("https://x.org/a_*b, CC0", "https://x.org/a_*b, CC0"),
        ("https://x.org/File:Foo_(bar)_baz.ogg, CC0", "https://x.org/File:Foo_(bar)_baz.ogg, CC0"),
        ("CC BY (https://x.org/by_/4.0/) of *", r"CC BY (https://x.org/by_/4.0/) of \*"),
    ],
)
def test_names_are_shown_as_they_are_and_urls_stay_whole(text: str, shown: str) -> None:
    assert markdown(text) == shown
