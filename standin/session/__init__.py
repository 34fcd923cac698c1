"""One client's connection: TDS messages in, token streams out.

pysqlbridge does the framing, the TLS tunnel and the login packet. What is added here: rows are sent while DuckDB still
produces them (`queries`, `answer`), prepared statements (`procedures`), transactions, and attention (cancel).
"""

from standin.session.connection import ClientConnection

__all__ = ["ClientConnection"]
