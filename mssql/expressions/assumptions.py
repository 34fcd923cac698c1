"""What a translation takes for granted where the engines differ for values that hardly any database holds.

With `EXPRESSIONS=usual` such a translation is applied, and the report has the words below beside it; with `strict` it
is refused. docs/schema.md lists them. What may differ for ordinary values is no assumption but a doubt.
"""

from __future__ import annotations

from enum import Enum


class Assumption(Enum):
    """One choice; the value is what a person is told of it."""

    EQUAL_CHARACTERS = (
        "texts are compared character by character; a Windows collation also takes ß for ss and full-width forms for "
        "equal, and ignores zero-width characters"
    )
    ACCENTS = (
        "texts are compared and found with their accents, as they are written; a collation that ignores accents takes "
        "é for e"
    )
    LETTER_CASE = (
        "upper and lower case of letters beyond ASCII are those of the PostgreSQL database's locale (C knows none); "
        "SQL Server's are those of Unicode"
    )
    BLANKS_AT_END = "blanks may follow a match of PATINDEX at the end of a varchar, as one of LIKE"
    NUMERIC_TEXTS = (
        "ISNUMERIC is 1 for a sign, a dollar sign, digits with commas and a point, and an exponent; SQL Server also "
        "takes other currency symbols"
    )
    TRIED_NUMBERS = "TRY_CONVERT to a number gives NULL for a text that is not blank and no plain number"
    RANGES = (
        "a range of LIKE such as [0-9] or [A-Z] holds ASCII digits, or Latin letters with their accents; a collation "
        "may also have superscripts, fractions, full-width forms or other scripts in it"
    )
    UTF16_UNITS = (
        "positions and lengths in an nvarchar count characters; SQL Server counts one beyond U+FFFF, such as an emoji, "
        "as two"
    )
    CODES = "the code of a character is that of Unicode; ASCII gives the one that it has in the column's code page"
    JSON = (
        "a JSON text has no key twice in one object, no value of more than 4,000 characters, and no list is asked for "
        "as an object"
    )
    ISO_DATES = (
        "a date like '2012-02-01' or '2012/02/01' is year, month, day, whatever the language of the source's sessions"
    )
    TWO_DIGIT_YEARS = "a year of two digits is 20xx up to 49, 19xx from 50 on: the server's default cutoff"
    SEVENTH_DIGIT = "a seventh fractional digit in a constant is cut, as it is in rows"
    DAY_THROUGH_TEXT = (
        "a date that becomes a text and a date again keeps its day, whatever the language of the source's sessions"
    )
    DAY_NUMBERS = "a number that becomes a date by way of a text is yyyymmdd"
    MONEY_TEXTS = "money in a text is rounded to two digits, half away from zero"
    TEXT_NUMBERS = "a text beside a number in a check is blank or a number with no more than a sign and a point"
    CALENDAR = "FORMAT writes dates by the Gregorian calendar, which is that of every language but Arabic and Thai"
    LAST_DIGITS = "a float that is computed or made of a decimal may differ in the last of its 17 digits"
    DATETIME_FRACTIONS = (
        "in a check or a filter a datetime has three fractional digits beside a datetime2 or time; from compatibility "
        "level 130 on they are thirds"
    )
    LONG_DECIMALS = (
        "a decimal of more than 38 digits is rounded, half away from zero, to the scale that T-SQL has for it"
    )
    QUOTIENTS = "a quotient of decimals or money is cut to the scale that T-SQL has for it, not rounded"
    LONG_TEXTS = "a text that grows beyond 8,000 bytes when texts are put together is not cut, as T-SQL cuts it"
    BINARY_ZEROS = "binary values are compared byte by byte; SQL Server takes no notice of zeros at the end"
    TIME_ZONES = "a time zone of Windows has the rules of the tz database, which knows those of former years"
