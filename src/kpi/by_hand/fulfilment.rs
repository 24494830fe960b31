//! Fulfilment quality and backlog by hand.

use super::example::Example;

pub(super) const EXAMPLES: &[Example] = &[
    Example {
        shows: "shipping on the instant of the promise is in time; unshipped past it is late; called off before it is out",
        at: "2025-05-20T12:00:00Z",
        zone: "UTC",
        by: "carrier",
        tables: "
            orders: order_id promised_ship_at shipped_at cancelled_at cancelled_by carrier
              a 2025-05-04T18:00:00Z 2025-05-04T18:00:00Z -                    -      dhl  # on the instant
              b 2025-05-04T18:00:00Z 2025-05-04T18:00:01Z -                    -      dhl  # a second late
              c 2025-05-04T18:00:00Z -                    -                    -      dhl  # not shipped at all: late
              d 2025-05-04T18:00:00Z -                    2025-05-03T00:00:00Z buyer  dhl  # called off before it was due
              e 2025-05-04T18:00:00Z -                    2025-05-06T00:00:00Z buyer  ups  # late first, then called off
              f 2025-05-20T12:00:00Z -                    -                    -      ups  # due on the clock's instant: due, and can still be kept
              g 2025-05-20T12:00:01Z -                    -                    -      ups  # due a second later
        ",
        expect: "
            late_shipment_rate all              3/5 = 0.6
            late_shipment_rate carrier=dhl      2/3 = 0.6666666666666667
            late_shipment_rate day@2025-05-04   3/4 = 0.75 ! mature
            late_shipment_rate day@2025-05-20   0/1 = 0 ! young
        ",
    },
    Example {
        shows: "a promise is kept until midnight of its day in the zone, summer time included; undelivered past it is late",
        at: "2025-04-15T10:00:00Z",
        zone: "Europe/Berlin",
        by: "",
        tables: "
            orders: order_id placed_at promised_delivery_at delivered_at cancelled_at
              a 2025-03-20T00:00:00Z 2025-03-30T10:00:00Z 2025-03-30T21:59:59Z - # 23:59:59 of the day the clocks change: kept
              b 2025-03-20T00:00:00Z 2025-03-30T10:00:00Z 2025-03-30T22:00:00Z - # midnight after it: late, though UTC says the 30th
              c 2025-03-20T00:00:00Z 2025-03-30T10:00:00Z -                    - # never came: late
              d 2025-03-20T00:00:00Z 2025-03-30T10:00:00Z -                    2025-03-25T00:00:00Z # cancelled: out
              e 2025-03-20T00:00:00Z 2025-04-15T08:00:00Z -                    - # promised for today: not late yet
              f 2025-03-20T00:00:00Z 2025-03-29T23:30:00Z 2025-03-30T20:00:00Z - # promised at half past midnight of the 30th
              g 2025-03-20T00:00:00Z 2025-03-30T10:00:00Z 2025-03-28T10:00:00Z - # before, but first heard of after the door: late
            order_events: order_id event occurred_at known_at
              g first_scan 2025-03-22T00:00:00Z 2025-03-29T00:00:00Z
              a first_scan 2025-03-22T00:00:00Z 2025-03-22T01:00:00Z
              f delivered  2025-03-30T20:00:00Z 2025-03-30T23:00:00Z   # the door is no way there
        ",
        expect: "
            on_time_delivery_rate all             2/5 = 0.4
            on_time_delivery_rate day@2025-03-30  2/5 = 0.4 ! mature
            on_time_delivery_rate day@2025-03-29  none
            on_time_delivery_rate month@2025-04-01 none
        ",
    },
    Example {
        shows: "any scan of a carrier makes tracking valid, scans of the house do not, and orders not shipped are out",
        at: "2025-06-20T00:00:00Z",
        zone: "UTC",
        by: "",
        tables: "
            orders: order_id shipped_at promised_delivery_at
              a 2025-05-02T00:00:00Z 2025-05-09T00:00:00Z
              b 2025-05-02T00:00:00Z 2025-05-09T00:00:00Z  # first seen at the local post office
              c 2025-05-02T00:00:00Z 2025-05-09T00:00:00Z  # packed and shipped by us, never scanned
              d -                    2025-05-09T00:00:00Z
            order_events: order_id event occurred_at
              a first_scan    2025-05-02T10:00:00Z
              a at_local_post 2025-05-05T10:00:00Z
              b at_local_post 2025-05-05T10:00:00Z
              c packed        2025-05-01T10:00:00Z
              c shipped       2025-05-02T00:00:00Z
        ",
        expect: "
            valid_tracking_rate all 2/3 = 0.6666666666666667
        ",
    },
    Example {
        shows: "cancels are laid to who made them: the buyer's are no fault of the seller, nor is one after shipping",
        at: "2025-05-20T00:00:00Z",
        zone: "UTC",
        by: "",
        tables: "
            orders: order_id cancelled_by shipped_at status
              a seller   -                    Cancelled
              b seller   2025-05-02T00:00:00Z canceled   # after shipping: recalled
              c buyer    -                    canceled
              d platform -                    cancelled
              e -        -                    CANCELED   # by whom is not known
              f -        2025-05-02T00:00:00Z shipped
        ",
        expect: "
            cancel_rate                all 5/6 = 0.8333333333333334
            buyer_cancel_rate          all 1/6 = 0.1666666666666667
            pre_fulfilment_cancel_rate all 1/6 = 0.1666666666666667
        ",
    },
    Example {
        shows: "a defect is a union: three complaints about one order are one defective order, a denied claim is none",
        at: "2025-05-20T00:00:00Z",
        zone: "UTC",
        by: "",
        tables: "
            orders: order_id
              a
              b
              c
              d
              e
            feedback: feedback_id order_id received_at scale score
              f1 a 2025-05-10T00:00:00Z stars5 1
              f2 b 2025-05-10T00:00:00Z stars5 3
              f3 c 2025-05-10T00:00:00Z csat5  1    # a survey of ours, no rating in public
              f4 c 2025-05-10T00:00:00Z stars5 -
            tickets: ticket_id order_id kind opened_at outcome
              t1 a claim      2025-05-11T00:00:00Z accepted
              t2 a chargeback 2025-05-12T00:00:00Z -
              t3 b claim      2025-05-11T00:00:00Z Denied
              t4 d claim      2025-05-11T00:00:00Z -   # still open: a defect
              t5 e contact    2025-05-11T00:00:00Z -
        ",
        expect: "
            order_defect_rate all 2/5 = 0.4
        ",
    },
    Example {
        shows: "too much of one line does not make up for another, and a line left out is unfilled",
        at: "2025-05-20T00:00:00Z",
        zone: "UTC",
        by: "",
        tables: "
            orders: order_id shipped_at
              a 2025-05-02T00:00:00Z
              b 2025-05-03T00:00:00Z
              c -
            order_items: order_id line sku quantity shipped_quantity
              a 1 x 2 3     # one too many
              a 2 y 4 3
              b 1 x 1 0     # left out of the parcel
              b 2 y 5 5
              b 3 z 9 -     # not known: neither above nor below
              c 1 x 7 -
        ",
        expect: "
            fill_rate all            10/12 = 0.8333333333333334
            fill_rate day@2025-05-02 5/6 = 0.8333333333333334
        ",
    },
    Example {
        shows: "a perfect order has all lines in full on the promised day and nothing wrong with it; one fault is enough",
        at: "2025-06-20T00:00:00Z",
        zone: "UTC",
        by: "",
        tables: "
            orders: order_id shipped_at promised_delivery_at delivered_at cancelled_at
              perfect  2025-05-02T00:00:00Z 2025-05-09T00:00:00Z 2025-05-09T20:00:00Z -
              short    2025-05-02T00:00:00Z 2025-05-09T00:00:00Z 2025-05-08T00:00:00Z - # one line of two in full
              late     2025-05-02T00:00:00Z 2025-05-09T00:00:00Z 2025-05-10T00:00:00Z -
              broken   2025-05-02T00:00:00Z 2025-05-09T00:00:00Z 2025-05-08T00:00:00Z -
              wrong    2025-05-02T00:00:00Z 2025-05-09T00:00:00Z 2025-05-08T00:00:00Z -
              papers   2025-05-02T00:00:00Z 2025-05-09T00:00:00Z 2025-05-08T00:00:00Z -
              missing  -                    2025-05-09T00:00:00Z -                    - # past its promise
              early    2025-05-02T00:00:00Z 2025-06-25T00:00:00Z 2025-05-08T00:00:00Z - # delivered before a promise to come
              unknown  2025-05-02T00:00:00Z 2025-05-09T00:00:00Z 2025-05-08T00:00:00Z - # whether whole is not known: out
              off      -                    2025-05-09T00:00:00Z -                    2025-05-03T00:00:00Z
              waiting  -                    2025-06-25T00:00:00Z -                    -
            order_items: order_id line sku quantity shipped_quantity
              perfect 1 x 2 2
              short   1 x 1 1
              short   2 y 2 1
              late    1 x 1 1
              broken  1 x 1 1
              wrong   1 x 1 1
              papers  1 x 1 1
              early   1 x 1 1
              unknown 1 x 1 -
            order_events: order_id event occurred_at detail
              broken exception_damage 2025-05-07T00:00:00Z -
              papers exception_delay  2025-05-05T00:00:00Z papers-missing
            returns: return_id order_id requested_at reason
              r1 wrong 2025-05-09T00:00:00Z Wrong-Item
        ",
        expect: "
            perfect_order_rate all              2/8 = 0.25
            perfect_order_rate month@2025-05-01 1/7 = 0.1428571428571428 ! young
        ",
    },
    Example {
        shows: "an error counts once for an order, whoever tells of it: event, return, ticket or cancellation",
        at: "2025-06-20T00:00:00Z",
        zone: "UTC",
        by: "",
        tables: "
            orders: order_id shipped_at delivered_at cancel_reason
              a 2025-05-02T00:00:00Z 2025-05-09T00:00:00Z -
              b 2025-05-02T00:00:00Z 2025-05-09T00:00:00Z -
              c 2025-05-02T00:00:00Z -                    -
              d 2025-05-02T00:00:00Z -                    undeliverable
              e -                    -                    out-of-stock    # was never shipped
            order_events: order_id event occurred_at
              a exception_damage  2025-05-07T00:00:00Z
              a wrong_item        2025-05-09T00:00:00Z
              c exception_lost    2025-05-20T00:00:00Z
              d exception_address 2025-05-07T00:00:00Z
              b stockout          2025-05-01T00:00:00Z   # shipped all the same
              e stockout          2025-05-01T00:00:00Z
              e exception_damage  2025-05-01T00:00:00Z   # broken in the house, not shipped: no parcel was damaged
            returns: return_id order_id requested_at reason
              r1 a 2025-05-10T00:00:00Z damaged          # told of twice
              r2 b 2025-05-10T00:00:00Z Not-as-described
              r3 b 2025-05-10T00:00:00Z changed_mind
            tickets: ticket_id order_id kind opened_at topic
              t1 a contact 2025-05-10T00:00:00Z wrong_item
              t2 b dispute 2025-05-10T00:00:00Z damaged
              t3 c contact 2025-05-10T00:00:00Z not_as_described   # not delivered: not among those asked of
        ",
        expect: "
            wrong_item_rate       all 1/4 = 0.25
            damage_rate           all 2/4 = 0.5
            lost_rate             all 1/4 = 0.25
            stockout_rate         all 2/5 = 0.4
            address_problem_rate  all 1/4 = 0.25
            not_as_described_rate all 1/2 = 0.5
        ",
    },
    Example {
        shows: "backlog is what is paid and waits now; a day old to the second is in the second bucket",
        at: "2025-05-20T12:00:00Z",
        zone: "UTC",
        by: "channel",
        tables: "
            orders: order_id channel amount paid_at approved_at shipped_at delivered_at cancelled_at
              a shop 100 2025-05-20T00:00:00Z -                    -                    -                    -
              b shop 200 2025-05-19T12:00:00Z -                    -                    -                    - # a day to the second
              c shop 300 2025-05-17T12:00:01Z -                    -                    -                    - # three days less a second
              d app  400 2025-05-13T12:00:00Z 2025-05-19T00:00:00Z -                    -                    - # seven days, by when it was paid
              e app  500 -                    2025-05-16T00:00:00Z -                    -                    - # let through, so it was paid
              f app  600 -                    -                    -                    -                    - # not paid
              g app  700 2025-05-10T00:00:00Z -                    2025-05-11T00:00:00Z -                    - # on the way
              h app  800 2025-05-10T00:00:00Z -                    -                    -                    2025-05-12T00:00:00Z # off
              i app  900 2025-05-10T00:00:00Z -                    2025-05-11T00:00:00Z -                    -
              j app  110 2025-05-10T00:00:00Z -                    2025-05-11T00:00:00Z -                    -
              k app  120 2025-05-10T00:00:00Z -                    2025-05-11T00:00:00Z 2025-05-20T00:00:00Z - # here: not at customs
              l app  130 2025-05-10T00:00:00Z -                    2025-05-11T00:00:00Z -                    -
              m app  140 2025-05-10T00:00:00Z -                    2025-05-11T00:00:00Z -                    -
            order_events: order_id event occurred_at
              g customs_arrived 2025-05-20T11:00:00Z
              i customs_arrived 2025-05-18T12:00:00Z
              j customs_arrived 2025-05-14T12:00:00Z
              k customs_arrived 2025-05-14T12:00:00Z
              l customs_arrived 2025-05-12T12:00:00Z
              m customs_arrived 2025-05-12T12:00:00Z
              m customs_cleared 2025-05-13T12:00:00Z
        ",
        expect: "
            backlog                   all            5 = 5
            backlog                   month@2025-05-01 5 = 5 ! mature
            backlog                   channel=shop   3 = 3
            backlog_under_1d          all            1 = 1
            backlog_1d_to_3d          all            2 = 2
            backlog_3d_to_7d          all            1 = 1
            backlog_7d_and_over       all            1 = 1
            backlog_amount            all            1500 = 15
            customs_stuck             all            4 = 4
            customs_stuck             channel=shop   none
            customs_stuck_under_1d    all            1 = 1
            customs_stuck_1d_to_3d    all            1 = 1
            customs_stuck_3d_to_7d    all            1 = 1
            customs_stuck_7d_and_over all            1 = 1
            customs_stuck_amount      all            1840 = 18.4
        ",
    },
];
