"""Money: exact decimals in a currency's own smallest unit. No float ever touches an amount."""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal
from typing import Any, Final

from cocket.core.errors import Fault, Refused

_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_AMOUNT: Final = re.compile(r"[0-9]{1,18}(\.[0-9]{1,6})?")
_RATE: Final = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")

_DIGITS: Final = {
    **dict.fromkeys(
        "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(),  # noqa: SIM905 - as the standard lists them
        0,
    ),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),  # noqa: SIM905
    **dict.fromkeys(("CLF", "UYW"), 4),
}
"""ISO 4217:2015, minor units other than 2."""


def minor_digits(currency: str) -> int:
    """How many digits a currency has behind the point."""
    return _DIGITS.get(currency, 2)


def currency_of(value: Any, path: str) -> str:
    """Three capital letters (ISO 4217), or ``Refused``."""
    if isinstance(value, str) and _CURRENCY.fullmatch(value):
        return value
    raise _refused(path, "currency", f"{value!r} is no currency: three capital letters of ISO 4217, as EUR")


def amount_of(value: Any, currency: str, path: str) -> Decimal:
    """A positive amount, given as text, in no finer unit than its currency has; ``Refused`` otherwise."""
    if not (isinstance(value, str) and _AMOUNT.fullmatch(value)):
        raise _refused(path, "amount", f'{value!r} is no amount: decimal digits as text, as "1250.00"')
    found = Decimal(value)
    if not found:
        raise _refused(path, "amount", "an amount of nothing is none")
    unit = Decimal(1).scaleb(-minor_digits(currency))
    if found != found.quantize(unit):
        raise _refused(path, "amount", f"{value} is finer than {currency} is: its smallest unit is {unit}")
    return found.quantize(unit)


def rate_of(value: Any, path: str) -> Decimal:
    """A positive rate of exchange, given as text."""
    if isinstance(value, str) and _RATE.fullmatch(value) and Decimal(value):
        return Decimal(value)
    raise _refused(path, "rate", f'{value!r} is no rate: decimal digits as text, as "1.0842"')


def converted(amount: Decimal, rate: Decimal, currency: str) -> Decimal:
    """``amount`` times ``rate``, rounded up to the smallest unit of the currency it becomes: a guarantee covers the whole."""
    return (amount * rate).quantize(Decimal(1).scaleb(-minor_digits(currency)), rounding=ROUND_CEILING)


def _refused(path: str, rule: str, detail: str) -> Refused:
    return Refused(f"{path}: {detail}", [Fault(path, rule, detail)])
