"""DuckDB's side of the bench over the handbook's payments; what it computes is told in window_features.py.

window_bench.py prepare TRANSACTIONS_CSV PAYMENTS   payments as Parquet: id, instant (µs), keys, amount (cents), fraud
window_bench.py whole PAYMENTS OUT                  the twelve features from Parquet to Parquet; prints peak memory, MiB
window_bench.py query PAYMENTS ROUNDS               table in memory to table in memory; prints the median, seconds
window_bench.py compare OURS THEIRS                 fails unless counts are equal and means within 1e-9
"""

import statistics
import sys
import time

import duckdb

DAY = 86_400_000_000
SPANS = (1, 7, 30)
task, *args = sys.argv[1:]
db = duckdb.connect()
db.sql("SET threads = 2")


def features(source):
    columns = ["id"]
    for who, value, name, delay in [
        ("customer", "amount", "mean_amount", 0),
        ("terminal", "fraud", "fraud_share", 7 * DAY),
    ]:
        for days in SPANS:
            frame = f"RANGE BETWEEN {delay + days * DAY} PRECEDING AND {delay + 1} PRECEDING"
            over = f"OVER (PARTITION BY {who} ORDER BY placed_at {frame})"
            columns.append(f"count(*) {over} AS {who}_count_{days}d")
            columns.append(f"avg({value}) {over} AS {who}_{name}_{days}d")
    return f"SELECT {', '.join(columns)} FROM {source}"


def peak_memory_mib():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) / 1024


if task == "prepare":
    source, out = args
    db.sql(
        f"""COPY (
            SELECT TRANSACTION_ID::BIGINT AS id, epoch_us(TX_DATETIME) AS placed_at, CUSTOMER_ID::BIGINT AS customer,
                TERMINAL_ID::BIGINT AS terminal, round(TX_AMOUNT * 100)::BIGINT AS amount, TX_FRAUD::INTEGER AS fraud
            FROM read_csv('{source}') ORDER BY id
        ) TO '{out}' (FORMAT parquet)"""
    )
elif task == "whole":
    payments, out = args
    query = features(f"read_parquet('{payments}')")
    db.sql(f"COPY ({query}) TO '{out}' (FORMAT parquet)")
    print(f"{peak_memory_mib():.1f}")
elif task == "query":
    payments, rounds = args
    db.sql(f"CREATE TABLE payments AS FROM read_parquet('{payments}')")
    seconds = []
    for _ in range(int(rounds)):
        begun = time.perf_counter()
        db.execute(f"CREATE OR REPLACE TEMP TABLE features AS {features('payments')}")
        seconds.append(time.perf_counter() - begun)
    print(f"{statistics.median(seconds):.4f}")
elif task == "compare":
    ours, theirs = args
    names = [name for name, *_ in db.execute(f"DESCRIBE FROM '{ours}'").fetchall()]
    assert names == [name for name, *_ in db.execute(f"DESCRIBE FROM '{theirs}'").fetchall()], names
    differences = []
    for name in names[1:]:
        apart = f"ours.{name} IS DISTINCT FROM theirs.{name}"
        if "count" not in name:
            nulls = f"(ours.{name} IS NULL) <> (theirs.{name} IS NULL)"
            # Relative where the mean is above 1.
            apart = f"{nulls} OR abs(ours.{name} - theirs.{name}) > 1e-9 * greatest(1, abs(theirs.{name}))"
        differences.append(f"count(*) FILTER ({apart}) AS {name}")
    query = f"SELECT count(*), {', '.join(differences)} FROM '{ours}' ours FULL JOIN '{theirs}' theirs USING (id)"
    rows, *different = db.execute(query).fetchone()
    either = [db.execute(f"SELECT count(*) FROM '{path}'").fetchone()[0] for path in (ours, theirs)]
    assert either == [rows, rows], (either, rows)
    assert not any(different), dict(zip(names[1:], different))
    print(f"{rows} rows")
else:
    sys.exit(__doc__)
