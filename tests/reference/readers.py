"""Reads every output table with DuckDB, polars and pyarrow, and checks columns, types and joins against the contract.

    python3 readers.py OUT_DIR

Each table is read with one call, as its users will. Exits 1 with everything that does not hold.
"""

import sys
from pathlib import Path

import duckdb
import polars
import pyarrow.dataset

ID, TEXT, FLAG, COUNT, NUMBER = ["VARCHAR"], ["VARCHAR"], ["BOOLEAN"], ["BIGINT"], ["DOUBLE"]
INSTANT, DAY = ["TIMESTAMP WITH TIME ZONE"], ["DATE"]
ANY_NUMBER = ["BIGINT", "INTEGER", "DOUBLE", "UINTEGER", "UBIGINT"]
# Lists of struct (feature, value, contribution, text); whether `value` is text or number is left open.
REASONS = ["REASONS"]

METRIC = {
    "period_start": DAY,
    "basis": TEXT,
    "segment": TEXT,
    "segment_value": TEXT,
    "kpi": TEXT,
    "numerator": ANY_NUMBER,
    "denominator": ANY_NUMBER,
    "value": NUMBER,
    "lower": NUMBER,
    "upper": NUMBER,
    "unit": TEXT,
    "target": NUMBER,
    "breach": FLAG,
    "mature": FLAG,
    "targets_version": TEXT,
    "grain": TEXT,
}

# Columns that CONTRACT.md names, by table; a table may have more.
COLUMNS = {
    "order_scores": {
        "order_id": ID,
        "line": ID,
        "customer_id": ID,
        "placed_at": INSTANT,
        "amount": COUNT,
        "scored_at": INSTANT,
        "fraud_probability": NUMBER,
        "fraud_flag": FLAG,
        "fraud_reasons": REASONS,
        "return_probability": NUMBER,
        "return_flag": FLAG,
        "return_reasons": REASONS,
        "rule_hits": ["VARCHAR[]", "VARCHAR"],
        "expected_loss": ANY_NUMBER,
        "action": TEXT,
        "priority": ANY_NUMBER,
        "fraud_model": TEXT,
        "return_model": TEXT,
        "placed_date": DAY,
    },
    "order_features": {"order_id": ID, "line": ID, "placed_at": INSTANT, "placed_date": DAY},
    "kpi": METRIC,
    "satisfaction": METRIC,
    "scorecard": {
        "channel": TEXT,
        "pack": TEXT,
        "kpi": TEXT,
        "window": TEXT,
        "period_start": DAY,
        "period_end": DAY,
        "numerator": COUNT,
        "denominator": COUNT,
        "value": NUMBER,
        "target": NUMBER,
        "breach": FLAG,
        "room": COUNT,
        "trend": TEXT,
        "mature": FLAG,
    },
    "order_satisfaction": {
        "order_id": ID,
        "score": NUMBER,
        "source": TEXT,
        "support": ANY_NUMBER,
        "low_probability": NUMBER,
        "speed": ANY_NUMBER,
        "null_reason": TEXT,
        "placed_date": DAY,
    },
    "satisfaction_drivers": {"rank": ANY_NUMBER, "fact": TEXT, "coefficient": NUMBER, "lower": NUMBER, "words": TEXT},
    "satisfaction_model": {"measure": TEXT, "predictor": TEXT, "value": NUMBER, "tested_from": INSTANT},
    "customer_profile": {
        "service_rank": ANY_NUMBER,
        "customer_id": ID,
        "service_priority": ANY_NUMBER,
        "service_reasons": ["VARCHAR[]"],
        "waiting_since": INSTANT,
        "tier": TEXT,
        "monetary": ANY_NUMBER,
        "satisfaction_last": NUMBER,
        "fraud_probability": NUMBER,
        "open_exceptions": COUNT,
        "urgent_exception": TEXT,
        "urgent_severity": TEXT,
        "lapsed_matters": COUNT,
    },
    "exceptions": {
        "order_id": ID,
        "kind": TEXT,
        "since": INSTANT,
        "age_hours": NUMBER,
        "severity": ["VARCHAR"] + ANY_NUMBER,
        "suggested_action": TEXT,
        "value_at_risk": ANY_NUMBER,
        "detected_date": DAY,
    },
    "open_cases": {
        "segment": TEXT,
        "segment_value": TEXT,
        "process": TEXT,
        "stage": TEXT,
        "waits_for": TEXT,
        "open_cases": COUNT,
        "oldest_since": INSTANT,
        "oldest_age_hours": NUMBER,
        "p90_age_hours": NUMBER,
        "amount_waiting": COUNT,
        "oldest_id": ID,
        "oldest_order_id": ID,
    },
    "inventory_position": {
        "sku": ID,
        "warehouse_id": ID,
        "counted_at": INSTANT,
        "on_hand": COUNT,
        "open_demand": COUNT,
        "available": COUNT,
        "daily_demand": NUMBER,
        "days_of_cover": NUMBER,
        "reorder_units": COUNT,
    },
    "review_queue": {"order_id": ID, "action": TEXT, "expected_loss": ANY_NUMBER},
    "quarantine": {
        "file": TEXT,
        "row": ANY_NUMBER,
        "column": TEXT,
        "reason": TEXT,
        "order_id": ID,
        "source": TEXT,
    },
    "model_monitor": {
        "target": TEXT,
        "model": TEXT,
        "role": TEXT,
        "grain": TEXT,
        "period_start": DAY,
        "feature": TEXT,
        "scored": COUNT,
        "psi": NUMBER,
        "psi_expected": NUMBER,
        "flag_share": NUMBER,
        "precision": NUMBER,
        "flagged_mature": COUNT,
        "flagged_not_mature": COUNT,
        "observed_share": NUMBER,
        "predicted_share": NUMBER,
        "alert": TEXT,
        "alert_text": TEXT,
    },
    "runs": {"run_id": ID},
}
REQUIRED = ["order_scores", "kpi", "runs"]
ACTIONS = ["approve", "hold", "review"]

# What the demo keeps beside its tables.
DEMO = ("input", "models")

problems = []


def wrong(message):
    problems.append(message)
    print(f"WRONG {message}")


def kind(duckdb_type):
    """The DuckDB type by name; a list of reasons under a name of its own."""
    text = str(duckdb_type)
    fields = ["feature VARCHAR", "value ", "contribution DOUBLE", "text VARCHAR"]
    plain = text.replace('"', "")
    is_reasons = plain.startswith("STRUCT(") and plain.endswith(")[]") and all(field in plain for field in fields)
    return "REASONS" if is_reasons else text


def read_everywhere(con, name, folder):
    """One call a reader; all must agree on rows and column names."""
    glob = f"{folder}/**/*.parquet"
    con.execute(f"create view {name} as select * from read_parquet('{glob}', hive_partitioning = true)")
    described = con.execute(f"describe {name}").fetchall()
    types = {column: kind(found) for column, found, *_ in described}
    rows = {"duckdb": con.execute(f"select count(*) from {name}").fetchall()[0][0]}
    names = {"duckdb": set(types)}

    frame = polars.read_parquet(glob, hive_partitioning=True)
    rows["polars"], names["polars"] = frame.height, set(frame.columns)

    dataset = pyarrow.dataset.dataset(folder, format="parquet", partitioning="hive")
    rows["pyarrow"], names["pyarrow"] = dataset.to_table().num_rows, set(dataset.schema.names)

    if len(set(rows.values())) != 1:
        wrong(f"{name}: readers count {rows}")
    for reader, found in names.items():
        if found != names["duckdb"]:
            wrong(f"{name}: {reader} sees other columns than duckdb: {sorted(found ^ names['duckdb'])}")
    for column, allowed in COLUMNS[name].items():
        if column not in types:
            wrong(f"{name}: no column `{column}`")
        elif types[column] not in allowed:
            wrong(f"{name}.{column}: type {types[column]}, expected {' or '.join(allowed)}")
    print(f"{name}: {rows['duckdb']} rows, {len(types)} columns, the same in duckdb, polars and pyarrow")
    return types


def count(con, sql):
    return con.execute(sql).fetchall()[0][0]


def joins(con, types):
    """The joins that the contract promises work by name and without a cast."""
    scores = types["order_scores"]
    for table, left, right in [("quarantine", "order_id", "order_id"), ("kpi", "placed_date", "period_start")]:
        if table not in types:
            print(f"{table}: not there, join left out")
        elif scores.get(left) != types[table].get(right):
            wrong(f"order_scores.{left} is {scores.get(left)}, {table}.{right} is {types[table].get(right)}")
    if "quarantine" in types:
        rows = count(con, "select count(*) from order_scores s join quarantine q on s.order_id = q.order_id")
        print(f"order_scores join quarantine by order_id: {rows} rows")
    con.execute("create view order_counts as from kpi where grain = 'day' and segment = 'all' and kpi = 'orders'")
    # The day's order count beside each score: every score has its day, and no day has more scores than orders.
    unmatched = count(
        con,
        """select count(*) from order_scores s anti join order_counts k on s.placed_date = k.period_start""",
    )
    if unmatched:
        wrong(f"{unmatched} scores have no row of kpi `orders` for their day")
    more = count(
        con,
        """select count(*) from (select placed_date, count(distinct order_id) n from order_scores group by 1) s
           join order_counts k on s.placed_date = k.period_start
           where s.n > k.numerator""",
    )
    if more:
        wrong(f"on {more} days there are more scored orders than kpi `orders` counts")
    print("order_scores join kpi by day: done")
    for action, n in con.execute("select action, count(*) from order_scores group by 1 order by 1").fetchall():
        if action not in ACTIONS:
            wrong(f"order_scores.action: {n} rows with `{action}`, allowed are {', '.join(ACTIONS)}")
    twice = count(con, "select count(*) from (select 1 from order_scores group by order_id, line having count(*) > 1)")
    if twice:
        wrong(f"order_scores: {twice} orders or lines stand twice")


def main(out_dir):
    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'")
    types = {}
    for folder in sorted(p for p in Path(out_dir).iterdir() if p.is_dir() and not p.name.startswith(("_", ".")) and p.name not in DEMO):
        if not list(folder.glob("**/*.parquet")):
            continue
        if folder.name not in COLUMNS:
            wrong(f"`{folder.name}` is no table of the contract")
            continue
        types[folder.name] = read_everywhere(con, folder.name, str(folder))
    missing = [name for name in REQUIRED if name not in types]
    for name in missing:
        wrong(f"no table `{name}`")
    if not missing:
        joins(con, types)
    print(f"{len(types)} tables, {f'{len(problems)} problems' if problems else 'all as the contract says'}")
    return 1 if problems else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    sys.exit(main(sys.argv[1]))
