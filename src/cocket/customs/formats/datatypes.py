"""The simple types of XML Schema: whether a text is a value of one, and if not, which rule it breaks, in words.

Follows XML Schema part 2, second edition (XSD 1.0): white space is replaced or collapsed first, as the type says; then
the lexical rules of the built-in type, the enumeration, lengths (in characters), every pattern, bounds and digits.
``SimpleType.fault`` gives None or (rule, words); rules are ``empty``, ``type``, ``pattern``, ``enumeration``, ``length``,
``range`` and ``digits``.

Differences on purpose: ``xs:anyURI`` takes any text (the recommendation excludes next to nothing, and processors differ);
character classes are those of the Unicode that Python knows, not of 3.1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Final

SPACE: Final = " \t\r\n"
"""White space as XML means it."""

_REPLACE: Final = str.maketrans("\t\r\n", "   ")
_RUNS: Final = re.compile(" {2,}")
_SEPARATORS: Final = "\\u0020\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"
"""The characters of category Z (Zs, Zl, Zp)."""

_ESCAPES: Final = {
    r"\d": r"\d",  # any decimal digit (Nd), as in Python
    r"\s": r" \t\n\r",
    r"\p{Z}": _SEPARATORS,
    r"\p{IsBasicLatin}": r"\u0000-\u007f",
    r"\n": r"\n",
    r"\r": r"\r",
    r"\t": r"\t",
}
_NEGATED: Final = {r"\S": r" \t\n\r", r"\D": r"\d", r"\P{Z}": _SEPARATORS}
_ATOM: Final = re.compile(r"\\[pP]\{[^}]*\}|\\.|.", re.DOTALL)
_MOST_SHOWN: Final = 60
_MOST_REMEMBERED: Final = 1024
_LONGEST_REMEMBERED: Final = 40


class Pattern:
    """An XSD regular expression: always anchored, with XSD's own classes. ``ValueError`` for what isn't supported."""

    __slots__ = ("match", "text", "words")

    def __init__(self, text: str) -> None:
        self.text = text
        self.match = re.compile(_translated(text)).fullmatch
        self.words = _in_words(text)


def _translated(text: str) -> str:
    r"""XSD's syntax in Python's: ``.`` is no line end, ``^`` and ``$`` are themselves, classes are spelt out.

    Class subtraction, other Unicode blocks and categories, ``\i``, ``\c`` and ``\w`` are refused: the messages use none.
    """
    out, inside = [], False
    atoms = _ATOM.findall(text)
    for at, atom in enumerate(atoms):
        if atom in _NEGATED:
            if inside:
                raise ValueError(f"{atom} within a class in the pattern {text!r}")
            out.append(f"[^{_NEGATED[atom]}]")
        elif atom in _ESCAPES:
            out.append(
                _ESCAPES[atom] if inside or (len(atom) == 2 and atom != r"\s") else f"[{_ESCAPES[atom]}]"
            )
        elif len(atom) > 1:
            if atom[1].isalnum():
                raise ValueError(f"{atom} in the pattern {text!r}")
            out.append(atom)
        elif inside:
            if atom == "[":
                raise ValueError(f"class subtraction in the pattern {text!r}")
            inside = atom != "]"
            out.append("\\" + atom if atom in "&|~" else atom)
        elif atom == ".":
            out.append(r"[^\n\r]")
        elif atom == "[":
            inside = True
            out.append(atom)
        elif atom in "^$":
            out.append("\\" + atom)
        elif atom == "?" and out and atoms[at - 1] in {"?", "*", "+", "}"}:
            raise ValueError(f"a doubled quantifier in the pattern {text!r}")
        else:
            out.append(atom)
    return "".join(out)


_NOUNS: Final = {
    ".": "character",
    "[0-9]": "digit",
    r"\d": "digit",
    "[A-Z]": "capital letter (A-Z)",
    "[A-Za-z]": "letter (A-Z, a-z)",
    "[a-zA-Z]": "letter (A-Z, a-z)",
    "[A-Z0-9]": "capital letter or digit",
    "[ -~]": "printable ASCII character",
    "[!-~]": "printable ASCII character other than a space",
}
_SHAPE: Final = re.compile(r"(\.|\\d|\[[^\]]+\])(?:\{(\d+)(?:,(\d+))?\})?")
_KNOWN: Final = {
    r"\P{Z}(.*\P{Z})?": "no space at either end, and not empty",
    r".*[^\s].*": "something other than white space",
    r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}": "a date and time as 2026-11-22T08:30:00, without fraction and offset",
    r"\d{4}-\d{2}-\d{2}": "a date as 2026-11-22, without offset",
    r"(20\d{6})(\d{6}(Z|[-+]\d\d))?": "20YYMMDD, or 20YYMMDDhhmmss with Z or an offset as +01 behind it",
    r"\p{IsBasicLatin}+": "ASCII characters only",
    r"([a-zA-Z])*": "letters only (A-Z, a-z)",
    r"([0-9])*": "digits only",
    r"[+-]?([0-8]?[0-9]\.[0-9]{5,7}|90.000000?0?)": "a latitude in degrees with 5 to 7 decimals, as 48.85837",
    r"[+-]?((0?[0-9]?|1[0-7])[0-9]\.[0-9]{5,7}|180.000000?0?)": "a longitude in degrees with 5 to 7 decimals, as 2.29448",
    "[A-Z]{2}[A-Z0-9]{6}": "a customs office: 2 capital letters (the country) and 6 capital letters or digits",
    "[A-Z]{2}[!-~]{1,15}": "2 capital letters (the country) and 1 to 15 printable characters without spaces",
    "(([0-1][0-9]|[2][0-4])[A-Z]{2}[A-Z0-9]{13}[0-9])|(([2][4-9]|[3-9][0-9])[A-Z]{2}[A-Z0-9]{12}[J-M][0-9])": (
        "an MRN of a transit: 2 digits (the year), 2 capital letters (the country), 14 capital letters and digits of which "
        "the last is a digit, and from year 25 on the last but one is J, K, L or M"
    ),
    "[1-9][0-9]{0,4}": "a whole number from 1 to 99999, without zeros before it",
    "[1-9][0-9]{0,2}|[1][0-9]{3}": "a whole number from 1 to 1999, without zeros before it",
    "(0|[1-9][0-9]{0,3})": "a whole number from 0 to 9999, without zeros before it",
    "(0|[1-9][0-9]{0,7})": "a whole number from 0 to 99999999, without zeros before it",
    r"(0|[1-9]\d*)(\.\d+)?": "a number as 0.5 or 1234.56, without sign and without zeros before it",
    r"([1-9]\d*(\.\d+)?)|(0\.\d*[1-9]\d*)": "a number above zero as 0.5 or 1234.56, without zeros before it",
}


def _in_words(pattern: str) -> str:
    """What a pattern asks for, where it has a plain shape; else the pattern itself."""
    known = _KNOWN.get(pattern)
    if known:
        return known
    found = _SHAPE.fullmatch(pattern)
    if found and found[1] in _NOUNS:
        low = int(found[2] or 1)
        high = int(found[3] or low)
        noun = _NOUNS[found[1]] if high == 1 else _plural(_NOUNS[found[1]])
        return f"exactly {low} {noun}" if low == high else f"{low} to {high} {noun}"
    return f"the pattern {pattern}"


def _plural(noun: str) -> str:
    head, *rest = re.split(r"( \(| or | other)", noun, maxsplit=1)
    return f"{head}s{''.join(rest)}"


class SimpleType:
    """One simple type, ready to check texts; immutable but for its memory of short texts that it found right."""

    __slots__ = ("_base", "_bounds", "_digits", "_lengths", "_patterns", "_values", "base", "name", "right")

    def __init__(self, name: str, base: str, facets: Iterable[tuple[str, str]]) -> None:
        self.name = name
        self.base = base
        self._base = BUILT_IN[base]
        self.right: set[str] = set()
        """Texts that were found right; bounded."""
        self._patterns: list[Pattern] = []
        values: list[str] = []
        numbers: dict[str, str] = {}
        for word, value in facets:
            if word == "pattern":
                self._patterns.append(Pattern(value))
            elif word == "enumeration":
                values.append(value)
            else:
                numbers[word] = value
        self._values = dict.fromkeys(values)
        exact = numbers.pop("length", None)
        low, high = numbers.pop("minLength", exact), numbers.pop("maxLength", exact)
        self._lengths = None if low is high is None else (int(low or 0), None if high is None else int(high))
        least, most = numbers.pop("minInclusive", None), numbers.pop("maxInclusive", None)
        self._bounds = (None if least is None else Decimal(least), None if most is None else Decimal(most))
        total, fraction = numbers.pop("totalDigits", None), numbers.pop("fractionDigits", None)
        self._digits = (None if total is None else int(total), None if fraction is None else int(fraction))
        if numbers:
            raise ValueError(f"{name}: facets that nobody knows: {', '.join(numbers)}")

    def fault(self, text: str) -> tuple[str, str] | None:
        """None if the text is a value of this type; else the rule that it breaks, and what is expected."""
        if text in self.right:
            return None
        found = self._fault(self.value(text))
        if found is None and len(text) <= _LONGEST_REMEMBERED:
            if len(self.right) >= _MOST_REMEMBERED:
                self.right.clear()
            self.right.add(text)
        return found

    def value(self, text: str) -> str:
        """The text as the type's white space rule leaves it."""
        space = self._base.space
        if space == "preserve":
            return text
        text = text.translate(_REPLACE)
        return text if space == "replace" else _RUNS.sub(" ", text.strip(" "))

    def _fault(self, text: str) -> tuple[str, str] | None:
        problem = self._base.problem(text)
        if problem is not None:
            return ("type" if text else "empty"), f"{_shown(text)} is not {problem}"
        if self._values and text not in self._values:
            return (
                "enumeration" if text else "empty"
            ), f"{_shown(text)} is not one of {_listed(list(self._values))}"
        if self._lengths is not None:
            low, high = self._lengths
            if len(text) < low or (high is not None and len(text) > high):
                wanted = f"exactly {low}" if low == high else f"{low} to {high}" if low else f"at most {high}"
                if high is None:
                    wanted = f"at least {low}"
                return (
                    "length" if text else "empty"
                ), f"{_shown(text)} has {len(text)} characters, and {wanted} are allowed"
        for pattern in self._patterns:
            if not pattern.match(text):
                expected = "; and ".join(p.words for p in self._patterns)
                return ("pattern" if text else "empty"), f"{_shown(text)} does not fit: {expected}"
        return self._number_fault(text)

    def _number_fault(self, text: str) -> tuple[str, str] | None:
        least, most = self._bounds
        if least is not None and Decimal(text) < least:
            return "range", f"{_shown(text)} is less than {least}"
        if most is not None and Decimal(text) > most:
            return "range", f"{_shown(text)} is more than {most}"
        total, fraction = self._digits
        if total is None and fraction is None:
            return None
        whole, _, part = text.lstrip("+-").partition(".")
        whole, part = whole.lstrip("0"), part.rstrip("0")
        if fraction is not None and len(part) > fraction:
            return "digits", f"{_shown(text)} has {len(part)} decimals, and at most {fraction} are allowed"
        if total is not None and len(whole) + len(part) > total:
            return (
                "digits",
                f"{_shown(text)} has {len(whole) + len(part)} digits, and at most {total} are allowed",
            )
        return None


class BuiltIn:
    """A built-in type: how it treats white space, and what is wrong with a text (None: nothing)."""

    __slots__ = ("problem", "space")

    def __init__(self, space: str, problem: Callable[[str], str | None]) -> None:
        self.space = space
        self.problem = problem


def _any(_text: str) -> str | None:
    return None


def _shaped(pattern: str, words: str) -> Callable[[str], str | None]:
    match = re.compile(pattern).fullmatch
    return lambda text: None if match(text) else words


_OFFSET: Final = r"(?:Z|[+-](?:0[0-9]|1[0-3]):[0-5][0-9]|[+-]14:00)?"
_DATE: Final = re.compile(rf"-?([1-9][0-9]{{4,}}|[0-9]{{4}})-([0-9]{{2}})-([0-9]{{2}}){_OFFSET}")
_TIME: Final = re.compile(
    rf"(.*)T(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?|24:00:00(?:\.0+)?){_OFFSET}"
)
_DAYS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def _date(text: str) -> str | None:
    found = _DATE.fullmatch(text)
    if found is None:
        return "a date as 2026-11-22"
    year, month, day = found[1], int(found[2]), int(found[3])
    if not year.strip("0"):
        return "a date: there is no year 0"
    if not 1 <= month <= 12 or not 1 <= day <= _DAYS[month - 1]:
        return "a date of the calendar"
    last = int(year[-4:])  # the calendar repeats every 400 years, and 10,000 is a multiple of that
    if month == 2 and day == 29 and (last % 4 or (last % 100 == 0 and last % 400)):
        return f"a date of the calendar: {year} is no leap year"
    return None


def _date_time(text: str) -> str | None:
    found = _TIME.fullmatch(text)
    if found is None or found[1][-1:] == "Z" or found[1].count(":"):
        return "a date and time as 2026-11-22T08:30:00"
    problem = _date(found[1])
    return (
        None
        if problem is None
        else problem.replace("a date as 2026-11-22", "a date and time as 2026-11-22T08:30:00")
    )


BUILT_IN: Final = {
    "string": BuiltIn("preserve", _any),
    "normalizedString": BuiltIn("replace", _any),
    "token": BuiltIn("collapse", _any),
    "anyURI": BuiltIn("collapse", _any),
    "language": BuiltIn(
        "collapse", _shaped(r"[a-zA-Z]{1,8}(-[a-zA-Z0-9]{1,8})*", "a language as fr or en-GB")
    ),
    "boolean": BuiltIn("collapse", _shaped("true|false|0|1", "true or false")),
    "integer": BuiltIn("collapse", _shaped("[+-]?[0-9]+", "a whole number")),
    "decimal": BuiltIn(
        "collapse",
        _shaped(
            r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)", "a decimal number as 1234.5 (no comma, no exponent)"
        ),
    ),
    "date": BuiltIn("collapse", _date),
    "dateTime": BuiltIn("collapse", _date_time),
}


def _shown(text: str) -> str:
    return repr(text) if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]!r}… ({len(text)} characters)"


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words[:20]) + (f" … ({len(words)} in all)" if len(words) > 20 else "")
