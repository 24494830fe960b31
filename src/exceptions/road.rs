//! What can happen to a parcel between the house and the door: no scan, silence, customs, a broken promise.

use super::Severity;
use super::events::{Events, Step};
use super::lanes::{Lanes, Usual, Waits};
use super::shop::{Finding, Shop};
use super::words::{instant, span};
use crate::contract::exception::ExceptionKind as Kind;
use crate::types::time::{date_of, day_start, local_day};

/// Wait of a parcel as a whole, where no events are supplied: not a step of [`Step`].
const WHOLE_ROAD: u8 = 100;
/// Stay in customs: not a step of [`Step`], as other news may come in between.
const IN_CUSTOMS: u8 = 101;

/// Where an open parcel is.
enum Place {
    /// Shipped and not scanned.
    Unscanned,
    /// In customs since then.
    Customs(i64),
    /// On the road; the latest news and when.
    Road(u8, i64),
}

/// Notes what is stuck on the road.
pub(super) fn find(shop: &mut Shop<'_>, events: &Events) {
    promises(shop);
    if ![Kind::NoCarrierScan, Kind::StuckInTransit, Kind::StuckInCustoms, Kind::AddressIncomplete]
        .into_iter()
        .any(|kind| shop.asks(kind))
    {
        return;
    }
    let open = open_parcels(shop, events);
    let lanes = Lanes::of(&shop.orders);
    let asked = open.iter().filter_map(|(row, place)| match place {
        Place::Unscanned => None,
        Place::Customs(_) => Some((*row, IN_CUSTOMS)),
        Place::Road(step, _) => Some((*row, *step)),
    });
    let mut waits = Waits::new(&lanes, asked);
    learn(shop, events, &mut waits);
    for (row, place) in open {
        match place {
            Place::Unscanned => unscanned(shop, row),
            Place::Customs(arrived) => customs(shop, row, arrived, &mut waits),
            Place::Road(step, at) => silent(shop, row, step, at, &mut waits),
        }
    }
}

/// Promised days that have passed, by the calendar of the zone.
fn promises(shop: &mut Shop<'_>) {
    for row in 0..shop.orders.count {
        let Some(promised) = shop.orders.promised_delivery_at.get(row) else { continue };
        if shop.orders.is_cancelled(row) || shop.orders.is_ended(row) || shop.orders.is_unpaid(row) {
            continue;
        }
        let zone = shop.terms.zone;
        let Some(day) = local_day(promised, zone).and_then(date_of) else { continue };
        let Some(since) = day.succ_opt().map(|next| day_start(next, zone)) else { continue };
        // The whole of the promised day keeps the promise; its end breaks it.
        if shop.as_of() < since {
            continue;
        }
        let carrier = shop.orders.carrier.get(row).map(|c| format!(" with {c}")).unwrap_or_default();
        let shipped = match shop.orders.shipped_at.get(row) {
            Some(at) => format!("shipped{carrier} {}", instant(at)),
            None if shop.orders.is_shipped(row) => format!("shipped{carrier}"),
            None => "not even shipped".to_owned(),
        };
        let late = span(shop.as_of() - since);
        let detail = format!("promised for {day}, not delivered {late} after that day; {shipped}");
        let action = if shop.orders.is_shipped(row) {
            "ask the carrier for a date and tell the buyer before they ask; replace or refund if there is none"
        } else {
            "ship at once or cancel; tell the buyer before they ask"
        };
        shop.note(Kind::DeliveryPromiseBroken, row, since, Severity::High, detail, action);
    }
}

/// Parcels that have left, and are neither through, cancelled nor lost.
fn open_parcels(shop: &mut Shop<'_>, events: &Events) -> Vec<(usize, Place)> {
    let mut open = Vec::new();
    let gone = |shop: &Shop<'_>, row: usize| {
        shop.orders.shipped_at.get(row).is_some() && !shop.orders.is_cancelled(row) && !shop.orders.is_ended(row)
    };
    if !events.know_carriers {
        for row in (0..shop.orders.count).filter(|row| gone(shop, *row)) {
            if let Some(at) = shop.orders.shipped_at.get(row) {
                open.push((row, Place::Road(WHOLE_ROAD, at)));
            }
        }
        return open;
    }
    for parcel in events.parcels() {
        let Some(row) = parcel.first().map(|step| step.row as usize).filter(|row| gone(shop, *row)) else { continue };
        let last_of = |codes: &[u8]| parcel.iter().rev().find(|step| codes.contains(&step.code)).map(|step| step.at);
        if last_of(&[Step::DELIVERED, Step::LOST]).is_some() {
            continue;
        }
        wrong_address(shop, row, parcel);
        let scanned = parcel.iter().any(|step| Step::SCANS.contains(&step.code));
        let arrived = last_of(&[Step::CUSTOMS_ARRIVED]);
        let beyond = last_of(Step::BEYOND_CUSTOMS);
        open.push(match (arrived, parcel.last()) {
            _ if !scanned => (row, Place::Unscanned),
            (Some(arrived), _) if beyond.is_none_or(|beyond| beyond < arrived) => (row, Place::Customs(arrived)),
            (_, Some(last)) => (row, Place::Road(last.code, last.at)),
            (_, None) => continue,
        });
    }
    open
}

/// A carrier that cannot find the address, as long as it has not tried again.
fn wrong_address(shop: &mut Shop<'_>, row: usize, parcel: &[Step]) {
    let last = |code: u8| parcel.iter().rev().find(|step| step.code == code);
    let Some(said) = last(Step::ADDRESS) else { return };
    if last(Step::OUT_FOR_DELIVERY).is_some_and(|tried| tried.at > said.at) {
        return;
    }
    let carrier = shop.orders.carrier.get(row).unwrap_or("the carrier");
    let detail = format!("{carrier} reported a problem with the address {}", instant(said.at));
    let value_at_risk = shop.amount(row);
    shop.add(Finding {
        kind: Kind::AddressIncomplete,
        order: Some(row),
        reference: None,
        customer: None,
        since: said.at,
        known_at: said.known_at,
        severity: Severity::High,
        value_at_risk,
        detail,
        action: "get the right address from the buyer and pass it to the carrier before the parcel turns back",
    });
}

/// Waits of parcels up to the clock, from one news to the next.
fn learn(shop: &Shop<'_>, events: &Events, waits: &mut Waits<'_>) {
    if !events.know_carriers {
        for row in 0..shop.orders.count {
            if let (Some(from), Some(to)) = (shop.orders.shipped_at.get(row), shop.orders.delivered_at.get(row)) {
                waits.add(row, WHOLE_ROAD, to - from);
            }
        }
        return;
    }
    for parcel in events.parcels() {
        for pair in parcel.windows(2) {
            waits.add(pair[0].row as usize, pair[0].code, pair[1].at - pair[0].at);
        }
        let Some(arrived) = parcel.iter().find(|step| step.code == Step::CUSTOMS_ARRIVED) else { continue };
        let beyond = parcel.iter().find(|step| step.at >= arrived.at && Step::BEYOND_CUSTOMS.contains(&step.code));
        if let Some(beyond) = beyond {
            waits.add(arrived.row as usize, IN_CUSTOMS, beyond.at - arrived.at);
        }
    }
}

fn unscanned(shop: &mut Shop<'_>, row: usize) {
    let Some(shipped) = shop.orders.shipped_at.get(row) else { return };
    let since = shipped + shop.limits.scan;
    if shop.as_of() <= since {
        return;
    }
    let carrier = shop.orders.carrier.get(row).unwrap_or("a carrier");
    let detail = format!(
        "shipped {}, not scanned by {carrier} after {}; the limit is {}",
        instant(shipped),
        span(shop.as_of() - shipped),
        span(shop.limits.scan)
    );
    let action = "check that the parcel was handed over and that its tracking number is right";
    shop.note(Kind::NoCarrierScan, row, since, Severity::Medium, detail, action);
}

/// The limit for a wait, and whose it is.
fn limit(shop: &Shop<'_>, row: usize, step: u8, setting: (&str, i64), waits: &mut Waits<'_>) -> (i64, String) {
    let settings = shop.terms.settings;
    let least = settings.lane_min_parcels as usize;
    match waits.usual(row, step, settings.lane_quantile, least, &shop.orders) {
        Some(Usual { limit, of }) => {
            let share = crate::exceptions::words::share(settings.lane_quantile);
            (limit, format!("{share} of {of} took at most {}", span(limit)))
        }
        None => {
            let (name, limit) = setting;
            (limit, format!("fewer than {least} parcels to learn from, so the limit is `{name}`, {}", span(limit)))
        }
    }
}

fn silent(shop: &mut Shop<'_>, row: usize, step: u8, at: i64, waits: &mut Waits<'_>) {
    let (limit, why) = limit(shop, row, step, ("stuck_in_transit", shop.limits.transit), waits);
    let since = at + limit;
    if shop.as_of() <= since {
        return;
    }
    let waited = span(shop.as_of() - at);
    let detail = match step {
        WHOLE_ROAD => format!("shipped {}, not delivered after {waited}; {why}", instant(at)),
        _ => format!("no news for {waited} since `{}` {}; {why} to the next", Step::name(step), instant(at)),
    };
    let action = "open a search with the carrier and tell the buyer";
    shop.note(Kind::StuckInTransit, row, since, Severity::Medium, detail, action);
}

fn customs(shop: &mut Shop<'_>, row: usize, arrived: i64, waits: &mut Waits<'_>) {
    let (limit, why) = limit(shop, row, IN_CUSTOMS, ("stuck_in_customs", shop.limits.customs), waits);
    let since = arrived + limit;
    if shop.as_of() <= since {
        return;
    }
    let country = shop.orders.ship_country.get(row).map(|c| format!(" of {c}")).unwrap_or_default();
    let detail = format!("in customs{country} for {} since {}; {why}", span(shop.as_of() - arrived), instant(arrived));
    let action = "ask the broker which papers or duties are missing, and tell the buyer";
    shop.note(Kind::StuckInCustoms, row, since, Severity::Medium, detail, action);
}
