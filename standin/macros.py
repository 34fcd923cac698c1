"""DuckDB's macros that projections and translated expressions use."""

from __future__ import annotations

from standin.values import BASE_TYPE_MARK

#: DuckDB macros that projections and translated expressions use.
MACROS = (
    # Moments: ticks are 100-nanosecond units since 0001-01-01.
    "tds_ts_ticks(x) AS (epoch_us(x) + 62135596800000000) * 10",
    "tds_dt2_ticks(x) AS (epoch_us(CAST(left(x, 26) AS TIMESTAMP)) + 62135596800000000) * 10"
    " + CAST(substr(x, 27, 1) AS BIGINT)",
    "tds_time_ticks(x) AS epoch_us(CAST(left(x, 15) AS TIME)) * 10 + CAST(substr(x, 16, 1) AS BIGINT)",
    "tds_ticks_ts(x) AS make_timestamp(x // 10 - 62135596800000000)",
    "tds_ticks_dt2(x) AS lpad(strftime(tds_ticks_ts(x), '%Y-%m-%d %H:%M:%S.%f'), 26, '0') || (x % 10)",
    "tds_ticks_time(x) AS strftime(tds_ticks_ts(x), '%H:%M:%S.%f') || (x % 10)",
    "tds_fraction(x) AS CASE WHEN contains(x, '.') THEN rpad(x, 27, '0') ELSE x || '.0000000' END",
    "tds_norm_dt2(x) AS tds_fraction(CASE WHEN length(x) = 10 THEN x || ' 00:00:00'"
    " WHEN length(x) = 16 THEN x || ':00' ELSE replace(x, 'T', ' ') END)",
    "tds_norm_time(x) AS substr(tds_norm_dt2('0001-01-01 ' || x), 12)",
    "tds_offset_text(x) AS CASE WHEN regexp_matches(x, '[+-]\\d\\d:\\d\\d$') THEN right(x, 6)"
    " WHEN regexp_matches(x, ':.*[+-]\\d\\d$') THEN right(x, 3) || ':00' ELSE '+00:00' END",
    "tds_norm_dto(x) AS tds_norm_dt2(trim(regexp_replace(x, '(:.*?) ?(Z|[+-]\\d\\d(:\\d\\d)?)$', '\\1')))"
    " || ' ' || tds_offset_text(x)",
    # Each names its argument once: a macro's argument is written out wherever its name stands.
    f"tds_variant_text(x) AS split_part(x, '{BASE_TYPE_MARK}', 1)",
    f"tds_variant_type(x) AS CASE WHEN contains(x, '{BASE_TYPE_MARK}') THEN split_part(x, '{BASE_TYPE_MARK}', 2)"
    " WHEN x IS NOT NULL THEN 'nvarchar' END",
    "tds_shape_number(x) AS CAST('0x' || hex(x) AS BIGINT)",
    "tds_srid(x) AS CAST(tds_shape_number(x[1:4]) AS INTEGER)",
    "tds_wkb(x) AS x[9:8 + tds_shape_number(x[5:8])]",
    "tds_wkt(x) AS decode(x[9 + tds_shape_number(x[5:8]):])",
    # Exponents have three digits.
    "tds_exponent(x) AS regexp_replace(x, 'e([+-])(\\d\\d)$', 'e\\10\\2')",
    "tds_offset(x) AS CAST(substr(x, 29, 1) || '1' AS BIGINT)"
    " * (CAST(substr(x, 30, 2) AS BIGINT) * 60 + CAST(substr(x, 33, 2) AS BIGINT))",
    "tds_dto_ticks(x) AS tds_dt2_ticks(left(x, 27)) - tds_offset(x) * 600000000",
    "tds_ticks_dto(t, minutes) AS tds_ticks_dt2(t + CAST(minutes AS BIGINT) * 600000000) || ' '"
    " || CASE WHEN minutes < 0 THEN '-' ELSE '+' END || lpad(CAST(abs(minutes) // 60 AS VARCHAR), 2, '0')"
    " || ':' || lpad(CAST(abs(minutes) % 60 AS VARCHAR), 2, '0')",
    # uniqueidentifier: the first three groups are little-endian in its bytes; it sorts from the last group.
    "tds_guid_hex(h) AS substr(h, 7, 2) || substr(h, 5, 2) || substr(h, 3, 2) || substr(h, 1, 2)"
    " || substr(h, 11, 2) || substr(h, 9, 2) || substr(h, 15, 2) || substr(h, 13, 2) || substr(h, 17)",
    "tds_guid_bytes(x) AS unhex(tds_guid_hex(replace(CAST(x AS VARCHAR), '-', '')))",
    "tds_bytes_guid(x) AS CAST(tds_guid_hex(hex(x)) AS UUID)",
    "tds_guid_order(h) AS substr(h, 21) || substr(h, 17, 4) || substr(h, 13, 4) || substr(h, 9, 4) || substr(h, 1, 8)",
    "tds_guid_key(x) AS tds_guid_order(hex(tds_guid_bytes(x)))",
    # Text: lengths count UTF-16 units; half a surrogate pair, kept in the last plane, is one.
    "tds_units(x) AS CASE WHEN length(x) = strlen(x) THEN length(x)"
    " ELSE length(x) + length(regexp_replace(x, '[^\\x{10000}-\\x{10D7FF}\\x{10E000}-\\x{10FFFF}]', '', 'g')) END",
    "tds_unit_hex(u) AS printf('%02X%02X', u & 255, u >> 8)",
    "tds_utf16(x) AS CASE WHEN x IS NULL THEN NULL"
    " WHEN length(x) = strlen(x) THEN unhex(regexp_replace(hex(x), '(..)', '\\100', 'g'))"
    " ELSE unhex(array_to_string(list_transform(string_split(x, ''), lambda c:"
    " CASE WHEN unicode(c) < 65536 THEN tds_unit_hex(unicode(c))"
    " WHEN unicode(c) BETWEEN 1103872 AND 1105919 THEN tds_unit_hex(unicode(c) - 1048576)"
    " ELSE tds_unit_hex(55296 + ((unicode(c) - 65536) >> 10))"
    " || tds_unit_hex(56320 + ((unicode(c) - 65536) & 1023)) END), '')) END",
    "tds_latin1(x) AS CASE WHEN x IS NULL THEN NULL WHEN length(x) = strlen(x) THEN encode(x)"
    " ELSE unhex(array_to_string(list_transform(string_split(x, ''), lambda c:"
    " printf('%02X', CASE WHEN unicode(c) < 256 THEN unicode(c)"
    " WHEN instr('€ ‚ƒ„…†‡ˆ‰Š‹Œ Ž  ‘’“”•–—˜™š›œ žŸ', c) > 0"
    " THEN 127 + instr('€ ‚ƒ„…†‡ˆ‰Š‹Œ Ž  ‘’“”•–—˜™š›œ žŸ', c) ELSE 63 END)), '')) END",
    "tds_from_utf16(x) AS CASE WHEN x IS NULL THEN NULL ELSE array_to_string(list_transform("
    "range(0, octet_length(x) // 2), lambda i: chr(CAST('0x' || substr(hex(x), CAST(4 * i + 3 AS BIGINT), 2)"
    " || substr(hex(x), CAST(4 * i + 1 AS BIGINT), 2) AS INTEGER))), '') END",
    "tds_from_latin1(x) AS CASE WHEN x IS NULL THEN NULL ELSE array_to_string(list_transform("
    "range(0, octet_length(x)), lambda i: chr(CAST('0x' || substr(hex(x), CAST(2 * i + 1 AS BIGINT), 2)"
    " AS INTEGER))), '') END",
)
