"""Ticks, of 100 nanoseconds, and days between the origins of calendars."""

TICKS_PER_DAY = 864_000_000_000

#: Days from 0001-01-01, the origin of TDS, to 1900-01-01, that of datetime, and to 1970-01-01, DuckDB's.
DAYS_TO_1900 = 693595
EPOCH_DAYS = 719162
