//! Returns by hand.

use super::example::Example;

pub(super) const EXAMPLES: &[Example] = &[
    Example {
        shows: "orders, units and value give three return rates of the same returns; the window ends on its instant",
        at: "2025-07-01T00:00:00Z",
        zone: "UTC",
        by: "",
        tables: "
            orders: order_id amount units delivered_at
              a 10000 10 2025-05-05T00:00:00Z
              b 2000  2  2025-05-05T00:00:00Z
              c 3000  3  2025-05-05T00:00:00Z
              d 5000  5  -                       # never delivered: cannot come back
            returns: return_id order_id kind requested_at amount quantity
              r1 a refund   2025-05-10T00:00:00Z 1000 1
              r2 a exchange 2025-05-11T00:00:00Z 1000 1   # the same order: one returned order
              r3 b refund   2025-06-04T00:00:00Z 2000 2   # thirty days to the instant
              r4 c refund   2025-06-04T00:00:01Z 3000 3   # a second later: out
              r5 d refund   2025-05-10T00:00:00Z 5000 5
        ",
        expect: "
            return_rate_orders  all              2/3 = 0.6666666666666667
            return_rate_units   all              4/15 = 0.2666666666666667
            return_rate_revenue all              4000/15000 = 0.2666666666666667
            exchange_rate       all              1/3 = 0.3333333333333333
            return_rate_orders  day@2025-05-05   2/3 = 0.6666666666666667 ! mature
            return_rate_orders  month@2025-05-01 2/3 = 0.6666666666666667 ! young
        ",
    },
    Example {
        shows: "stages of returns: open ones are censored and counted, refused and closed ones are not open",
        at: "2025-05-20T00:00:00Z",
        zone: "UTC",
        by: "",
        tables: "
            orders: order_id
              a
            returns: return_id order_id kind requested_at approved_at rejected_at received_at refunded_at replacement_shipped_at replacement_received_at closed_at
              r1 a refund   2025-05-01T00:00:00Z 2025-05-01T10:00:00Z - 2025-05-05T10:00:00Z 2025-05-06T10:00:00Z - - -
              r2 a exchange 2025-05-01T00:00:00Z 2025-05-03T00:00:00Z - 2025-05-06T00:00:00Z - 2025-05-07T00:00:00Z 2025-05-10T00:00:00Z - # 48 h to the instant
              r3 a refund   2025-05-02T00:00:00Z - 2025-05-05T00:00:00Z - - - - -            # refused, and late
              r4 a refund   2025-05-02T00:00:00Z 2025-05-02T12:00:00Z - 2025-05-12T12:00:00Z - - - - # waits for its money
              r5 a refund   2025-05-18T00:00:01Z - - - - - - -                                # younger than 48 h: not asked
              r6 a refund   2025-05-18T00:00:00Z - - - - - - -                                # 48 h old, no answer
              r7 a exchange 2025-05-03T00:00:00Z 2025-05-04T00:00:00Z - 2025-05-08T00:00:00Z - - - - # waits for the new one
              r8 a refund   2025-05-03T00:00:00Z 2025-05-04T00:00:00Z - - - - - 2025-05-15T00:00:00Z # never sent, closed
        ",
        expect: "
            return_cycle_time_p50          all _/2 = 173    # 130 h and 216 h
            return_cycle_time_p90          all _/2 = 207.4
            return_cycle_time_mean         all 1245600/2 = 173
            return_cycle_time_open_share   all 4/8 = 0.5
            return_approval_time_p50       all _/5 = 24
            return_approval_time_p90       all _/5 = 38.4
            return_approval_time_mean      all 424800/5 = 23.6
            return_approval_time_open_share all 2/8 = 0.25
            return_transit_time_p50        all _/4 = 96
            return_transit_time_p90        all _/4 = 196.8
            return_transit_time_mean       all 1814400/4 = 126
            return_transit_time_open_share all 0/5 = 0
            refund_time_p50                all _/1 = 24
            refund_time_p90                all _/1 = 24
            refund_time_mean               all 86400/1 = 24
            refund_time_open_share         all 1/2 = 0.5
            replacement_time_p50           all _/1 = 24
            replacement_time_p90           all _/1 = 24
            replacement_time_mean          all 86400/1 = 24
            replacement_time_open_share    all 1/2 = 0.5
            return_response_48h_rate       all 5/7 = 0.7142857142857143
        ",
    },
];
