//! Satisfaction measures by hand.

use super::example::Example;

pub(super) const EXAMPLES: &[Example] = &[Example {
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
}];
