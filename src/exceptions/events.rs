//! Stage events by parcel, in the order they happened.

use super::shop::Shop;
use crate::contract::exception::ExceptionKind as Kind;
use crate::error::Result;

/// News of a parcel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Step {
    /// Row of its order.
    pub(super) row: u32,
    /// When it happened.
    pub(super) at: i64,
    /// What, as a place in [`NAMES`].
    pub(super) code: u8,
    /// When it was known.
    pub(super) known_at: i64,
}

/// Events on the road. Of events in one instant the later stage comes last.
const NAMES: [&str; 11] = [
    "shipped",
    "first_scan",
    "exception_delay",
    "exception_damage",
    "exception_address",
    "customs_arrived",
    "customs_cleared",
    "at_local_post",
    "out_for_delivery",
    "exception_lost",
    "delivered",
];

impl Step {
    pub(super) const SHIPPED: u8 = 0;
    pub(super) const ADDRESS: u8 = 4;
    pub(super) const CUSTOMS_ARRIVED: u8 = 5;
    pub(super) const OUT_FOR_DELIVERY: u8 = 8;
    pub(super) const LOST: u8 = 9;
    pub(super) const DELIVERED: u8 = 10;
    /// What only a carrier can say: everything but `shipped`.
    pub(super) const SCANS: &'static [u8] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
    /// After these a parcel is no longer in customs.
    pub(super) const BEYOND_CUSTOMS: &'static [u8] = &[6, 7, 8, 10];

    /// The event's name.
    pub(super) fn name(code: u8) -> &'static str {
        NAMES.get(usize::from(code)).copied().unwrap_or("?")
    }
}

/// An event that is an exception by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mishap {
    pub(super) kind: Kind,
    pub(super) row: usize,
    pub(super) at: i64,
    pub(super) known_at: i64,
    /// What the carrier or warehouse said.
    pub(super) detail: Option<String>,
}

/// The events that were known.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// Sorted by order and time.
    steps: Vec<Step>,
    /// Damage, loss, wrong articles, empty shelves.
    pub(super) mishaps: Vec<Mishap>,
    /// Whether any carrier has ever told anything: where none does, silence means nothing.
    pub(super) know_carriers: bool,
}

impl Events {
    pub(super) fn of(shop: &Shop<'_>) -> Result<Self> {
        let table = shop.source("order_events");
        let (orders, names) = (table.texts("order_id")?, table.texts("event")?);
        let (times, known) = (table.ints("occurred_at")?, table.ints("known_at")?);
        let details = table.texts("detail")?;
        let mut events = Self::default();
        for at_row in 0..table.rows() {
            let (Some(row), Some(name), Some(at)) =
                (shop.row_of(orders.get(at_row)), names.get(at_row), times.get(at_row))
            else {
                continue;
            };
            let known_at = known.get(at_row).unwrap_or(at).max(at);
            let kind = match name {
                "exception_damage" => Some(Kind::Damaged),
                "exception_lost" => Some(Kind::Lost),
                "wrong_item" => Some(Kind::WrongItem),
                "stockout" => Some(Kind::StockShort),
                _ => None,
            };
            if let Some(kind) = kind {
                events.mishaps.push(Mishap { kind, row, at, known_at, detail: details.get(at_row).map(str::to_owned) });
            }
            if let Some(code) = NAMES.iter().position(|known| *known == name) {
                events.know_carriers |= Step::SCANS.contains(&(code as u8));
                events.steps.push(Step { row: row as u32, at, code: code as u8, known_at });
            }
        }
        if events.know_carriers {
            events.add_orders(shop);
        }
        events.steps.sort_unstable();
        // The order's own times often repeat an event.
        events.steps.dedup_by_key(|step| (step.row, step.at, step.code));
        events.mishaps.sort_by(|a, b| (a.row, a.kind, a.at, &a.detail).cmp(&(b.row, b.kind, b.at, &b.detail)));
        Ok(events)
    }

    /// The ends of the road as the orders tell them, where the events do not.
    fn add_orders(&mut self, shop: &Shop<'_>) {
        let mut told = vec![[false; 2]; shop.orders.count];
        for step in &self.steps {
            match step.code {
                Step::SHIPPED => told[step.row as usize][0] = true,
                Step::DELIVERED => told[step.row as usize][1] = true,
                _ => {}
            }
        }
        for (row, [shipped, delivered]) in told.into_iter().enumerate() {
            let ends = [
                (Step::SHIPPED, shop.orders.shipped_at.get(row).filter(|_| !shipped)),
                (Step::DELIVERED, shop.orders.delivered_at.get(row).filter(|_| !delivered)),
            ];
            for (code, at) in ends {
                self.steps.extend(at.map(|at| Step { row: row as u32, at, code, known_at: at }));
            }
        }
    }

    /// The news of each parcel, oldest first.
    pub(super) fn parcels(&self) -> impl Iterator<Item = &[Step]> {
        self.steps.chunk_by(|a, b| a.row == b.row)
    }
}
