//! Satisfaction measures by hand.

use super::example::Example;

pub(super) const EXAMPLES: &[Example] = &[
    Example {
        shows: "scales are kept apart, offers that nobody answered are no answers, passives are in the denominator",
        at: "2025-05-20T00:00:00Z",
        zone: "UTC",
        by: "",
        tables: "
            orders: order_id
              a
            feedback: feedback_id order_id received_at scale score
              f1 a 2025-05-10T00:00:00Z stars5 1
              f2 a 2025-05-10T00:00:00Z stars5 2
              f3 a 2025-05-10T00:00:00Z stars5 5
              f4 a 2025-05-10T00:00:00Z csat5  4
              f5 a 2025-05-10T00:00:00Z csat5  3
              f6 a 2025-05-10T00:00:00Z csat5  -
              f7 a 2025-05-10T00:00:00Z nps11  9
              f8 a 2025-05-10T00:00:00Z nps11  8
              f9 a 2025-05-10T00:00:00Z nps11  6
              g1 a 2025-05-10T00:00:00Z nps11  10
              g2 a 2025-05-10T00:00:00Z nps11  -
        ",
        expect: "
            star_mean     all 8/3 = 2.6666666666666667
            low_star_rate all 2/3 = 0.6666666666666667
            csat          all 1/2 = 0.5
            nps           all 1/4 = 25
        ",
    },
    Example {
        shows: "an answer is heard in one month and belongs to the orders of another; ratings are no surveys that were sent",
        at: "2025-08-20T00:00:00Z",
        zone: "UTC",
        by: "channel",
        tables: "
            orders: order_id placed_at channel
              a 2025-04-30T23:59:59Z x
              b 2025-05-01T00:00:00Z y
            feedback: feedback_id order_id received_at scale score response_offered_at
              f1 a 2025-05-10T00:00:00Z stars5 2 2025-05-02T00:00:00Z
              f2 b 2025-06-10T00:00:00Z stars5 5 -
              f3 a 2025-05-10T00:00:00Z csat5  5 2025-05-02T00:00:00Z
              f4 b 2025-05-10T00:00:00Z csat5  - 2025-05-10T00:00:00Z
              f5 b 2025-06-10T00:00:00Z nps11  7 2025-05-31T23:59:59Z
              f6 a 2025-06-10T00:00:00Z nps11  9 -   # nobody knows that it was asked for
              f7 a 2025-05-10T00:00:00Z ces7   4 -
              f8 b 2025-06-10T00:00:00Z ces7   5 -
              f9 - 2025-06-10T00:00:00Z ces7   7 -   # of no order
              g1 a 2025-06-10T00:00:00Z ces7   - 2025-06-01T00:00:00Z
        ",
        expect: "
            feedback_count               all 10 = 10
            star_mean                    month@2025-05-01 2/1 = 2
            star_mean_placed             month@2025-04-01 2/1 = 2 ! mature
            star_mean_placed             month@2025-05-01 5/1 = 5 ! mature
            star_mean_placed             month@2025-06-01 none
            low_star_rate_placed         all 1/2 = 0.5
            low_star_rate_placed         channel=y 0/1 = 0
            csat_placed                  all 1/1 = 1
            nps_placed                   all 1/2 = 50
            ces                          all 16/3 = 5.333333333333333
            ces                          channel=x 4/1 = 4
            ces_easy_share               all 2/3 = 0.6666666666666666
            ces_placed                   all 9/2 = 4.5
            ces_easy_share_placed        all 1/2 = 0.5
            response_rate                all 2/4 = 0.5
            response_rate                month@2025-05-01 2/3 = 0.6666666666666666
            response_rate                month@2025-06-01 0/1 = 0
            response_rate_placed         month@2025-04-01 1/2 = 0.5
            response_rate_placed         month@2025-05-01 1/2 = 0.5
        ",
    },
];
