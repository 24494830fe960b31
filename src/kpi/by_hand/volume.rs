//! Volume and value by hand.

use super::example::Example;

pub(super) const EXAMPLES: &[Example] = &[
    Example {
        shows: "orders, units and money add up by the month of the zone",
        at: "2025-06-10T00:00:00Z",
        zone: "Europe/Berlin",
        by: "channel lane",
        tables: "
            orders: order_id customer_id placed_at            amount channel ship_from ship_country
              a     ann         2025-04-30T21:59:59Z 1000   shop    DE        FR   # 23:59:59 of April in Berlin
              b     ann         2025-04-30T22:00:00Z 2550   shop    CN        FR   # the first instant of May
              c     bob         2025-05-31T22:30:00Z 49     app     CN        -    # already June
            order_items: order_id line sku quantity unit_price
              a 1 x 2 500
              b 1 x 1 2000
              b 2 y 4 100
              c 1 x 1 49
        ",
        expect: "
            orders               all                    3 = 3
            orders               month@2025-04-01       1 = 1
            orders               month@2025-05-01       1 = 1
            orders               channel=app            1 = 1
            orders               lane=CN->FR            1 = 1
            orders               lane=CN->(none)        1 = 1
            units                all                    8 = 8
            units                month@2025-05-01       5 = 5
            gross_sales          all                    3599 = 35.99
            average_order_value  all                    3599/3 = 11.9966666666666667
            average_order_value  channel=shop           3550/2 = 17.75
        ",
    },
    Example {
        shows: "a second order counts for 90 days to the instant, and only customers old enough are asked",
        at: "2025-06-30T00:00:00Z",
        zone: "UTC",
        by: "",
        tables: "
            orders: order_id customer_id placed_at
              a1    ann         2025-01-01T10:00:00Z
              a2    ann         2025-04-01T10:00:00Z   # 90 days to the second: came back
              b1    bob         2025-01-01T10:00:00Z
              b2    bob         2025-04-01T10:00:01Z   # a second later: did not
              c1    cid         2025-04-01T00:00:00Z   # first order 90 days old to the instant: asked
              d1    dan         2025-04-01T00:00:01Z   # a second younger: not asked yet
              d2    dan         2025-04-02T00:00:00Z
              e1    eve         2025-02-01T00:00:00Z   # two orders in one instant are both first ones, and no coming back
              e2    eve         2025-02-01T00:00:00Z
        ",
        expect: "
            repeat_purchase_rate  all                1/4 = 0.25
            repeat_purchase_rate  month@2025-04-01   0/1 = 0
            new_customer_share    all                6/9 = 0.6666666666666667
            new_customer_share    month@2025-04-01   2/5 = 0.4
        ",
    },
];
