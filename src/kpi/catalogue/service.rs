//! Service: how soon and how well customers are answered. Chargebacks are the bank's and wait for no reply.

use super::{Terms, known};
use crate::kpi::facts::micros;
use crate::kpi::measure::Subject::{Feedback, Orders, Tickets};
use crate::kpi::measure::{Measure, Unit};
use crate::types::time::{HOUR, SECOND};
use polars::prelude::*;

/// Days until contacts about an order are in.
const CONTACTS_MATURE: i64 = 45;

pub(super) fn entries(terms: &Terms) -> Vec<Measure> {
    let opened = |m: Measure, needs, days| m.needs(needs).by("opened_at").matures(days);
    let within = |span: i64| (micros("first_reply_at") - micros("asked_at")).lt_eq(lit(span)).fill_null(lit(false));
    // Younger tickets may still be answered in time.
    let old_enough = |span: i64| micros("asked_at").lt_eq(lit(terms.as_of - span)).fill_null(lit(false));
    let chat = col("ticket_channel").str().to_lowercase().str().contains_literal(lit("chat")).fill_null(lit(false));
    let (two_minutes, two_days) = (120 * SECOND, 48 * HOUR);
    vec![
        opened(
            Measure::time(Tickets, "first_reply_time", "ticket opened to first reply", "asked_at", "first_reply_at")
                .unit(Unit::Minutes)
                .less_is_better(),
            &["tickets.first_reply_at"],
            7,
        ),
        opened(
            Measure::time(
                Tickets,
                "first_reply_working_time",
                "ticket opened to first reply in working time, by the shop's `[calendar]`",
                "asked_at",
                "replied_in_working_time",
            )
            .unit(Unit::Minutes)
            .less_is_better(),
            &["tickets.first_reply_at", "tickets.replied_in_working_time"],
            7,
        ),
        opened(
            Measure::share(
                Tickets,
                "reply_within_2min_rate",
                "tickets answered within two minutes / tickets at least two minutes old",
                within(two_minutes),
                old_enough(two_minutes),
            )
            .more_is_better(),
            &["tickets.first_reply_at"],
            0,
        ),
        opened(
            Measure::share(
                Tickets,
                "chat_reply_within_2min_rate",
                "tickets by chat answered within two minutes / tickets by chat at least two minutes old",
                within(two_minutes),
                old_enough(two_minutes).and(chat),
            )
            .more_is_better(),
            &["tickets.first_reply_at", "tickets.channel"],
            0,
        ),
        opened(
            Measure::share(
                Tickets,
                "reply_within_48h_rate",
                "tickets answered within 48 h / tickets at least 48 h old",
                within(two_days),
                old_enough(two_days),
            )
            .more_is_better(),
            &["tickets.first_reply_at"],
            2,
        ),
        opened(
            Measure::time(Tickets, "first_resolution_time", "ticket opened to first solved", "asked_at", "solved_at")
                .less_is_better(),
            &["tickets.solved_at"],
            30,
        ),
        opened(
            Measure::time(
                Tickets,
                "full_resolution_time",
                "ticket opened to last solved, reopenings included",
                "asked_at",
                "last_solved_at",
            )
            .less_is_better(),
            &["tickets.last_solved_at"],
            30,
        ),
        opened(
            Measure::share(
                Tickets,
                "language_match_rate",
                "tickets answered in the customer's language / tickets of which both languages are known",
                col("spoken").eq(col("answered_in")),
                known("spoken").and(known("answered_in")),
            )
            .more_is_better(),
            &["tickets.language", "tickets.agent_language"],
            7,
        ),
        opened(
            Measure::share(
                Tickets,
                "reopen_rate",
                "tickets solved again after they were solved / tickets solved",
                col("last_solved_at").gt(col("solved_at")).fill_null(lit(false)),
                known("asked_at").and(known("solved_at")),
            )
            .less_is_better(),
            &["tickets.solved_at", "tickets.last_solved_at"],
            30,
        ),
        Measure::ratio(
            Orders,
            "contact_rate",
            "contacts about orders / orders; a contact without an order is not among them",
            col("contacts"),
            lit(1),
        )
        .needs(&["tickets.order_id", "tickets.kind=contact"])
        .matures(CONTACTS_MATURE)
        .less_is_better(),
        Measure::share(
            Feedback,
            "feedback_reply_rate",
            "feedbacks replied to / feedbacks received; surveys that nobody answered are not among them",
            known("replied_at"),
            known("score"),
        )
        .needs(&["feedback.replied_at", "feedback.score"])
        .by("received_at")
        .matures(7)
        .more_is_better(),
    ]
}
