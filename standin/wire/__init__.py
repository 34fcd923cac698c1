"""What travels over TDS: a result's columns with the bytes of their values, a request's parameters."""

from standin.wire.columns import column_metadata, wire_type
from standin.wire.requests import read_request
from standin.wire.wire_type import WireType

__all__ = ["WireType", "column_metadata", "read_request", "wire_type"]
