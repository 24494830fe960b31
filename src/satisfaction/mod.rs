//! How customers felt, as they said it: measures over feedback, counted by the KPI engine.

use crate::kpi::{Measure, Shape, Subject, Unit};
use polars::prelude::*;

/// Every measure of satisfaction. Answers are counted by the time they were received.
pub fn catalogue() -> Vec<Measure> {
    const ANSWER: &[&str] = &["feedback.score", "feedback.scale"];
    let on = |scale: &'static str| col("scale").eq(lit(scale)).and(col("score").is_not_null());
    let score = || col("score");
    let entry = |id, meaning, needs, shape, unit, better| Measure {
        id,
        meaning,
        needs,
        subject: Subject::Feedback,
        basis: "received_at",
        shape,
        unit,
        matures_after_days: 0,
        more_is_better: better,
    };
    let share = |hit: Expr, trial: Expr| Shape::Proportion { hit, trial };
    // Promoters count +1, detractors -1, passives 0 and in the denominator.
    let promoter = when(score().gt_eq(lit(9)))
        .then(lit(1_i64))
        .when(score().lt_eq(lit(6)))
        .then(lit(-1_i64))
        .otherwise(lit(0_i64));
    let within = |scale: &'static str, value: Expr| when(on(scale)).then(value).otherwise(lit(0_i64));
    vec![
        entry("feedback_count", "feedbacks received", &["feedback"], Shape::Total(lit(1_i64)), Unit::Count, Some(true)),
        entry(
            "star_mean",
            "mean stars, 1 to 5",
            ANSWER,
            Shape::Ratio { above: within("stars5", score()), below: on("stars5") },
            Unit::Stars,
            Some(true),
        ),
        entry(
            "low_star_rate",
            "feedbacks with 1 or 2 stars / feedbacks with stars",
            ANSWER,
            share(score().lt_eq(lit(2)), on("stars5")),
            Unit::Share,
            Some(false),
        ),
        entry(
            "csat",
            "answers in the top two boxes of five / answers",
            ANSWER,
            share(score().gt_eq(lit(4)), on("csat5")),
            Unit::Share,
            Some(true),
        ),
        entry(
            "nps",
            "share of 9 and 10 minus share of 0 to 6, in points",
            ANSWER,
            Shape::Ratio { above: within("nps11", promoter), below: on("nps11") },
            Unit::Points,
            Some(true),
        ),
    ]
}
