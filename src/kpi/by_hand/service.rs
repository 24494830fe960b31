//! Service by hand.

use super::example::Example;

pub(super) const EXAMPLES: &[Example] = &[
    Example {
        shows: "replies: the limit's instant is in time, the unanswered wait, and a bank's chargeback wants no reply",
        at: "2025-05-20T12:00:00Z",
        zone: "UTC",
        by: "",
        tables: "
            orders: order_id
              a
              b
            tickets: ticket_id order_id kind channel opened_at first_reply_at solved_at last_solved_at language agent_language
              t1 a contact    chat   2025-05-10T00:00:00Z 2025-05-10T00:02:00Z 2025-05-10T01:00:00Z 2025-05-10T01:00:00Z de    de   # two minutes to the second
              t2 a contact    email  2025-05-10T00:00:00Z 2025-05-12T00:00:00Z 2025-05-12T10:00:00Z 2025-05-13T10:00:00Z pt-BR pt   # 48 h to the second, reopened
              t3 b claim      web    2025-05-10T00:00:00Z 2025-05-12T00:00:01Z -                    -                    fr    en
              t4 - contact    chat   2025-05-20T11:58:00Z -                    -                    -                    en    -    # two minutes old, no reply; of no order
              t5 b contact    chat   2025-05-20T11:58:01Z -                    -                    -                    -     en   # younger
              t6 b chargeback bank   2025-05-01T00:00:00Z -                    2025-05-05T00:00:00Z 2025-05-06T00:00:00Z -     -
        ",
        expect: "
            first_reply_time_p50            all _/3 = 2880
            first_reply_time_p90            all _/3 = 2880.0133333333333
            first_reply_time_mean           all 345721/3 = 1920.6722222222222
            first_reply_time_open_share     all 2/5 = 0.4
            reply_within_2min_rate          all 1/4 = 0.25
            chat_reply_within_2min_rate     all 1/2 = 0.5
            reply_within_48h_rate           all 2/3 = 0.6666666666666667
            first_resolution_time_p50       all _/2 = 29.5
            first_resolution_time_p90       all _/2 = 52.3
            first_resolution_time_mean      all 212400/2 = 29.5
            first_resolution_time_open_share all 3/5 = 0.6
            full_resolution_time_p50        all _/2 = 41.5
            full_resolution_time_p90        all _/2 = 73.9
            full_resolution_time_mean       all 298800/2 = 41.5
            full_resolution_time_open_share all 3/5 = 0.6
            language_match_rate             all 2/3 = 0.6666666666666667
            reopen_rate                     all 1/2 = 0.5
            contact_rate                    all 3/2 = 1.5
        ",
    },
    Example {
        shows: "working time passes from nine to five, on no weekend and no holiday",
        at: "2025-05-20T12:00:00Z",
        zone: "Europe/Berlin",
        by: "",
        tables: "
            orders: order_id placed_at approved_at shipped_at
              a 2025-05-16T08:00:00Z 2025-05-16T10:00:00Z 2025-05-19T10:00:00Z   # Friday noon in Berlin to Monday noon
              b 2025-05-16T08:00:00Z 2025-05-19T17:00:00Z -
            tickets: ticket_id order_id opened_at first_reply_at
              t1 a 2025-05-16T14:30:00Z 2025-05-19T07:15:00Z   # Friday 16:30 to Monday 09:15
              t2 a 2025-04-30T14:00:00Z 2025-05-02T08:00:00Z   # the day before the holiday 16:00 to the day after it 10:00
        ",
        expect: "
            first_reply_working_time_p50           all _/2 = 82.5
            first_reply_working_time_p90           all _/2 = 112.5
            first_reply_working_time_mean          all 9900/2 = 82.5
            first_reply_working_time_open_share    all 0/2 = 0
            processing_working_time_p50            all _/1 = 8
            processing_working_time_p90            all _/1 = 8
            processing_working_time_mean           all 28800/1 = 8
            processing_working_time_open_share     all 1/2 = 0.5
            processing_time_p50                    all _/1 = 72
        ",
    },
    Example {
        shows: "feedback that somebody gave is replied to or not; a survey nobody answered is neither",
        at: "2025-05-20T00:00:00Z",
        zone: "UTC",
        by: "channel",
        tables: "
            orders: order_id channel
              a shop
              b app
            feedback: feedback_id order_id received_at scale score replied_at
              f1 a 2025-05-10T00:00:00Z stars5 1 2025-05-11T00:00:00Z
              f2 a 2025-05-10T00:00:00Z stars5 5 -
              f3 b 2025-05-10T00:00:00Z csat5  - -
        ",
        expect: "
            feedback_reply_rate all          1/2 = 0.5
            feedback_reply_rate channel=app  none
        ",
    },
];
