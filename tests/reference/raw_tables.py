"""The raw public CSVs as the few tables that check.py measures: `orders`, `customers` and `feedback`.

Written from the definitions and the data sets' own descriptions, independently of the pipelines in `pipelines/`.
"""


def csv(path, **options):
    """A raw file as text columns only: types are ours to give."""
    more = "".join(f", {name} = {value}" for name, value in options.items())
    return f"read_csv('{path}', all_varchar = true, header = true, quote = '\"', escape = '\"'{more})"


def macros(con, zone, as_of):
    con.execute("set TimeZone = 'UTC'")
    con.execute(f"create macro as_of() as timestamp '{as_of}'")
    con.execute(f"create macro local(t) as timezone('{zone}', timezone('UTC', t))")
    con.execute("create macro as_of_local() as local(as_of())")
    # A civil time that occurs twice means the first of the two; DuckDB alone takes the second.
    con.execute(f"create macro one_reading(t) as timezone('UTC', timezone('{zone}', t::timestamp))")
    con.execute(
        """create macro utc(t) as case when local(one_reading(t) - interval 1 hour) = t::timestamp
               then one_reading(t) - interval 1 hour else one_reading(t) end"""
    )
    # What happens after the run's clock is not known to it.
    con.execute("create macro known(t) as case when utc(t) <= as_of() then utc(t) end")
    con.execute("create macro cents(text) as round(text::decimal(24, 10) * 100)::bigint")


def load_olist(con, folder):
    for name in ["orders", "customers", "order_items", "order_payments", "order_reviews", "products", "sellers"]:
        con.execute(f"create table raw_{name} as select * from {csv(f'{folder}/olist/olist_{name}_dataset.csv')}")
    con.execute(
        """
        create table base as
        select o.order_id, c.customer_unique_id as customer_id, o.order_status as status,
            c.customer_state as ship_region, utc(order_purchase_timestamp) as placed_at,
            known(order_approved_at) as approved_at,
            known(order_delivered_carrier_date) as shipped_at, known(order_delivered_customer_date) as delivered_at,
            utc(order_estimated_delivery_date) as promised_delivery_at, utc(i.limit_date) as promised_ship_at,
            p.amount, i.units, s.seller_state as ship_from, coalesce(s.seller_state, '(none)') || ' → BR' as lane, case when o.order_status = 'unavailable' then 'seller' end as cancelled_by,
            o.order_status in ('canceled', 'unavailable') as cancelled
        from raw_orders o
        left join raw_customers c using (customer_id)
        left join (select order_id, sum(cents(payment_value))::bigint as amount from raw_order_payments group by 1) p
            using (order_id)
        left join (select order_id, seller_state from raw_order_items left join raw_sellers using (seller_id)
            where order_item_id = '1') s using (order_id)
        left join (select order_id, count(*) as units, min(shipping_limit_date) as limit_date
            from raw_order_items group by 1) i using (order_id)
        where utc(order_purchase_timestamp) <= as_of()
        """
    )
    con.execute(
        """
        create table lines as
        select order_id, product_id as sku, coalesce(product_category_name, '(none)') as category, 1 as quantity,
            cents(price) as value
        from raw_order_items left join raw_products using (product_id)
        """
    )
    con.execute(
        """
        create table raw_feedback as
        select order_id, review_score::int as score, utc(review_answer_timestamp) as received_at from raw_order_reviews
        where utc(review_answer_timestamp) <= as_of()
        """
    )


def load_dataco(con, folder):
    con.execute(f"create table raw as select * from {csv(f'{folder}/dataco/dataco_2015_2016.csv')}")
    # Arrival and promise are taken from the day counts, not from the file's `shipping date`; only the time of day that
    # stage times need comes from there.
    con.execute(
        """
        create table base as
        select "Order Id" as order_id, any_value("Customer Id") as customer_id, any_value("Market") as channel,
            any_value("Shipping Mode") as service_level, utc(any_value("order date (DateOrders)")) as placed_at,
            any_value("Delivery Status") = 'Shipping canceled' as cancelled,
            sum(cents("Sales"))::bigint as amount, sum("Order Item Quantity"::int)::bigint as units,
            null::varchar as cancelled_by, null::timestamp as approved_at, null::timestamp as shipped_at,
            null::timestamp as promised_ship_at,
            placed_at + to_days(any_value("Days for shipment (scheduled)")::int) as promised_delivery_at,
            case when not any_value("Delivery Status") = 'Shipping canceled' then
                placed_at::date + any_value("Days for shipping (real)")::int
                    + any_value("shipping date (DateOrders)"::timestamp::time) end::timestamp as delivered_at
        from raw group by 1
        having utc(any_value("order date (DateOrders)")) <= as_of()
        """
    )
    # The price is that of a product's lines together, to the cent below: as the pipeline maps it.
    con.execute(
        """
        create table lines as
        select "Order Id" as order_id, "Product Card Id" as sku, any_value("Category Name") as category,
            sum("Order Item Quantity"::int)::bigint as quantity,
            sum(cents("Sales"))::bigint // sum("Order Item Quantity"::int)::bigint * quantity as value
        from raw group by 1, 2
        """
    )


def load_online_retail(con, folder):
    con.execute(f"create table raw as select * from {csv(f'{folder}/online_retail_by_day/*.csv')}")
    # Goods only: postage, carriage, samples, manual lines, discounts and fees are no units.
    con.execute(
        """
        create table base as
        select InvoiceNo as order_id,
            coalesce(regexp_extract(any_value(CustomerID), '^\\d+'), 'guest-' || InvoiceNo) as customer_id,
            any_value(Country) as ship_country, utc(min(InvoiceDate)) as placed_at,
            sum(Quantity::int * cents(UnitPrice))::bigint as amount,
            coalesce(sum(Quantity::int) filter (where not regexp_matches(StockCode,
                '^(POST|DOT|C2|[MmDS]|BANK CHARGES|AMAZONFEE|CRUK)$')), 0)::bigint as units,
            false as cancelled, null::varchar as cancelled_by, null::timestamp as approved_at,
            null::timestamp as shipped_at, null::timestamp as delivered_at, null::timestamp as promised_ship_at,
            null::timestamp as promised_delivery_at
        from raw where regexp_matches(InvoiceNo, '^\\d+$')
        group by InvoiceNo
        having sum(Quantity::int * cents(UnitPrice)) > 0 and utc(min(InvoiceDate)) <= as_of()
        """
    )


def load(con, dataset, folder):
    {"olist": load_olist, "dataco": load_dataco, "online_retail": load_online_retail}[dataset](con, folder)
    derive(con)


def derive_parts(con, part):
    """Orders seen from each article or category in them: their units and their goods' value are the part's."""
    con.execute(
        f"""
        create table {part}_parts as
        select o.* exclude (units, amount), l.* exclude (order_id) from orders o join (
            select order_id, {part}, sum(quantity)::bigint as units, sum(value)::bigint as amount from lines group by 1, 2
        ) l using (order_id)
        """
    )


def derive(con):
    """What every data set's measures are made of, from `base` and, where there is any, `raw_feedback`."""
    if not con.execute("select 1 from duckdb_tables() where table_name = 'raw_feedback'").fetchall():
        con.execute("create table raw_feedback (order_id varchar, score int, received_at timestamp)")
    # No real order happens in this order: such rows are quarantined, and what points to them with them.
    con.execute(
        """
        create table accepted as select * from base
        where not coalesce(approved_at < placed_at, false) and not coalesce(shipped_at < placed_at, false)
            and not coalesce(delivered_at < placed_at, false) and not coalesce(delivered_at < shipped_at, false)
        """
    )
    con.execute(
        """
        create table orders as
        select a.*, min(placed_at) over (partition by customer_id) as first_at, local(placed_at) as placed_local,
            local(delivered_at) as delivered_local, local(promised_ship_at) as promised_ship_local,
            local(promised_delivery_at) as promised_delivery_local,
            exists (from raw_feedback f where f.order_id = a.order_id and f.score <= 2) as defect
        from accepted a
        """
    )
    # A customer is counted where the first order was; of two in one instant, where the one with the smaller id was.
    con.execute(
        """
        create table customers as
        with histories as (
            select min(order_id) filter (placed_at = first_at) as order_id,
                bool_or(placed_at > first_at and placed_at <= first_at + interval 2160 hours) as came_back
            from orders group by customer_id
        )
        select o.*, came_back, local(first_at) as first_local, first_at <= as_of() - interval 2160 hours as old_enough
        from orders o join histories using (order_id)
        """
    )
    con.execute(
        """
        create table feedback as
        select f.score, local(f.received_at) as received_local, o.* from raw_feedback f join orders o using (order_id)
        """
    )
    if con.execute("select 1 from duckdb_tables() where table_name = 'lines'").fetchall():
        for part in ["sku", "category"]:
            derive_parts(con, part)
