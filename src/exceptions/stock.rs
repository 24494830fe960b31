//! Stock against open demand: what is left, how long it lasts, when to reorder, and which orders it does not cover.

use super::columns::{Ints, Texts};
use super::events::Events;
use super::shop::{Finding, Shop};
use super::words::{counted, instant, said};
use super::{Severity, normal};
use crate::contract::exception::ExceptionKind as Kind;
use crate::error::{Error, Result};
use crate::types::time::DAY;
use polars::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Days that daily demand is taken from: four whole weeks, so that every weekday counts the same.
pub(super) const DEMAND_DAYS: i64 = 28;

/// What `inventory_position` needs.
pub(super) const NEEDS: &[&str] = &["inventory.on_hand", "order_items.quantity", "orders.shipped_at"];

/// An article, and its warehouse where both stock and orders name one.
type Place<'a> = (&'a str, Option<&'a str>);

/// An article in a warehouse.
#[derive(Debug, Default)]
struct Position {
    /// Time and units of the latest count.
    count: Option<(i64, i64)>,
    shipped_since: i64,
    open_units: i64,
    open_orders: i64,
    short_orders: i64,
    short_units: i64,
    /// Units ordered by day before the clock.
    daily: [i64; DEMAND_DAYS as usize],
}

impl Position {
    /// The count, where it is recent enough to say something.
    fn valid(&self, shop: &Shop<'_>) -> Option<(i64, i64)> {
        self.count.filter(|(at, _)| *at >= shop.as_of() - shop.limits.count_valid_for)
    }

    /// Units on the shelf now, as far as is known: the count less what was shipped since.
    fn left(&self, shop: &Shop<'_>) -> Option<i64> {
        self.valid(shop).map(|(_, on_hand)| on_hand - self.shipped_since)
    }
}

/// An order line that waits to be shipped.
struct Waiting<'a> {
    begun_at: i64,
    order: usize,
    place: Place<'a>,
    quantity: i64,
}

/// Why an order is short: since when, when known, in words.
type Short = BTreeMap<usize, (i64, i64, Vec<String>)>;

/// Notes orders that stock does not cover; the position of every article, if the input has what it takes.
pub(super) fn find(shop: &mut Shop<'_>, events: &Events, counts_supplied: bool) -> Result<Option<DataFrame>> {
    let mut short = Short::new();
    let frame = match counts_supplied {
        true => Some(positions(shop, &mut short)?),
        false => None,
    };
    for mishap in events.mishaps.iter().filter(|m| m.kind == Kind::StockShort && shop.orders.waits_to_ship(m.row)) {
        let (since, known_at, said) = short.entry(mishap.row).or_insert((mishap.at, mishap.known_at, Vec::new()));
        *since = mishap.at.min(*since);
        *known_at = mishap.known_at.min(*known_at);
        let at = instant(mishap.at);
        let reported = said!(shop.terms.language, "the warehouse reported an empty shelf {at}", "仓库于 {at} 报告缺货");
        said.push(reported);
    }
    for (row, (since, known_at, said)) in short {
        let value_at_risk = shop.amount(row);
        shop.add(Finding {
            kind: Kind::StockShort,
            order: Some(row),
            reference: None,
            customer: None,
            since,
            known_at: known_at.max(since),
            severity: Severity::High,
            value_at_risk,
            detail: said.join(shop.say("; ", "；")),
            action: shop.say(
                "reorder or ship from elsewhere; tell the buyer the new date or offer to cancel",
                "补货或从别处发货；告知买家新的日期，或允许取消",
            ),
        });
    }
    Ok(frame)
}

/// The columns that stock is counted and ordered by.
struct Columns {
    sku: Texts,
    warehouse: Texts,
    counted_at: Ints,
    on_hand: Ints,
    line_order: Texts,
    line_sku: Texts,
    quantity: Ints,
    shipped_quantity: Ints,
}

impl Columns {
    fn of(shop: &Shop<'_>) -> Result<Self> {
        let (stock, items) = (shop.source("inventory"), shop.source("order_items"));
        Ok(Self {
            sku: stock.texts("sku")?,
            warehouse: stock.texts("warehouse_id")?,
            counted_at: stock.ints("as_of")?,
            on_hand: stock.ints("on_hand")?,
            line_order: items.texts("order_id")?,
            line_sku: items.texts("sku")?,
            quantity: items.ints("quantity")?,
            shipped_quantity: items.ints("shipped_quantity")?,
        })
    }
}

fn positions(shop: &Shop<'_>, short: &mut Short) -> Result<DataFrame> {
    let columns = Columns::of(shop)?;
    let by_warehouse = columns.warehouse.is_supplied() && shop.orders.warehouse.is_supplied();
    let mut positions = latest_counts(shop, &columns, by_warehouse);
    let mut waiting = Vec::new();
    for at_row in 0..shop.source("order_items").rows() {
        let Some(order) = shop.row_of(columns.line_order.get(at_row)) else { continue };
        let Some(sku) = columns.line_sku.get(at_row) else { continue };
        let place = (sku, if by_warehouse { shop.orders.warehouse.get(order) } else { None });
        // A line without a quantity is one piece.
        let quantity = columns.quantity.get(at_row).unwrap_or(1);
        let position = positions.entry(place).or_default();
        demand(shop, order, quantity, position);
        if let Some(shipped) = shop.orders.shipped_at.get(order) {
            if position.count.is_some_and(|(counted, _)| shipped > counted) {
                position.shipped_since += columns.shipped_quantity.get(at_row).unwrap_or(quantity);
            }
        } else if shop.orders.waits_to_ship(order) && !shop.orders.is_unpaid(order) {
            position.open_units += quantity;
            waiting.push(Waiting { begun_at: shop.orders.begun_at(order), order, place, quantity });
        }
    }
    allot(shop, waiting, &mut positions, short);
    frame(shop, &positions)
}

/// The latest count of each article. Without warehouses on either side they are added up, and the sum is as old as the
/// oldest of its counts.
fn latest_counts<'a>(shop: &Shop<'_>, columns: &'a Columns, by_warehouse: bool) -> BTreeMap<Place<'a>, Position> {
    let mut latest: BTreeMap<Place<'a>, (i64, i64)> = BTreeMap::new();
    for at_row in 0..shop.source("inventory").rows() {
        let (Some(sku), Some(at), Some(on_hand)) =
            (columns.sku.get(at_row), columns.counted_at.get(at_row), columns.on_hand.get(at_row))
        else {
            continue;
        };
        let count = latest.entry((sku, columns.warehouse.get(at_row))).or_insert((at, on_hand));
        *count = (at, on_hand).max(*count);
    }
    let mut positions: BTreeMap<Place<'a>, Position> = BTreeMap::new();
    for ((sku, warehouse), (at, on_hand)) in latest {
        let position = positions.entry((sku, warehouse.filter(|_| by_warehouse))).or_default();
        let (oldest, sum) = position.count.unwrap_or((at, 0));
        position.count = Some((at.min(oldest), sum + on_hand));
    }
    positions
}

/// Adds a line to the demand of its day. What buyers or the platform cancelled was no demand; what the shop cancelled was.
fn demand(shop: &Shop<'_>, order: usize, quantity: i64, position: &mut Position) {
    let Some(placed) = shop.orders.placed_at.get(order) else { return };
    let by_shop = shop.orders.cancelled_by.get(order) == Some("seller");
    if shop.orders.is_unpaid(order) || (shop.orders.is_cancelled(order) && !by_shop) {
        return;
    }
    let day = (shop.as_of() - placed).div_euclid(DAY);
    if let Some(units) = usize::try_from(day).ok().and_then(|day| position.daily.get_mut(day)) {
        *units += quantity;
    }
}

/// Gives stock to the waiting orders in the order in which they were paid. One that cannot be served whole holds what
/// there is.
fn allot<'a>(
    shop: &Shop<'_>,
    mut waiting: Vec<Waiting<'a>>,
    positions: &mut BTreeMap<Place<'a>, Position>,
    short: &mut Short,
) {
    waiting.sort_by(|a, b| {
        let id = |w: &Waiting<'_>| shop.orders.id.get(w.order).map(str::to_owned);
        (a.begun_at, id(a), a.place, a.quantity).cmp(&(b.begun_at, id(b), b.place, b.quantity))
    });
    let mut given: BTreeMap<Place<'a>, i64> = BTreeMap::new();
    // An order with several lines of an article is one order.
    let (mut seen, mut seen_short) = (BTreeSet::new(), BTreeSet::new());
    for Waiting { begun_at, order, place, quantity } in waiting {
        let Some(position) = positions.get_mut(&place) else { continue };
        position.open_orders += i64::from(seen.insert((place, order)));
        // Never counted, or too long ago: nobody knows, which is not the same as short.
        let (Some((counted_at, on_hand)), Some(left)) = (position.valid(shop), position.left(shop)) else { continue };
        let before = *given.entry(place).or_default();
        let rest = (left - before).max(0);
        given.insert(place, before + quantity.min(rest));
        if quantity <= rest {
            continue;
        }
        position.short_units += quantity - rest;
        position.short_orders += i64::from(seen_short.insert((place, order)));
        let language = shop.terms.language;
        let at = place.1.map(|warehouse| said!(language, " in warehouse {warehouse}", "仓库 {warehouse} "));
        let (at, sku, day, units) = (at.unwrap_or_default(), place.0, instant(counted_at), counted(quantity, "unit"));
        let since_then = position.shipped_since;
        let said = said!(
            language,
            "{units} of `{sku}` wanted, {rest} left{at}: {on_hand} counted {day}, {since_then} shipped since, {before} held for orders paid before",
            "需要 `{sku}` {quantity} 件，{at}剩 {rest} 件：{day} 盘点 {on_hand} 件，此后发出 {since_then} 件，为先付款的订单留 {before} 件"
        );
        let since = begun_at.max(counted_at);
        let entry = short.entry(order).or_insert((since, since, Vec::new()));
        entry.0 = entry.0.min(since);
        entry.1 = entry.1.min(since);
        entry.2.push(said);
    }
}

fn frame(shop: &Shop<'_>, positions: &BTreeMap<Place<'_>, Position>) -> Result<DataFrame> {
    let stage = || Error::frames("inventory position");
    let first = (0..shop.orders.count).filter_map(|row| shop.orders.placed_at.get(row)).min();
    // A shop younger than the window has had demand only since its first order.
    let age = first.map_or(DEMAND_DAYS, |first| (shop.as_of() - first).div_euclid(DAY) + 1);
    let days = age.clamp(1, DEMAND_DAYS);
    let lead_days = shop.limits.lead_time as f64 / DAY as f64;
    let z = normal::quantile(shop.terms.inventory.service_level);
    let mut rows: Vec<Row> = Vec::with_capacity(positions.len());
    for position in positions.values() {
        let daily = &position.daily[..days as usize];
        let mean = daily.iter().sum::<i64>() as f64 / days as f64;
        let squares: f64 = daily.iter().map(|units| (*units as f64 - mean).powi(2)).sum();
        let deviation = if days > 1 { (squares / (days - 1) as f64).sqrt() } else { 0.0 };
        let available = position.left(shop).map(|left| left - position.open_units);
        let reorder_point = mean * lead_days + z * deviation * lead_days.sqrt();
        rows.push(Row {
            available,
            daily_demand: mean,
            days_of_cover: available.filter(|_| mean > 0.0).map(|units| units.max(0) as f64 / mean),
            reorder_point,
            reorder_units: available.map(|units| (reorder_point - units as f64).ceil().max(0.0) as i64),
        });
    }
    // Articles nobody stocks and nobody waits for are history, not stock.
    let keep: BooleanChunked =
        positions.values().map(|p| Some(p.count.is_some() || p.open_units > 0)).collect::<BooleanChunked>();
    let all = || positions.values();
    let ints = |name: &str, pick: &dyn Fn(&Position) -> Option<i64>| {
        Column::new(name.into(), all().map(pick).collect::<Vec<_>>())
    };
    let instants = DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC));
    let columns = vec![
        Column::new("sku".into(), positions.keys().map(|(sku, _)| *sku).collect::<Vec<_>>()),
        Column::new("warehouse_id".into(), positions.keys().map(|(_, at)| *at).collect::<Vec<_>>()),
        ints("counted_at", &|p| p.count.map(|(at, _)| at)).cast(&instants).map_err(stage())?,
        ints("on_hand", &|p| p.count.map(|(_, on_hand)| on_hand)),
        ints("shipped_since", &|p| p.count.map(|_| p.shipped_since)),
        ints("open_demand", &|p| Some(p.open_units)),
        ints("open_orders", &|p| Some(p.open_orders)),
        Column::new("available".into(), rows.iter().map(|r| r.available).collect::<Vec<_>>()),
        ints("short_orders", &|p| p.valid(shop).map(|_| p.short_orders)),
        ints("short_units", &|p| p.valid(shop).map(|_| p.short_units)),
        Column::new("daily_demand".into(), rows.iter().map(|r| r.daily_demand).collect::<Vec<_>>()),
        Column::new("demand_days".into(), vec![days; rows.len()]),
        Column::new("days_of_cover".into(), rows.iter().map(|r| r.days_of_cover).collect::<Vec<_>>()),
        Column::new("reorder_point".into(), rows.iter().map(|r| r.reorder_point).collect::<Vec<_>>()),
        Column::new("reorder_units".into(), rows.iter().map(|r| r.reorder_units).collect::<Vec<_>>()),
    ];
    DataFrame::new_infer_height(columns).and_then(|frame| frame.filter(&keep)).map_err(stage())
}

/// What follows from a position.
struct Row {
    available: Option<i64>,
    daily_demand: f64,
    days_of_cover: Option<f64>,
    reorder_point: f64,
    reorder_units: Option<i64>,
}
