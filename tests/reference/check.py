"""Computes KPIs with DuckDB straight from raw public CSVs and compares them with what a run published.

    python3 check.py olist|dataco|online_retail DATASETS_DIR OUT_DIR

Written from the definitions alone: it reads no pipeline file and shares no code with the program. Counts must be equal
exactly, values and intervals to 1e-9, and every period of either side must be on the other. Exits 1 with the first
differences.
"""

import math
import sys
from dataclasses import dataclass
from pathlib import Path

import duckdb
import raw_tables

GRAINS = ["day", "week", "month", "all"]
SEGMENT_GRAINS = ["month", "all"]
TOLERANCE = 1e-9
Z95 = 1.959963984540054


@dataclass(frozen=True)
class Measure:
    """One KPI as rows of `source`: a local time to cut by, what it adds above and below the line."""

    kpi: str
    source: str  # SQL relation with the columns of `clock` and of the segments
    clock: str  # local time that says which period a row belongs to
    kind: str  # count, sum, money, money_mean, rate, mean, hours_mean, p50, p90
    above: str = "1"  # numerator of a row; for quantiles and means of time the duration in seconds
    where: str = "true"  # which rows are in the denominator
    basis: str = "placed"
    table: str = "kpi"


def stage(name, start, end):
    """The four measures of a stage: over orders that passed it, and the share that began and is not through."""
    both = f"{start} is not null and {end} is not null and {end} >= {start}"
    seconds = f"epoch_us({end}) // 1000000 - epoch_us({start}) // 1000000"
    passed = dict(source="orders", clock="placed_local", above=seconds, where=both)
    return [
        Measure(f"{name}_p50", kind="p50", **passed),
        Measure(f"{name}_p90", kind="p90", **passed),
        Measure(f"{name}_mean", kind="hours_mean", **passed),
        Measure(
            f"{name}_open_share",
            "orders",
            "placed_local",
            "rate",
            above=f"({end} is null and not cancelled)::int",
            where=f"{start} is not null",
        ),
    ]


def placed(kpi, kind, above="1", where="true"):
    return Measure(kpi, "orders", "placed_local", kind, above, where)


VOLUME = [
    placed("orders", "count"),
    placed("units", "sum", "units"),
    placed("gross_sales", "money", "amount"),
    placed("average_order_value", "money_mean", "amount"),
    placed("new_customer_share", "rate", "(placed_at = first_at)::int"),
    Measure("repeat_purchase_rate", "customers", "first_local", "rate", "came_back::int", "old_enough", basis="first"),
]
CANCELLED = placed("cancel_rate", "rate", "cancelled::int")
SELLER_CANCELLED = placed(
    "pre_fulfilment_cancel_rate", "rate", "(coalesce(cancelled_by = 'seller', false) and shipped_at is null)::int"
)
# Held against days in the zone: an order promised for today is not yet late.
ON_TIME = Measure(
    "on_time_delivery_rate",
    "orders",
    "promised_delivery_local",
    "rate",
    "coalesce(delivered_local::date <= promised_delivery_local::date, false)::int",
    "promised_delivery_local::date < as_of_local()::date and not cancelled",
    basis="promised_delivery",
)
LATE_SHIPMENT = Measure(
    "late_shipment_rate",
    "orders",
    "promised_ship_local",
    "rate",
    "(coalesce(shipped_at, as_of()) > promised_ship_at)::int",
    # When an order was cancelled is not in these data, so a cancelled and unshipped one was not due.
    "promised_ship_at <= as_of() and not (cancelled and shipped_at is null)",
    basis="promised_ship",
)


def feedback(kpi, kind, above="1"):
    return Measure(kpi, "feedback", "received_local", kind, above, basis="received", table="satisfaction")


def by_order(kpi, source, above, where="true"):
    """A measure of `satisfaction` that goes by the day the order was placed."""
    return Measure(kpi, source, "placed_local", "mean", above, where, table="satisfaction")


# Each order's answers in points, and what the promise and the days under way leave of a hundred.
ANSWERED = "(select any_value(placed_local) placed_local, round(avg((score - 1) * 25.0)) points from feedback group by order_id)"
SPEED = """(select placed_local, round(case when promise is null then cycle when cycle is null then promise
    else (promise + cycle) / 2 end) points from (select placed_local,
    case when not cancelled and (delivered_at is not null or as_of_local()::date > promised_delivery_local::date) then
      100.0 - least(100, 10 * greatest(0, coalesce(delivered_local, as_of_local())::date - promised_delivery_local::date)) end promise,
    case when delivered_at is not null then 100.0 * least(1, greatest(0, (33 - (epoch_us(delivered_at) - epoch_us(placed_at)) / 86400e6) / 30)) end cycle
    from orders))"""


def of_part(part, kpis):
    """Orders by article or category, and what is bought of it."""
    source = f"{part}_parts"
    every = [
        Measure("orders", source, "placed_local", "count"),
        Measure("units", source, "placed_local", "sum", "units"),
        Measure("gross_sales", source, "placed_local", "money", "amount"),
    ]
    return [m for m in every if m.kpi in kpis]


# What waits at the run's clock: paid (approved) and neither shipped, delivered nor cancelled.
WAITS = "approved_at is not null and shipped_at is null and delivered_at is null and not cancelled"
DAYS = "(epoch_us(as_of()) - epoch_us(approved_at)) / 86400e6"


def waiting(kpi, kind, above="1"):
    return Measure(kpi, "orders", "as_of_local()", kind, above, WAITS, basis="as_of")


BACKLOG = [
    waiting("backlog", "sum"),
    waiting("backlog_under_1d", "sum", f"({DAYS} < 1)::int"),
    waiting("backlog_1d_to_3d", "sum", f"({DAYS} >= 1 and {DAYS} < 3)::int"),
    waiting("backlog_3d_to_7d", "sum", f"({DAYS} >= 3 and {DAYS} < 7)::int"),
    waiting("backlog_7d_and_over", "sum", f"({DAYS} >= 7)::int"),
    waiting("backlog_amount", "money", "amount"),
]


DATASETS = {
    "olist": dict(
        zone="America/Sao_Paulo",
        as_of="2018-10-18 00:00:00",
        measures=VOLUME
        + [CANCELLED, SELLER_CANCELLED, ON_TIME, LATE_SHIPMENT]
        + stage("processing_time", "approved_at", "shipped_at")
        + stage("transit_time", "shipped_at", "delivered_at")
        + stage("click_to_door", "placed_at", "delivered_at")
        + [
            placed("order_defect_rate", "rate", "defect::int"),
            feedback("star_mean", "mean", "score"),
            feedback("low_star_rate", "rate", "(score <= 2)::int"),
            feedback("feedback_count", "count"),
            by_order("star_mean_placed", "feedback", "score"),
            by_order("satisfaction_feedback", ANSWERED, "points::bigint"),
            by_order("satisfaction_speed", SPEED, "points::bigint", "points is not null"),
        ]
        + BACKLOG,
        segments={
            "ship_region": [
                "orders",
                "gross_sales",
                "on_time_delivery_rate",
                "late_shipment_rate",
                "click_to_door_p50",
                "order_defect_rate",
                "low_star_rate",
            ],
            "status": ["orders", "cancel_rate", "backlog", "star_mean"],
            "lane": [
                "orders",
                "units",
                "gross_sales",
                "late_shipment_rate",
                "on_time_delivery_rate",
                "processing_time_mean",
                "transit_time_p50",
                "transit_time_p90",
                "transit_time_open_share",
                "order_defect_rate",
                "backlog_7d_and_over",
                "star_mean",
            ],
            "category": of_part("category", ["orders", "units", "gross_sales"]),
        },
        # No payment time, no returns, no tickets, no scale but stars.
        absent=[
            "contact_rate",
            "transaction_defect_rate",
            "unresolved_case_rate",
            "damage_rate",
            "dispute_rate",
            "fill_rate",
            "valid_tracking_rate",
            "time_to_pay_p50",
            "review_time_p50",
            "order_cycle_time_p50",
            "return_rate_orders",
            "csat",
            "nps",
        ],
    ),
    "dataco": dict(
        zone="UTC",
        as_of="2017-02-01 00:00:00",
        measures=VOLUME + [CANCELLED, ON_TIME] + stage("click_to_door", "placed_at", "delivered_at"),
        segments={
            "channel": ["orders", "gross_sales", "cancel_rate", "on_time_delivery_rate", "click_to_door_p90"],
            "service_level": ["on_time_delivery_rate", "click_to_door_p50", "click_to_door_mean", "cancel_rate"],
            "channel+service_level": ["orders", "average_order_value", "on_time_delivery_rate"],
            "category": of_part("category", ["orders", "units", "gross_sales"]),
            "sku": of_part("sku", ["orders", "units"]),
        },
        absent=[
            "processing_time_p50",
            "transit_time_p50",
            "late_shipment_rate",
            "order_defect_rate",
            "return_rate_orders",
            "pre_fulfilment_cancel_rate",
            "star_mean",
        ],
    ),
    "online_retail": dict(
        zone="Europe/London",
        as_of="2011-12-10 00:00:00",
        measures=VOLUME,
        segments={
            "ship_country": [
                "orders",
                "units",
                "gross_sales",
                "average_order_value",
                "new_customer_share",
                "repeat_purchase_rate",
            ]
        },
        absent=[
            "cancel_rate",
            "click_to_door_p50",
            "on_time_delivery_rate",
            "late_shipment_rate",
            "order_defect_rate",
            "return_rate_orders",
        ],
    ),
}


def expected(con, m, grain, segment):
    """(period, segment value) → (numerator, denominator, value), as the definition says."""
    period = f"date_trunc('{grain}', {m.clock})::date" if grain != "all" else "null::date"
    columns_of = [f"coalesce({column}::varchar, '(none)')" for column in segment.split("+")]
    value_of_segment = " || '+' || ".join(columns_of) if segment != "all" else "'all'"
    above = f"({m.above})"
    total = f"sum({above})::bigint"
    columns = {
        "count": (total, "null", total),
        "sum": (total, "null", total),
        "money": (total, "null", f"{total} / 100.0"),
        "money_mean": (total, "count(*)", f"{total} / 100.0 / count(*)"),
        "rate": (total, "count(*)", f"{total}::double / count(*)"),
        "mean": (total, "count(*)", f"{total}::double / count(*)"),
        "hours_mean": (total, "count(*)", f"{total} / 3600.0 / count(*)"),
        "p50": ("null", "count(*)", f"quantile_cont({above} / 3600.0, 0.5)"),
        "p90": ("null", "count(*)", f"quantile_cont({above} / 3600.0, 0.9)"),
    }[m.kind]
    rows = con.execute(
        f"""select {period}, {value_of_segment}, {columns[0]}, {columns[1]}, ({columns[2]})::double from {m.source}
            where {m.where} and {m.clock} is not null group by 1, 2 having {total} is not null"""
    ).fetchall()
    return {(day, value): rest for day, value, *rest in rows}


def published(con, m, grain, segment):
    """The same from the run's files; the period of the whole is whatever day it starts on."""
    period = "period_start::date" if grain != "all" else "null::date"
    rows = con.execute(
        f"""select {period}, segment_value, numerator, denominator, value, lower, upper, basis from published_{m.table}
            where kpi = ? and grain = ? and segment = ?""",
        [m.kpi, grain, segment],
    ).fetchall()
    found = {(day, value): rest for day, value, *rest in rows}
    if len(found) != len(rows):
        raise SystemExit(f"{m.kpi}: {len(rows) - len(found)} rows stand twice for one {grain} and {segment}")
    return found


def close(a, b):
    if a is None or b is None:
        return a is b
    return math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def wilson(hits, trials):
    p, z2 = hits / trials, Z95 * Z95
    middle = (hits + z2 / 2) / (trials + z2)
    half = Z95 * math.sqrt(trials * p * (1 - p) + z2 / 4) / (trials + z2)
    return middle - half, middle + half


def differences(m, want, got):
    """What is wrong with one measure at one grain, in words."""
    for key in sorted(set(want) | set(got), key=str):
        name = "/".join(str(part) for part in key if part is not None)
        if key not in got:
            yield f"{name}: missing, expected {want[key]}"
        elif key not in want:
            yield f"{name}: not expected, found {got[key][:3]}"
        else:
            above, below, value = want[key]
            found_above, found_below, found_value, lower, upper, basis = got[key]
            if above is not None and found_above != above:
                yield f"{name}: numerator {found_above}, expected {above}"
            if below is not None and found_below != below:
                yield f"{name}: denominator {found_below}, expected {below}"
            if not close(found_value, value):
                yield f"{name}: value {found_value}, expected {value}"
            if m.kind == "rate":
                low, high = wilson(above, below)
                if not (close(lower, max(low, 0.0)) and close(upper, min(high, 1.0))):
                    yield f"{name}: interval {lower} to {upper}, expected {low} to {high}"
            if basis.removesuffix("_at") != m.basis:
                yield f"{name}: basis {basis}, expected {m.basis}"


def compare(con, m, segment, grains):
    counts, wrong = [], []
    for grain in grains:
        want, got = expected(con, m, grain, segment), published(con, m, grain, segment)
        if grain != "all":
            counts.append(f"{len(want)} {grain}s")
        wrong += [f"{grain} {line}" for line in differences(m, want, got)]
    name = m.kpi if segment == "all" else f"{m.kpi} by {segment}"
    if wrong:
        print(f"{name}: {len(wrong)} differences")
        for line in wrong[:5]:
            print(f"    {line}")
    else:
        print(f"{name}: {', '.join(reversed(counts))} and the whole equal")
    return len(wrong)


def main(dataset, datasets_dir, out_dir):
    plan = DATASETS[dataset]
    con = duckdb.connect()
    for table in ["kpi", "satisfaction"]:
        files = f"{out_dir}/{table}/**/*.parquet"
        if list(Path(out_dir).glob(f"{table}/**/*.parquet")):
            read = f"read_parquet('{files}', hive_partitioning = true)"
            con.execute(f"create table published_{table} as select * from {read}")
        elif table == "kpi":
            raise SystemExit(f"{out_dir} holds no table `{table}`")
        else:
            con.execute(f"create table published_{table} as select * from published_kpi limit 0")
    raw_tables.macros(con, plan["zone"], plan["as_of"])
    raw_tables.load(con, dataset, datasets_dir)
    counted = [con.execute(f"select count(*) from {t}").fetchall()[0][0] for t in ["base", "accepted"]]
    print(f"{dataset}: {counted[0]} orders, {counted[1]} with a possible order of times")

    wrong = sum(compare(con, m, "all", GRAINS) for m in plan["measures"])
    by_id = {m.kpi: m for m in plan["measures"]}
    by_segment = 0
    for segment, kpis in plan["segments"].items():
        for kpi in kpis:
            measure = by_id[kpi] if isinstance(kpi, str) else kpi
            wrong += compare(con, measure, segment, SEGMENT_GRAINS)
            by_segment += 1
    for kpi in plan["absent"]:
        rows = con.execute(
            "select count(*) from (from published_kpi union all by name from published_satisfaction) where kpi = ?",
            [kpi],
        ).fetchall()[0][0]
        if rows:
            print(f"{kpi}: {rows} rows, though the data cannot feed it")
            wrong += rows
    print(f"{dataset}: {len(by_id)} figures by month and {by_segment} by month and segment")
    print(f"{dataset}: {'every number equal' if not wrong else f'{wrong} differences'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in DATASETS:
        raise SystemExit(__doc__)
    sys.exit(main(*sys.argv[1:]))
