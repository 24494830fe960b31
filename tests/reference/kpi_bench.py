"""DuckDB's side of the KPI bench.

kpi_bench.py prepare SHOP TYPED      a generated shop as typed Parquet, the accepted tables of the contract in order of order_id
kpi_bench.py ten TYPED AS_OF OUT     ten KPIs from Parquet to Parquet: day, week, month, all by four segments; prints peak memory, MiB, and
                                   processor time, s
kpi_bench.py compare OURS THEIRS     fails unless both have the same rows, counts equal and values within 1e-9

Amounts are taken as cents of one currency. Rows that do not parse, name no order or have been superseded are left out.
"""

import sys
import time
from pathlib import Path

import duckdb

task, *args = sys.argv[1:]
db = duckdb.connect()
db.sql("SET threads = 2")
db.sql("SET memory_limit = '6GB'")
db.sql("SET TimeZone = 'UTC'")
db.sql("SET preserve_insertion_order = true")

ZONE = "Europe/Berlin"
SEGMENTS = {
    "all": "'all'",
    "channel": "coalesce(channel, '(none)')",
    "ship_country": "coalesce(ship_country, '(none)')",
    "carrier": "coalesce(carrier, '(none)')",
    "channel+carrier": "coalesce(channel, '(none)') || '+' || coalesce(carrier, '(none)')",
}
GRAINS = {
    "day": "day",
    "week": "date_trunc('week', day)::date",
    "month": "date_trunc('month', day)::date",
    "all": "NULL::date",
}


def peak_memory_mib():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) / 1024


def prepare(shop, typed):
    shop, typed = Path(shop), Path(typed)
    typed.mkdir(parents=True, exist_ok=True)

    def instants(*names):
        return ", ".join(f"try_cast({n} AS TIMESTAMPTZ) AS {n}" for n in names)

    def cents(*names):
        return ", ".join(f"try_cast(try_cast({n} AS DECIMAL(18,2)) * 100 AS BIGINT) AS {n}" for n in names)

    def write(name, sql):
        path = typed / f"{name}.parquet"
        db.sql(f"COPY ({sql}) TO '{path}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 65536)")

    def csv(path):
        with open(path) as file:
            names = file.readline().strip().split(",")
        columns = ", ".join(f"'{name}': 'VARCHAR'" for name in names)
        options = "header = true, auto_detect = false, delim = ',', quote = '\"', escape = '\"', ignore_errors = true"
        return f"read_csv('{path}', {options}, columns = {{{columns}}})"

    write(
        "orders",
        f"""SELECT order_id, {instants('placed_at')}, customer_id, {cents('amount')}, channel, seller_id, status,
          try_cast(item_count AS BIGINT) AS item_count, try_cast(units AS BIGINT) AS units, ship_country, ship_region,
          {instants('paid_at', 'approved_at', 'promised_ship_at', 'shipped_at', 'promised_delivery_at', 'delivered_at')},
          {instants('completed_at', 'cancelled_at', 'account_created_at', 'updated_at', 'fraud_known_at')},
          cancelled_by, cancel_reason, warehouse_id, carrier, service_level, try_cast(fraud AS BOOLEAN) AS fraud
        FROM {csv(shop / 'orders.csv')} WHERE order_id IS NOT NULL AND customer_id IS NOT NULL
          AND try_cast(placed_at AS TIMESTAMPTZ) IS NOT NULL AND try_cast(amount AS DECIMAL(18,2)) >= 0
        QUALIFY row_number() OVER (PARTITION BY order_id ORDER BY try_cast(updated_at AS TIMESTAMPTZ) DESC) = 1
        ORDER BY order_id""",
    )
    known = f"(SELECT order_id FROM '{typed / 'orders.parquet'}')"
    write(
        "order_items",
        f"""SELECT order_id, line, sku, category, quantity, {cents('unit_price')}, shipped_quantity
        FROM '{shop / 'order_items.parquet'}' WHERE order_id IN {known} ORDER BY order_id, line""",
    )
    # Already in order, and too many to sort in so little memory. Two threads would not leave them so.
    db.sql("SET threads = 1")
    write(
        "order_events",
        f"""SELECT order_id, event, occurred_at, known_at, detail FROM '{shop / 'order_events.parquet'}'
        WHERE order_id IN {known}""",
    )
    db.sql("SET threads = 2")
    stages = ["requested_at", "known_at", "approved_at", "rejected_at", "received_at", "refunded_at"]
    stages += ["replacement_shipped_at", "replacement_received_at", "closed_at"]
    write(
        "returns",
        f"""SELECT return_id, order_id, line, kind, {instants(*stages)}, reason, {cents('amount')},
          try_cast(quantity AS BIGINT) AS quantity
        FROM {csv(shop / 'returns.csv')} WHERE order_id IN {known} AND try_cast(requested_at AS TIMESTAMPTZ) IS NOT NULL
        QUALIFY row_number() OVER (PARTITION BY return_id ORDER BY requested_at) = 1 ORDER BY order_id, return_id""",
    )
    write(
        "tickets",
        f"""SELECT ticket_id, order_id, customer_id, kind, {instants('opened_at', 'known_at', 'first_reply_at')},
          {instants('solved_at', 'last_solved_at')}, channel, topic, language, agent_language, outcome, {cents('amount')}
        FROM read_json('{shop / 'tickets.ndjson'}', format = 'newline_delimited', ignore_errors = true,
          sample_size = -1)
        WHERE (order_id IS NULL OR order_id IN {known}) AND try_cast(opened_at AS TIMESTAMPTZ) IS NOT NULL
        QUALIFY row_number() OVER (PARTITION BY ticket_id ORDER BY opened_at) = 1 ORDER BY order_id, ticket_id""",
    )
    write(
        "feedback",
        f"""SELECT feedback_id, order_id, customer_id, {instants('received_at')}, scale,
          try_cast(score AS BIGINT) AS score, language, {instants('replied_at', 'response_offered_at')}
        FROM {csv(shop / 'feedback.csv')}
        WHERE (order_id IS NULL OR order_id IN {known}) AND try_cast(received_at AS TIMESTAMPTZ) IS NOT NULL
        QUALIFY row_number() OVER (PARTITION BY feedback_id ORDER BY received_at) = 1 ORDER BY order_id, feedback_id""",
    )


def rate(hits, trials):
    return f"sum(({hits})::int) FILTER (WHERE {trials})", f"count(*) FILTER (WHERE {trials})"


def ten(typed, as_of, out):
    """Ten KPIs: an order's facts once, then one grouping a clock, segment and grain."""
    typed, now = Path(typed), f"TIMESTAMPTZ '{as_of}'"
    table = {n: f"'{typed / n}.parquet'" for n in ["orders", "returns", "tickets", "feedback"]}
    db.sql(f"""CREATE TEMP TABLE facts AS
      WITH defects AS (
        SELECT DISTINCT order_id FROM (
          SELECT order_id FROM {table['feedback']} WHERE scale = 'stars5' AND score <= 2
          UNION ALL SELECT order_id FROM {table['tickets']}
            WHERE kind = 'chargeback' OR (kind = 'claim' AND NOT coalesce(lower(outcome) = 'denied', false)))),
      back AS (
        SELECT r.order_id, sum(r.amount) AS returned_amount FROM {table['returns']} r
        JOIN {table['orders']} o USING (order_id) WHERE r.requested_at <= o.delivered_at + INTERVAL 720 HOUR
        GROUP BY r.order_id)
      SELECT o.placed_at, o.promised_ship_at, o.shipped_at, o.delivered_at, o.amount, o.channel, o.ship_country, o.carrier,
        o.cancelled_at IS NOT NULL OR o.cancelled_by IS NOT NULL OR coalesce(lower(o.status) IN ('cancelled', 'canceled'), false)
          AS cancelled, o.cancelled_at, o.cancelled_by, d.order_id IS NOT NULL AS defect, b.order_id IS NOT NULL AS returned,
        coalesce(b.returned_amount, 0) AS returned_amount
      FROM {table['orders']} o LEFT JOIN defects d USING (order_id) LEFT JOIN back b USING (order_id)""")
    in_time = "cancelled AND shipped_at IS NULL AND NOT coalesce(cancelled_at > promised_ship_at, false)"
    due = f"promised_ship_at <= {now} AND NOT ({in_time})"
    late = f"coalesce(shipped_at > promised_ship_at, promised_ship_at < {now})"
    # Whole seconds, as the shop writes them.
    seconds = "(epoch_us(delivered_at) - epoch_us(placed_at)) / 1000000"
    through = "delivered_at >= placed_at"
    by_clock = {
        "placed_at": {
            "orders": ("count(*)", "NULL", "{N}"),
            "gross_sales": ("sum(amount)", "NULL", "{N} / 100.0"),
            "average_order_value": ("sum(amount)", "count(*)", "{N} / {D} / 100.0"),
            "cancel_rate": (*rate("cancelled", "true"), "{N} / {D}"),
            "pre_fulfilment_cancel_rate": (*rate("coalesce(cancelled_by = 'seller', false) AND shipped_at IS NULL", "true"), "{N} / {D}"),
            "order_defect_rate": (*rate("defect", "true"), "{N} / {D}"),
            "click_to_door_p50": ("NULL", f"count(*) FILTER (WHERE {through})", f"quantile_cont({seconds}, 0.5) FILTER (WHERE {through}) / 3600"),
            "click_to_door_p90": ("NULL", f"count(*) FILTER (WHERE {through})", f"quantile_cont({seconds}, 0.9) FILTER (WHERE {through}) / 3600"),
            "click_to_door_mean": (f"sum({seconds}) FILTER (WHERE {through})", f"count(*) FILTER (WHERE {through})", "{N} / {D} / 3600"),
            "click_to_door_open_share": (*rate("delivered_at IS NULL AND NOT cancelled", "true"), "{N} / {D}"),
        },
        "promised_ship_at": {"late_shipment_rate": (*rate(late, due), "{N} / {D}")},
        "delivered_at": {
            "return_rate_orders": (*rate("returned", "true"), "{N} / {D}"),
            "return_rate_revenue": ("sum(returned_amount)", "sum(amount)", "{N} / {D}"),
        },
    }
    db.sql("""CREATE TEMP TABLE kpi (grain VARCHAR, period_start DATE, basis VARCHAR, segment VARCHAR, segment_value VARCHAR,
      kpi VARCHAR, numerator BIGINT, denominator BIGINT, value DOUBLE)""")
    for clock, kpis in by_clock.items():
        db.sql(f"""CREATE OR REPLACE TEMP VIEW dated AS
          SELECT *, ({clock} AT TIME ZONE '{ZONE}')::date AS day FROM facts WHERE {clock} IS NOT NULL""")
        for segment, value_of in SEGMENTS.items():
            for grain, start in GRAINS.items():
                sums, rows = [], []
                for at, (kpi, (above, below, value)) in enumerate(kpis.items()):
                    quantile = value.startswith("quantile")
                    sums += [f"({above})::BIGINT AS n{at}", f"({below})::BIGINT AS d{at}"]
                    sums += [f"{value} AS q{at}"] if quantile else []
                    figure = f"q{at}" if quantile else value.format(N=f"n{at}::DOUBLE", D=f"d{at}")
                    there = f"coalesce(d{at}, 1) > 0" if below != "NULL" else f"n{at} IS NOT NULL"
                    rows.append(f"({there}, '{kpi}', n{at}, d{at}, ({figure})::DOUBLE)")
                db.sql(f"""INSERT INTO kpi
                  WITH sums AS (SELECT {start} AS start, {value_of} AS v, {', '.join(sums)} FROM dated GROUP BY ALL)
                  SELECT '{grain}', start, '{clock}', '{segment}', v, r[2], r[3], r[4], r[5]
                  FROM (SELECT start, v, unnest([{', '.join('row' + r for r in rows)}]) AS r FROM sums) WHERE r[1]""")
    db.sql(f"COPY kpi TO '{out}' (FORMAT parquet)")


def compare(ours, theirs):
    key = "grain, period_start, basis, segment, segment_value, kpi"
    rows, differ = db.sql(f"""
      SELECT count(*), count(*) FILTER (WHERE NOT coalesce(o.numerator IS NOT DISTINCT FROM t.numerator
        AND o.denominator IS NOT DISTINCT FROM t.denominator AND abs(o.value - t.value) <= 1e-9 * greatest(1, abs(t.value)), false))
      FROM (SELECT *, true AS here FROM '{ours}') o FULL JOIN '{theirs}' t
      ON {' AND '.join(f'o.{k} IS NOT DISTINCT FROM t.{k}' for k in key.split(', '))}""").fetchall()[0]
    if differ:
        print(db.sql(f"""SELECT o.kpi, t.kpi, coalesce(o.grain, t.grain), o.period_start, t.period_start, o.segment_value,
          t.segment_value, o.numerator, t.numerator, o.denominator, t.denominator, o.value, t.value
          FROM '{ours}' o FULL JOIN '{theirs}' t
          ON {' AND '.join(f'o.{k} IS NOT DISTINCT FROM t.{k}' for k in key.split(', '))}
          WHERE NOT coalesce(o.numerator IS NOT DISTINCT FROM t.numerator AND o.denominator IS NOT DISTINCT FROM t.denominator
          AND abs(o.value - t.value) <= 1e-9 * greatest(1, abs(t.value)), false) LIMIT 20"""))
        sys.exit(f"{differ} of {rows} rows differ")
    print(f"{rows} rows")


if task == "prepare":
    prepare(*args)
elif task == "ten":
    ten(*args)
    print(peak_memory_mib(), time.process_time())
elif task == "compare":
    compare(*args)
