//! Speed by stage by hand.

use super::example::Example;

pub(super) const EXAMPLES: &[Example] = &[
    Example {
        shows: "stages are elapsed hours, also where the clocks change, and the open ones are counted, not dropped",
        at: "2025-04-10T00:00:00Z",
        zone: "Europe/Berlin",
        by: "",
        tables: "
            orders: order_id placed_at paid_at approved_at shipped_at delivered_at cancelled_at
              # The night of 30 March has no 02:00 to 03:00: from 01:30 to 03:30 by the clock is one hour.
              a 2025-03-30T00:30:00Z 2025-03-30T01:30:00Z 2025-03-30T02:00:00Z 2025-03-30T12:00:00Z 2025-04-01T12:00:00Z -
              b 2025-03-30T00:00:00Z 2025-03-30T03:00:00Z 2025-03-30T05:00:00Z 2025-03-31T05:00:00Z 2025-04-02T05:00:00Z -
              c 2025-03-30T10:00:00Z 2025-03-30T12:00:00Z -                    -                    -                    -
              d 2025-03-30T11:00:00Z -                    -                    -                    -                    2025-03-31T00:00:00Z # never paid, cancelled: not open
              e 2025-03-30T12:00:00Z -                    -                    -                    -                    -                    # still to pay
        ",
        expect: "
            time_to_pay_p50          all  _/3 = 2
            time_to_pay_p90          all  _/3 = 2.8
            time_to_pay_mean         all  21600/3 = 2
            time_to_pay_open_share   all  1/5 = 0.2
            review_time_p50          all  _/2 = 1.25
            review_time_p90          all  _/2 = 1.85
            review_time_mean         all  9000/2 = 1.25
            review_time_open_share   all  1/3 = 0.3333333333333333
            processing_time_p50      all  _/2 = 17
            processing_time_p90      all  _/2 = 22.6
            processing_time_mean     all  122400/2 = 17
            processing_time_open_share all 0/2 = 0
            transit_time_p50         all  _/2 = 48
            transit_time_p90         all  _/2 = 48
            transit_time_mean        all  345600/2 = 48
            transit_time_open_share  all  0/2 = 0
            order_cycle_time_p50     all  _/2 = 66.25
            order_cycle_time_p90     all  _/2 = 72.45
            order_cycle_time_mean    all  477000/2 = 66.25
            order_cycle_time_open_share all 1/3 = 0.3333333333333333
            click_to_door_p50        all  _/2 = 68.25
            click_to_door_p90        all  _/2 = 75.25
            click_to_door_mean       all  491400/2 = 68.25
            click_to_door_open_share all  2/5 = 0.4
            click_to_door_p50        month@2025-03-01 _/2 = 68.25 ! young
        ",
    },
    Example {
        shows: "customs are from the first arrival to the last clearance, the last mile from the first post office on",
        at: "2025-05-20T00:00:00Z",
        zone: "UTC",
        by: "",
        tables: "
            orders: order_id delivered_at shipped_at
              a 2025-05-09T06:00:00Z 2025-05-02T00:00:00Z
              b -                    2025-05-02T00:00:00Z
              c 2025-05-08T00:00:00Z 2025-05-02T00:00:00Z
            order_events: order_id event occurred_at
              a customs_arrived 2025-05-05T00:00:00Z
              a customs_arrived 2025-05-06T00:00:00Z   # a second parcel: the order waits from the first
              a customs_cleared 2025-05-05T12:00:00Z
              a customs_cleared 2025-05-07T00:00:00Z   # until the last
              a at_local_post   2025-05-08T00:00:00Z
              a at_local_post   2025-05-09T00:00:00Z   # tried again
              b customs_arrived 2025-05-10T00:00:00Z   # still there
              c customs_arrived 2025-05-05T00:00:00Z
              c customs_cleared 2025-05-05T06:00:00Z
              c at_local_post   2025-05-07T22:00:00Z
        ",
        expect: "
            customs_time_p50           all _/2 = 27
            customs_time_p90           all _/2 = 43.8
            customs_time_mean          all 194400/2 = 27
            customs_time_open_share    all 1/3 = 0.3333333333333333
            last_mile_time_p50         all _/2 = 16
            last_mile_time_p90         all _/2 = 27.2
            last_mile_time_mean        all 115200/2 = 16
            last_mile_time_open_share  all 0/2 = 0
        ",
    },
];
