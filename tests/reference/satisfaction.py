"""Satisfaction and customers of a generated shop, worked out anew in DuckDB over its raw files.

    python3 satisfaction.py INPUT_DIR OUT_DIR AS_OF

The shop must be clean (no spoilt rows). Amounts come from `order_scores`, where they are in the base currency; everything
else from the files as generated. Exits 1 with everything that differs.
"""

import sys

import duckdb

ZONE = "Europe/Berlin"


def main(source, out, as_of):
    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'")
    con.execute(f"create macro as_of() as timestamptz '{as_of}'")
    con.execute("create macro past(t) as case when t <= as_of() then t end")
    con.execute(f"create macro day_of(t) as (t at time zone '{ZONE}')::date")
    for name in ["orders", "returns", "feedback"]:
        con.execute(f"create view raw_{name} as from read_csv('{source}/{name}.csv', header = true)")
    con.execute(f"create view raw_tickets as from read_json('{source}/tickets.ndjson', format = 'newline_delimited')")
    con.execute(f"create view raw_items as from '{source}/order_items.parquet'")
    con.execute(f"create view raw_events as from '{source}/order_events.parquet'")
    published = lambda table: f"read_parquet('{out}/{table}/**/*.parquet', hive_partitioning = true)"
    con.execute(
        f"""create table o as
        select r.order_id, r.customer_id, s.amount, r.placed_at::timestamptz placed, channel,
               past(shipped_at::timestamptz) shipped, past(delivered_at::timestamptz) delivered,
               past(completed_at::timestamptz) completed, promised_delivery_at::timestamptz promised,
               past(cancelled_at::timestamptz) is not null cancelled
        from raw_orders r join {published('order_scores')} s using (order_id) where r.placed_at::timestamptz <= as_of()"""
    )
    # Of a ticket that is opened again after the clock, the first solution is the last one known.
    con.execute(
        """create table t as
        select coalesce(o.order_id, null) order_id, coalesce(o.customer_id, r.customer_id) customer_id, kind, topic,
               opened_at::timestamptz opened, past(first_reply_at::timestamptz) replied, past(solved_at::timestamptz) solved,
               coalesce(past(last_solved_at::timestamptz), solved) last_solved, r.language asked, agent_language told
        from raw_tickets r left join o using (order_id)
        where greatest(opened_at::timestamptz, known_at::timestamptz) <= as_of()"""
    )
    con.execute(
        """create table r as
        select order_id, requested_at::timestamptz requested, reason, past(approved_at::timestamptz) approved,
               past(rejected_at::timestamptz) rejected, past(received_at::timestamptz) received,
               past(refunded_at::timestamptz) refunded, past(replacement_shipped_at::timestamptz) replaced,
               past(closed_at::timestamptz) closed
        from raw_returns where greatest(requested_at::timestamptz, known_at::timestamptz) <= as_of()"""
    )
    con.execute(
        """create table f as
        select feedback_id, order_id, received_at::timestamptz received,
               case scale when 'nps11' then score * 10.0 else (score - 1) / 4.0 * 100 end points
        from raw_feedback where score is not null and received_at::timestamptz <= as_of()"""
    )
    wrong = []

    def same(what, mine, theirs):
        rows = con.execute(
            f"""select * from (from ({mine})) mine full join (from ({theirs})) theirs using (id)
            where not coalesce(mine.v is not distinct from theirs.v or abs(mine.v - theirs.v) < 1e-9, false) limit 3"""
        ).fetchall()
        n = con.execute(f"select count(*) from ({mine}) where v is not null").fetchall()[0][0]
        print(f"{what}: {n} values")
        if rows or not n:
            wrong.append(f"{what}: {rows or 'nothing was compared'}")

    profile, orders = published("customer_profile"), published("order_satisfaction")
    customers = lambda what, sql: same(what, sql, f"select customer_id id, {what}::double v from {profile}")
    per = lambda value, where="true": f"select customer_id id, ({value})::double v from o where {where} group by 1"
    customers("orders", per("count(*)"))
    customers("cancelled_orders", per("count(*) filter (cancelled)"))
    customers("recency_days", per("floor(epoch(as_of() - max(placed)) / 86400)"))
    inside = "not cancelled and placed > as_of() - interval 365 days"
    customers("frequency", per(f"count(*) filter ({inside})"))
    customers("monetary", per(f"coalesce(sum(amount) filter ({inside}), 0)"))
    customers("delivered_orders", per("count(delivered)"))
    is_open = "delivered is null and completed is null and not cancelled"
    customers("open_orders", per(f"count(*) filter ({is_open})"))
    customers("late_orders", per(f"count(*) filter ({is_open} and day_of(promised) < day_of(as_of()))"))
    customers("returned_orders", per("count(distinct r.order_id)").replace("from o", "from o left join r using (order_id)"))
    still = "r.order_id is not null and coalesce(rejected, refunded, replaced, closed) is null"
    customers("open_returns", per(f"count(*) filter ({still})").replace("from o", "from o left join r using (order_id)"))
    everyone = "(select distinct customer_id from o) left join t using (customer_id)"
    for what, where in [
        ("contacts", "kind = 'contact'"),
        ("disputes", "kind in ('dispute', 'claim')"),
        ("chargebacks", "kind = 'chargeback'"),
        ("open_tickets", "kind <> 'chargeback' and solved is null"),
    ]:
        customers(what, f"select customer_id id, count(*) filter ({where})::double v from {everyone} group by 1")
    stuck = f"from (select distinct customer_id from o) c left join {published('exceptions')} x using (customer_id) group by 1"
    customers("open_exceptions", f"select customer_id id, count(x.kind)::double v {stuck}")
    first = f"select customer_id id, case when count(x.kind) > 0 then hash(arg_min(x.kind || x.severity, x.rank)) end::double v {stuck}"
    urgent = "urgent_exception || urgent_severity"
    same("urgent_exception", first, f"select customer_id id, hash({urgent})::double v from {profile} where {urgent} is not null "
         f"union all select customer_id, null from {profile} where {urgent} is null")
    answered = "from o join f using (order_id) group by 1"
    customers("satisfaction_mean", f"select customer_id id, avg(points) v {answered}")
    latest = "arg_max(points, (received, placed, order_id, feedback_id))"
    customers("satisfaction_last", f"select customer_id id, {latest} v {answered}")
    customers(
        "monetary_score",
        """select customer_id id, (5 - floor(5.0 * (rank() over (order by m desc) - 1) / count(*) over ()))::double v
        from (select customer_id, coalesce(sum(amount) filter (%s), 0) m from o group by 1)""" % inside,
    )
    same(
        "tier",
        """select customer_id id, case when m = 0 or s >= 0.6 then 4 when s >= 0.3 then 3 when s >= 0.1 then 2 else 1 end::double v
        from (select customer_id, m, (rank() over (order by m desc) - 1) / count(*) over () s
              from (select customer_id, coalesce(sum(amount) filter (%s), 0) m from o group by 1))""" % inside,
        f"select customer_id id, (ascii(tier) - 64)::double v from {profile}",
    )

    measured = f"select order_id id, score::double v from {orders} where source = 'measured'"
    same("measured score", "select order_id id, avg(points) v from f group by 1", measured)
    hours = lambda a, b: f"epoch({b} - {a}) / 3600"
    parts = {
        "speed": f"""
            select order_id, 100.0 - least(100, 10 * greatest(0, day_of(coalesce(delivered, as_of())) - day_of(promised))) p from o
            where not cancelled and (delivered is not null or day_of(as_of()) > day_of(promised))
            union all
            select order_id, 100 * least(1, greatest(0, (33 - {hours('placed', 'delivered')} / 24) / 30)) from o
            where delivered is not null""",
        "transparency": f"""
            select order_id, 100 * scanned from (
              select o.order_id, shipped, (count(e.order_id) > 0)::int scanned from o
              left join raw_events e on e.order_id = o.order_id and e.known_at::timestamptz <= as_of()
                and e.occurred_at::timestamptz <= as_of()
                and event in ('first_scan', 'customs_arrived', 'customs_cleared', 'at_local_post')
              where shipped is not null group by all)
            where scanned = 1 or shipped + interval 48 hours <= as_of()
            union all
            select order_id, 100 * coalesce({hours('opened', 'replied')} <= 48, false)::int from t
            where order_id is not null and kind <> 'chargeback' and (replied is not null or opened + interval 48 hours < as_of())""",
        "ease": f"""
            select o.order_id, 100.0 / (1 + count(t.order_id) + count(*) filter (last_solved > solved)) from o
            left join t on t.order_id = o.order_id and kind <> 'chargeback' group by 1
            union all
            select order_id, 100 * coalesce({hours('requested', 'least(approved, rejected)')} <= 48, false)::int from r
            where coalesce(approved, rejected) is not null or requested + interval 48 hours < as_of()
            union all
            select order_id, 100 * coalesce({hours('received', 'least(refunded, replaced)')} <= 14 * 24, false)::int from r
            where received is not null and (coalesce(refunded, replaced) is not null or received + interval 14 days < as_of())""",
        # `least` and `greatest` pass over nulls: what was never done is asked for by itself.
        "service": f"""
            select order_id, case when replied is null then 0 else 100 * greatest(0, (48 - {hours('opened', 'replied')}) / 48) end p from t
            where order_id is not null and kind <> 'chargeback' and (replied is not null or opened + interval 48 hours <= as_of())
            union all
            select order_id, case when last_solved is null then 0
              else 100 * greatest(0, least(1, (168 - {hours('opened', 'last_solved')}) / 144)) end from t
            where order_id is not null and kind <> 'chargeback' and (last_solved is not null or opened + interval 7 days <= as_of())
            union all
            select order_id, 100 * (lower(asked) = lower(told))::int from t
            where order_id is not null and kind <> 'chargeback' and asked is not null and told is not null""",
        "product": """
            select order_id, 100 * (not exists (from raw_events e where e.order_id = o.order_id and e.known_at::timestamptz <= as_of()
                  and event in ('exception_damage', 'wrong_item'))
                and not exists (from r where r.order_id = o.order_id
                  and reason in ('not_as_described', 'damaged', 'damage', 'defective', 'wrong_item', 'counterfeit'))
                and not exists (from t where t.order_id = o.order_id
                  and topic in ('not_as_described', 'damaged', 'damage', 'defective', 'wrong_item', 'counterfeit')))::int p
            from o where delivered is not null
            union all
            select order_id, 100 * (not exists (from r where r.order_id = o.order_id))::int from o where delivered is not null""",
    }
    for factor, sql in parts.items():
        con.execute(f"create or replace table part_{factor} as select order_id, p from ({sql}) as s(order_id, p)")
        # Halves away from zero, as `round` has it on both sides; a sum of parts may differ in its last digit.
        same(
            factor,
            f"select order_id id, round(round(avg(p), 6)) v from part_{factor} group by 1",
            f"select order_id id, {factor}::double v from {orders} where {factor} is not null",
        )
    table = published("satisfaction")
    for factor in parts:
        same(
            f"{factor} by month and channel",
            f"""select channel || strftime(date_trunc('month', day_of(placed)), '%Y-%m') id, sum(v)::double v
            from (select order_id, round(round(avg(p), 6)) v from part_{factor} group by 1) join o using (order_id) group by 1""",
            f"""select segment_value || strftime(period_start, '%Y-%m') id, numerator::double v from {table}
            where kpi = 'satisfaction_{factor}' and grain = 'month' and segment = 'channel' and denominator > 0""",
        )
    window = "day_of(placed) between day_of(as_of()) - 29 and day_of(as_of())"
    same(
        "speed of thirty days by channel",
        f"""select channel id, sum(v)::double v from (select order_id, round(round(avg(p), 6)) v from part_speed group by 1)
        join o using (order_id) where {window} group by 1""",
        f"""select segment_value id, numerator::double v from {table}
        where kpi = 'satisfaction_speed' and grain = 'trailing_30d' and segment = 'channel' and denominator > 0""",
    )
    # Of an article the returns of its own lines count, and what tickets and events say of its order.
    goods = "('not_as_described', 'damaged', 'damage', 'defective', 'wrong_item', 'counterfeit')"
    con.execute(
        f"""create table part_of_category as
        with back as (
          select i.order_id, i.category, bool_or(r.reason in {goods}) bad from raw_returns r
          join raw_items i on i.order_id = r.order_id and i.line::varchar = r.line::varchar
          where greatest(r.requested_at::timestamptz, r.known_at::timestamptz) <= as_of() group by all)
        select distinct o.order_id, placed, i.category, back.order_id is null kept,
          not coalesce(bad, false) and not exists (from t where t.order_id = o.order_id and topic in {goods})
          and not exists (from raw_events e where e.order_id = o.order_id and e.known_at::timestamptz <= as_of()
            and event in ('exception_damage', 'wrong_item')) as_described
        from o join raw_items i using (order_id) left join back on back.order_id = o.order_id and back.category = i.category
        where delivered is not null"""
    )
    for grain, of_period in [("month", "strftime(date_trunc('month', day_of(placed)), '%Y-%m')"), ("trailing_60d", "''")]:
        inside = "true" if grain == "month" else window.replace("29", "59")
        same(
            f"product by {grain} and category",
            f"""select category || {of_period} id, sum(50 * kept::int + 50 * as_described::int)::double v
            from part_of_category where {inside} group by 1""",
            f"""select segment_value || {of_period.replace("day_of(placed)", "period_start")} id, numerator::double v from {table}
            where kpi = 'satisfaction_product' and grain = '{grain}' and segment = 'category' and denominator > 0""",
        )
    for line in wrong:
        print(line)
    print("satisfaction and customers: " + ("every value equal" if not wrong else f"{len(wrong)} differ"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
