//! What customers answered, on one scale of 0 to 100 points.

use crate::error::{Error, Result};
use crate::features::kernel::NO_VALUE;
use crate::features::tables::{NO_ROW, Tables};

/// Most points of an answer that is counted as low: 1 or 2 stars of five.
pub const LOW_POINTS: f64 = 25.0;

/// An answer on an order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Answer {
    /// Row of the order.
    pub order: u32,
    /// When it was received, UTC microseconds.
    pub at: i64,
    /// 0 to 100.
    pub points: f64,
}

/// The answers of every order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answers {
    /// All of them, by order, then time, then feedback id.
    pub all: Vec<Answer>,
    /// Where the answers of each order begin in [`Self::all`]; one more than there are orders.
    begin: Vec<u32>,
    /// Whether the input has what tells of answers on orders at all.
    pub supplied: bool,
}

/// An answer as points: each scale is stretched over 0 to 100, stars and csat by `(x-1)/4`, nps by `x/10`, ces by `(x-1)/6`.
///
/// `None` on an unknown scale and for a score outside its scale, which says nothing.
pub fn points(scale: &str, score: i64) -> Option<f64> {
    let (low, span) = match scale {
        "stars5" | "csat5" => (1, 4),
        "nps11" => (0, 10),
        "ces7" => (1, 6),
        _ => return None,
    };
    let above = score.checked_sub(low).filter(|above| (0..=span).contains(above))?;
    Some(above as f64 / span as f64 * 100.0)
}

impl Answers {
    /// Reads the feedback on orders. Feedback that names no order, or has no score, is no answer.
    ///
    /// # Errors
    /// [`Error::Frames`] only for defects.
    pub(crate) fn new(tables: &Tables) -> Result<Self> {
        let supplied = ["order_id", "scale", "score"].iter().all(|column| tables.has("feedback", column));
        if !supplied {
            return Ok(Self { begin: vec![0; tables.orders() + 1], ..Self::default() });
        }
        let stage = || Error::frames("answers");
        let scale = tables.frame("feedback").column("scale").and_then(|c| c.str().cloned()).map_err(stage())?;
        let score = tables.ints("feedback", "score")?.unwrap_or_default();
        let at = tables.ints("feedback", "received_at")?.unwrap_or_default();
        let ids = tables.texts("feedback", "feedback_id")?.unwrap_or_default();
        let order = tables.order_rows("feedback")?;
        let mut rows: Vec<(u32, i64, usize, f64)> = Vec::new();
        for (row, scale) in scale.iter().enumerate() {
            let points = scale.filter(|_| score[row] != NO_VALUE).and_then(|scale| points(scale, score[row]));
            if let Some(points) = points.filter(|_| order[row] != NO_ROW && at[row] != NO_VALUE) {
                rows.push((order[row], at[row], row, points));
            }
        }
        // Sums of floats depend on their order: by id, whatever the order of the input.
        rows.sort_by(|a, b| (a.0, a.1, &ids[a.2]).cmp(&(b.0, b.1, &ids[b.2])));
        let all = rows.into_iter().map(|(order, at, _, points)| Answer { order, at, points }).collect();
        Ok(Self::sorted(all, tables.orders()))
    }

    /// From answers that are sorted by order and time.
    pub(super) fn sorted(all: Vec<Answer>, orders: usize) -> Self {
        let mut begin = vec![0u32; orders + 1];
        for answer in &all {
            begin[answer.order as usize + 1] += 1;
        }
        for order in 0..orders {
            begin[order + 1] += begin[order];
        }
        Self { all, begin, supplied: true }
    }

    /// The answers on an order, earliest first.
    pub fn of(&self, order: usize) -> &[Answer] {
        &self.all[self.begin[order] as usize..self.begin[order + 1] as usize]
    }

    /// Mean of the answers on an order; `None` without any.
    pub fn mean(&self, order: usize) -> Option<f64> {
        mean(self.of(order))
    }
}

/// Mean points of some answers; `None` for none.
pub fn mean(answers: &[Answer]) -> Option<f64> {
    (!answers.is_empty()).then(|| answers.iter().map(|a| a.points).sum::<f64>() / answers.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scale_is_stretched_over_a_hundred_points_and_a_score_outside_it_says_nothing() {
        let of = |scale: &str, scores: &[i64]| scores.iter().map(|&s| points(scale, s)).collect::<Vec<_>>();
        assert_eq!(of("stars5", &[1, 2, 5, 0, 6]), [Some(0.0), Some(25.0), Some(100.0), None, None]);
        assert_eq!(of("csat5", &[3]), [Some(50.0)]);
        assert_eq!(of("nps11", &[0, 7, 10, 11, -1]), [Some(0.0), Some(70.0), Some(100.0), None, None]);
        assert_eq!(of("ces7", &[1, 4, 7, i64::MIN]), [Some(0.0), Some(50.0), Some(100.0), None]);
        assert_eq!(points("thumbs", 1), None);
    }

    #[test]
    fn orders_find_their_own_answers() {
        let answer = |order, at, points| Answer { order, at, points };
        let answers = Answers::sorted(vec![answer(1, 5, 0.0), answer(1, 9, 50.0), answer(3, 1, 100.0)], 4);
        assert_eq!((0..4).map(|o| answers.of(o).len()).collect::<Vec<_>>(), [0, 2, 0, 1]);
        assert_eq!((answers.mean(0), answers.mean(1)), (None, Some(25.0)));
    }
}
