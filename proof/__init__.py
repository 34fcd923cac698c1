"""`make test-sqlserver`: the tool proven on a SQL Server that whoever runs it has (docs/sqlserver.md)."""
