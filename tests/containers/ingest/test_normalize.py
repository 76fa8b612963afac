"""Every word that is said has a token, and every token knows which piece of the text it stands for."""

import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingest.captions import parse_caption
from stagekit.text.normalize import Token, normalize


def say(text: str, language: str = "en") -> str:
    return " ".join(token.word for token in normalize(text, language))


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("24/7 and/or", "twenty four seven and or"),
        ("café", "cafe"),
        ("It’s 5 o'clock", "it's five o'clock"),
        ("$5.50", "five dollars and fifty cents"),
        ("April 7, 2015", "april seventh twenty fifteen"),
        ("U.S.", "u s"),
        ("1,234", "one thousand two hundred thirty four"),
        ("3rd", "third"),
        ("9:30", "nine thirty"),
        ("1990s", "nineteen nineties"),
        ("Dr. Smith", "doctor smith"),
        ("St. Mary on Elm St.", "saint mary on elm street"),
        ("3rd St. Bridge", "third street bridge"),
        ("R&D and AT&T", "r and d and a t and t"),
        ("50%", "fifty percent"),
        ("No. 5", "number five"),
        ("No. I won't.", "no i won't"),
        ("iPhone", "iphone"),
        ("well-known", "well known"),
        ("word—word", "word word"),
        ("a note.[1] Or¹ two²", "a note or two"),
        ("Chapter IV", "chapter four"),
        # numbers
        ("3.14 and .5 and 0.05", "three point one four and point five and zero point zero five"),
        ("007", "zero zero seven"),
        ("5,000,000", "five million"),
        ("-5 or COVID-19", "minus five or covid nineteen"),
        ("1999, 2000, 2005 and 1900", "nineteen ninety nine two thousand two thousand five and nineteen hundred"),
        ("1914–1918, pages 3-4", "nineteen fourteen to nineteen eighteen pages three to four"),
        ("1/2, 3/4, 2 1/2, 5½, 9/11", "one half three quarters two and a half five and a half nine eleven"),
        ("the '90s, 80s and 747s", "the nineties eighties and seven hundred forty sevens"),
        ("21st, 2nd", "twenty first second"),
        ("#5", "number five"),
        ("3 + 4 = 7", "three plus four equals seven"),
        # money
        ("$1, $5, £3.20, 20€, 50¢", "one dollar five dollars three pounds and twenty pence twenty euros fifty cents"),
        ("$1.5 million, $2bn", "one point five million dollars two billion dollars"),
        ("$1.2B, $3T, £3tn", "one point two billion dollars three trillion dollars three trillion pounds"),
        ("a $20 T-shirt", "a twenty dollars t shirt"),
        ("$0.01, US$5", "one cent five dollars"),
        # dates and times
        ("the 4th of July, 1776", "the fourth of july seventeen seventy six"),
        ("7 April 2015, 2015-04-07, 4/7/2015", "the seventh of april twenty fifteen " + "april seventh twenty fifteen " * 2),
        ("Sept. 5", "september fifth"),
        ("May 5 may not", "may fifth may not"),
        ("9:05, 9:00, 9 a.m., 5pm, 14:30", "nine oh five nine o'clock nine a m five p m fourteen thirty"),
        # measures
        ("72°F, 5km, 60 mph, 1 lb", "seventy two degrees fahrenheit five kilometers sixty miles per hour one pound"),
        # letters
        ("U.S.A.'s J.K. Rowling, Ph.D.", "u s a's j k rowling p h d"),
        ("I saw it on TV.", "i saw it on t v"),
        ("SHH! HE SAW TV.", "shh he saw tv"),
        ("World War II, Henry VIII, Part V.", "world war two henry the eighth part five"),
        ("I am. Vitamin C. MIX it.", "i am vitamin c mix it"),
        ("the XXI century", "the twenty first century"),
        ("Mr. and Mrs. Poe vs. Gen. Lee, etc.", "mister and missus poe versus general lee et cetera"),
        ("e.g. this, i.e. that", "for example this that is that"),
        ("www.example.com or a@b.org", "www dot example dot com or a at b dot org"),
        ("(617) 555-1234", "six one seven five five five one two three four"),
        ("'tis 'hello' dogs' rock 'n' roll", "'tis hello dogs rock 'n roll"),
        ("naïve Zoë Müller", "naive zoe muller"),
        ("w/ and w/o", "with and without"),
    ],
)
def test_english(text: str, spoken: str) -> None:
    assert say(text) == spoken.strip()


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("it fell to −15 degrees", "it fell to minus fifteen degrees"),
        ("it was −3.5% lower", "it was minus three point five percent lower"),
        ("down -2.5 points and -20°C", "down minus two point five points and minus twenty degrees celsius"),
        ("in -20-degree weather, (-5) or (−5)", "in minus twenty degree weather minus five or minus five"),
        ("5 −3, 5−3, x−3", "five minus three five three x three"),
        ("3 -5, 5km -10km, 1914-18, pages 3-5", "three to five five kilometers ten kilometers nineteen fourteen to eighteen "
         "pages three to five"),
        ("word - 15, word-15, -- 15, word--15, page -5-", "word fifteen word fifteen fifteen word fifteen page five"),
        ("B-52, an F -16, COVID-19, Covid -19", "b fifty two an f sixteen covid nineteen covid nineteen"),
        ("the Apollo -11, in Moscow -20°C, At -20", "the apollo eleven in moscow minus twenty degrees celsius at twenty"),
        ("mid -19th century, the mid -1990s", "mid nineteenth century the mid nineteen nineties"),
        ("is -1/2, Tuesday -9:30 am, We met -3 June", "is one half tuesday nine thirty a m we met the third of june"),
        ("type -2 diabetes, page -5, open 9 am -5 pm", "type two diabetes page five open nine a m five p m"),
        ("to -15 degrees, 1990^2", "to minus fifteen degrees nineteen ninety two"),
        ("call 250-1230", "call two five zero one two three zero"),
        ("Mount St. His name", "mount saint his name"),
        ("minus -5, negative −5", "minus five negative five"),
    ],
)  # fmt: skip
def test_what_is_a_minus(text: str, spoken: str) -> None:
    assert say(text) == spoken


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("on Main St. They left", "on main street they left"),
        ("on Wall St. It's late", "on wall street it's late"),
        ("on Elm St., near", "on elm street near"),
        ("Main St. was closed", "main street was closed"),
        ("at 5th St. N.W., on K St. NW", "at fifth street n w on k street n w"),
        ("visited St. Louis. They", "visited saint louis they"),
        ("Mount St. Helens, Bury St. Edmunds", "mount saint helens bury saint edmunds"),
        ("Church of St. Mary in St. Paul, Minnesota", "church of saint mary in saint paul minnesota"),
        ("at King St. Anne told", "at king saint anne told"),
        ("Church St. A. Smith", "church saint a smith"),
    ],
)
def test_street_or_saint(text: str, spoken: str) -> None:
    assert say(text) == spoken


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("AT&T's R&B, Q&A, PG&E, S&P 500", "a t and t's r and b q and a p g and e s and p five hundred"),
        ("SOME FISH&CHIPS, DOG&CAT, AT&T", "some fish and chips dog and cat a t and t"),
        ("Barnes & Noble, a YOU&I mug", "barnes and noble a you and i mug"),
    ],
)
def test_initials_joined_by_an_ampersand(text: str, spoken: str) -> None:
    assert say(text) == spoken


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("1-800-555-0199", "one eight hundred five five five zero one nine nine"),
        ("300-1000 people", "three hundred to one thousand people"),
        ("(212) 550-1000", "two one two five five zero one zero zero zero"),
        ("1-212-555-0199", "one two one two five five five zero one nine nine"),
        ("555-0199, (212) 800-0199", "five five five zero one nine nine two one two eight zero zero zero one nine nine"),
        ("1914-1918 and 3-2", "nineteen fourteen to nineteen eighteen and three to two"),
        ("5'6\" or 5’11” or 6' 0\" or 1′1″", "five foot six or five foot eleven or six feet or one foot one"),
        ("5'12\", 5'6, 40° 5'6\", '5'", "five twelve five six forty degrees five six five"),
        ("10^6, 5^2, 2^10", "ten to the sixth five squared two to the tenth"),
        ("x^2, 1.5^2, 10^6^2", "x two one point five two ten six two"),
        ("Elizabeth II's and Henry VIII’s World War II's", "elizabeth the second's and henry the eighth's world war two's"),
        ("Henry V's two IV's", "henry v's two iv's"),
    ],
)
def test_figures_with_marks(text: str, spoken: str) -> None:
    assert say(text) == spoken


@pytest.mark.parametrize(
    ("language", "text", "spoken"),
    [
        ("de", "Am 7. April 2015 um 9:30 Uhr", "am siebten april zweitausendfünfzehn um neun uhr dreißig"),
        (
            "de",
            "1.234,5 km, 5 %, 3,50 €",
            "eintausendzweihundertvierunddreißig komma fünf kilometer fünf prozent drei euro fünfzig cent",
        ),
        ("de", "1999: z. B. Dr. Groß", "neunzehnhundertneunundneunzig zum beispiel doktor groß"),
        ("fr", "Le 1er mai 2015, 1\u202f234 pages", "le premier mai deux mille quinze mille deux cent trente quatre pages"),
        ("fr", "L’église, 50 % à 9:30", "l'église cinquante pour cent à neuf heures trente"),
        ("es", "El 7 de abril de 2015, 1.234", "el siete de abril de dos mil quince mil doscientos treinta y cuatro"),
        ("es", "¿Qué? ¡5,50 €! Sra. Peña", "qué cinco euros con cincuenta céntimos señora peña"),
        ("ru", "Ещё 5 раз", "ещё пять раз"),
        ("zh", "我们2015年", "我 们 2015 年"),
        ("en-GB", "120, 4/7/2015", "one hundred and twenty april seventh twenty fifteen".replace("april seventh", "july fourth")),
        ("cy", "Mae 5", "mae pump"),
        ("xx", "Foo 5% bar", "foo 5 bar"),
        ("de", "Es fiel auf −15 Grad, auf -20 °C", "es fiel auf minus fünfzehn grad auf minus zwanzig grad celsius"),
        ("fr", "R&B à −5, la -2e édition", "r et b à moins cinq la deuxième édition"),
        ("de", "Typ -2 fiel auf -3,5 Grad", "typ zwei fiel auf minus drei komma fünf grad"),
    ],
)
def test_other_languages(language: str, text: str, spoken: str) -> None:
    assert say(text, language) == spoken


def test_markup_is_gone_before_and_the_rest_is_said() -> None:
    caption = parse_caption(b"1\n00:00:01,000 --> 00:00:02,000\n<i>Hello</i>, 24/7!\n", "srt")
    assert say(caption.text) == "hello twenty four seven"


def test_tokens_point_into_the_text() -> None:
    text = "It’s $5.50 at 9 a.m., well-known Dr. X."
    pieces = [(t.word, text[t.char_start : t.char_end]) for t in normalize(text)]
    assert pieces == [
        ("it's", "It’s"), ("five", "$5.50"), ("dollars", "$5.50"), ("and", "$5.50"), ("fifty", "$5.50"), ("cents", "$5.50"),
        ("at", "at"),
        ("nine", "9"), ("a", "a.m."), ("m", "a.m."), ("well", "well"), ("known", "known"), ("doctor", "Dr."), ("x", "X"),
    ]  # fmt: skip


def test_letters_of_one_initialism_share_its_piece() -> None:
    text = "in the U.K. His J.K.’s AT&T, Ph.D."
    pieces = [(t.word, text[t.char_start : t.char_end]) for t in normalize(text)]
    assert pieces == [
        ("in", "in"), ("the", "the"), ("u", "U.K."), ("k", "U.K."), ("his", "His"), ("j", "J.K.’s"), ("k's", "J.K.’s"),
        ("a", "AT&T"), ("t", "AT&T"), ("and", "AT&T"), ("t", "AT&T"), ("p", "Ph.D."), ("h", "Ph.D."), ("d", "Ph.D."),
    ]  # fmt: skip


def test_decomposed_and_composed_text_give_the_same_words() -> None:
    text = "Zoë’s café, Łódź 5€"
    for language in ("en", "fr", "ru"):
        assert say(unicodedata.normalize("NFD", text), language) == say(text, language)


def check(text: str, language: str) -> list[Token]:
    tokens = normalize(text, language)
    covered = bytearray(len(text))
    before = (0, 0)
    for token in tokens:
        assert 0 <= token.char_start < token.char_end <= len(text)
        span = (token.char_start, token.char_end)
        assert span == before or span[0] >= before[1], (span, before, text)
        before = span
        assert token.word and not any(c.isspace() for c in token.word) and token.word.strip("'")
        covered[token.char_start : token.char_end] = b"\1" * (token.char_end - token.char_start)
    missing = [c for c, seen in zip(text, covered, strict=True) if c.isalpha() and c != "ʼ" and not seen]
    assert not missing, (missing, text)
    return tokens


TEXTISH = st.lists(
    st.one_of(
        st.sampled_from(
            "Dr. St. No. Mr IV XIV Henry chapter April 7 2015 1,234 3.5 9:30 a.m. pm $ £5 5.50 % & / - – — ' ’ 1/2 ½ 3rd 1990s "
            "'90s U.S. "
            "w/ # °F km 5km mph http://a.b/c x@y.z www. .com [1] ¹ é e\u0301 ß Ⅳ ٣ 日本 ไทย 00 007 24/7 10-12 555-1234 7. "
            "1er Uhr z. B. ... ( ) "
            "II's AT&T U.K.'s -5 −5 5'6\" 10^6 1-800-555-0199 They "
            "million \u00a0 \u202f \n İ ﬁ ﷺ 𝔘 \U0001f600 \ud7ff ª º".split(" ")
        ),
        st.text(max_size=3),
        st.integers(0, 10**20).map(str),
    ),
    max_size=12,
)


@settings(max_examples=400)
@given(TEXTISH, st.sampled_from(["", " "]), st.sampled_from(["en", "de", "fr", "es", "zh", "xx", "ru", "en-GB"]))
@example(["99/99/99"], "", "en")
@example(["1" * 400], "", "en")
@example(["$", "1" * 30, ".50"], "", "en")
@example(["١٢:٣٠"], "", "en")
@example(["ʼ"], "", "en")
def test_any_text_is_covered_in_order(parts: list[str], joiner: str, language: str) -> None:
    check(joiner.join(parts), language)


def test_a_digit_that_this_python_does_not_know_is_passed_over():
    """U+1E5F1, of Unicode 16: the regular expressions know it, ``int`` does not."""
    assert [t.word for t in normalize("1 \U0001e5f1, $\U0001e5f1 and \u0663")] == ["one", "and", "three"]


@given(st.text(), st.sampled_from(["en", "de", "ar", "hi", "th"]))
def test_arbitrary_unicode_is_covered(text: str, language: str) -> None:
    check(text, language)


def test_a_hundred_thousand_words_take_seconds() -> None:
    import time

    text = "The likeness meeting for Tuesday, April 7, 2015 at 9:30 was $5.50; Mr. Smith said so. " * 6_300
    normalize("warm up 5")
    start = time.monotonic()
    tokens = check(text, "en")
    assert len(tokens) > 100_000
    assert time.monotonic() - start < 30
