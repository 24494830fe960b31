"""The twelve window features of the handbook's protocol by DuckDB, as CSV: window_features.py TRANSACTIONS_CSV UNTIL OUT_CSV

Customer: count and mean amount (cents) over 1, 7 and 30 days before T. Terminal: count and share of frauds over 1, 7 and 30
days that end 7 days before T. Strictly before: payments of one second see nothing of one another.
"""

import sys

import duckdb

source, until, out = sys.argv[1:]
DAY = 86_400
columns = []
for key, value, delay in [("CUSTOMER_ID", "amount", 0), ("TERMINAL_ID", "TX_FRAUD", 7 * DAY)]:
    for days in (1, 7, 30):
        frame = f"RANGE BETWEEN {delay + days * DAY} PRECEDING AND {delay + 1} PRECEDING"
        for function in ("count(*)", f"avg({value})"):
            columns.append(f"{function} OVER (PARTITION BY {key} ORDER BY second {frame})")
duckdb.sql(
    f"""COPY (
        WITH payments AS (
            SELECT *, epoch(TX_DATETIME)::BIGINT AS second, round(TX_AMOUNT * 100)::BIGINT AS amount
            FROM read_csv('{source}') WHERE TX_DATETIME < TIMESTAMP '{until}'
        )
        SELECT TRANSACTION_ID, {", ".join(columns)} FROM payments ORDER BY TRANSACTION_ID
    ) TO '{out}' (HEADER false)"""
)
