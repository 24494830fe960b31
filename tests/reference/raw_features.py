"""Recomputes features with DuckDB straight from raw public CSVs and compares them with what a run published.

    python3 raw_features.py fraud_handbook|fraudecom|bads_returns DATASETS_DIR OUT_DIR

Written from the definitions alone: it reads no pipeline file and shares no code with the program. Counts must be equal
exactly, everything else to 1e-9 of its value, and every published row must be one of the raw file's and the other way
round. Exits 1 with the first differences.

A payment, order or line at T sees what happened before T and was known before T; rows of one instant see nothing of one
another. Frames are therefore over whole ticks of the file's own clock (a second, a minute, a day) and end one tick
before T.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import duckdb

TOLERANCE = 1e-9
SHOWN = 5


@dataclass(frozen=True)
class Clock:
    """Ticks of a file's clock: the table's column `tick` counts them."""

    per_hour: float

    def ticks(self, hours):
        return round(hours * self.per_hour)

    def before(self, key, hours=None, delay=0, having="true"):
        """The window of a row's past: `hours` long (null: all of it), ended `delay` hours before the row."""
        start = "UNBOUNDED" if hours is None else self.ticks(hours + delay)
        return (
            f"FILTER (WHERE {having}) OVER "
            f"(PARTITION BY {key} ORDER BY tick RANGE BETWEEN {start} PRECEDING AND {self.ticks(delay) + 1} PRECEDING)"
        )


DAY = 24
WINDOWS = {"1h": 1, "24h": DAY, "lifetime": None}
WINDOWS |= {f"{days}d": days * DAY for days in (3, 7, 10, 14, 17, 18, 19, 20, 21, 22, 23, 25, 28, 30, 90)}


def count(clock, key, window, **more):
    return f"count(*) {clock.before(key, WINDOWS[window], **more)}"


def of(function, column, clock, key, window, **more):
    return f"{function}({column}) {clock.before(key, WINDOWS[window], **more)}"


def ratio(column, clock, key, window):
    """The row's own value as a multiple of the mean before it; null without a mean above 0."""
    return f"{column} / nullif({of('avg', column, clock, key, window)}, 0)"


def since(clock, key, per_hour, **more):
    """Hours since the latest event."""
    return f"(tick - max(tick) {clock.before(key, None, **more)}) / {per_hour}::double"


def rate(hit, clock, key, window, weight=0, shop="null", **more):
    """Share of hits in the window, mixed with the share `shop` as if that were `weight` more rows."""
    hits = f"coalesce(sum({hit}) {clock.before(key, WINDOWS[window], **more)}, 0)"
    rows = count(clock, key, window, **more)
    if not weight:
        return f"{hits} / nullif({rows}, 0)::double"
    return f"({hits} + {weight} * {shop}) / ({rows} + {weight})"


def add_shop_rate(con, hit, clock, window, delay):
    """Adds the whole shop's share of hits in the window to `facts`, as a column; its name."""
    name, end = f"shop_{hit}_{window}", clock.ticks(delay) + 1
    span = WINDOWS[window]
    # Totals up to the window's end less those up to before its start. As one window of SQL it takes minutes.
    start = "false" if span is None else f"f.tick - {clock.ticks(delay + span) + 1} >= old.tick"
    join = "left join" if span is None else "asof left join"
    con.execute(
        f"""
        create or replace table facts as
        with totals as (
            select tick, sum(count(*)) over up_to as rows, sum(sum({hit})) over up_to as hits
            from facts group by tick window up_to as (order by tick)
        )
        select f.*, (new.hits - coalesce(old.hits, 0)) / nullif(new.rows - coalesce(old.rows, 0), 0)::double as {name}
        from facts f asof left join totals new on f.tick - {end} >= new.tick {join} totals old on {start}
        """
    )
    return name


def handbook(con, folder):
    """Card payments to the second. Whether one was a fraud is known seven days after it."""
    con.execute(
        f"""
        create table facts as
        select TRANSACTION_ID as order_id, null::varchar as line, epoch(TX_DATETIME::timestamp)::bigint as tick,
            CUSTOMER_ID as customer, TERMINAL_ID as terminal, TX_FRAUD::int as fraud,
            round(TX_AMOUNT::decimal(18, 4) * 100)::bigint as amount,
            (hour(TX_DATETIME::timestamp) < 6)::int as is_night,
            (isodow(TX_DATETIME::timestamp) > 5)::int as is_weekend
        from read_csv('{folder}/fraud_handbook/transactions.csv', all_varchar = true)
        """
    )
    second, week = Clock(3600), 7 * DAY
    was_fraud = dict(having="fraud = 1")
    features = {name: name for name in ["amount", "is_night", "is_weekend"]}
    # The protocol's twelve.
    for window in ["24h", "7d", "30d"]:
        features[f"customer_order_count_{window}"] = count(second, "customer", window)
        features[f"customer_amount_mean_{window}"] = of("avg", "amount", second, "customer", window)
        features[f"seller_order_count_{window}"] = count(second, "terminal", window, delay=week)
        features[f"seller_fraud_rate_{window}"] = rate("fraud", second, "terminal", window, delay=week)
    for window in ["24h", "7d", "14d", "30d", "lifetime"]:
        features[f"customer_amount_ratio_{window}"] = ratio("amount", second, "customer", window)
    for window in ["24h", "3d", "7d", "14d", "30d"]:
        features[f"customer_amount_max_{window}"] = of("max", "amount", second, "customer", window)
    for window in ["14d", "lifetime"]:
        features[f"customer_amount_mean_{window}"] = of("avg", "amount", second, "customer", window)
    earlier = of("avg", "amount", second, "customer", "lifetime", delay=14 * DAY)
    features["customer_before_mean_lifetime"] = earlier
    features["customer_before_ratio_lifetime"] = f"amount / nullif({earlier}, 0)"
    for days in [1, 3, 7, 10, 14, 17, 18, 19, 20, 21, 22, 23, 25, 28]:
        window = "24h" if days == 1 else f"{days}d"
        features[f"seller_fraud_count_{window}"] = count(second, "terminal", window, delay=week, **was_fraud)
    for window in ["14d", "30d"]:
        shop = add_shop_rate(con, "fraud", second, window, week)
        smoothed = rate("fraud", second, "terminal", window, weight=10, shop=shop, delay=week)
        features[f"seller_fraud_smoothed_rate_{window}"] = smoothed
    return features


def fraudecom(con, folder):
    """First orders to the minute. A fraud counts as known when every order is ripe: ninety days after it."""
    con.execute(
        f"""
        create table facts as
        select user_id as order_id, null::varchar as line, epoch(placed)::bigint // 60 as tick, device_id as device,
            source as channel, user_id as customer, class::int as fraud, purchase_value::bigint * 100 as amount,
            (hour(placed) < 6)::int as is_night, (isodow(placed) > 5)::int as is_weekend,
            (epoch(placed) - epoch(signed_up)) / 86400 as account_age_days, age::double as x_age,
            (browser = 'Chrome')::int as x_browser_chrome, (sex = 'F')::int as x_sex_female
        from (
            select *, strptime(purchase_time, '%m/%d/%y %H:%M') as placed,
                strptime(signup_time, '%m/%d/%y %H:%M') as signed_up
            from read_csv('{folder}/fraudecom/Fraud_Data_first51690_noip.csv', all_varchar = true, header = true)
            -- The last row is cut short and has no class.
            where class is not null
        )
        """
    )
    minute, ripe = Clock(60), 90 * DAY
    names = ["amount", "is_night", "is_weekend", "account_age_days", "x_age", "x_browser_chrome", "x_sex_female"]
    features = {name: name for name in names}
    for window in ["1h", "24h", "7d", "30d", "lifetime"]:
        features[f"device_order_count_{window}"] = count(minute, "device", window)
    for window in ["24h", "30d", "lifetime"]:
        distinct = of("count", "distinct customer", minute, "device", window)
        features[f"device_customer_distinct_{window}"] = distinct
    features["device_amount_sum_24h"] = f"coalesce({of('sum', 'amount', minute, 'device', '24h')}, 0)"
    features["device_order_since_last_lifetime"] = since(minute, "device", 60)
    # New on a device that was seen before; a device's own first order is no news.
    seen = count(minute, "device", "lifetime")
    features["device_channel_first_use_lifetime"] = (
        f"case when {seen} > 0 then ({count(minute, 'device, channel', 'lifetime')} = 0)::int end"
    )
    features["device_fraud_count_lifetime"] = count(minute, "device", "lifetime", delay=ripe, having="fraud = 1")
    shop = add_shop_rate(con, "fraud", minute, "lifetime", ripe)
    for entity in ["device", "channel"]:
        known = rate("fraud", minute, entity, "lifetime", weight=50, shop=shop, delay=ripe)
        features[f"{entity}_fraud_rate_lifetime"] = known
    return features


def returns(con, folder):
    """Fashion order lines by day. Outcomes are known at days of their own, so rates are counted over pairs of rows."""
    con.execute(
        f"""
        create table lines as
        select order_item_id as line, user_id as customer, user_id || '-' || order_date as order_id,
            order_date::date - date '1970-01-01' as tick, delivery_date::date - date '1970-01-01' as delivered,
            item_id as sku, brand_id as brand, lower(item_size) as size, nullif(item_color, '?') as color_written,
            case color_written when 'blau' then 'blue' when 'brwon' then 'brown' else color_written end as color,
            round(item_price::decimal(18, 4) * 100)::bigint as price, return::int as returned,
            order_date::date - user_reg_date::date as account_age_days, user_dob, order_date
        from read_csv('{folder}/bads_returns/orders_2012.csv', all_varchar = true, header = true)
        """
    )
    # An order has arrived with its last parcel; where nothing is known to have arrived and something came back, it arrived
    # by day thirty. It is ripe thirty days after it was placed and not before it arrived, or ninety days after it was
    # placed if it has not arrived by then.
    con.execute(
        """
        create table outcomes as
        select *, coalesce(max(delivered) over whole, max(tick + 30) filter (returned = 1) over whole) as arrived,
            case when arrived <= tick + 90 then greatest(arrived, tick + 30) else tick + 90 end as ripe,
            -- No return is known before day thirty after the order, before the parcel, or before the order's last one.
            case when returned = 1 then greatest(tick + 30, coalesce(delivered, tick), arrived) end as known
        from lines window whole as (partition by order_id)
        """
    )
    con.execute(
        """
        create table facts as
        select *, price as line_unit_price, price / nullif(sum(price) over whole, 0)::double as line_cost_share,
            count(*) over article - 1 as line_same_article_count,
            count(distinct size) over article - 1 as line_spare_size_count,
            count(*) over whole as basket_line_count, max(price) over whole as basket_unit_price_max,
            count(size) over whole as basket_sized_line_count, count(distinct sku) over whole as basket_article_count,
            count(distinct sku || '/' || size) over whole - basket_article_count as basket_spare_size_count,
            sum(price) over whole as amount, (isodow(order_date::date) > 5)::int as is_weekend,
            case when substr(user_dob, 1, 4)::int between 1910 and 1997
                then year(order_date::date) - substr(user_dob, 1, 4)::int end as x_age
        from outcomes window whole as (partition by order_id), article as (partition by order_id, sku)
        """
    )
    day = Clock(1 / DAY)
    names = """amount is_weekend account_age_days x_age line_unit_price line_cost_share line_same_article_count
        line_spare_size_count basket_line_count basket_unit_price_max basket_sized_line_count basket_article_count
        basket_spare_size_count"""
    features = {name: name for name in names.split()}
    for window in ["7d", "30d", "lifetime"]:
        features[f"sku_line_count_{window}"] = count(day, "sku", window)
    features["sku_unit_price_ratio_lifetime"] = ratio("price", day, "sku", "lifetime")
    features["sku_unit_price_max_lifetime"] = of("max", "price", day, "sku", "lifetime")
    features["customer_sku_line_count_lifetime"] = count(day, "customer, sku", "lifetime")
    features["customer_sku_line_since_last_lifetime"] = since(day, "customer, sku", 1 / DAY)
    for entity, keys, weight, window in [
        ("sku", ["sku"], 10, "90d"),
        ("sku", ["sku"], 10, "lifetime"),
        ("brand", ["brand"], 20, "90d"),
        ("brand", ["brand"], 20, "lifetime"),
        ("size", ["size"], 20, "lifetime"),
        ("color", ["color"], 20, "lifetime"),
        ("sku_size", ["sku", "size"], 10, "lifetime"),
        ("brand_size", ["brand", "size"], 10, "lifetime"),
        ("customer", ["customer"], 5, "lifetime"),
        ("customer_brand", ["customer", "brand"], 3, "lifetime"),
        ("customer_size", ["customer", "size"], 3, "lifetime"),
    ]:
        features |= known_returns(con, entity, keys, weight, window)
    for entity, keys in [
        ("sku", ["sku"]),
        ("sku_color", ["sku", "color"]),
        ("sku_size", ["sku", "size"]),
        ("brand", ["brand"]),
    ]:
        for days, delay in [(11, 4), (30, 10)]:
            features |= delivered(con, entity, keys, 3, days, delay)
    return features


def delivered(con, entity, keys, weight, days, delay):
    """Share of the lines of `days` days, up to `delay` days ago, that have arrived before the day, as a new column."""
    earlier = f"e.tick < q.tick - {delay} and e.tick >= q.tick - {delay + days}"
    for table, keys_of in [("or replace table of_entity", keys), (f"table if not exists arrived_{days}", [])]:
        own = "".join(f"q.{key}, " for key in keys_of)
        same = "".join(f"e.{key} = q.{key} and " for key in keys_of)
        con.execute(
            f"""
            create {table} as
            select {own} q.tick, count(e.tick) as placed, count(*) filter (e.delivered < q.tick) as arrived
            from (select distinct {own} q.tick from facts q) q left join outcomes e on {same} {earlier}
            group by {own} q.tick
            """
        )
    name, with_keys = f"{entity}_delivery_rate_{days}d", " and ".join(f"f.{key} = k.{key}" for key in [*keys, "tick"])
    con.execute(
        f"""
        create or replace table facts as
        select f.*, (k.arrived + {weight} * (s.arrived / nullif(s.placed, 0)::double)) / (k.placed + {weight}) as {name}
        from facts f left join of_entity k on {with_keys} left join arrived_{days} s on f.tick = s.tick
        """
    )
    return {name: name}


def known_returns(con, entity, keys, weight, window):
    """Count and rate of earlier lines that came back, as far as known before the day, as new columns of `facts`."""
    hours = WINDOWS[window]
    earlier = "e.tick < q.tick" + ("" if hours is None else f" and e.tick >= q.tick - {hours // DAY}")
    for table, keys_of in [("or replace table of_entity", keys), (f"table if not exists of_shop_{window}", [])]:
        own = "".join(f"q.{key}, " for key in keys_of)
        same = "".join(f"e.{key} = q.{key} and " for key in keys_of)
        con.execute(
            f"""
            create {table} as
            select {own} q.tick, count(*) filter (e.known < q.tick) as returns,
                count(*) filter (e.ripe < q.tick) as ripe,
                count(*) filter (e.returned = 1 and greatest(e.known, e.ripe) < q.tick) as ripe_returns
            from (select distinct {own} q.tick from facts q) q left join outcomes e on {same} {earlier}
            group by {own} q.tick
            """
        )
    shop = "s.ripe_returns / nullif(s.ripe, 0)::double"
    with_keys = " and ".join(f"f.{key} = k.{key}" for key in [*keys, "tick"])
    con.execute(
        f"""
        create or replace table facts as
        select f.*, k.returns as {entity}_return_count_{window},
            (k.ripe_returns + {weight} * {shop}) / (k.ripe + {weight}) as {entity}_return_rate_{window}
        from facts f left join of_entity k on {with_keys} left join of_shop_{window} s on f.tick = s.tick
        """
    )
    # Only rates are declared of what an article is, beside those of the article itself.
    aggregates = ("rate", "count") if entity == "sku" or keys[0] == "customer" else ("rate",)
    return {name: name for name in [f"{entity}_return_{aggregate}_{window}" for aggregate in aggregates]}


DATASETS = {"fraud_handbook": handbook, "fraudecom": fraudecom, "bads_returns": returns}
# What entities of order lines begin with; facts of a line itself are of lines only.
OF_LINES = ("sku_", "brand_", "size_", "color_", "customer_sku_", "customer_brand_", "customer_size_", "line_")
# Columns that hold whole numbers, by the words their names end in before the window.
EXACT = ("_count", "_distinct", "_sum", "_max", "_first_use")
# What an order has of its lines' features: the word in the name, and SQL's.
OVER_LINES = {"max": "max", "mean": "avg"}
TABLES = ["expected", "published"]


def is_exact(name):
    if name.startswith("basket_mean_"):
        return False
    return any(f"{word}_" in f"{name.removeprefix('basket_max_')}_" for word in EXACT)


def compare(con, features, of_lines, published):
    """Prints differences; how many there are, and how many figures were equal."""
    # Runs over lines have a line in every row, the others in none.
    per_line = con.execute("select count(line) from published").fetchall()[0][0] > 0
    key = "order_id, line" if per_line else "order_id"
    columns = ", ".join(f'({formula})::double as "{name}"' for name, formula in features.items())
    con.execute(f"create table each as select order_id, line, {columns} from facts")
    windows = [name for name in of_lines if not name.startswith("line_")]
    over_lines = {f"basket_{word}_{name}": (sql, name) for name in windows for word, sql in OVER_LINES.items()}
    if per_line:
        over_lines = {}
    names = [name for name in features if per_line or name not in of_lines] + list(over_lines)
    absent = [name for name in names if name not in published]
    if absent:
        print(f"not published: {', '.join(absent)}")
    names = [name for name in names if name in published]
    columns = ", ".join(
        f'{over_lines[name][0]}("{over_lines[name][1]}") over (partition by order_id) as "{name}"'
        if name in over_lines
        else f'"{name}"'
        for name in names
    )
    once = "" if per_line else "distinct on (order_id)"
    con.execute(f"create table expected as select {once} {key}, {columns} from each")
    sizes = [con.execute(f"select count(*), count(distinct ({key})) from {t}").fetchall()[0] for t in TABLES]
    joined = con.execute(f"select count(*) from expected join published using ({key})").fetchall()[0][0]
    if {joined} != {size for pair in sizes for size in pair}:
        print(f"rows: {sizes[0][0]} expected, {sizes[1][0]} published, {joined} in both")
        return 1, 0
    wrong = len(absent)
    for name in names:
        ours, theirs = f'e."{name}"', f'(case when isnan(p."{name}"::double) then null else p."{name}"::double end)'
        far = f"abs({ours} - {theirs}) > {0 if is_exact(name) else TOLERANCE} * greatest(abs({ours}), 1e-300)"
        differs = f"(({ours} is null) <> ({theirs} is null) or coalesce({far}, false))"
        rows = f"from expected e join published p using ({key}) where {differs}"
        differences = con.execute(f"select count(*) {rows}").fetchall()[0][0]
        if differences:
            print(f"{name}: {differences} differences")
            shown = con.execute(f"select {key}, {ours}, {theirs} {rows} order by {key} limit {SHOWN}").fetchall()
            for *ids, expected, found in shown:
                print(f"    {'/'.join(ids)}: {found}, expected {expected}")
        wrong += differences
    return wrong, joined * len(names) - (wrong - len(absent))


def main(dataset, datasets_dir, out_dir):
    if not list(Path(out_dir).glob("order_features/**/*.parquet")):
        raise SystemExit(f"{out_dir} holds no table `order_features`")
    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'")
    con.execute(
        f"create view published as select * from "
        f"read_parquet('{out_dir}/order_features/**/*.parquet', hive_partitioning = true)"
    )
    published = [row[0] for row in con.execute("describe published").fetchall()]
    features = DATASETS[dataset](con, datasets_dir)
    of_lines = [name for name in features if name.startswith(OF_LINES)]
    wrong, equal = compare(con, features, of_lines, published)
    print(f"{equal} figures equal" + (f", {wrong} differences" if wrong else ""))
    return 1 if wrong or not equal else 0


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in DATASETS:
        raise SystemExit(__doc__)
    sys.exit(main(*sys.argv[1:]))
