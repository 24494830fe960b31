"""The orders of a month and state of Olist that shipped after the earliest date a seller promised, from the raw files.

    python3 late_orders.py DATASETS 2018-05 SP

Prints their ids. The month is that of the promise, in the local times of the files; at the clock of the pipeline
(2018-10-17 21:00 local) an order that was not shipped by its promise is late, and one that was cancelled is not due.
"""

import sys

import duckdb

folder, month, state = sys.argv[1] + "/olist/", sys.argv[2], sys.argv[3]
read = lambda name: f"read_csv('{folder}olist_{name}_dataset.csv', header = true, all_varchar = true)"
rows = duckdb.sql(f"""
    WITH promised AS (
        SELECT order_id, min(CAST(shipping_limit_date AS TIMESTAMP)) AS ship_by FROM {read("order_items")} GROUP BY order_id
    ),
    paid AS (SELECT DISTINCT order_id FROM {read("order_payments")})
    SELECT o.order_id
    FROM {read("orders")} o
    JOIN promised USING (order_id)
    JOIN paid USING (order_id)
    JOIN {read("customers")} c USING (customer_id)
    WHERE strftime(ship_by, '%Y-%m') = '{month}' AND c.customer_state = '{state}'
      AND ship_by <= TIMESTAMP '2018-10-17 21:00:00'
      AND (o.order_delivered_carrier_date IS NULL OR CAST(o.order_delivered_carrier_date AS TIMESTAMP) > ship_by)
      AND NOT (o.order_status IN ('canceled', 'unavailable') AND o.order_delivered_carrier_date IS NULL)
    ORDER BY 1
""").fetchall()
print("\n".join(order_id for (order_id,) in rows))
