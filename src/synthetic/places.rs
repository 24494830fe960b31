//! Countries, channels, warehouses, carriers and the lanes between them.

/// Areas without customs between their countries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Area {
    Eu,
    Uk,
    Swiss,
    NorthAmerica,
    China,
    Japan,
    Oceania,
    Gulf,
    Latin,
}

/// A country that buys.
pub(super) struct Country {
    pub(super) code: &'static str,
    /// Share of demand, relative.
    pub(super) weight: f64,
    /// Hours east of UTC, without summer time.
    pub(super) utc_offset: i8,
    pub(super) currency: &'static str,
    pub(super) language: &'static str,
    pub(super) area: Area,
    pub(super) dial: &'static str,
    /// How much readier people are to send things back, on the logit scale.
    pub(super) returns: f64,
    /// Postcode pattern: `0` is a digit, `A` a letter.
    pub(super) postcode: &'static str,
    pub(super) regions: &'static [&'static str],
}

macro_rules! country {
    (
        $code:literal $w:literal $utc:literal $cur:literal $lang:literal $area:ident $dial:literal $ret:literal
        $post:literal $($region:literal)+
    ) => {
        Country {
            code: $code, weight: $w, utc_offset: $utc, currency: $cur, language: $lang, area: Area::$area, dial: $dial,
            returns: $ret, postcode: $post, regions: &[$($region),+],
        }
    };
}

pub(super) static COUNTRIES: [Country; 24] = [
    country!("DE" 0.180 1 "EUR" "de" Eu "49" 0.45 "00000" "Bayern" "Berlin" "Hamburg" "Hessen" "NRW" "Sachsen"),
    country!("FR" 0.100 1 "EUR" "fr" Eu "33" 0.10 "00000" "Bretagne" "Occitanie" "Grand Est" "Île-de-France"),
    country!("GB" 0.100 0 "GBP" "en" Uk "44" 0.20 "AA0 0AA" "England" "Scotland" "Wales"),
    country!("US" 0.150 -6 "USD" "en" NorthAmerica "1" 0.10 "00000" "CA" "FL" "IL" "NY" "TX" "WA"),
    country!("ES" 0.065 1 "EUR" "es" Eu "34" -0.05 "00000" "Andalucía" "Cataluña" "Madrid"),
    country!("IT" 0.060 1 "EUR" "it" Eu "39" -0.10 "00000" "Lazio" "Lombardia" "Sicilia"),
    country!("NL" 0.040 1 "EUR" "nl" Eu "31" 0.30 "0000 AA" "Noord-Holland" "Utrecht" "Zuid-Holland"),
    country!("PL" 0.060 1 "PLN" "pl" Eu "48" 0.00 "00-000" "Mazowieckie" "Małopolskie" "Śląskie"),
    country!("SE" 0.030 1 "SEK" "sv" Eu "46" 0.10 "000 00" "Skåne" "Stockholm" "Västra Götaland"),
    country!("AT" 0.030 1 "EUR" "de" Eu "43" 0.35 "0000" "Steiermark" "Tirol" "Wien"),
    country!("BE" 0.020 1 "EUR" "fr" Eu "32" 0.10 "0000" "Bruxelles" "Vlaanderen" "Wallonie"),
    country!("CH" 0.020 1 "CHF" "de" Swiss "41" 0.30 "0000" "Bern" "Genève" "Zürich"),
    country!("CZ" 0.020 1 "CZK" "cs" Eu "420" -0.10 "000 00" "Jihomoravský" "Praha"),
    country!("DK" 0.015 1 "DKK" "da" Eu "45" 0.15 "0000" "Hovedstaden" "Midtjylland"),
    country!("PT" 0.015 0 "EUR" "pt" Eu "351" -0.15 "0000-000" "Lisboa" "Norte"),
    country!("IE" 0.012 0 "EUR" "en" Eu "353" 0.10 "A00 A000" "Leinster" "Munster"),
    country!("CA" 0.030 -5 "CAD" "en" NorthAmerica "1" 0.00 "A0A 0A0" "BC" "ON" "QC"),
    country!("AU" 0.025 10 "AUD" "en" Oceania "61" -0.10 "0000" "NSW" "QLD" "VIC"),
    country!("JP" 0.040 9 "JPY" "ja" Japan "81" -0.60 "000-0000" "大阪府" "東京都" "愛知県"),
    country!("CN" 0.022 8 "CNY" "zh" China "86" 0.15 "000000" "上海市" "北京市" "广东省"),
    country!("KW" 0.010 3 "KWD" "en" Gulf "965" -0.30 "00000" "Al Ahmadi" "Hawalli"),
    country!("AE" 0.016 4 "AED" "en" Gulf "971" -0.25 "00000" "Abu Dhabi" "Dubai"),
    country!("BR" 0.022 -3 "BRL" "pt" Latin "55" -0.30 "00000-000" "Bahia" "Rio de Janeiro" "São Paulo"),
    country!("MX" 0.016 -6 "MXN" "es" Latin "52" -0.30 "00000" "Ciudad de México" "Jalisco" "Nuevo León"),
];

/// Where orders come from.
pub(super) struct Channel {
    pub(super) name: &'static str,
    pub(super) weight: f64,
    /// Sellers on it; 1 is the shop itself.
    pub(super) sellers: u64,
    /// Days the seller promises to ship within.
    pub(super) handling_days: i32,
    /// Share of orders that leave a public rating.
    pub(super) rating_share: f64,
    /// Share of orders that come without device, network and phone.
    pub(super) anonymous_share: f64,
    /// Share of orders sent from China whatever the destination.
    pub(super) china_share: f64,
    /// Share of orders priced in US dollars abroad.
    pub(super) dollar_share: f64,
    /// How much readier people are to send things back, on the logit scale.
    pub(super) returns: f64,
}

pub(super) static CHANNELS: [Channel; 6] = [
    Channel {
        name: "own_shop",
        weight: 0.34,
        sellers: 1,
        handling_days: 2,
        rating_share: 0.12,
        anonymous_share: 0.02,
        china_share: 0.12,
        dollar_share: 0.0,
        returns: 0.10,
    },
    Channel {
        name: "amazon",
        weight: 0.26,
        sellers: 4,
        handling_days: 2,
        rating_share: 0.16,
        anonymous_share: 0.22,
        china_share: 0.10,
        dollar_share: 0.0,
        returns: 0.15,
    },
    Channel {
        name: "ebay",
        weight: 0.13,
        sellers: 6,
        handling_days: 3,
        rating_share: 0.30,
        anonymous_share: 0.15,
        china_share: 0.25,
        dollar_share: 0.05,
        returns: -0.05,
    },
    Channel {
        name: "aliexpress",
        weight: 0.12,
        sellers: 9,
        handling_days: 4,
        rating_share: 0.38,
        anonymous_share: 0.12,
        china_share: 0.85,
        dollar_share: 0.55,
        returns: -0.60,
    },
    Channel {
        name: "tiktok",
        weight: 0.09,
        sellers: 7,
        handling_days: 3,
        rating_share: 0.20,
        anonymous_share: 0.10,
        china_share: 0.45,
        dollar_share: 0.10,
        returns: 0.20,
    },
    Channel {
        name: "zalando",
        weight: 0.06,
        sellers: 2,
        handling_days: 2,
        rating_share: 0.10,
        anonymous_share: 0.18,
        china_share: 0.02,
        dollar_share: 0.0,
        returns: 0.50,
    },
];

/// Where goods lie.
pub(super) struct Warehouse {
    pub(super) id: &'static str,
    /// Its index in [`COUNTRIES`].
    pub(super) country: usize,
    /// Median hours from approval to handing over.
    pub(super) processing_hours: f64,
    /// Share of parcels with the wrong thing inside.
    pub(super) wrong_item_share: f64,
    /// Carriers that collect here, with their relative weights.
    pub(super) carriers: &'static [(usize, f64)],
}

pub(super) const CHINA: usize = 0;
pub(super) static WAREHOUSES: [Warehouse; 4] = [
    Warehouse {
        id: "SZX1",
        country: 19,
        processing_hours: 26.0,
        wrong_item_share: 0.013,
        carriers: &[(0, 0.34), (1, 0.36), (2, 0.22), (3, 0.08)],
    },
    Warehouse {
        id: "LEJ1",
        country: 0,
        processing_hours: 13.0,
        wrong_item_share: 0.006,
        carriers: &[(4, 0.5), (5, 0.2), (6, 0.18), (7, 0.12)],
    },
    Warehouse {
        id: "ONT1",
        country: 3,
        processing_hours: 16.0,
        wrong_item_share: 0.008,
        carriers: &[(8, 0.5), (7, 0.3), (9, 0.2)],
    },
    Warehouse {
        id: "WRO1",
        country: 7,
        processing_hours: 15.0,
        wrong_item_share: 0.009,
        carriers: &[(10, 0.4), (5, 0.35), (6, 0.25)],
    },
];

/// Who carries.
pub(super) struct Carrier {
    pub(super) name: &'static str,
    /// Transit time against the lane's own.
    pub(super) pace: f64,
    /// Standard deviation of the logarithm of transit time.
    pub(super) spread: f64,
    pub(super) lost_share: f64,
    /// Share of parcels that never get a scan.
    pub(super) unscanned_share: f64,
    /// Mean hours until a scan is known to the shop.
    pub(super) lag_hours: f64,
}

pub(super) static CARRIERS: [Carrier; 11] = [
    Carrier { name: "yanwen", pace: 1.25, spread: 0.30, lost_share: 0.011, unscanned_share: 0.07, lag_hours: 9.0 },
    Carrier { name: "cainiao", pace: 1.00, spread: 0.24, lost_share: 0.006, unscanned_share: 0.03, lag_hours: 4.0 },
    Carrier { name: "4px", pace: 1.10, spread: 0.27, lost_share: 0.008, unscanned_share: 0.05, lag_hours: 6.0 },
    Carrier {
        name: "dhl_express",
        pace: 0.35,
        spread: 0.16,
        lost_share: 0.001,
        unscanned_share: 0.002,
        lag_hours: 0.4,
    },
    Carrier { name: "dhl", pace: 0.95, spread: 0.20, lost_share: 0.002, unscanned_share: 0.01, lag_hours: 0.7 },
    Carrier { name: "dpd", pace: 1.00, spread: 0.26, lost_share: 0.003, unscanned_share: 0.015, lag_hours: 1.0 },
    Carrier { name: "gls", pace: 1.12, spread: 0.32, lost_share: 0.005, unscanned_share: 0.02, lag_hours: 1.5 },
    Carrier { name: "ups", pace: 0.82, spread: 0.17, lost_share: 0.0015, unscanned_share: 0.005, lag_hours: 0.5 },
    Carrier { name: "usps", pace: 1.12, spread: 0.30, lost_share: 0.005, unscanned_share: 0.02, lag_hours: 2.0 },
    Carrier { name: "fedex", pace: 0.85, spread: 0.21, lost_share: 0.002, unscanned_share: 0.008, lag_hours: 0.6 },
    Carrier { name: "inpost", pace: 0.90, spread: 0.18, lost_share: 0.002, unscanned_share: 0.01, lag_hours: 0.5 },
];

/// Whether customs stand between a warehouse and a country.
pub(super) fn customs(warehouse: usize, to: usize) -> bool {
    let from = WAREHOUSES[warehouse].country;
    let same_area = COUNTRIES[from].area == COUNTRIES[to].area;
    // The United States and Canada share an area of demand, not of customs.
    from != to && (!same_area || COUNTRIES[to].area == Area::NorthAmerica)
}

/// Median days on the road from a warehouse to a country, before carrier, service and season.
pub(super) fn lane_days(warehouse: usize, to: usize) -> f64 {
    use Area::{China, Eu, Gulf, Japan, Latin, NorthAmerica, Oceania, Swiss, Uk};
    let from = WAREHOUSES[warehouse].country;
    if from == to {
        return if COUNTRIES[to].area == NorthAmerica { 3.2 } else { 1.7 };
    }
    match (COUNTRIES[from].area, COUNTRIES[to].area) {
        (Eu, Eu) => 2.9,
        (Eu, Uk | Swiss) => 4.2,
        (Eu, NorthAmerica) => 7.0,
        (Eu, Gulf) => 7.5,
        (Eu, _) => 10.5,
        (NorthAmerica, NorthAmerica) => 4.5,
        (NorthAmerica, Latin) => 8.5,
        (NorthAmerica, _) => 8.0,
        (China, Japan) => 5.0,
        (China, Oceania) => 9.0,
        (China, Gulf) => 9.0,
        (China, Latin) => 17.0,
        (China, _) => 10.5,
        _ => 9.0,
    }
}

/// Warehouses by how near they are to an area, nearest first.
pub(super) fn nearest(area: Area) -> [usize; 4] {
    match area {
        Area::NorthAmerica | Area::Latin => [2, 0, 1, 3],
        Area::China | Area::Japan | Area::Oceania | Area::Gulf => [0, 1, 2, 3],
        _ => [1, 3, 0, 2],
    }
}
