"""Words that normalisation expands, by language: abbreviations, symbols, and the small words between numbers.

An abbreviation is listed without its final dot and in lower case; what is listed under ``DOTTED`` needs the dot. Where an
abbreviation means two things by its place (Dr., St.), ``stagekit.text.normalize`` decides.
"""

from __future__ import annotations

ABBREVIATIONS: dict[str, dict[str, str]] = {
    "en": {
        "mr": "mister", "mrs": "missus", "ms": "miss", "messrs": "messieurs", "dr": "doctor", "prof": "professor",
        "rev": "reverend",
        "hon": "honorable", "gov": "governor", "sen": "senator", "rep": "representative", "pres": "president", "gen": "general",
        "col": "colonel", "maj": "major", "capt": "captain", "cmdr": "commander", "lt": "lieutenant",
        "sgt": "sergeant", "cpl": "corporal",
        "adm": "admiral", "jr": "junior", "sr": "senior", "st": "saint", "ste": "saint", "mt": "mount", "ave": "avenue",
        "blvd": "boulevard", "rd": "road", "vs": "versus", "etc": "et cetera", "approx": "approximately", "dept": "department",
        "inc": "incorporated", "corp": "corporation", "ltd": "limited", "bros": "brothers", "vol": "volume", "fig": "figure",
        "e.g": "for example", "i.e": "that is", "ph.d": "p h d", "viz": "namely", "cf": "compare", "w/": "with", "w/o": "without",
        "no": "number", "nos": "numbers", "pp": "pages", "p": "page", "ch": "chapter", "sec": "section", "fl": "floor",
        "mon": "monday", "tue": "tuesday", "tues": "tuesday", "wed": "wednesday", "thu": "thursday", "thur": "thursday",
        "thurs": "thursday", "fri": "friday", "sat": "saturday", "sun": "sunday", "dist": "district", "ext": "extension",
    },
    "de": {
        "dr": "doktor", "prof": "professor", "hr": "herr", "fr": "frau", "str": "straße", "nr": "nummer",
        "bzw": "beziehungsweise",
        "z.b": "zum beispiel", "d.h": "das heißt", "u.a": "unter anderem", "usw": "und so weiter", "ca": "circa", "st": "sankt",
        "evtl": "eventuell", "ggf": "gegebenenfalls", "inkl": "inklusive", "bd": "band", "kap": "kapitel",
        "s": "seite", "abs": "absatz",
    },
    "fr": {
        "m": "monsieur", "mm": "messieurs", "mme": "madame", "mlle": "mademoiselle", "dr": "docteur", "st": "saint",
        "ste": "sainte",
        "etc": "et cetera", "p": "page", "vol": "volume", "chap": "chapitre", "env": "environ", "no": "numéro",
    },
    "es": {
        "sr": "señor", "sra": "señora", "srta": "señorita", "dr": "doctor", "dra": "doctora", "d": "don",
        "ud": "usted", "uds": "ustedes",
        "etc": "etcétera", "p.ej": "por ejemplo", "núm": "número", "pág": "página", "cap": "capítulo",
        "vol": "volumen", "sto": "santo",
    },
}  # fmt: skip

BARE = {
    "en": frozenset({"mr", "mrs", "dr", "vs", "jr", "sr", "prof", "st"}),
    "de": frozenset({"dr", "bzw", "usw"}),
    "fr": frozenset({"mme", "mlle", "dr"}),
    "es": frozenset(),
}
"""Abbreviations that are also written without a dot (capitalised: 'Mr Smith')."""

BEFORE_NUMBER = {
    "en": frozenset({"no", "nos", "p", "pp", "vol", "fig", "ch", "sec", "ext"}),
    "de": frozenset({"nr", "bd", "kap", "s", "abs"}),
    "fr": frozenset({"p", "vol", "chap", "no"}),
    "es": frozenset({"núm", "pág", "cap", "vol"}),
}
"""Abbreviations only if a number follows: 'No. 5', but 'No. I will not.'"""

BEFORE_NAME = {
    "en": frozenset({"ms", "rep", "gen", "col", "maj", "sen", "hon", "gov", "rev", "pres", "mt", "adm", "lt"}),
    "de": frozenset({"hr", "fr"}),
    "fr": frozenset({"m", "mm"}),
    "es": frozenset({"d"}),
}
"""Abbreviations only if a capitalised word follows."""

AT_DATE = {"en": frozenset({"mon", "tue", "tues", "wed", "thu", "thur", "thurs", "fri", "sat", "sun", "dist", "fl"})}
"""Abbreviations only if they are capitalised and a comma, digit or month follows ('Sat. evening' stays)."""

SYMBOLS: dict[str, dict[str, str]] = {
    "en": {
        "&": "and",
        "@": "at",
        "+": "plus",
        "=": "equals",
        "×": "times",
        "÷": "divided by",
        "§": "section",
        "%": "percent",
        "‰": "per mille",
    },
    "de": {"&": "und", "@": "at", "+": "plus", "=": "gleich", "×": "mal", "§": "paragraf", "%": "prozent"},
    "fr": {"&": "et", "@": "arobase", "+": "plus", "=": "égale", "×": "fois", "%": "pour cent"},
    "es": {"&": "y", "@": "arroba", "+": "más", "=": "igual a", "×": "por", "%": "por ciento"},
    "it": {"&": "e", "@": "chiocciola", "+": "più", "=": "uguale", "%": "per cento"},
}

PHRASES: dict[str, dict[str, str]] = {
    "en": {
        "point": "point",
        "to": "to",
        "minus": "minus",
        "number": "number",
        "dot": "dot",
        "slash": "slash",
        "oh": "oh",
        "o'clock": "o'clock",
        "money_and": "and",
        "half": "half",
        "quarter": "quarter",
    },
    "de": {"point": "komma", "to": "bis", "minus": "minus", "number": "nummer", "dot": "punkt", "slash": "slash", "clock": "uhr"},
    "fr": {
        "point": "virgule",
        "to": "à",
        "minus": "moins",
        "number": "numéro",
        "dot": "point",
        "slash": "slash",
        "clock": "heures",
    },
    "es": {
        "point": "coma",
        "to": "a",
        "minus": "menos",
        "number": "número",
        "dot": "punto",
        "slash": "barra",
        "money_and": "con",
    },
    "it": {"point": "virgola", "to": "a", "minus": "meno", "number": "numero", "dot": "punto", "slash": "barra"},
    "pt": {
        "point": "vírgula",
        "to": "a",
        "minus": "menos",
        "number": "número",
        "dot": "ponto",
        "slash": "barra",
        "money_and": "e",
    },
    "nl": {"point": "komma", "to": "tot", "minus": "min", "number": "nummer", "dot": "punt", "slash": "slash", "clock": "uur"},
}

NUMBERED = frozenset(
    "chapter part book act scene section volume vol article title appendix psalm canto phase level "
    "grade lesson war bowl class type "
    "figure table number kapitel teil buch akt band chapitre partie livre acte tome capítulo parte "
    "libro acto tomo capitolo libro".split()
)
"""Words after which capitals from I, V, X, L, C are a Roman numeral."""

REGNAL = frozenset(
    "henry elizabeth charles george edward william james richard louis philip francis frederick john "
    "paul pius leo benedict gregory "
    "clement innocent urban alexander nicholas catherine peter victor napoleon albert otto ivan mary "
    "anne ferdinand alfonso".split()
)
"""First names whose Roman numeral is said as an ordinal in English: Henry VIII, 'Henry the eighth'."""

SCALES = {
    "en": frozenset({"hundred", "thousand", "million", "billion", "trillion", "m", "bn", "tn", "k"}),
    "de": frozenset({"tausend", "million", "millionen", "milliarde", "milliarden"}),
    "fr": frozenset({"mille", "million", "millions", "milliard", "milliards"}),
    "es": frozenset({"mil", "millón", "millones"}),
}
"""Words between a sum's figure and its currency."""
SHORT_SCALES = {"m": "million", "bn": "billion", "b": "billion", "tn": "trillion", "t": "trillion", "k": "thousand"}
