"""Finds exceptions with DuckDB straight from raw files and compares them with what a run published.

    python3 exceptions.py demo INPUT_DIR OUT_DIR AS_OF
    python3 exceptions.py olist DATASETS_DIR OUT_DIR AS_OF

Written from the definitions alone: it shares no code with the program. Of every kind below, the same orders must be
listed with the same `since`; in the demo also every position of stock. Prints the rows of each kind; exits 1 with the
first differences.
"""

import sys
from pathlib import Path

import duckdb

# The program's defaults.
LEAST_PARCELS = 50
LOOK_BACK = "interval 180 day"

NOT_CANCELLED = "cancelled_at is null and cancelled_by is null and coalesce(lower(status), '') not in ('cancelled', 'canceled')"
ENDED = """(delivered_at is not null or completed_at is not null
            or coalesce(lower(status), '') in ('delivered', 'completed', 'complete', 'closed', 'refunded', 'returned'))"""
SHIPPED = f"(shipped_at is not null or {ENDED} or coalesce(lower(status), '') in ('shipped', 'in_transit', 'in transit'))"

problems = []


def times(columns):
    """Instants, none where they had not come by the clock; of a row that was written later, its status says nothing."""
    return ", ".join(f"case when {c}::timestamp <= $as_of then {c}::timestamp end as {c}" for c in columns)


def demo_tables(con, folder):
    clocks = ["paid_at", "approved_at", "shipped_at", "delivered_at", "completed_at", "cancelled_at"]
    later = " or ".join(f"coalesce({c}::timestamp > $as_of, false)" for c in clocks + ["updated_at"])
    run(con, f"""create table orders as select order_id, customer_id, placed_at::timestamp as placed_at, warehouse_id, ship_from,
        ship_country, ship_region, carrier, service_level,
        promised_ship_at::timestamp as promised_ship_at, promised_delivery_at::timestamp as promised_delivery_at,
        case when cancelled_at is null or cancelled_at::timestamp <= $as_of then cancelled_by end as cancelled_by,
        case when {later} then null else status end as status, {times(clocks)}, true as has_paid
        from read_csv('{folder}/orders.csv', all_varchar = true) where placed_at::timestamp <= $as_of""")
    run(con, f"""create table events as select order_id, event, occurred_at::timestamp as occurred_at
        from '{folder}/order_events.parquet' where occurred_at::timestamp <= $as_of and known_at::timestamp <= $as_of""")
    clocks = ["approved_at", "rejected_at", "received_at", "refunded_at", "replacement_shipped_at", "closed_at"]
    run(con, f"""create table returns as select return_id, order_id, kind, requested_at::timestamp as requested_at, {times(clocks)}
        from read_csv('{folder}/returns.csv', all_varchar = true)
        where requested_at::timestamp <= $as_of and coalesce(known_at::timestamp <= $as_of, true)""")
    run(con, f"""create table tickets as select ticket_id, order_id, kind, opened_at::timestamp as opened_at,
        {times(["first_reply_at", "solved_at"])}
        from read_json('{folder}/tickets.ndjson', columns = {{ticket_id: 'varchar', order_id: 'varchar', kind: 'varchar',
            opened_at: 'varchar', known_at: 'varchar', first_reply_at: 'varchar', solved_at: 'varchar'}})
        where opened_at::timestamp <= $as_of and coalesce(known_at::timestamp <= $as_of, true)""")
    run(con, f"""create table items as select order_id, sku, quantity, shipped_quantity from '{folder}/order_items.parquet'
        where order_id in (select order_id from orders)""")
    run(con, f"""create table inventory as select sku, warehouse_id, as_of::timestamp as counted_at, on_hand::bigint as on_hand
        from read_csv('{folder}/inventory.csv', all_varchar = true) where as_of::timestamp <= $as_of""")


def olist_tables(con, folder):
    """Local times of São Paulo become UTC; what stands in no file is null."""
    utc = lambda c: f"timezone('UTC', timezone('America/Sao_Paulo', {c}::timestamp))"
    known = lambda c, name: f"case when {utc(c)} <= $as_of then {utc(c)} end as {name}"
    source = lambda name: f"read_csv('{folder}/olist/{name}.csv', all_varchar = true)"
    stages = ["order_approved_at", "order_delivered_carrier_date", "order_delivered_customer_date"]
    later = " or ".join(f"coalesce({utc(c)} > $as_of, false)" for c in stages)
    # What the program refuses: steps in an order of time that cannot be.
    possible = f"""coalesce(order_approved_at::timestamp >= order_purchase_timestamp::timestamp, true)
        and coalesce(order_delivered_carrier_date::timestamp >= order_purchase_timestamp::timestamp, true)
        and coalesce(order_delivered_customer_date::timestamp >= order_purchase_timestamp::timestamp, true)
        and coalesce(order_delivered_customer_date::timestamp >= order_delivered_carrier_date::timestamp, true)"""
    run(con, f"""create table orders as
        with sellers as (select order_id, seller_state from {source("olist_order_items_dataset")}
            left join {source("olist_sellers_dataset")} using (seller_id) where order_item_id = '1'),
        limits as (select order_id, min(shipping_limit_date::timestamp) as ship_by
            from {source("olist_order_items_dataset")} group by 1),
        paid as (select distinct order_id from {source("olist_order_payments_dataset")})
        select order_id, c.customer_unique_id as customer_id, {utc("order_purchase_timestamp")} as placed_at, s.seller_state as ship_from,
        'BR' as ship_country, c.customer_state as ship_region, null::varchar as carrier, null::varchar as service_level,
        {utc("ship_by")} as promised_ship_at, {utc("order_estimated_delivery_date")} as promised_delivery_at,
        case when order_status = 'unavailable' then 'seller' end as cancelled_by,
        case when {later} then null else order_status end as status, null::timestamp as paid_at,
        {known("order_approved_at", "approved_at")}, {known("order_delivered_carrier_date", "shipped_at")},
        {known("order_delivered_customer_date", "delivered_at")}, null::timestamp as completed_at,
        null::timestamp as cancelled_at, false as has_paid
        from {source("olist_orders_dataset")} o join paid using (order_id)
        join {source("olist_customers_dataset")} c using (customer_id)
        left join sellers s using (order_id) left join limits using (order_id)
        where {utc("order_purchase_timestamp")} <= $as_of and {possible}""")
    con.execute("create table events (order_id varchar, event varchar, occurred_at timestamp)")


def run(con, sql):
    return con.execute(sql, {"as_of": AS_OF} if "$as_of" in sql else None)


def states(con):
    run(con, f"""create table states as select *, {NOT_CANCELLED} as alive, {ENDED} as ended, {SHIPPED} as shipped,
        has_paid and paid_at is null and approved_at is null and not {SHIPPED} as unpaid from orders""")


LEVELS = [
    ["ship_from", "ship_country", "ship_region", "carrier", "service_level"],
    ["ship_from", "ship_country", "carrier", "service_level"],
    ["ship_from", "ship_country"],
    ["ship_country", "ship_region"],
    ["ship_country"],
    [],
]


def lanes(con):
    """Waits by lane, narrowest first; a lane counts from fifty parcels on."""
    # A column that is not supplied is no part of a lane; one that is null in a row makes the lane unknown.
    supplied = lambda c: con.execute(f"select count({c}) from states").fetchall()[0][0] > 0
    parts = []
    for level, names in enumerate(LEVELS):
        names = [c for c in names if supplied(c)]
        known = " and ".join(f"{c} is not null" for c in names) or "true"
        parts.append(f"select {level} as level, [{', '.join(names + [repr('')])}] as lane, order_id from states where {known}")
    con.execute(f"create table levels as {' union all '.join(parts)}")
    con.execute("""create table limits as
        with numbered as (select level, lane, step, wait,
            row_number() over (partition by level, lane, step order by wait) as n,
            count(*) over (partition by level, lane, step) as parcels
            from waits join levels using (order_id))
        select level, lane, step, min(wait) as usual, any_value(parcels) as parcels from numbered
        where n * 20 >= parcels * 19 group by all""")


def limit_of(candidates, otherwise):
    """Since when each candidate has waited too long: by its narrowest lane with enough parcels, else by the setting."""
    return f"""with candidates as ({candidates}), usual as (
        select order_id, step, usual, row_number() over (partition by order_id order by level) as choice
        from candidates join levels using (order_id) join limits using (level, lane, step) where parcels >= {LEAST_PARCELS})
        select order_id, began + to_microseconds(coalesce(usual, {otherwise} * 86400000000)) as since
        from candidates left join usual using (order_id) where coalesce(choice, 1) = 1"""


ROAD = ["shipped", "first_scan", "exception_delay", "exception_damage", "exception_address", "customs_arrived",
        "customs_cleared", "at_local_post", "out_for_delivery", "exception_lost", "delivered"]


def road(con):
    """The news of each parcel, and its waits from one to the next."""
    con.execute(f"create table codes as select unnest({ROAD}) as event, generate_subscripts({ROAD}, 1) as code")
    con.execute("""create table news as
        select distinct order_id, occurred_at as moment, code, event from events join codes using (event)
        where order_id in (select order_id from states)""")
    con.execute("""insert into news select order_id, shipped_at, 1, 'shipped' from states
        where shipped_at is not null and order_id not in (select order_id from news where event = 'shipped')""")
    con.execute("""insert into news select order_id, delivered_at, 11, 'delivered' from states
        where delivered_at is not null and order_id not in (select order_id from news where event = 'delivered')""")
    con.execute("""create table waits as
        select order_id, event as step, epoch_us(lead(moment) over (partition by order_id order by moment, code)) - epoch_us(moment) as wait from news""")
    con.execute("delete from waits where wait is null")
    con.execute("""insert into waits
        with arrived as (select order_id, min(moment) as moment from news where event = 'customs_arrived' group by 1)
        select order_id, 'in customs', epoch_us(min(n.moment)) - epoch_us(a.moment) from arrived a join news n using (order_id)
        where n.moment >= a.moment and n.event in ('customs_cleared', 'at_local_post', 'out_for_delivery', 'delivered')
        group by order_id, a.moment""")
    con.execute("""create table parcels as
        select s.order_id, max(n.moment) as last_at, arg_max(n.event, (n.moment, n.code)) as last_event, s.shipped_at,
            count(*) filter (n.event <> 'shipped') as scans,
            max(n.moment) filter (n.event = 'customs_arrived') as arrived,
            max(n.moment) filter (n.event in ('customs_cleared', 'at_local_post', 'out_for_delivery', 'delivered')) as beyond
        from states s join news n using (order_id) where s.shipped_at is not null and s.alive and not s.ended
        group by s.order_id, s.shipped_at having count(*) filter (n.event in ('delivered', 'exception_lost')) = 0""")


def kinds(name, zone):
    """Each kind as rows of order and since; a limit is passed when more than its span is over."""
    found = {
        "not_shipped_by_promise": "select order_id, promised_ship_at as since from states where alive and not shipped and not unpaid and promised_ship_at < $as_of",
        "delivery_promise_broken": f"""select order_id, since from (select *,
            timezone('UTC', timezone('{zone}', (timezone('{zone}', timezone('UTC', promised_delivery_at))::date + 1)::timestamp)) as since
            from states) where alive and not ended and not unpaid and since <= $as_of""",
    }
    if name == "olist":
        found["stuck_in_transit"] = f"""select * from ({limit_of("select order_id, shipped_at as began, 'road' as step from states where shipped_at is not null and alive and not ended", 10)}) where since < $as_of"""
        return found
    inside = "arrived is not null and (beyond is null or beyond < arrived)"
    found |= {
        "payment_overdue": "select order_id, placed_at + interval 24 hour as since from states where alive and not ended and not shipped and unpaid and placed_at + interval 24 hour < $as_of",
        "audit_overdue": "select order_id, paid_at + interval 24 hour as since from states where alive and not shipped and approved_at is null and paid_at + interval 24 hour < $as_of",
        "no_carrier_scan": "select order_id, shipped_at + interval 48 hour as since from parcels where scans = 0 and shipped_at + interval 48 hour < $as_of",
        "stuck_in_transit": f"""select * from ({limit_of(f"select order_id, last_at as began, last_event as step from parcels where scans > 0 and not ({inside})", 10)}) where since < $as_of""",
        "stuck_in_customs": f"""select * from ({limit_of(f"select order_id, arrived as began, 'in customs' as step from parcels where scans > 0 and {inside}", 5)}) where since < $as_of""",
        "return_waiting": f"""select order_id, min(since) as since from (
            select *, case when received_at is not null then received_at
                           when approved_at is null then requested_at + interval 48 hour end as since
            from returns where rejected_at is null and refunded_at is null and replacement_shipped_at is null and closed_at is null)
            where since < $as_of and since >= $as_of - {LOOK_BACK} and order_id in (select order_id from states) group by 1""",
        "dispute_deadline": """select order_id, greatest(opened_at, deadline - interval 72 hour) as since from (
            select *, opened_at + case kind when 'claim' then interval 3 day else interval 10 day end as deadline from tickets
            where kind in ('dispute', 'claim', 'chargeback') and solved_at is null)
            where deadline - interval 72 hour <= $as_of and deadline + interval 14 day >= $as_of""",
    }
    return found


def compare(con, name, sql, out):
    expected = {(o, s) for o, s in run(con, f"select order_id, epoch_us(since) from ({sql}) where since >= $as_of - {LOOK_BACK}").fetchall()}
    found = {(o, s) for o, s in con.execute(f"""select order_id, epoch_us(since) from
        read_parquet('{out}/exceptions/*/*.parquet') where kind = '{name}'""").fetchall()}
    for what, rows in [("only DuckDB has", expected - found), ("only the run has", found - expected)]:
        for row in sorted(rows)[:3]:
            problems.append(f"{name}: {what} {row}")
    print(f"{name}: {len(found)} rows")


def stock(con, out):
    """Stock, demand and what follows from them, for every article and warehouse."""
    run(con, """create table positions as
        with counts as (select sku, warehouse_id, max(counted_at) as counted_at, arg_max(on_hand, counted_at) as on_hand
            from inventory group by 1, 2),
        lines as (select * from items join states using (order_id)),
        use as (select l.sku, l.warehouse_id,
            sum(coalesce(l.shipped_quantity, l.quantity)) filter (l.shipped_at > c.counted_at) as shipped_since,
            sum(l.quantity) filter (l.alive and not l.shipped and not l.unpaid) as open_demand,
            sum(l.quantity) filter ((l.alive or l.cancelled_by = 'seller') and not l.unpaid and l.placed_at > $as_of - interval 28 day) as recent
            from lines l left join counts c using (sku, warehouse_id) group by 1, 2)
        select sku, warehouse_id, counted_at, on_hand, coalesce(shipped_since, 0) as shipped_since,
            coalesce(open_demand, 0) as open_demand,
            case when counted_at >= $as_of - interval 10 day then on_hand - coalesce(shipped_since, 0) - coalesce(open_demand, 0) end as available,
            coalesce(recent, 0) / 28 as daily_demand
        from counts full join use using (sku, warehouse_id) where on_hand is not null or open_demand > 0""")
    same = """a.sku is not null and b.sku is not null and a.counted_at is not distinct from b.counted_at
        and a.on_hand is not distinct from b.on_hand and (a.on_hand is null or a.shipped_since = b.shipped_since)
        and a.open_demand = b.open_demand and a.available is not distinct from b.available
        and abs(a.daily_demand - b.daily_demand) < 1e-9
        and (b.available is null or b.daily_demand = 0 or abs(a.days_of_cover - greatest(b.available, 0) / b.daily_demand) < 1e-9)"""
    rows = con.execute(f"""select coalesce(a.sku, b.sku), coalesce(a.warehouse_id, b.warehouse_id), {same}
        from (select * replace (timezone('UTC', counted_at) as counted_at) from read_parquet('{out}/inventory_position/*.parquet')) a
        full join positions b on a.sku = b.sku and a.warehouse_id is not distinct from b.warehouse_id""").fetchall()
    for sku, warehouse, equal in rows:
        if not equal:
            problems.append(f"inventory_position: {sku} in {warehouse} differs")
    print(f"inventory_position: {len(rows)} rows")


def main(name, folder, out):
    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'")
    if name == "demo":
        demo_tables(con, folder)
        states(con)
        road(con)
        zone = "Europe/Berlin"
    else:
        olist_tables(con, folder)
        states(con)
        con.execute("create table waits as select order_id, 'road' as step, epoch_us(delivered_at) - epoch_us(shipped_at) as wait from states where delivered_at is not null and shipped_at is not null")
        zone = "America/Sao_Paulo"
    lanes(con)
    for kind, sql in kinds(name, zone).items():
        compare(con, kind, sql, out)
    if name == "demo":
        stock(con, out)
    for problem in problems[:20]:
        print(f"WRONG {problem}")
    print(f"{name}: {len(problems)} differences" if problems else f"{name}: every row equal")
    return 1 if problems else 0


if __name__ == "__main__":
    if len(sys.argv) != 5:
        raise SystemExit(__doc__)
    AS_OF = duckdb.sql(f"select '{sys.argv[4]}'::timestamptz at time zone 'UTC'").fetchall()[0][0]
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))
