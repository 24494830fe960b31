//! Operational facts of every order at a moment of its own: nothing that was known later is in them.
//!
//! A prediction looks at the moment of delivery, a driver at the moment of the answer.

use super::answers::Answers;
use super::earlier::Earlier;
use super::journey::Journeys;
use crate::error::Result;
use crate::features::kernel::NO_VALUE;
use crate::features::tables::{Tables, float};
use crate::types::time::{DAY, HOUR};

/// The time from order to delivery, which the stages add up to.
pub const TOTAL_DAYS: &str = "order_days";

/// A fact of every order, one value a row; NaN where it has none.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// Its name.
    pub name: String,
    /// What it is, to go with a difference: `one more day after the promised one`.
    pub words: String,
    /// Unit of the value.
    pub unit: &'static str,
    /// The values.
    pub values: Vec<f64>,
}

/// Facts at a moment of each order.
pub struct Moment<'a> {
    journeys: &'a Journeys,
    /// The moment of each order, UTC microseconds; [`NO_VALUE`] leaves all its facts out.
    at: &'a [i64],
    facts: Vec<Fact>,
}

impl<'a> Moment<'a> {
    fn add(&mut self, name: &str, words: &str, unit: &'static str, of: impl Fn(usize, i64) -> f64) {
        let values = (0..self.at.len())
            .map(|order| if self.at[order] == NO_VALUE { f64::NAN } else { of(order, self.at[order]) })
            .collect();
        self.facts.push(Fact { name: name.to_owned(), words: words.to_owned(), unit, values });
    }

    /// A stage that was reached at the moment.
    fn reached(journeys: &Journeys, stage: &str, order: usize, at: i64) -> Option<i64> {
        journeys.at(stage, order).filter(|&reached| reached <= at)
    }

    /// Whether an order was known to be lost or cancelled, and had not arrived after all.
    fn gone(journeys: &Journeys, order: usize, at: i64) -> bool {
        let lost = journeys.event("exception_lost", order).is_some_and(|(_, known)| known <= at);
        (lost || Self::reached(journeys, "cancelled_at", order, at).is_some())
            && Self::reached(journeys, "delivered_at", order, at).is_none()
    }

    fn stages(&mut self) {
        let journeys = self.journeys;
        if journeys.has("promised_delivery_at") && journeys.has("delivered_at") {
            // Days are of the pipeline's zone, as promises are.
            let late = move |order: usize, at: i64| {
                // What is lost or cancelled is not late any more: it counts as that alone.
                if Self::gone(journeys, order, at) {
                    return Some((None, 0));
                }
                let arrived = Self::reached(journeys, "delivered_at", order, at);
                let promised = journeys.at("promised_delivery_at", order)?;
                Some((arrived, journeys.day(arrived.unwrap_or(at)) - journeys.day(promised)))
            };
            let days = |days: Option<i32>| days.map_or(f64::NAN, f64::from);
            self.add("days_late", "one more day after the promised one", "days", |order, at| {
                days(late(order, at).map(|(_, days)| days.max(0)))
            });
            self.add("is_late", "a broken delivery promise", "yes or no", |order, at| {
                days(late(order, at).map(|(_, days)| i32::from(days > 0)))
            });
            self.add("days_early", "one more day before the promised one", "days", |order, at| {
                days(late(order, at).map(|(arrived, days)| if arrived.is_some() { (-days).max(0) } else { 0 }))
            });
            self.add("promised_days", "one more day between order and promise", "days", |order, _| {
                journeys
                    .at("promised_delivery_at", order)
                    .map_or(f64::NAN, |at| (at - journeys.placed[order]) as f64 / DAY as f64)
            });
        }
        if journeys.has("promised_ship_at") && journeys.has("shipped_at") {
            self.add("ship_days_late", "one more day of late shipment", "days", |order, at| {
                let shipped = Self::reached(journeys, "shipped_at", order, at).unwrap_or(at);
                journeys
                    .at("promised_ship_at", order)
                    .map_or(f64::NAN, |promised| (shipped - promised).max(0) as f64 / DAY as f64)
            });
        }
        for (from, to, name, words) in [
            ("", "paid_at", "days_to_pay", "one more day until payment"),
            ("paid_at", "approved_at", "review_days", "one more day of order review"),
            ("approved_at", "shipped_at", "processing_days", "one more day between approval and shipment"),
            ("shipped_at", "delivered_at", "transit_days", "one more day in transit"),
            ("", "delivered_at", TOTAL_DAYS, "one more day from order to delivery"),
        ] {
            if (!from.is_empty() && !journeys.has(from)) || !journeys.has(to) {
                continue;
            }
            self.add(name, words, "days", |order, at| {
                let begun = if from.is_empty() {
                    Some(journeys.placed[order])
                } else {
                    Self::reached(journeys, from, order, at)
                };
                let ended = Self::reached(journeys, to, order, at);
                begun.zip(ended).map_or(f64::NAN, |(a, b)| (b - a).max(0) as f64 / DAY as f64)
            });
        }
        if journeys.has("delivered_at") {
            self.add("not_delivered", "an order that had not arrived yet", "yes or no", |order, at| {
                let waiting = Self::reached(journeys, "delivered_at", order, at).is_none();
                f64::from(u8::from(waiting && !Self::gone(journeys, order, at)))
            });
        }
        if journeys.has("cancelled_at") {
            self.add("cancelled", "a cancelled order", "yes or no", |order, at| {
                f64::from(u8::from(Self::reached(journeys, "cancelled_at", order, at).is_some()))
            });
        }
    }

    fn happenings(&mut self) {
        let journeys = self.journeys;
        if journeys.events.is_some() {
            let known = |event: &str, order: usize, at: i64| {
                journeys.event(event, order).filter(|(_, known)| *known <= at).map(|(happened, _)| happened)
            };
            self.add("customs_days", "one more day in customs", "days", |order, at| {
                known("customs_arrived", order, at).map_or(0.0, |arrived| {
                    let cleared = known("customs_cleared", order, at).unwrap_or(at);
                    (cleared - arrived).max(0) as f64 / DAY as f64
                })
            });
            for (event, name, words) in [
                ("exception_delay", "carrier_delay", "a delay reported by the carrier"),
                ("exception_damage", "damage", "damage reported in transit"),
                ("exception_lost", "loss", "a loss reported by the carrier"),
                ("exception_address", "address_problem", "a problem with the address"),
                ("stockout", "stockout", "goods out of stock"),
                ("wrong_item", "wrong_item", "a wrong item known to the shop"),
            ] {
                self.add(name, words, "yes or no", |order, at| f64::from(u8::from(known(event, order, at).is_some())));
            }
        }
        if let Some(tickets) = &journeys.tickets {
            let until = |order: usize, at: i64| tickets.of(order).iter().filter(move |t| t.known <= at);
            self.add("contacts", "one more contact", "contacts", |order, at| {
                until(order, at).filter(|t| !t.is_complaint).count() as f64
            });
            self.add("complaints", "one more dispute, claim or chargeback", "tickets", |order, at| {
                until(order, at).filter(|t| t.is_complaint).count() as f64
            });
            if journeys.tickets_tell[0] {
                self.add("reply_wait_hours", "one more hour of waiting for a first reply", "hours", |order, at| {
                    let wait = |t: &super::journey::Ticket| {
                        let replied = if t.replied == NO_VALUE { at } else { t.replied.min(at) };
                        (replied - t.opened).max(0) as f64 / HOUR as f64
                    };
                    until(order, at).filter(|t| !t.is_chargeback).map(wait).fold(0.0, f64::max)
                });
            }
            if journeys.tickets_tell[2] {
                self.add("other_language", "an answer in another language than asked", "yes or no", |order, at| {
                    let other = |t: &super::journey::Ticket| t.replied <= at && t.language_matched == Some(false);
                    f64::from(u8::from(until(order, at).any(other)))
                });
            }
        }
        if let Some(returns) = &journeys.returns {
            self.add("returns", "one more return request", "returns", |order, at| {
                returns.of(order).iter().filter(|r| r.known <= at).count() as f64
            });
        }
    }

    fn baskets(&mut self, tables: &Tables) -> Result<()> {
        let amount = &tables.amount;
        self.add("amount", "one more unit of money", "minor units", |order, _| amount[order] as f64);
        for (name, words) in [("units", "one more unit ordered"), ("item_count", "one more item")] {
            if let Some(values) = tables.ints("orders", name)? {
                self.add(name, words, "units", |order, _| float(values[order]));
            }
        }
        for (from, name, words) in [
            ("shipping_fee", "shipping_fee_share", "a tenth more of the amount spent on freight"),
            ("tax_duty", "tax_duty_share", "a tenth more of the amount spent on tax and duty"),
            ("discount", "discount_share", "a tenth more of the amount as discount"),
        ] {
            if let Some(values) = tables.ints("orders", from)? {
                self.add(name, words, "tenths of the amount", |order, _| {
                    if amount[order] > 0 { 10.0 * float(values[order]) / amount[order] as f64 } else { f64::NAN }
                });
            }
        }
        Ok(())
    }
}

/// What an order's surroundings were worth in earlier answers.
const SURROUNDINGS: [(&str, &str); 5] = [
    ("customer_id", "customer"),
    ("seller_id", "seller"),
    ("carrier", "carrier"),
    ("ship_country", "ship_country"),
    ("channel", "channel"),
];

/// Facts of every order at its moment. `with_history` adds what the same customer, seller, carrier, country and channel were
/// given before.
///
/// # Errors
/// [`crate::error::Error::Frames`] only for defects.
pub(crate) fn facts(
    tables: &Tables,
    journeys: &Journeys,
    answers: &Answers,
    at: &[i64],
    with_history: bool,
) -> Result<Vec<Fact>> {
    let mut moment = Moment { journeys, at, facts: Vec::new() };
    moment.stages();
    moment.happenings();
    moment.baskets(tables)?;
    if with_history {
        for (column, what) in SURROUNDINGS {
            if let Some(keys) = tables.text_column("orders", column)? {
                let earlier = Earlier::new(&keys, answers);
                let words =
                    format!("one more point above the shop in earlier answers of the same {}", what.replace('_', " "));
                moment.add(&format!("{what}_earlier_points"), &words, "points", |order, at| {
                    earlier.above_shop(order, at)
                });
            }
        }
    }
    Ok(moment.facts)
}
