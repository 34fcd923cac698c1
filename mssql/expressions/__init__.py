"""T-SQL expressions of the catalog (defaults, checks, computed columns, filters) in PostgreSQL's SQL.

A text is read into a tree (`parser`), typed by the columns it names and written again (`writer`). THE RULE:
what does not translate with certainty is not emitted. It comes back with a reason in plain words and, where
one exists, a suggestion that a person can judge. What differs only for values that hardly any database holds is
emitted and told (`assumptions`), unless the policy is strict. Operators and functions are a whitelist; whatever is
not on it is refused by name.

What the result means:

- **The time.** GETDATE() is constant within a statement and is the server's local time without a zone.
  `statement_timestamp()::timestamp` is that, in the PostgreSQL session's TimeZone.
- **Text.** T-SQL compares under a collation and ignores trailing blanks; PostgreSQL compares bytes. A constant
  of ASCII characters is compared without trailing blanks and, under a case-insensitive collation, without
  ASCII case, whatever the locale of the database. A Windows collation knows more equal characters (full-width
  forms, zero-width ones): that matters for a computed column only, whose value would be wrong in silence, for a row
  that a check or a filter refuses is refused aloud. The blanks that fill a char(n) come back where they count.
- **Dates.** A constant is the moment that the type rounds it to; a seventh fractional digit is cut, as in rows. A text
  that was made of a date is that date again. Texts of dates are made of numbers, for to_char is not immutable.
- **Decimals.** Precision and scale are T-SQL's, rounded or cut where 38 digits do not suffice; a computed column whose
  type in the catalog is another one is refused.
- **Ranges in LIKE.** `[A-Z]` follows the collation's order, which has accented letters between A and Z: they are
  spelled out (`ranges`). Between 0 and 9 lie the ASCII digits. Where a collation's order is not known, a check accepts
  every Latin letter, so that it accepts every row the source accepts.
- **NULL.** A check is violated only by FALSE in both engines; three-valued logic is the same.
- **Errors.** Where T-SQL raises an error (overflow, an impossible conversion) there is no value to preserve;
  PostgreSQL may give one.

Rules cited by the title of the page in Microsoft's Transact-SQL reference.
"""

from mssql.expressions.translation import translate_check, translate_computed, translate_default, translate_filter

__all__ = ["translate_check", "translate_computed", "translate_default", "translate_filter"]
