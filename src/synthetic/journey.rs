//! What happens to an order between payment and the door, whole: the writer keeps back what has not happened yet.

use super::calendar::{congestion, day_of, lunar_slowdown, workday};
use super::catalog::CATEGORIES;
use super::dice::{Dice, days, hours};
use super::order::{Fraud, Placed, Shop};
use super::places::{CARRIERS, CHANNELS, CHINA, WAREHOUSES, customs, lane_days};
use crate::types::time::{DAY, HOUR};

/// A stage event.
pub(super) struct Event {
    pub(super) kind: &'static str,
    pub(super) at: i64,
    pub(super) known_at: i64,
    /// Where, as an index of countries.
    pub(super) country: usize,
    pub(super) detail: &'static str,
}

/// The road of an order. `None` means that it never comes to that.
#[derive(Default)]
pub(super) struct Journey {
    pub(super) paid_at: Option<i64>,
    pub(super) approved_at: Option<i64>,
    pub(super) promised_ship_at: i64,
    pub(super) shipped_at: Option<i64>,
    pub(super) promised_delivery_at: i64,
    pub(super) delivered_at: Option<i64>,
    pub(super) completed_at: Option<i64>,
    pub(super) cancelled_at: Option<i64>,
    pub(super) cancelled_by: &'static str,
    pub(super) cancel_reason: &'static str,
    pub(super) events: Vec<Event>,
    pub(super) lost: bool,
    /// Whether no scan of the carrier ever reaches the shop: of parcels without a first scan, every other.
    pub(super) untracked: bool,
    pub(super) damaged: bool,
    pub(super) wrong_item: bool,
    pub(super) out_of_stock: bool,
    /// Whether one piece of the last line was left out of the parcel.
    pub(super) short: bool,
}

impl Journey {
    fn cancel(&mut self, at: i64, by: &'static str, reason: &'static str) {
        self.cancelled_at = Some(at);
        self.cancelled_by = by;
        self.cancel_reason = reason;
    }

    fn event(&mut self, kind: &'static str, at: i64, lag: i64, country: usize) {
        self.events.push(Event { kind, at, known_at: at + lag, country, detail: "" });
    }

    fn told(&mut self, kind: &'static str, at: i64, lag: i64, country: usize, detail: &'static str) {
        self.events.push(Event { kind, at, known_at: at + lag, country, detail });
    }

    /// Days after the promise that it was delivered; 0 when in time or never.
    pub(super) fn late_days(&self) -> f64 {
        self.delivered_at.map_or(0.0, |d| ((d - self.promised_delivery_at) as f64 / DAY as f64).max(0.0))
    }
}

impl Shop {
    /// Lives through the whole road of an order.
    pub(super) fn journey(&self, order: &Placed, dice: &mut Dice) -> Journey {
        let mut way = Journey { events: Vec::with_capacity(12), ..Journey::default() };
        let origin = WAREHOUSES[order.warehouse].country;
        let (handling, lane) = (CHANNELS[order.channel].handling_days, self.usual_days(order));
        way.promised_ship_at = evening(order.at + days(f64::from(handling)), order.warehouse == CHINA);
        way.promised_delivery_at = evening(way.promised_ship_at + days(lane * 1.25 + 0.9), false);
        way.event("placed", order.at, 0, order.ship);
        let Some(paid) = self.pay(order, &mut way, dice) else { return way };
        let Some(approved) = self.review(order, paid, &mut way, dice) else { return way };
        let ready = self.warehouse_ready(order, approved, &mut way, dice);
        // A buyer may call it off for as long as nothing has left the house.
        let called_off = order.at + hours(0.3 + dice.wait(9.0));
        if dice.chance(0.021) && called_off > approved && ready.is_none_or(|r| called_off < r) {
            let reason = dice.pick(&["changed_mind", "found_cheaper", "ordered_by_mistake", "delivery_too_slow"]);
            way.cancel(called_off, "buyer", reason);
            return way;
        }
        let Some(shipped) = ready else { return way };
        way.shipped_at = Some(shipped);
        let work = (shipped - approved) as f64;
        way.event("picked", approved + whole(work * dice.between(0.35, 0.6)), 0, origin);
        way.event("packed", approved + whole(work * dice.between(0.65, 0.95)), 0, origin);
        way.event("shipped", shipped, 0, origin);
        self.travel(order, shipped, &mut way, dice);
        way
    }

    /// Days on the road as the shop expects them: lane, carrier and service, with a part of the season foreseen.
    fn usual_days(&self, order: &Placed) -> f64 {
        let service = if order.express { 0.6 } else { 1.0 };
        let season = 1.0 + 0.4 * (congestion(day_of(order.at)) - 1.0);
        lane_days(order.warehouse, order.ship) * CARRIERS[order.carrier].pace * service * season
    }

    fn pay(&self, order: &Placed, way: &mut Journey, dice: &mut Dice) -> Option<i64> {
        let slow = matches!(order.method, "bank_transfer" | "konbini");
        if order.fraud == Fraud::None && dice.chance(if slow { 0.13 } else { 0.006 }) {
            match dice.unit() {
                u if u < 0.90 => way.cancel(order.at + days(dice.between(5.0, 7.0)), "platform", "payment_overdue"),
                u if u < 0.96 => way.cancel(order.at + days(dice.between(0.2, 4.0)), "buyer", "changed_mind"),
                // Forgotten by all: still waiting when the data ends.
                _ => {}
            }
            return None;
        }
        let paid = order.at
            + if slow { days(dice.spread(0.9, 0.6).min(4.9)) } else { hours(dice.spread(0.012, 0.9).min(3.0)) };
        way.paid_at = Some(paid);
        way.event("paid", paid, 0, order.billing);
        Some(paid)
    }

    /// The fraud desk's look. It catches some fraud and, now and then, an honest customer.
    fn review(&self, order: &Placed, paid: i64, way: &mut Journey, dice: &mut Dice) -> Option<i64> {
        let looked_at = dice.chance(0.03 + if order.euros > 400.0 { 0.2 } else { 0.0 });
        let done = paid + if looked_at { hours(dice.spread(6.0, 0.8)) } else { hours(dice.spread(0.05, 0.5)) };
        let refused = match order.fraud {
            Fraud::Ring => 0.22,
            Fraud::Takeover => 0.12,
            Fraud::None | Fraud::Friendly => 0.0008,
        };
        if dice.chance(refused) {
            way.cancel(paid + hours(dice.spread(14.0, 0.7)), "platform", "suspected_fraud");
            return None;
        }
        way.approved_at = Some(done);
        way.event("review_passed", done, 0, WAREHOUSES[order.warehouse].country);
        Some(done)
    }

    /// When the parcel leaves the house; `None` when it never does.
    fn warehouse_ready(&self, order: &Placed, approved: i64, way: &mut Journey, dice: &mut Dice) -> Option<i64> {
        let house = &WAREHOUSES[order.warehouse];
        let day = day_of(approved);
        // Stock is counted on Mondays; 1970-01-05 was one.
        let week = (day - 4).div_euclid(7);
        let sold_out = order.lines.iter().any(|l| self.catalog.on_hand(l.sku, order.warehouse, week) == 0);
        let mut work = dice.spread(house.processing_hours, 0.45) * (1.0 + 1.5 * (congestion(day) - 1.0));
        if dice.chance(if sold_out { 0.30 } else { 0.008 }) {
            way.out_of_stock = true;
            way.event("stockout", approved + hours(dice.between(0.5, 12.0)), hours(0.2), house.country);
            if dice.chance(0.38) {
                way.cancel(approved + hours(12.0 + dice.wait(30.0)), "seller", "out_of_stock");
                return None;
            }
            work += dice.between(48.0, 190.0);
            way.short = dice.chance(0.4);
        } else if dice.chance(0.003) {
            way.cancel(
                approved + hours(6.0 + dice.wait(30.0)),
                "seller",
                dice.pick(&["price_error", "cannot_ship_there"]),
            );
            return None;
        } else if dice.chance(0.002) {
            // Fell behind a shelf: nobody ships it, nobody cancels it.
            return None;
        } else if dice.chance(0.025) {
            work += dice.wait(50.0);
        }
        let ready = approved + hours(work);
        let open = workday(day_of(ready), order.warehouse == CHINA);
        Some(ready + i64::from(open - day_of(ready)) * DAY)
    }

    fn travel(&self, order: &Placed, shipped: i64, way: &mut Journey, dice: &mut Dice) {
        let carrier = &CARRIERS[order.carrier];
        let (origin, to) = (WAREHOUSES[order.warehouse].country, order.ship);
        let lag = |dice: &mut Dice| hours(dice.wait(carrier.lag_hours));
        let day = day_of(shipped);
        let slow = congestion(day) * if order.warehouse == CHINA { lunar_slowdown(day) } else { 1.0 };
        let service = if order.express { 0.6 } else { 1.0 };
        let mut road =
            lane_days(order.warehouse, to) * carrier.pace * service * slow * dice.spread(1.0, carrier.spread);
        road = road.max(0.4);
        let mut earliest = shipped + 3 * HOUR;
        let unscanned = dice.chance(carrier.unscanned_share);
        way.untracked = unscanned && order.number.is_multiple_of(2);
        if !unscanned {
            let scan = shipped + hours(dice.between(1.0, 5.0) + dice.wait(6.0)).min(days(road * 0.3));
            earliest = earliest.max(scan + 3 * HOUR);
            way.event("first_scan", scan, lag(dice), origin);
        }
        if dice.chance(carrier.lost_share) {
            way.lost = true;
            let noticed = way.promised_delivery_at.max(shipped) + days(dice.between(5.0, 14.0));
            way.told("exception_lost", noticed, hours(2.0), to, "no trace after last scan");
            return;
        }
        if customs(order.warehouse, to) {
            let arrived = shipped + days(road * dice.between(0.5, 0.65));
            way.event("customs_arrived", arrived, lag(dice), to);
            let mut clearing = dice.spread(9.0, 0.7) / 24.0;
            if dice.chance(0.028) {
                clearing += dice.between(4.0, 18.0);
                let what = dice.pick(&["papers missing", "value in doubt", "inspection"]);
                way.told("exception_delay", arrived + hours(20.0), lag(dice), to, what);
                if dice.chance(0.12) {
                    // Held for good.
                    return;
                }
            }
            let cleared = arrived + days(clearing);
            earliest = earliest.max(cleared + 3 * HOUR);
            way.event("customs_cleared", cleared, lag(dice), to);
            road = road.max((cleared - shipped) as f64 / DAY as f64 + 0.5) + clearing * 0.3;
        }
        if dice.chance(0.009) {
            way.told("exception_address", shipped + days(road * 0.92), lag(dice), to, "name not on door");
            if dice.chance(0.14) {
                way.cancel(shipped + days(road + dice.between(3.0, 8.0)), "carrier", "undeliverable");
                return;
            }
            road += dice.between(1.0, 4.0);
        }
        if dice.chance(0.02) {
            way.told(
                "exception_delay",
                shipped + days(road * 0.8),
                lag(dice),
                to,
                dice.pick(&["weather", "hub full", "missed connection"]),
            );
            road += dice.between(1.0, 4.0);
        }
        let door = door_hour(shipped + days(road), dice).max(earliest);
        let span = door - shipped;
        let near =
            (door - whole((span as f64 * 0.12).min(20.0 * HOUR as f64))).max(earliest - 2 * HOUR).min(door - 2 * HOUR);
        way.event("at_local_post", near, lag(dice), to);
        way.event("out_for_delivery", door - hours(dice.between(0.3, 1.9)), lag(dice), to);
        way.event("delivered", door, lag(dice), to);
        way.delivered_at = Some(door);
        way.completed_at = Some(door + days(if dice.chance(0.3) { dice.between(0.5, 9.0) } else { 14.0 }));
        let fragile =
            order.lines.iter().map(|l| CATEGORIES[self.catalog.skus[l.sku].category].damage_share).fold(0.0, f64::max);
        way.damaged = dice.chance(fragile * (1.0 + 0.5 * f64::from(u8::from(customs(order.warehouse, to)))));
        if way.damaged && dice.chance(0.5) {
            way.told("exception_damage", door - hours(2.0).min(span / 2), lag(dice), to, "box crushed");
        }
        way.wrong_item = dice.chance(WAREHOUSES[order.warehouse].wrong_item_share);
        if way.wrong_item && dice.chance(0.6) {
            way.told("wrong_item", door + hours(dice.between(2.0, 40.0)), hours(1.0), to, "");
        }
    }
}

/// The evening (20:00 UTC) of a working day: promises end with a day.
fn evening(at: i64, chinese: bool) -> i64 {
    i64::from(workday(day_of(at), chinese)) * DAY + 20 * HOUR
}

/// Moves an arrival to the hours of a working day in which couriers ring.
fn door_hour(at: i64, dice: &mut Dice) -> i64 {
    i64::from(workday(day_of(at), false)) * DAY + hours(dice.between(7.0, 18.5))
}

/// Microseconds to the second.
fn whole(micros: f64) -> i64 {
    hours(micros / HOUR as f64)
}
