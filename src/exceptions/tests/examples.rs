//! An example by hand for every kind.

use crate::exceptions::ExceptionKind;

/// Tables, and at each clock what is expected of the kind.
pub(super) struct Example {
    pub(super) tables: &'static [(&'static str, &'static str)],
    pub(super) at: &'static [(&'static str, &'static [&'static str])],
}

/// The example of a kind: the match makes sure that each has one.
pub(super) fn example(kind: ExceptionKind) -> Example {
    use ExceptionKind as Kind;
    match kind {
        Kind::PaymentOverdue => Example {
            // B is paid, C cancelled, D approved without a payment being noted.
            tables: &[(
                "orders",
                "order_id customer_id placed_at amount payment_method paid_at approved_at cancelled_at
                 A        c           10T08     1000   konbini        -       -           -
                 B        c           10T08     1000   card           10T09   -           -
                 C        c           10T08     1000   konbini        -       -           11T00
                 D        c           10T08     1000   invoice        -       10T09       -",
            )],
            at: &[
                ("11T08", &[]),
                (
                    "11T08+1",
                    &["A 11T08:00 low 1000: placed 2026-01-10 08:00 UTC, not paid by konbini after 24 h; the limit is 24 h"],
                ),
            ],
        },
        Kind::AuditOverdue => Example {
            tables: &[(
                "orders",
                "order_id customer_id placed_at amount paid_at approved_at shipped_at
                 A        c           10T08     60000  10T09   -           -
                 B        c           10T08     1000   10T09   10T10       -
                 C        c           10T08     1000   -       -           -
                 D        c           10T08     1000   10T09   -           10T12",
            )],
            at: &[
                ("11T09", &[]),
                // High value: one step up from medium.
                (
                    "12T09",
                    &["A 11T09:00 high 60000: paid 2026-01-10 09:00 UTC, not approved after 48 h; the limit is 24 h"],
                ),
            ],
        },
        Kind::AddressIncomplete => Example {
            // B goes to Hong Kong, which has no postcodes; C has one contact of two; D has left; E's parcel turned back
            // at the door, F's carrier tried again since.
            tables: &[
                (
                    "orders",
                    "order_id customer_id placed_at amount ship_country ship_postcode ship_address phone email shipped_at carrier
                     A        c           10T08     1000   DE           -             h1           -     -     -          -
                     B        c           10T08     1000   HK           -             h1           p     e     -          -
                     C        c           10T08     1000   DE           10115         h1           -     e     -          -
                     D        c           10T08     1000   DE           -             -            -     -     10T20      dhl
                     E        c           10T08     1000   DE           10115         h1           p     e     10T20      dhl
                     F        c           10T08     1000   DE           10115         h1           p     e     10T20      dhl",
                ),
                (
                    "order_events",
                    "order_id event             occurred_at known_at
                     E        exception_address 12T08       12T10
                     F        exception_address 12T08       12T10
                     F        out_for_delivery  13T08       13T08",
                ),
            ],
            at: &[(
                "14T00",
                &[
                    "E 12T08:00 high 1000: dhl reported a problem with the address 2026-01-12 08:00 UTC",
                    "A 10T08:00 medium 1000: waits to ship without `ship_postcode`, `phone` or `email`",
                ],
            )],
        },
        Kind::DestinationRestricted => Example {
            tables: &[(
                "orders",
                "order_id customer_id placed_at amount ship_country shipped_at delivered_at
                 A        c           10T08     1000   kp           -          -
                 B        c           10T08     2000   KP           10T12      -
                 C        c           10T08     1000   KP           10T12      11T08
                 D        c           10T08     1000   KR           -          -",
            )],
            at: &[(
                "12T00",
                &[
                    "B 10T08:00 critical 2000: shipped 2026-01-10 12:00 UTC to KP, which is on the list of restricted destinations",
                    "A 10T08:00 critical 1000: to be shipped to KP, which is on the list of restricted destinations",
                ],
            )],
        },
        Kind::DestinationMismatch => Example {
            // A gift has its bill elsewhere and agrees with nothing; B's network agrees; of C only one place is known.
            tables: &[(
                "orders",
                "order_id customer_id placed_at amount ship_country billing_country ip_country shipped_at
                 A        c           10T08     1000   NG           DE              fr         -
                 B        c           10T08     1000   NG           DE              ng         -
                 C        c           10T08     1000   NG           DE              -          -
                 D        c           10T08     1000   NG           DE              FR         10T12",
            )],
            at: &[(
                "12T00",
                &["A 10T08:00 low 1000: to be shipped to NG, but the bill goes to DE, the order came from a network in fr"],
            )],
        },
        Kind::StockShort => Example {
            // 5 counted, A shipped 1 since. B paid first and holds 3 of the 4; C wants 2 and 1 is left; D finds nothing.
            // E waits at a warehouse nobody counted; F has left; G is not paid.
            tables: &[
                (
                    "orders",
                    "order_id customer_id placed_at amount warehouse_id paid_at shipped_at
                     A        c           10T08     1000   W1           10T08   13T08
                     B        c           12T08     1000   W1           12T09   -
                     C        c           12T07     1000   W1           12T10   -
                     D        c           12T06     2000   W1           14T00   -
                     E        c           12T06     1000   W2           12T06   -
                     F        c           10T08     1000   W1           10T08   11T08
                     G        c           12T06     1000   W1           -       -",
                ),
                (
                    "order_items",
                    "order_id line sku quantity
                     A        1    hat 1
                     B        1    hat 3
                     C        1    hat 2
                     D        1    hat 1
                     E        1    hat 9
                     F        1    hat 4
                     G        1    hat 7",
                ),
                (
                    "inventory",
                    "sku warehouse_id as_of on_hand
                     hat W1           05T05 50
                     hat W1           12T05 5",
                ),
            ],
            at: &[
                (
                    "15T00",
                    &[
                        "D 14T00:00 high 2000: 1 unit of `hat` wanted, 0 left in warehouse W1: 5 counted 2026-01-12 05:00 UTC, \
                         1 shipped since, 4 held for orders paid before",
                        "C 12T10:00 high 1000: 2 units of `hat` wanted, 1 left in warehouse W1: 5 counted 2026-01-12 05:00 UTC, \
                         1 shipped since, 3 held for orders paid before",
                    ],
                ),
                // The count is ten days old: it says nothing any more.
                ("22T05+1", &[]),
            ],
        },
        Kind::NotShippedByPromise => Example {
            tables: &[(
                "orders",
                "order_id customer_id placed_at amount paid_at promised_ship_at shipped_at cancelled_at warehouse_id
                 A        c           10T08     1000   10T09   12T20            -          -            W1
                 B        c           10T08     1000   10T09   12T20            12T20      -            W1
                 C        c           10T08     1000   10T09   12T20            -          11T00        W1
                 D        c           10T08     1000   -       12T20            -          -            W1",
            )],
            at: &[
                ("12T20", &[]),
                (
                    "13T20",
                    &["A 12T20:00 high 1000: to ship from warehouse W1 by 2026-01-12 20:00 UTC, 24 h ago, and not shipped"],
                ),
            ],
        },
        Kind::NoCarrierScan => Example {
            // B was scanned, by customs if by nobody else; C shows that there are scans at all.
            tables: &[
                (
                    "orders",
                    "order_id customer_id placed_at amount shipped_at carrier delivered_at
                     A        c           10T08     1000   11T08      dhl     -
                     B        c           10T08     1000   11T08      dhl     -
                     C        c           10T08     1000   11T08      dhl     12T08",
                ),
                (
                    "order_events",
                    "order_id event           occurred_at
                     A        packed          11T07
                     A        shipped         11T08
                     B        customs_arrived 12T08
                     C        delivered       12T08",
                ),
            ],
            at: &[
                ("13T08", &[]),
                (
                    "13T08+1",
                    &["A 13T08:00 medium 1000: shipped 2026-01-11 08:00 UTC, not scanned by dhl after 48 h; the limit is 48 h"],
                ),
            ],
        },
        Kind::StuckInTransit => Example {
            // Too few parcels to learn from: the limit is the setting's ten days since the last news. C has no events.
            tables: &[
                (
                    "orders",
                    "order_id customer_id placed_at amount shipped_at delivered_at
                     A        c           01T08     1000   02T08      -
                     B        c           01T08     1000   02T08      05T08
                     C        c           01T08     1000   02T08      -",
                ),
                (
                    "order_events",
                    "order_id event      occurred_at
                     A        first_scan 03T08
                     B        first_scan 03T08",
                ),
            ],
            at: &[
                ("13T08", &[]),
                (
                    "15T08",
                    &["A 13T08:00 medium 1000: no news for 12 days since `first_scan` 2026-01-03 08:00 UTC; \
                       fewer than 50 parcels to learn from, so the limit is `stuck_in_transit`, 10 days to the next"],
                ),
            ],
        },
        Kind::StuckInCustoms => Example {
            tables: &[
                (
                    "orders",
                    "order_id customer_id placed_at amount ship_country shipped_at delivered_at
                     A        c           01T08     1000   CH           02T08      -
                     B        c           01T08     1000   CH           02T08      -",
                ),
                (
                    "order_events",
                    "order_id event           occurred_at
                     A        customs_arrived 03T08
                     A        exception_delay 04T08
                     B        customs_arrived 03T08
                     B        at_local_post   04T08",
                ),
            ],
            at: &[
                ("08T08", &[]),
                (
                    "09T08",
                    &["A 08T08:00 medium 1000: in customs of CH for 6 days since 2026-01-03 08:00 UTC; \
                       fewer than 50 parcels to learn from, so the limit is `stuck_in_customs`, 5 days"],
                ),
            ],
        },
        Kind::DeliveryPromiseBroken => Example {
            // Promised for the 12th in Berlin, which ends at 23:00 UTC. B came on the day, C late, D is not paid.
            tables: &[(
                "orders",
                "order_id customer_id placed_at amount paid_at promised_delivery_at shipped_at delivered_at carrier
                 A        c           10T08     1000   10T08   12T08                11T08      -            dhl
                 B        c           10T08     1000   10T08   12T08                11T08      12T22:59     dhl
                 C        c           10T08     1000   10T08   12T08                11T08      13T08        dhl
                 D        c           10T08     1000   -       12T08                -          -            dhl
                 E        c           10T08     1000   10T08   12T08                -          -            dhl",
            )],
            at: &[
                ("12T22:59", &[]),
                (
                    "14T11",
                    &[
                        "A 12T23:00 high 1000: promised for 2026-01-12, not delivered 36 h after that day; \
                         shipped with dhl 2026-01-11 08:00 UTC",
                        "E 12T23:00 high 1000: promised for 2026-01-12, not delivered 36 h after that day; not even shipped",
                    ],
                ),
            ],
        },
        Kind::Damaged => Example {
            // A: the carrier's word, unanswered. B: a solved ticket after it. C: completed. D: an open claim.
            tables: &[
                (
                    "orders",
                    "order_id customer_id placed_at amount completed_at
                     A        c           01T08     1000   -
                     B        c           01T08     1000   -
                     C        c           01T08     1000   12T08
                     D        c           01T08     3000   12T08",
                ),
                (
                    "order_events",
                    "order_id event            occurred_at known_at detail
                     A        exception_damage 10T08       11T08    box~crushed
                     B        exception_damage 10T08       10T08    -
                     C        exception_damage 10T08       10T08    -",
                ),
                (
                    "tickets",
                    "ticket_id order_id kind    topic   opened_at solved_at
                     T1        B        contact damaged 11T08     12T08
                     T2        D        claim   damaged 12T08     -",
                ),
            ],
            at: &[(
                "14T08",
                &[
                    "D 12T08:00 high 3000: the customer says `damaged` in a claim of 2026-01-12 08:00 UTC, not settled after 48 h",
                    "A 10T08:00 high 1000: the carrier reported it 2026-01-10 08:00 UTC: box crushed, not settled after 4 days",
                ],
            )],
        },
        Kind::Lost => Example {
            // B turned up; C was cancelled.
            tables: &[
                (
                    "orders",
                    "order_id customer_id placed_at amount delivered_at cancelled_at
                     A        c           01T08     50000  -            -
                     B        c           01T08     1000   13T08        -
                     C        c           01T08     1000   -            13T08",
                ),
                (
                    "order_events",
                    "order_id event          occurred_at
                     A        exception_lost 12T08
                     B        exception_lost 12T08
                     C        exception_lost 12T08",
                ),
            ],
            at: &[(
                "14T08",
                &["A 12T08:00 critical 50000: the carrier reported it 2026-01-12 08:00 UTC, not settled after 48 h"],
            )],
        },
        Kind::WrongItem => Example {
            // A's return is open, B's was refunded.
            tables: &[
                (
                    "orders",
                    "order_id customer_id placed_at amount
                     A        c           01T08     1000
                     B        c           01T08     1000",
                ),
                (
                    "returns",
                    "return_id order_id reason     requested_at approved_at refunded_at
                     R1        A        Wrong_Item 12T08        12T10       -
                     R2        B        wrong_item 12T08        12T10       13T08",
                ),
            ],
            at: &[(
                "14T08",
                &["A 12T08:00 high 1000: the customer says `Wrong_Item` in a return of 2026-01-12 08:00 UTC, not settled after 48 h"],
            )],
        },
        Kind::ReturnWaiting => Example {
            // A: two returns unanswered, the later one not for 48 h. B: received, not refunded. C: approved, the
            // customer's turn. D: refused. E: an exchange that was sent.
            tables: &[
                (
                    "orders",
                    "order_id customer_id placed_at amount
                     A        c           01T08     9000
                     B        c           01T08     9000
                     C        c           01T08     9000
                     D        c           01T08     9000
                     E        c           01T08     9000",
                ),
                (
                    "returns",
                    "return_id order_id kind     requested_at approved_at rejected_at received_at refunded_at replacement_shipped_at amount
                     R1        A        refund   10T08        -           -           -           -           -                      1000
                     R2        A        refund   10T20        -           -           -           -           -                      500
                     R3        B        refund   05T08        06T08       -           12T08       -           -                      2000
                     R4        C        refund   05T08        06T08       -           -           -           -                      2000
                     R5        D        refund   05T08        -           06T08       -           -           -                      2000
                     R6        E        exchange 05T08        06T08       -           07T08       -           08T08                  2000",
                ),
            ],
            at: &[
                ("12T08", &[]),
                (
                    "12T08+1",
                    &[
                        "B 12T08:00 medium 2000: received 2026-01-12 08:00 UTC, 20.00 EUR not refunded after 0 h",
                        "A 12T08:00 medium 1000: requested 2026-01-10 08:00 UTC, not answered after 48 h; the limit is 48 h",
                    ],
                ),
                (
                    "13T08",
                    &[
                        "B 12T08:00 medium 2000: received 2026-01-12 08:00 UTC, 20.00 EUR not refunded after 24 h",
                        "A 12T08:00 medium 1500: requested 2026-01-10 08:00 UTC, not answered after 3 days; the limit is 48 h; \
                         1 more of this order: R2",
                    ],
                ),
            ],
        },
        Kind::ReturnPriority => Example {
            // A: dear. B: nothing usable. C: waits for a replacement. D: an ordinary return. E: the customer's turn.
            tables: &[
                (
                    "orders",
                    "order_id customer_id placed_at amount
                     A        c           01T08     90000
                     B        c           01T08     9000
                     C        c           01T08     9000
                     D        c           01T08     9000
                     E        c           01T08     90000",
                ),
                (
                    "returns",
                    "return_id order_id kind     reason        requested_at approved_at received_at refunded_at amount
                     R1        A        refund   changed_mind  12T07        -           -           -           50000
                     R2        B        refund   Damaged       12T07        -           -           -           3000
                     R3        C        exchange size          10T07        11T07       12T07       -           2000
                     R4        D        refund   changed_mind  12T07        -           -           -           49999
                     R5        E        refund   damaged       10T07        11T07       -           -           80000",
                ),
            ],
            at: &[(
                "12T08",
                &[
                    "A 12T07:00 critical 50000: high value, 500.00 EUR; requested 2026-01-12 07:00 UTC, reason `changed_mind`, not answered after 1 h",
                    "B 12T07:00 high 3000: the customer has nothing usable; requested 2026-01-12 07:00 UTC, reason `Damaged`, not answered after 1 h",
                    "C 12T07:00 high 2000: the customer waits for a replacement; received 2026-01-12 07:00 UTC, reason `size`, 20.00 EUR not replaced after 1 h",
                ],
            )],
        },
        Kind::DisputeDeadline => Example {
            // Disputes have ten days, claims three, and are near three days before. C was answered, D is solved, E
            // names no order.
            tables: &[
                (
                    "orders",
                    "order_id customer_id placed_at amount
                     A        c           01T08     1000
                     B        c           01T08     2000
                     C        c           01T08     3000
                     D        c           01T08     4000",
                ),
                (
                    "tickets",
                    "ticket_id order_id customer_id kind    topic  opened_at first_reply_at solved_at amount
                     T1        A        c           dispute late   03T08     -              -         900
                     T2        B        c           claim   -      10T08     -              -         -
                     T3        C        c           dispute -      03T08     04T08          -         -
                     T4        D        c           dispute -      03T08     -              05T08     -
                     T5        -        d           claim   -      10T09     -              -         700
                     T6        A        c           contact late   03T08     -              -         -",
                ),
            ],
            at: &[
                ("10T07:59", &[]),
                (
                    "10T10",
                    &[
                        "B 10T08:00 high 2000: claim of 20.00 EUR opened 2026-01-10 08:00 UTC, not answered; \
                         to be answered by 2026-01-13 08:00 UTC, in 70 h",
                        "A 10T08:00 high 900: dispute over `late` of 9.00 EUR opened 2026-01-03 08:00 UTC, not answered; \
                         to be answered by 2026-01-13 08:00 UTC, in 70 h",
                        "- 10T09:00 high 700: claim of 7.00 EUR opened 2026-01-10 09:00 UTC, not answered; \
                         to be answered by 2026-01-13 09:00 UTC, in 71 h",
                        "C 10T08:00 medium 3000: dispute of 30.00 EUR opened 2026-01-03 08:00 UTC, answered 2026-01-04 08:00 UTC \
                         and still open; to be answered by 2026-01-13 08:00 UTC, in 70 h",
                    ],
                ),
                // Two weeks after their deadline they are no longer listed; the last is an hour younger.
                (
                    "27T08+1",
                    &["- 10T09:00 critical 700: claim of 7.00 EUR opened 2026-01-10 09:00 UTC, not answered; \
                       was to be answered by 2026-01-13 09:00 UTC, 14 days ago"],
                ),
            ],
        },
        Kind::PriceFell => Example {
            // A paid 20.00 twice; B paid 19.01 later, less than five per cent below, C 19.00, D 15.00 elsewhere, E 10.00
            // but cancelled, F 18.00 for a smaller size. G has arrived.
            tables: &[
                (
                    "orders",
                    "order_id customer_id placed_at amount channel delivered_at cancelled_at
                     A        c           10T08     4000   web     -            -
                     B        c           11T08     1901   web     -            -
                     C        c           12T08     1900   web     -            -
                     D        c           12T09     1500   app     -            -
                     E        c           12T09     1000   web     -            12T10
                     F        c           12T09     1800   web     -            -
                     G        c           10T07     2000   web     11T20        -",
                ),
                (
                    "order_items",
                    "order_id line sku size quantity unit_price
                     A        1    hat L    2        2000
                     B        1    hat L    1        1901
                     C        1    hat L    1        1900
                     D        1    hat L    1        1500
                     E        1    hat L    1        1000
                     F        1    hat S    1        1800
                     G        1    hat L    1        2000",
                ),
            ],
            at: &[(
                "13T08",
                &["A 12T08:00 low 200: 2 × `hat` bought at 20.00 EUR was sold at 19.00 EUR (5 % less) from 2026-01-12 08:00 UTC on; \
                   2.00 EUR may be owed"],
            )],
        },
    }
}
