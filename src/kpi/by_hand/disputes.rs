//! Disputes, chargebacks and fraud by hand.

use super::example::Example;

pub(super) const EXAMPLES: &[Example] = &[
    Example {
        shows: "withdrawn disputes are none, an order counts once, and only decided ones are won or lost",
        at: "2025-09-20T00:00:00Z",
        zone: "UTC",
        by: "",
        tables: "
            orders: order_id
              a
              b
              c
              d
              e
            tickets: ticket_id order_id kind opened_at last_solved_at outcome
              t1 a dispute 2025-05-10T00:00:00Z 2025-05-12T00:00:00Z buyer_won
              t2 a dispute 2025-05-20T00:00:00Z 2025-05-24T00:00:00Z seller_won  # two on one order
              t3 b dispute 2025-05-10T00:00:00Z 2025-05-11T00:00:00Z Withdrawn
              t4 c dispute 2025-05-10T00:00:00Z -                    -           # open: counts as opened, not as decided
              t5 d claim   2025-05-10T00:00:00Z 2025-05-11T00:00:00Z accepted    # a claim is no dispute
              t6 - dispute 2025-05-10T00:00:00Z 2025-05-13T00:00:00Z lost        # of no order we know
        ",
        expect: "
            dispute_rate                 all              2/5 = 0.4
            dispute_rate                 month@2025-05-01 2/5 = 0.4 ! mature
            dispute_cycle_time_p50       all _/4 = 60
            dispute_cycle_time_p90       all _/4 = 88.8
            dispute_cycle_time_mean      all 864000/4 = 60
            dispute_cycle_time_open_share all 1/5 = 0.2
            dispute_loss_rate            all 2/3 = 0.6666666666666667
        ",
    },
    Example {
        shows: "an eBay defect is the seller's own cancellation or a case others decided against him, each order once",
        at: "2025-09-20T00:00:00Z",
        zone: "UTC",
        by: "channel",
        tables: "
            orders: order_id channel cancelled_by cancel_reason status shipped_at
              a ebay seller   out_of_stock    cancelled -                     # counts, and once, though a case was lost too
              b ebay buyer    out_of_stock    cancelled -                     # the buyer's own: out
              c ebay seller   payment_overdue cancelled -                     # no payment came: the buyer's reason
              d ebay seller   Wrong-address   cancelled -                     # a problem of the address
              e ebay seller   -               cancelled 2025-05-03T00:00:00Z  # called back after shipping: counts
              f shop -        sold_out        cancelled -                     # nobody says who: an empty shelf is the seller's
              g shop platform no_inventory    cancelled -                     # somebody else's doing
              h shop -        -               shipped   2025-05-03T00:00:00Z
              i shop -        -               shipped   2025-05-03T00:00:00Z
              j shop -        -               shipped   2025-05-03T00:00:00Z
              k shop -        out_of_stock    shipped   2025-05-03T00:00:00Z  # a reason and no cancellation
              l shop -        -               shipped   2025-05-03T00:00:00Z
            tickets: ticket_id order_id kind opened_at solved_at outcome
              t1 a dispute    2025-05-10T00:00:00Z 2025-05-20T00:00:00Z buyer_won
              t2 h claim      2025-05-10T00:00:00Z 2025-05-20T00:00:00Z Granted
              t3 h dispute    2025-05-11T00:00:00Z 2025-05-21T00:00:00Z lost        # a second case of the same order
              t4 i dispute    2025-05-10T00:00:00Z -                    -           # open: not yet a defect
              t5 j claim      2025-05-10T00:00:00Z 2025-05-12T00:00:00Z accepted    # the seller settled it himself
              t6 j dispute    2025-05-10T00:00:00Z 2025-05-12T00:00:00Z withdrawn
              t7 k claim      2025-05-10T00:00:00Z 2025-05-12T00:00:00Z denied
              t8 l chargeback 2025-05-10T00:00:00Z 2025-06-12T00:00:00Z buyer_won   # the bank's, no case of the marketplace
        ",
        expect: "
            transaction_defect_rate all              4/12 = 0.3333333333333333
            transaction_defect_rate channel=ebay     2/5 = 0.4
            transaction_defect_rate channel=shop     2/7 = 0.2857142857142857
            transaction_defect_rate month@2025-05-01 4/12 = 0.3333333333333333 ! mature
            transaction_defect_rate week@2025-04-28  4/12 = 0.3333333333333333 ! mature
            unresolved_case_rate    all              2/12 = 0.1666666666666667
            unresolved_case_rate    channel=ebay     1/5 = 0.2
        ",
    },
    Example {
        shows: "a chargeback takes no more than the order, all of it where no amount is said; fraud is by value in basis points",
        at: "2025-09-20T00:00:00Z",
        zone: "UTC",
        by: "",
        tables: "
            orders: order_id amount fraud
              a 10000 true
              b 20000 -        # nothing known: no fraud that is confirmed
              c 30000 false
              d 40000 true
            tickets: ticket_id order_id kind opened_at amount
              t1 a chargeback 2025-06-10T00:00:00Z 10000
              t2 a chargeback 2025-06-20T00:00:00Z 10000   # the second of the same order
              t3 b chargeback 2025-06-10T00:00:00Z 5000    # a part
              t4 c chargeback 2025-06-10T00:00:00Z -       # no amount
              t5 d dispute    2025-06-10T00:00:00Z 40000
        ",
        expect: "
            chargeback_rate       all 3/4 = 0.75
            chargeback_value_rate all 45000/100000 = 0.45
            fraud_rate            all 2/4 = 0.5
            fraud_rate_bps        all 50000/100000 = 5000
            fraud_rate            month@2025-05-01 2/4 = 0.5 ! young
            fraud_rate            day@2025-05-01   2/4 = 0.5 ! mature
        ",
    },
];
