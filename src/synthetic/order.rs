//! An order as it is placed: who, from where, what, at which price.

use super::calendar::{Calendar, day_of, sale};
use super::catalog::{CATEGORIES, Catalog};
use super::dice::{Dice, days};
use super::fx::Fx;
use super::people::{Ip, People, Person, Traits};
use super::places::{CHANNELS, COUNTRIES, WAREHOUSES, customs, nearest};
use super::rings::Rings;
use crate::types::time::date_of;
use chrono::Datelike;

/// What an order truly is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fraud {
    None,
    /// One of a ring's: shared devices, cards, addresses, within hours.
    Ring,
    /// An old account in other hands.
    Takeover,
    /// An honest-looking order that its own customer will dispute.
    Friendly,
}

impl Fraud {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Ring => "ring",
            Self::Takeover => "takeover",
            Self::Friendly => "friendly",
        }
    }
}

/// One line of a basket.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub(super) sku: usize,
    pub(super) quantity: i64,
    /// Minor units of the order's currency, for one piece.
    pub(super) unit_price: i64,
    pub(super) size: &'static str,
    pub(super) color: &'static str,
    /// Whether the same article is in the basket in another size.
    pub(super) several_sizes: bool,
}

/// Everything known when an order is placed. Countries are indices of [`COUNTRIES`], and so on.
pub(super) struct Placed {
    pub(super) number: u64,
    pub(super) at: i64,
    pub(super) fraud: Fraud,
    pub(super) person: Person,
    pub(super) traits: Traits,
    pub(super) channel: usize,
    pub(super) seller: u64,
    pub(super) anonymous: bool,
    pub(super) device: u64,
    pub(super) ip: Ip,
    pub(super) ip_country: usize,
    pub(super) email: u64,
    pub(super) throwaway_email: bool,
    pub(super) phone: u64,
    pub(super) method: &'static str,
    pub(super) card: u64,
    pub(super) card_country: usize,
    pub(super) billing: usize,
    pub(super) ship: usize,
    pub(super) address: u64,
    pub(super) currency: usize,
    pub(super) exponent: u32,
    pub(super) lines: Vec<Line>,
    pub(super) discount: i64,
    pub(super) fee: i64,
    pub(super) duty: i64,
    /// All lines less discount plus fee and duty, in minor units of the order's currency.
    pub(super) amount: i64,
    /// The amount in euros at list rates.
    pub(super) euros: f64,
    pub(super) express: bool,
    pub(super) warehouse: usize,
    pub(super) carrier: usize,
}

/// The shop that takes orders.
pub(super) struct Shop {
    pub(super) calendar: Calendar,
    pub(super) catalog: Catalog,
    pub(super) fx: Fx,
    pub(super) people: People,
    pub(super) rings: Rings,
}

impl Shop {
    /// The next order, placed at `at`.
    pub(super) fn take_order(&mut self, number: u64, at: i64, dice: &mut Dice) -> Placed {
        self.rings.maybe_start(at, &self.calendar, dice);
        if let Some(ring) = self.rings.due(at) {
            let order = self.honest(number, at, true, dice);
            return self.ring_order(order, ring, dice);
        }
        let takeover = dice.chance(0.0030);
        let newcomer = !takeover && dice.chance(0.37);
        let mut order = self.honest(number, at, newcomer, dice);
        if takeover && order.person.created_at < at - days(60.0) {
            self.take_over(&mut order, dice);
        } else if dice.chance(order.traits.friendly) && order.euros > 25.0 {
            order.fraud = Fraud::Friendly;
        }
        order
    }

    fn honest(&mut self, number: u64, at: i64, newcomer: bool, dice: &mut Dice) -> Placed {
        let home = dice.index(self.calendar.awake(at));
        let person = if newcomer { self.people.newcomer(home, at) } else { self.people.regular(home, dice) };
        let traits = self.people.traits(&person);
        let channel = if dice.chance(0.78) { traits.channel() } else { (dice.unit() * CHANNELS.len() as f64) as usize };
        let place = &CHANNELS[channel];
        let country = &COUNTRIES[home];
        // Some live abroad for good (their bank at home), some travel, some send presents.
        let abroad = |dice: &mut Dice| dice.index(self.calendar.awake(at));
        let billing = if dice.chance(0.025) { abroad(dice) } else { home };
        let ship = if dice.chance(0.028) { abroad(dice) } else { home };
        let ip_country = if dice.chance(0.045) { abroad(dice) } else { home };
        let address = match dice.unit() {
            u if u < 0.012 => self.people.forwarder(ship, dice),
            u if u < 0.070 || ship != home => dice.bits(),
            _ => self.people.address(&person),
        };
        let currency = Fx::index(if dice.chance(place.dollar_share) { "USD" } else { country.currency });
        let method = method(country.code, traits.method, dice);
        let mut order = Placed {
            number,
            at,
            fraud: Fraud::None,
            person,
            traits,
            channel,
            seller: channel as u64 * 10 + (dice.unit().powi(2) * place.sellers as f64) as u64,
            anonymous: dice.chance(place.anonymous_share),
            device: if dice.chance(0.03) { dice.bits() } else { self.people.device(&person, at, dice) },
            ip: self.people.ip(&person, dice),
            ip_country,
            email: self.people.email(&person),
            throwaway_email: dice.chance(0.004),
            phone: self.people.phone(&person),
            method,
            card: self.people.card(&person, dice),
            card_country: billing,
            billing,
            ship,
            address,
            currency,
            exponent: self.fx.exponent(currency),
            lines: Vec::with_capacity(3),
            discount: 0,
            fee: 0,
            duty: 0,
            amount: 0,
            euros: 0.0,
            express: dice.chance(0.09),
            warehouse: 0,
            carrier: 0,
        };
        self.fill_basket(&mut order, dice);
        self.route(&mut order, dice);
        self.price(&mut order, dice);
        order
    }

    /// Puts lines into the basket by the customer's taste and the season.
    fn fill_basket(&self, order: &mut Placed, dice: &mut Dice) {
        let toys_season =
            date_of(day_of(order.at)).is_some_and(|d| d.month() == 12 || (d.month() == 11 && d.day() > 20));
        let more = (0.34 * order.traits.basket).min(0.7);
        let mut count = 1;
        while count < 5 && dice.chance(more) {
            count += 1;
        }
        while order.lines.len() < count {
            let sku = self.catalog.choose(order.traits.favourite, toys_season, dice);
            let quantity = if dice.chance(0.09) { 2 + i64::from(dice.chance(0.3)) } else { 1 };
            self.add_line(order, sku, quantity, dice);
            let Some(&line) = order.lines.last() else { break };
            if !line.size.is_empty() && order.lines.len() < 5 && dice.chance(order.traits.several_sizes) {
                let sizes = CATEGORIES[self.catalog.skus[sku].category].sizes;
                let at = sizes.iter().position(|s| *s == line.size).unwrap_or(0);
                let size = sizes[if at + 1 < sizes.len() { at + 1 } else { at - 1 }];
                let last = order.lines.len() - 1;
                order.lines[last].several_sizes = true;
                order.lines[last].quantity = 1;
                order.lines.push(Line { size, several_sizes: true, quantity: 1, ..line });
            }
        }
    }

    /// Adds an article at its list price in the order's currency.
    pub(super) fn add_line(&self, order: &mut Placed, sku: usize, quantity: i64, dice: &mut Dice) {
        let article = &self.catalog.skus[sku];
        let sizes = CATEGORIES[article.category].sizes;
        // People are of middling size: the mean of two draws.
        let size = if sizes.is_empty() { "" } else { sizes[(dice.below(sizes.len()) + dice.below(sizes.len())) / 2] };
        let unit_price = self.fx.list_price(order.currency, article.euros);
        let color = if sizes.is_empty() { "" } else { Catalog::color(dice) };
        order.lines.push(Line { sku, quantity, unit_price, size, color, several_sizes: false });
    }

    /// Chooses the warehouse that keeps the first article and lies nearest, and a carrier that collects there.
    pub(super) fn route(&self, order: &mut Placed, dice: &mut Dice) {
        let kept_at = order.lines.first().map_or(1, |l| self.catalog.skus[l.sku].kept_at);
        let near = nearest(COUNTRIES[order.ship].area);
        order.warehouse = if dice.chance(CHANNELS[order.channel].china_share) {
            super::places::CHINA
        } else {
            near.into_iter().find(|w| kept_at >> w & 1 == 1).unwrap_or(near[0])
        };
        let carriers = WAREHOUSES[order.warehouse].carriers;
        let all: f64 = carriers.iter().map(|(_, w)| w).sum();
        let mut left = dice.unit() * all;
        let chosen = carriers.iter().find(|(_, w)| {
            left -= w;
            left < 0.0
        });
        order.carrier = chosen.unwrap_or(&carriers[0]).0;
    }

    /// Works out discount, fee, duty and the amount to pay, all in whole minor units.
    pub(super) fn price(&self, order: &mut Placed, dice: &mut Dice) {
        let goods: i64 = order.lines.iter().map(|l| l.quantity * l.unit_price).sum();
        let sale = sale(day_of(order.at));
        let percent =
            if dice.chance(0.22 + 0.6 * sale) { 5 + 5 * dice.below(3 + (5.0 * sale) as usize) as i64 } else { 0 };
        order.discount = goods * percent / 100;
        let goods_euros = self.fx.to_euros(order.currency, goods);
        order.fee = match (order.express, goods_euros > 60.0) {
            (true, _) => self.fx.list_price(order.currency, 14.0),
            (false, true) => 0,
            (false, false) => self.fx.list_price(order.currency, 4.2),
        };
        let crosses = customs(order.warehouse, order.ship);
        // Own shop and AliExpress collect duty in the basket, the others leave it to the door.
        let prepaid = crosses && matches!(order.channel, 0 | 3);
        order.duty = if prepaid { (goods - order.discount) * 12 / 100 } else { 0 };
        order.amount = goods - order.discount + order.fee + order.duty;
        order.euros = self.fx.to_euros(order.currency, order.amount);
    }
}

/// How people pay by country; most keep to their habit.
fn method(country: &str, habit: f64, dice: &mut Dice) -> &'static str {
    let local = match country {
        "CN" => "alipay",
        "PL" => "blik",
        "NL" => "ideal",
        "DE" | "AT" | "SE" | "CH" => "invoice",
        "BR" => "pix",
        "JP" => "konbini",
        _ => "wallet",
    };
    let choice = if dice.chance(0.8) { habit } else { dice.unit() };
    match choice {
        c if c < 0.50 => "card",
        c if c < 0.74 => "paypal",
        c if c < 0.94 => local,
        _ => "bank_transfer",
    }
}
