//! Orders of a shop as the engine takes them, made column by column from a row's number and a seed.
//!
//! Like the synthetic shop of the library, but without its tables: customers grow with the orders, about five orders each;
//! each has two devices that are replaced, a card or two, a home and a mobile address; strangers share proxies, kiosks,
//! freight forwarders and mobile networks. Nothing is remembered from row to row, so any column can be made by itself.

use ordersight::contract::feature::{ENTITIES, Entity, EventKind};
use ordersight::features::engine::{Facts, Happenings, Keys, Level, Phase, Stream};
use ordersight::types::time::DAY;
use std::time::{Duration, Instant};

/// The period of the orders: two years.
pub(crate) const DAYS: i64 = 730;
/// Orders of a customer, on average.
const ORDERS_EACH: u64 = 5;
/// Keys made and numbered at once.
const BLOCK: usize = 1 << 16;
const SEED: u64 = 20_260_101;

/// A hash of a number and what it is asked about.
fn hash(about: u64, of: u64) -> u64 {
    let mut x = (SEED ^ about.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_add(of.wrapping_mul(0xd134_2543_de82_ef95));
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Uniform in `[0, 1)`.
fn share(about: u64, of: u64) -> f64 {
    (hash(about, of) >> 11) as f64 / (1_u64 << 53) as f64
}

/// What hashes are asked about.
mod about {
    pub(super) const CUSTOMER: u64 = 1;
    pub(super) const DEVICE: u64 = 2;
    pub(super) const CARD: u64 = 3;
    pub(super) const IP: u64 = 4;
    pub(super) const NETWORK: u64 = 5;
    pub(super) const EMAIL: u64 = 6;
    pub(super) const PHONE: u64 = 7;
    pub(super) const ADDRESS: u64 = 8;
    pub(super) const HOME: u64 = 9;
    pub(super) const HABIT: u64 = 10;
    pub(super) const SELLER: u64 = 11;
    pub(super) const FRAUD: u64 = 12;
    pub(super) const RETURN: u64 = 13;
    pub(super) const TICKET: u64 = 14;
    pub(super) const ARTICLE: u64 = 15;
    pub(super) const AMOUNT: u64 = 16;
}

/// A key as it comes: a short text. Personal ones are hashes of the same length in accepted tables too.
type Key = [u8; 12];

fn text(prefix: u8, number: u64) -> Key {
    let mut key = [prefix; 12];
    for (at, place) in key[1..].iter_mut().enumerate() {
        *place = b"0123456789abcdef"[(number >> (4 * at)) as usize & 15];
    }
    key
}

/// A shop of so many orders.
#[derive(Clone, Copy)]
pub(crate) struct Shop {
    pub(crate) orders: u32,
}

impl Shop {
    fn placed_at(self, order: u32) -> i64 {
        (i128::from(order) * i128::from(DAYS * DAY) / i128::from(self.orders.max(1))) as i64
    }

    /// One order in five is a customer's first; the others are of one who came before, of the earlier ones rather.
    fn customer(order: u32) -> u64 {
        let newest = u64::from(order) / ORDERS_EACH;
        match u64::from(order) % ORDERS_EACH {
            0 => newest,
            _ => (share(about::CUSTOMER, u64::from(order)).powf(1.3) * (newest + 1) as f64) as u64,
        }
    }

    /// Whether it is fraud; such orders come in rings of twenty that share what they use.
    fn ring(order: u32) -> Option<u64> {
        let order = u64::from(order);
        (share(about::FRAUD, order) < 0.01).then_some(order / 2_000)
    }

    fn key(self, entity: &Entity, order: u32) -> Option<Key> {
        let (row, who) = (u64::from(order), Self::customer(order));
        let chance = share(about::HABIT, row);
        let home = (share(about::HOME, who).powi(2) * 24.0) as u64;
        let ring = Self::ring(order);
        // What a person has; now and then something used once.
        let own = |about: u64, which: u64, once: f64| match (ring, chance < once) {
            (Some(ring), _) => hash(about, (ring << 2) | (row % 3) | 1 << 62),
            (None, true) => hash(about, row | 1 << 61),
            (None, false) => hash(about, (who << 8) | which),
        };
        // One address in four is of a mobile network: 960 of them, 250 hosts each.
        let mobile = (hash(about::IP, row).is_multiple_of(4)).then(|| (home * 40 + row % 40, row % 250));
        let network = mobile.map_or_else(|| own(about::NETWORK, 0, 0.0) % 69_632, |(network, _)| (1 << 20) | network);
        let few = |prefix: u8, number: u64| Some(text(prefix, number));
        match entity.name {
            "customer" => few(b'c', hash(about::CUSTOMER, who)),
            "device" if chance > 0.999 => few(b'd', row % 3),
            "device" => {
                let year = (self.placed_at(order) / DAY + (who % 400) as i64) / 400;
                few(b'd', own(about::DEVICE, u64::from(chance > 0.75) << 4 | year as u64, 0.03))
            }
            // Cash and invoices leave no account.
            "payment" if chance > 0.90 => None,
            "payment" => few(b'p', own(about::CARD, u64::from(chance > 0.80), 0.0)),
            "ip" if chance < 0.004 => few(b'i', row % 4),
            "ip" => few(b'i', network << 8 | mobile.map_or(hash(about::IP, who) % 250, |(_, host)| host)),
            "network" => few(b'n', network),
            "email" => few(b'e', own(about::EMAIL, 0, 0.0)),
            "email_domain" => few(b'o', hash(about::EMAIL, who) % 11),
            "phone" => few(b't', own(about::PHONE, 0, 0.0)),
            "ship_address" if chance > 0.988 => few(b'a', home * 5 + row % 5),
            "ship_address" => few(b'a', own(about::ADDRESS, 0, 0.06)),
            "ship_country" => few(b'l', if chance < 0.028 { row % 24 } else { home }),
            "payment_country" => few(b'l', if chance > 0.975 { row % 24 } else { home }),
            "payment_method" => few(b'm', hash(about::CARD, who) % 5),
            "channel" => few(b'h', hash(about::SELLER, who) % 6),
            "seller" => {
                few(b's', hash(about::SELLER, who) % 6 * 10 + (share(about::SELLER, row).powi(2) * 10.0) as u64)
            }
            _ => None,
        }
    }

    /// The order of each line: three orders in ten have two.
    fn order_of_line(self) -> Vec<u32> {
        let lines = (0..self.orders).map(|order| 1 + usize::from(order % 10 < 3));
        let mut order_of_line = Vec::with_capacity(lines.sum());
        for order in 0..self.orders {
            order_of_line.push(order);
            if order % 10 < 3 {
                order_of_line.push(order);
            }
        }
        order_of_line
    }

    fn article(line: u64) -> u64 {
        (share(about::ARTICLE, line).powi(3) * 20_000.0) as u64
    }

    fn key_of_line(entity: &Entity, line: u64) -> Option<Key> {
        let article = Self::article(line);
        match entity.name {
            "sku" => Some(text(b'k', article)),
            "category" => Some(text(b'g', article % 12)),
            "brand" => Some(text(b'b', hash(about::ARTICLE, article) % 300)),
            "size" if article % 12 < 7 => Some(text(b'z', hash(about::HABIT, line) % 12)),
            _ => None,
        }
    }

    /// Everything that a step takes, and the time that numbering keys took.
    pub(crate) fn facts(self, entities: &[&'static Entity], keys: &mut Keys) -> (Facts, Duration) {
        let (mut facts, mut numbering) = (Facts::default(), Duration::ZERO);
        facts.orders.placed_at = (0..self.orders).map(|order| self.placed_at(order)).collect();
        facts.order_of_line = self.order_of_line();
        facts.lines.placed_at = facts.order_of_line.iter().map(|&order| self.placed_at(order)).collect();
        for entity in ENTITIES.iter().filter(|entity| entities.contains(entity) && !entity.column.is_empty()) {
            let rows = if entity.of_line { facts.order_of_line.len() } else { self.orders as usize };
            let mut numbers: Vec<u32> = Vec::with_capacity(rows);
            let mut block = Vec::with_capacity(BLOCK);
            while numbers.len() < rows {
                block.clear();
                block.extend((numbers.len()..rows.min(numbers.len() + BLOCK)).map(|row| match entity.of_line {
                    true => Self::key_of_line(entity, row as u64),
                    false => self.key(entity, row as u32),
                }));
                let begun = Instant::now();
                numbers.extend(keys.number(entity, block.iter().map(Option::as_ref)).unwrap());
                numbering += begun.elapsed();
            }
            let grid = if entity.of_line { &mut facts.lines } else { &mut facts.orders };
            grid.keys.insert(entity.name, numbers);
        }
        let amount =
            |row: u64, of: u64| 500 + (1.0 / (1.0 - share(about::AMOUNT ^ of, row)) * 1_000.0) as i64 % 500_000;
        facts.orders.values.insert("amount", (0..u64::from(self.orders)).map(|row| amount(row, 0)).collect());
        let lines = facts.order_of_line.len() as u64;
        let price = |line: u64| amount(Self::article(line), 1);
        facts.lines.values.insert("unit_price", (0..lines).map(price).collect());
        self.happenings(&mut facts);
        (facts, numbering)
    }

    fn happenings(self, facts: &mut Facts) {
        for (kind, level) in [(EventKind::Order, Level::Order), (EventKind::Line, Level::Line)] {
            facts.events.insert(Stream { kind, phase: Phase::Happened, level }, Happenings::default());
        }
        let as_of = DAYS * DAY;
        // After how many days it comes to light, if it does, and after how many it is certain either way.
        let fraud = |order: u32| Self::ring(order).map(|_| 3 + (hash(about::FRAUD, u64::from(order)) % 60) as i64);
        let returned =
            |row: u64| (share(about::RETURN, row) < 0.12).then(|| 5 + (hash(about::RETURN, row) % 30) as i64);
        for (kind, level) in [EventKind::Fraud, EventKind::Return]
            .map(|kind| [Level::Order, Level::Line].map(|l| (kind, l)))
            .as_flattened()
        {
            let ripens_after = if *kind == EventKind::Fraud { 90 } else { 45 } * DAY;
            let rows = if *level == Level::Line { facts.order_of_line.len() as u32 } else { self.orders };
            let order = |row: u32| if *level == Level::Line { facts.order_of_line[row as usize] } else { row };
            let known = |row: u32| {
                let days = if *kind == EventKind::Fraud { fraud(order(row)) } else { returned(u64::from(row)) };
                days.map(|days| self.placed_at(order(row)) + days * DAY).filter(|&at| at <= as_of)
            };
            let ripe = |row: u32| Some(self.placed_at(order(row)) + ripens_after).filter(|&at| at <= as_of);
            let streams = [
                (Phase::Happened, events(rows, known)),
                (Phase::Ripe, events(rows, ripe)),
                (Phase::RipeHappened, events(rows, |row| known(row).zip(ripe(row)).map(|(yes, ripe)| yes.max(ripe)))),
            ];
            facts.events.extend(streams.map(|(phase, events)| (Stream { kind: *kind, phase, level: *level }, events)));
        }
        for (kind, often) in [
            (EventKind::ReturnRequest, 0.12),
            (EventKind::Contact, 0.08),
            (EventKind::Dispute, 0.004),
            (EventKind::Chargeback, 0.004),
        ] {
            let about = about::TICKET ^ (kind as u64) << 8;
            let opened = |order: u32| {
                let days = 2 + (hash(about, u64::from(order)) % 40) as i64;
                (share(about, u64::from(order)) < often)
                    .then(|| self.placed_at(order) + days * DAY)
                    .filter(|&at| at <= as_of)
            };
            let mut events = events(self.orders, opened);
            events.happened_at = events.known_at.clone();
            facts.events.insert(Stream { kind, phase: Phase::Happened, level: Level::Order }, events);
        }
    }
}

/// Events of the rows that have one, by when it is known.
fn events(rows: u32, known: impl Fn(u32) -> Option<i64>) -> Happenings {
    let count = (0..rows).filter(|&row| known(row).is_some()).count();
    let (mut at, mut times) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for (row, time) in (0..rows).filter_map(|row| known(row).map(|time| (row, time))) {
        at.push(row);
        times.push(time);
    }
    Happenings { rows: Some(at), known_at: Some(times), ..Happenings::default() }
}
