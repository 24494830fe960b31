//! Organised fraud: rings that burst and vanish, and old accounts in other hands.

use super::calendar::Calendar;
use super::catalog::COVETED;
use super::dice::{Dice, days, hours};
use super::fx::Fx;
use super::order::{Fraud, Placed, Shop};
use super::people::Ip;
use crate::types::time::SECOND;

/// Share of orders that start a ring; times the mean size this is the share of ring orders.
const STARTS: f64 = 0.00085;

/// A ring at work.
pub(super) struct Ring {
    left: u32,
    next_at: i64,
    mean_gap_minutes: f64,
    /// Careful rings use a device and a card once and age their accounts; what they share is where things go.
    careful: bool,
    devices: Vec<u64>,
    cards: Vec<(u64, usize)>,
    addresses: Vec<u64>,
    phone: u64,
    network: u64,
    ip_country: usize,
    ship: usize,
    category: usize,
}

/// The rings at work now.
#[derive(Default)]
pub(super) struct Rings(Vec<Ring>);

impl Rings {
    /// Now and then a ring sets out.
    pub(super) fn maybe_start(&mut self, at: i64, calendar: &Calendar, dice: &mut Dice) {
        if !dice.chance(STARTS) {
            return;
        }
        let awake = calendar.awake(at);
        let careful = dice.chance(0.45);
        let (devices, addresses) = (1 + dice.below(3), 1 + dice.below(3));
        let cards = 2 + dice.below(5);
        self.0.push(Ring {
            left: 2 + (dice.wait(6.0) as u32).min(40),
            next_at: at,
            mean_gap_minutes: if careful { 420.0 } else { 35.0 },
            careful,
            devices: (0..devices).map(|_| dice.bits()).collect(),
            cards: (0..cards).map(|_| (dice.bits(), dice.index(awake))).collect(),
            addresses: (0..addresses).map(|_| dice.bits()).collect(),
            phone: dice.bits(),
            network: dice.bits(),
            ip_country: dice.index(awake),
            ship: dice.index(awake),
            category: dice.pick(&COVETED),
        });
    }

    /// The ring whose next order is due, if any.
    pub(super) fn due(&self, at: i64) -> Option<usize> {
        self.0.iter().position(|r| r.next_at <= at)
    }
}

impl Shop {
    /// Turns an order into the next one of a ring.
    pub(super) fn ring_order(&mut self, mut order: Placed, index: usize, dice: &mut Dice) -> Placed {
        let at = order.at;
        let ring = &mut self.rings.0[index];
        ring.left -= 1;
        ring.next_at = at + (dice.wait(ring.mean_gap_minutes) * 60.0) as i64 * SECOND;
        order.fraud = Fraud::Ring;
        order.ship = ring.ship;
        order.address = dice.pick(&ring.addresses);
        let (card, country) = dice.pick(&ring.cards);
        let created_at;
        if ring.careful {
            order.card = dice.bits();
            order.device = dice.bits();
            order.billing = ring.ship;
            order.ip_country = ring.ship;
            // Two in five use an address only once too; then little gives them away.
            if dice.chance(0.4) {
                order.address = dice.bits();
            }
            created_at = at - days(1.0 + dice.wait(25.0));
        } else {
            order.card = card;
            order.device = dice.pick(&ring.devices);
            order.billing = country;
            order.ip_country = if dice.chance(0.8) { ring.ip_country } else { order.ship };
            order.throwaway_email = dice.chance(0.45);
            if dice.chance(0.5) {
                order.phone = ring.phone;
            }
            created_at = at - hours(0.05 + dice.wait(5.0));
        }
        order.card_country = order.billing;
        order.method = if dice.chance(0.85) { "card" } else { "paypal" };
        // Half of the hosts sit in one network; the rest is rented by the hour.
        let network = if dice.chance(0.6) { ring.network } else { dice.bits() };
        order.ip = Ip { network, host: dice.below(250) as u8 };
        let category = ring.category;
        if ring.left == 0 {
            self.rings.0.swap_remove(index);
        }
        if dice.chance(0.8) {
            order.person = self.people.made_up(order.ship, created_at);
            order.traits = self.people.traits(&order.person);
            order.email = self.people.email(&order.person);
        }
        order.express = dice.chance(0.3);
        self.fill_with_coveted(&mut order, category, 2, dice);
        order
    }

    /// Hands an old account to someone else: new device, new address, dear goods.
    pub(super) fn take_over(&self, order: &mut Placed, dice: &mut Dice) {
        order.fraud = Fraud::Takeover;
        order.device = dice.bits();
        order.ip = Ip { network: dice.bits(), host: dice.below(250) as u8 };
        order.address = dice.bits();
        let awake = self.calendar.awake(order.at);
        if dice.chance(0.55) {
            order.ip_country = dice.index(awake);
        }
        if dice.chance(0.4) {
            order.ship = dice.index(awake);
        }
        if dice.chance(0.35) {
            order.phone = dice.bits();
        }
        order.express = dice.chance(0.3);
        let category = dice.pick(&COVETED);
        self.fill_with_coveted(order, category, 3, dice);
    }

    /// Fills the basket with the dearest of a few articles of a category.
    fn fill_with_coveted(&self, order: &mut Placed, category: usize, draws: usize, dice: &mut Dice) {
        order.currency = if dice.chance(0.7) { order.currency } else { Fx::index("USD") };
        order.exponent = self.fx.exponent(order.currency);
        order.lines.clear();
        for _ in 0..1 + dice.below(2) {
            let mut best = self.catalog.choose_in(category, dice);
            for _ in 1..draws {
                let other = self.catalog.choose_in(category, dice);
                if self.catalog.skus[other].euros > self.catalog.skus[best].euros {
                    best = other;
                }
            }
            let quantity = 1 + i64::from(dice.chance(0.2));
            self.add_line(order, best, quantity, dice);
        }
        self.route(order, dice);
        self.price(order, dice);
    }
}
