"""The log, the history and the tables: SQLite and Parquet in one data folder."""
