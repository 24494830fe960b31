//! What can happen to a parcel between the house and the door: no scan, silence, customs, a broken promise.

use super::Severity;
use super::events::{Events, Step};
use super::lanes::{Lanes, Usual, Waits};
use super::shop::{Finding, Shop};
use super::words::{instant, said, share};
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
        let language = shop.terms.language;
        let carrier = shop.orders.carrier.get(row).map(|c| said!(language, " with {c}", "（承运商 {c}）"));
        let carrier = carrier.unwrap_or_default();
        let shipped = match shop.orders.shipped_at.get(row).map(instant) {
            Some(at) => said!(language, "shipped{carrier} {at}", "已于 {at} 发货{carrier}"),
            None if shop.orders.is_shipped(row) => said!(language, "shipped{carrier}", "已发货{carrier}"),
            None => shop.say("not even shipped", "尚未发货").to_owned(),
        };
        let late = shop.span(shop.as_of() - since);
        let detail = said!(
            language,
            "promised for {day}, not delivered {late} after that day; {shipped}",
            "承诺 {day} 送达，过后 {late}仍未送达；{shipped}"
        );
        let action = if shop.orders.is_shipped(row) {
            shop.say(
                "ask the carrier for a date and tell the buyer before they ask; replace or refund if there is none",
                "向承运商询问送达日期，并在买家询问之前告知；若无日期，补发或退款",
            )
        } else {
            shop.say("ship at once or cancel; tell the buyer before they ask", "立即发货或取消；在买家询问之前告知")
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
    let carrier = shop.orders.carrier.get(row).unwrap_or_else(|| shop.say("the carrier", "承运商"));
    let (at, language) = (instant(said.at), shop.terms.language);
    let detail =
        said!(language, "{carrier} reported a problem with the address {at}", "{carrier} 于 {at} 报告地址有问题");
    let action = shop.say(
        "get the right address from the buyer and pass it to the carrier before the parcel turns back",
        "向买家取得正确地址，并在包裹退回前转告承运商",
    );
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
        action,
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
    let carrier = shop.orders.carrier.get(row).unwrap_or_else(|| shop.say("a carrier", "承运商"));
    let (at, after, limit) = (instant(shipped), shop.span(shop.as_of() - shipped), shop.span(shop.limits.scan));
    let detail = said!(
        shop.terms.language,
        "shipped {at}, not scanned by {carrier} after {after}; the limit is {limit}",
        "{at} 发货，{after}后 {carrier} 仍无扫描记录；时限 {limit}"
    );
    let action = shop.say(
        "check that the parcel was handed over and that its tracking number is right",
        "核实包裹已交接，且运单号正确",
    );
    shop.note(Kind::NoCarrierScan, row, since, Severity::Medium, detail, action);
}

/// The limit for a wait, and whose it is.
fn limit(shop: &Shop<'_>, row: usize, step: u8, setting: (&str, i64), waits: &mut Waits<'_>) -> (i64, String) {
    let (settings, language) = (shop.terms.settings, shop.terms.language);
    let least = settings.lane_min_parcels as usize;
    match waits.usual(row, step, settings.lane_quantile, least, (&shop.orders, language)) {
        Some(Usual { limit, of }) => {
            let (share, most) = (share(settings.lane_quantile), shop.span(limit));
            (limit, said!(language, "{share} of {of} took at most {most}", "{of}中有 {share} 不超过 {most}"))
        }
        None => {
            let (name, limit) = setting;
            let most = shop.span(limit);
            let why = said!(
                language,
                "fewer than {least} parcels to learn from, so the limit is `{name}`, {most}",
                "可供参考的包裹不足 {least} 件，故以设置 `{name}` 为时限，{most}"
            );
            (limit, why)
        }
    }
}

fn silent(shop: &mut Shop<'_>, row: usize, step: u8, at: i64, waits: &mut Waits<'_>) {
    let (limit, why) = limit(shop, row, step, ("stuck_in_transit", shop.limits.transit), waits);
    let since = at + limit;
    if shop.as_of() <= since {
        return;
    }
    let (waited, at, language) = (shop.span(shop.as_of() - at), instant(at), shop.terms.language);
    let detail = match step {
        WHOLE_ROAD => {
            said!(language, "shipped {at}, not delivered after {waited}; {why}", "{at} 发货，{waited}后仍未送达；{why}")
        }
        _ => {
            let news = Step::name(step);
            said!(
                language,
                "no news for {waited} since `{news}` {at}; {why} to the next",
                "自 {at} 的 `{news}` 起 {waited}没有消息；到下一条消息，{why}"
            )
        }
    };
    let action = shop.say("open a search with the carrier and tell the buyer", "向承运商发起查件，并告知买家");
    shop.note(Kind::StuckInTransit, row, since, Severity::Medium, detail, action);
}

fn customs(shop: &mut Shop<'_>, row: usize, arrived: i64, waits: &mut Waits<'_>) {
    let (limit, why) = limit(shop, row, IN_CUSTOMS, ("stuck_in_customs", shop.limits.customs), waits);
    let since = arrived + limit;
    if shop.as_of() <= since {
        return;
    }
    let language = shop.terms.language;
    let country = shop.orders.ship_country.get(row).map(|c| said!(language, " of {c}", " {c} "));
    let country = country.unwrap_or_default();
    let (waited, at) = (shop.span(shop.as_of() - arrived), instant(arrived));
    let detail = said!(
        language,
        "in customs{country} for {waited} since {at}; {why}",
        "自 {at} 起滞留{country}海关已 {waited}；{why}"
    );
    let action = shop.say(
        "ask the broker which papers or duties are missing, and tell the buyer",
        "向报关行询问缺少哪些单证或税费，并告知买家",
    );
    shop.note(Kind::StuckInCustoms, row, since, Severity::Medium, detail, action);
}
