//! How customers felt, as they said it: measures over feedback, counted by the KPI engine.

use crate::kpi::{Measure, Shape, Subject, Unit};
use polars::prelude::*;

/// Days after which answers on orders of a day have mostly come: delivery takes up to a month, an answer up to another.
const COHORT_MATURES: i64 = 60;

/// Every measure of satisfaction: by the time the answer was received, and as `…_placed` by the time the order was placed.
///
/// The first says what is heard now, the second how the orders of a month turned out. The response rate goes by the time the
/// survey was sent, or by that of the order.
pub fn catalogue() -> Vec<Measure> {
    let mut all = by_receipt();
    let cohorts = by_receipt().into_iter().filter_map(|measure| {
        let (id, meaning, needs) = cohort(measure.id)?;
        Some(Measure { id, meaning, needs, basis: "placed_at", matures_after_days: COHORT_MATURES, ..measure })
    });
    all.extend(cohorts.collect::<Vec<_>>());
    all
}

/// A measure by the day the order was placed: id, meaning, needs. `None` for those that say nothing new so.
fn cohort(id: &str) -> Option<(&'static str, &'static str, &'static [&'static str])> {
    const ANSWER: &[&str] = &["feedback.order_id", "feedback.score", "feedback.scale"];
    const OFFER: &[&str] = &["feedback.order_id", "feedback.score", "feedback.scale", "feedback.response_offered_at"];
    Some(match id {
        "star_mean" => ("star_mean_placed", "mean stars of feedback on orders placed in the period, 1 to 5", ANSWER),
        "low_star_rate" => (
            "low_star_rate_placed",
            "feedbacks with 1 or 2 stars / feedbacks with stars, on orders placed in the period",
            ANSWER,
        ),
        "csat" => {
            ("csat_placed", "answers in the top two boxes of five / answers, on orders placed in the period", ANSWER)
        }
        "nps" => {
            ("nps_placed", "share of 9 and 10 minus share of 0 to 6, in points, on orders placed in the period", ANSWER)
        }
        "ces" => ("ces_placed", "mean ease on its scale of 1 to 7, on orders placed in the period", ANSWER),
        "ces_easy_share" => {
            ("ces_easy_share_placed", "answers of 5 to 7 / answers, on orders placed in the period", ANSWER)
        }
        "response_rate" => {
            ("response_rate_placed", "surveys answered / surveys sent, on orders placed in the period", OFFER)
        }
        _ => return None,
    })
}

fn by_receipt() -> Vec<Measure> {
    const ANSWER: &[&str] = &["feedback.score", "feedback.scale"];
    const OFFER: &[&str] = &["feedback.score", "feedback.scale", "feedback.response_offered_at"];
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
    // Ratings that nobody gave leave no row: only of surveys is it known that they were sent and not answered.
    let survey = ["csat5", "nps11", "ces7"].into_iter().fold(lit(false), |any, s| any.or(col("scale").eq(lit(s))));
    let offered = survey.and(col("response_offered_at").is_not_null());
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
        entry(
            "ces",
            "mean ease on its scale of 1 to 7",
            ANSWER,
            Shape::Ratio { above: within("ces7", score()), below: on("ces7") },
            Unit::Steps,
            Some(true),
        ),
        entry(
            "ces_easy_share",
            "answers of 5 to 7 / answers",
            ANSWER,
            share(score().gt_eq(lit(5)), on("ces7")),
            Unit::Share,
            Some(true),
        ),
        Measure {
            basis: "response_offered_at",
            matures_after_days: 14,
            ..entry(
                "response_rate",
                "surveys answered / surveys sent; ratings, of which nobody knows how many were asked for, are not among them",
                OFFER,
                share(score().is_not_null(), offered),
                Unit::Share,
                Some(true),
            )
        },
    ]
}
