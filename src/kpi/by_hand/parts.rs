//! KPIs by article and category by hand.

use super::example::Example;

pub(super) const EXAMPLES: &[Example] = &[Example {
    shows: "an order counts once for each article and category in it, whose own are its units, money and returns",
    at: "2025-09-20T00:00:00Z",
    zone: "UTC",
    by: "sku category channel+sku",
    tables: "
            orders: order_id channel amount units shipped_at delivered_at
              a shop 9900 4 2025-05-02T00:00:00Z 2025-05-09T00:00:00Z
              b app  1000 1 2025-05-02T00:00:00Z 2025-05-09T00:00:00Z
              c app  1000 1 -                    -
            order_items: order_id line sku category quantity unit_price shipped_quantity
              a 1 shirt  tops  1 1000 1     # the same article in two sizes: one order with it
              a 2 shirt  tops  1 1000 0
              a 3 blouse tops  2 3000 2
              b 1 shirt  tops  1 1000 1
              c 1 shirt  tops  1 1000 -
            returns: return_id order_id line kind requested_at reason amount quantity
              r1 a 2 refund   2025-05-12T00:00:00Z not_as_described 1000 1
              r2 a 3 exchange 2025-05-12T00:00:00Z damaged          3000 1
              r3 b - refund   2025-05-12T00:00:00Z wrong_item       1000 1   # names no line: not laid to an article
            tickets: ticket_id order_id kind opened_at topic
              t1 b contact 2025-05-10T00:00:00Z wrong_item
        ",
    expect: "
            orders                sku=shirt           3 = 3
            orders                sku=blouse          1 = 1
            orders                category=tops       3 = 3
            orders                channel+sku=app+shirt 2 = 2
            orders                all                 3 = 3
            units                 sku=shirt           4 = 4
            units                 sku=blouse          2 = 2
            units                 category=tops       6 = 6
            gross_sales           sku=shirt           4000 = 40
            gross_sales           category=tops       10000 = 100
            gross_sales           all                 11900 = 119
            fill_rate             sku=shirt           2/3 = 0.6666666666666667
            fill_rate             category=tops       4/5 = 0.8
            return_rate_orders    sku=shirt           1/2 = 0.5
            return_rate_orders    category=tops       1/2 = 0.5
            return_rate_orders    all                 2/2 = 1
            return_rate_units     sku=shirt           1/3 = 0.3333333333333333
            return_rate_units     category=tops       2/5 = 0.4
            return_rate_revenue   sku=blouse          3000/6000 = 0.5
            return_rate_revenue   category=tops       4000/9000 = 0.4444444444444444
            exchange_rate         sku=blouse          1/1 = 1
            exchange_rate         sku=shirt           0/2 = 0
            exchange_rate         category=tops       1/2 = 0.5
            not_as_described_rate sku=shirt           1/2 = 0.5
            not_as_described_rate sku=blouse          0/1 = 0
            not_as_described_rate category=tops       1/2 = 0.5
            damage_rate           sku=blouse          1/1 = 1
            damage_rate           sku=shirt           0/2 = 0
            damage_rate           category=tops       1/2 = 0.5
            wrong_item_rate       sku=shirt           1/2 = 0.5
            wrong_item_rate       category=tops       1/2 = 0.5
            wrong_item_rate       all                 1/2 = 0.5
        ",
}];
