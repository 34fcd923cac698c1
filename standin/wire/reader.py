"""The bytes of a request, read one after the other."""

from __future__ import annotations

from standin.errors import EncodingError


class Reader:
    """A cursor over the bytes of a request."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self.at = at

    @property
    def is_done(self) -> bool:
        """Whether nothing is left."""
        return self.at >= len(self._data)

    def take(self, size: int) -> bytes:
        """The next bytes. Raises EncodingError where there are fewer."""
        piece = self._data[self.at : self.at + size]
        if len(piece) < size:
            raise EncodingError("the request ends in the middle of a parameter")
        self.at += size
        return piece

    def number(self, size: int, *, signed: bool = False) -> int:
        """The next bytes as a number."""
        return int.from_bytes(self.take(size), "little", signed=signed)

    def plp(self) -> bytes | None:
        """A value of a (max) type, which comes in chunks."""
        if self.number(8) == 0xFFFFFFFFFFFFFFFF:
            return None
        whole = bytearray()
        while size := self.number(4):
            whole += self.take(size)
        return bytes(whole)
