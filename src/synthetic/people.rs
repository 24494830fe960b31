//! Customers. Who they are is hashed from their number; only the second of each one's first order is held.

use super::calendar::day_of;
use super::dice::{About, Dice, days, hash, hours, share};
use super::places::{CHANNELS, COUNTRIES};
use crate::types::time::SECOND;
use std::fmt::Write as _;

/// Customers' numbers keep the country in the low bits; this one marks accounts made for fraud.
const MADE_UP: u64 = 63;
const COUNTRY_BITS: u32 = 6;

/// A customer account.
#[derive(Debug, Clone, Copy)]
pub(super) struct Person {
    /// Number of the account; every trait hangs on it.
    pub(super) key: u64,
    /// Home, as an index of [`COUNTRIES`].
    pub(super) home: usize,
    /// When the account was opened.
    pub(super) created_at: i64,
}

/// The pool of customers, which grows with the shop.
pub(super) struct People {
    seed: u64,
    start: i64,
    /// By country: how many there were before the first day.
    founders: Vec<u64>,
    /// By country: seconds from the start to the first order of each who came later.
    newcomers: Vec<Vec<u32>>,
    made_up: u64,
}

impl People {
    /// A pool for a shop of so many orders that starts with some customers already.
    pub(super) fn new(seed: u64, start: i64, orders: u64) -> Self {
        let founders = COUNTRIES.iter().map(|c| (c.weight * orders as f64 * 0.2).ceil() as u64 + 2).collect();
        Self { seed, start, founders, newcomers: vec![Vec::new(); COUNTRIES.len()], made_up: 0 }
    }

    fn trait_of(&self, about: About, key: u64) -> f64 {
        share(self.seed, about, key)
    }

    /// A first-time customer who orders at `at`.
    pub(super) fn newcomer(&mut self, home: usize, at: i64) -> Person {
        let pool = &mut self.newcomers[home];
        let number = self.founders[home] + pool.len() as u64;
        pool.push(u32::try_from((at - self.start) / SECOND).unwrap_or(u32::MAX));
        self.person(home, number)
    }

    /// Someone who may have bought before; those who buy often and those who came lately are likelier.
    pub(super) fn regular(&self, home: usize, dice: &mut Dice) -> Person {
        let size = self.founders[home] + self.newcomers[home].len() as u64;
        let mut number = 0;
        for _ in 0..8 {
            number = ((1.0 - dice.unit().powf(1.35)) * size as f64) as u64;
            number = number.min(size - 1);
            // Cubed: few are fond of us, most come once or twice.
            let activity = self.trait_of(About::Activity, key(home, number)).powi(3);
            if dice.chance(0.03 + 0.97 * activity) {
                break;
            }
        }
        self.person(home, number)
    }

    fn person(&self, home: usize, number: u64) -> Person {
        let key = key(home, number);
        let age = self.trait_of(About::Created, key);
        let created_at = match number.checked_sub(self.founders[home]) {
            None => self.start - days(1.0 + 1500.0 * age * age),
            Some(i) => {
                let first = self.start + i64::from(self.newcomers[home][i as usize]) * SECOND;
                // Two in three sign up at the till, the rest look around for days first.
                first - if age < 0.66 { hours(0.03 + 0.5 * age) } else { days((age - 0.66) * 90.0) }
            }
        };
        Person { key, home, created_at }
    }

    /// An account opened for fraud, some time before `at`.
    pub(super) fn made_up(&mut self, home: usize, created_at: i64) -> Person {
        self.made_up += 1;
        Person { key: (self.made_up << COUNTRY_BITS) | MADE_UP, home, created_at }
    }

    /// Traits of a person that hold for every order.
    pub(super) fn traits(&self, person: &Person) -> Traits {
        let of = |about| self.trait_of(about, person.key);
        let habit = of(About::ReturnHabit);
        Traits {
            // Most return little; one in twelve sends half the shop back.
            returns: if habit > 0.92 { 1.5 } else { 1.4 * (habit - 0.55) },
            several_sizes: if habit > 0.85 { 0.30 } else { 0.05 * habit },
            friendly: if of(About::Friendly) < 0.013 { 0.14 } else { 0.0022 },
            favourite: of(About::Favourite),
            basket: 0.6 + 0.9 * of(About::Basket).powi(2),
            mood: of(About::Mood) - 0.5,
            contact: 0.4 + 1.2 * of(About::Contact),
            channel: of(About::Channel),
            method: of(About::Method),
            language: if of(About::Language) < 0.07 { "en" } else { COUNTRIES[person.home].language },
        }
    }

    /// Households share devices and an address.
    fn household(&self, person: &Person) -> u64 {
        let shared = person.key & !(1 << COUNTRY_BITS);
        if self.trait_of(About::Household, shared) < 0.07 { shared } else { person.key }
    }

    /// The device used for an order: a phone or a computer, replaced after about a year.
    pub(super) fn device(&self, person: &Person, at: i64, dice: &mut Dice) -> u64 {
        let which = u64::from(dice.chance(0.24));
        // Nobody replaces both on the same day, and different people on different days.
        let owner = self.household(person);
        let shift = (hash(self.seed, About::Device, owner) % 400) as i32;
        let generation = (day_of(at) + shift + 180 * which as i32).div_euclid(400) as u64;
        hash(self.seed, About::Device, owner ^ ((generation * 2 + which) << 44))
    }

    /// The network address: home, or one of the mobile networks that a whole country shares.
    pub(super) fn ip(&self, person: &Person, dice: &mut Dice) -> Ip {
        if dice.chance(0.25) {
            let network = (person.home * 64 + dice.below(40)) as u64;
            return Ip { network: hash(self.seed, About::MobileNetwork, network), host: dice.below(250) as u8 };
        }
        let home = hash(self.seed, About::Network, self.household(person));
        Ip { network: home, host: (home >> 50) as u8 }
    }

    pub(super) fn card(&self, person: &Person, dice: &mut Dice) -> u64 {
        let which = u64::from(dice.chance(0.12));
        hash(self.seed, About::Card, person.key ^ (which << 50))
    }

    pub(super) fn email(&self, person: &Person) -> u64 {
        hash(self.seed, About::Email, person.key)
    }

    pub(super) fn phone(&self, person: &Person) -> u64 {
        hash(self.seed, About::Phone, person.key)
    }

    pub(super) fn address(&self, person: &Person) -> u64 {
        hash(self.seed, About::Address, self.household(person))
    }

    /// One of the few freight forwarders of a country: an address that many honest people share.
    pub(super) fn forwarder(&self, country: usize, dice: &mut Dice) -> u64 {
        hash(self.seed, About::Forwarder, (country * 8 + dice.below(5)) as u64)
    }
}

fn key(home: usize, number: u64) -> u64 {
    (number << COUNTRY_BITS) | home as u64
}

/// What a person is like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Traits {
    /// Readiness to send back, on the logit scale.
    pub(super) returns: f64,
    /// Chance of ordering a sized thing in several sizes.
    pub(super) several_sizes: f64,
    /// Chance of disputing an honest order.
    pub(super) friendly: f64,
    /// Where in the catalogue their taste lies, `[0, 1)`.
    pub(super) favourite: f64,
    /// Size of basket and price level, around 1.
    pub(super) basket: f64,
    /// Harsh −0.5 to kind 0.5.
    pub(super) mood: f64,
    /// Readiness to write to the shop, around 1.
    pub(super) contact: f64,
    channel: f64,
    pub(super) method: f64,
    pub(super) language: &'static str,
}

impl Traits {
    /// The channel they usually buy on.
    pub(super) fn channel(&self) -> usize {
        let mut left = self.channel;
        CHANNELS
            .iter()
            .position(|c| {
                left -= c.weight;
                left < 0.0
            })
            .unwrap_or(0)
    }
}

/// A network address: which network, which host in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ip {
    pub(super) network: u64,
    pub(super) host: u8,
}

const FIRST: [&str; 32] = [
    "anna", "ben", "carla", "david", "elif", "felix", "greta", "hugo", "ines", "jonas", "kaori", "lena", "mateo",
    "nora", "omar", "paula", "quentin", "rosa", "sven", "tina", "umut", "vera", "wei", "xenia", "yuki", "zoe", "liam",
    "maya", "noah", "olga", "piotr", "sofia",
];
const LAST: [&str; 32] = [
    "adler", "bernard", "costa", "dubois", "eriksen", "fischer", "garcia", "hansen", "ito", "jansen", "kowalski",
    "lopez", "martin", "novak", "olsen", "petit", "quint", "rossi", "schmidt", "tanaka", "ulrich", "vogel", "weber",
    "xu", "yilmaz", "zhang", "brown", "clark", "evans", "moreau", "silva", "suzuki",
];
/// Reserved names: no real mailbox can be among them.
const DOMAINS: [&str; 8] = [
    "mail.example",
    "web.example",
    "inbox.example",
    "post.example",
    "cloud.example",
    "orange.example",
    "home.example",
    "work.example",
];
const THROWAWAY: [&str; 3] = ["tenminutes.example", "dropmail.example", "nospam.example"];
const STREETS: [&str; 20] = [
    "Lindenweg",
    "Rue des Lilas",
    "High Street",
    "Calle Mayor",
    "Via Roma",
    "Dorpsstraat",
    "Polna",
    "Storgatan",
    "Hauptstraße",
    "Avenue Foch",
    "Park Road",
    "Maple Avenue",
    "Calle Luna",
    "Bahnhofstraße",
    "Rua Nova",
    "Elm Street",
    "Kirchgasse",
    "Rue du Port",
    "Oak Lane",
    "Zhongshan Road",
];
const TOWNS: [&str; 16] =
    ["Al", "Bor", "Cal", "Dun", "Es", "Fal", "Grün", "Hal", "Ing", "Kar", "Lin", "Mar", "Nor", "Ost", "Pol", "Wal"];
const TOWN_ENDS: [&str; 16] = [
    "au", "berg", "burg", "by", "dorf", "ford", "hausen", "heim", "ille", "mar", "mont", "ow", "stad", "ton", "ville",
    "wick",
];

fn part<'a>(words: &[&'a str], key: u64, shift: u32) -> &'a str {
    words[((key >> shift) as usize & 0xffff) % words.len()]
}

/// Writes the public id of a customer: stable, and silent about who they are.
pub(super) fn write_customer(out: &mut String, key: u64) {
    // An odd multiplier and a shift are one-to-one on 44 bits.
    const MASK: u64 = (1 << 44) - 1;
    let mixed = key.wrapping_mul(0x9e3_7793_5a4b) & MASK;
    let _ = write!(out, "C{:011X}", mixed ^ (mixed >> 23));
}

/// Writes an e-mail address; `throwaway` ones come from services that forget.
pub(super) fn write_email(out: &mut String, key: u64, throwaway: bool) {
    let domain = if throwaway { part(&THROWAWAY, key, 40) } else { part(&DOMAINS, key, 40) };
    let _ = write!(out, "{}.{}{}@{domain}", part(&FIRST, key, 0), part(&LAST, key, 8), key % 999_983);
}

/// Writes a phone number that no network gives out.
pub(super) fn write_phone(out: &mut String, key: u64, country: usize) {
    let _ = write!(out, "+{} 555 {:08}", COUNTRIES[country].dial, key % 100_000_000);
}

/// Writes a private IPv4 or a documentation IPv6 address: none of them belongs to anyone.
pub(super) fn write_ip(out: &mut String, ip: Ip) {
    let n = ip.network;
    let _ = if n.is_multiple_of(13) {
        write!(out, "2001:db8:{:x}::{:x}", (n >> 8) & 0xffff, ip.host)
    } else {
        // 10.0.0.0/8 and 172.16.0.0/12 together: 69,632 networks of /24, so strangers rarely share one by accident.
        let (second, third) = ((n >> 16) % 272, (n >> 32) & 0xff);
        if second < 256 {
            write!(out, "10.{second}.{third}.{}", ip.host)
        } else {
            write!(out, "172.{}.{third}.{}", second - 240, ip.host)
        }
    };
}

/// Writes street, number and town.
pub(super) fn write_address(out: &mut String, key: u64) {
    let number = (key >> 40) % 990 + 1;
    let (street, town, end) = (part(&STREETS, key, 0), part(&TOWNS, key, 5), part(&TOWN_ENDS, key, 13));
    let _ = write!(out, "{street} {number}, {town}{end}");
}

/// The region of an address.
pub(super) fn region(key: u64, country: usize) -> &'static str {
    part(COUNTRIES[country].regions, key, 21)
}

/// Writes a postcode of the country's shape; it begins with the region, as real ones do.
pub(super) fn write_postcode(out: &mut String, key: u64, country: usize) {
    let place = &COUNTRIES[country];
    let region = ((key >> 21) as usize & 0xffff) % place.regions.len();
    let mut digits = (key >> 24) % 4_000_000;
    let mut first = true;
    for c in place.postcode.chars() {
        let next = match (c, first) {
            ('0', true) => char::from(b'1' + (region % 9) as u8),
            ('A', true) => char::from(b'A' + (region * 4 % 26) as u8),
            ('0', false) => char::from(b'0' + (digits % 10) as u8),
            ('A', false) => char::from(b'A' + (digits % 26) as u8),
            (c, _) => c,
        };
        if next.is_ascii_alphanumeric() && !first {
            digits = digits / 10 + (digits % 10) * 1_000_003;
        }
        first = false;
        out.push(next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::time::DAY;

    #[test]
    fn a_newcomer_comes_back_as_the_same_person() {
        let mut people = People::new(3, 0, 1000);
        let newcomer = people.newcomer(2, 40 * DAY);
        let mut dice = Dice::new(1);
        let met_again = (0..20_000).map(|_| people.regular(2, &mut dice)).find(|p| p.key == newcomer.key);
        assert_eq!(met_again.map(|p| p.created_at), Some(newcomer.created_at));
        assert!(newcomer.created_at < 40 * DAY);
    }

    #[test]
    fn customer_ids_do_not_collide() {
        let mut ids: Vec<String> = Vec::new();
        for number in 0..20_000_u64 {
            let mut id = String::new();
            write_customer(&mut id, key((number % 24) as usize, number));
            ids.push(id);
        }
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 20_000);
    }

    #[test]
    fn addresses_and_networks_have_the_shape_of_their_kind() {
        for key in (0..500_u64).map(|k| hash(9, About::Address, k)) {
            let mut ip = String::new();
            write_ip(&mut ip, Ip { network: key, host: 7 });
            assert!(ip.parse::<std::net::IpAddr>().is_ok(), "{ip}");
            let mut postcode = String::new();
            write_postcode(&mut postcode, key, 2);
            assert_eq!(postcode.len(), COUNTRIES[2].postcode.len(), "{postcode}");
        }
    }
}
