//! Features in words, for reasons and for people.

/// What a feature says, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureNote {
    /// What it counts or measures: `orders from this device in 24 h`, `age of the account`. Counts stand before it, other
    /// values after it.
    pub label: String,
    /// The unit of its value.
    pub unit: FeatureUnit,
}

/// Units of features.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeatureUnit {
    /// A number of things.
    Count,
    /// Minor units of the base currency.
    Money,
    /// A part of a whole, 0 to 1.
    Share,
    /// Yes (1) or no (0).
    Flag,
    /// Hours.
    Hours,
    /// Days.
    Days,
    /// A factor: 2 is twice.
    Times,
    /// A plain number.
    Number,
}

/// The words for a feature; a feature of the pipeline's own (`x_NAME`) is called by its name.
pub fn note(feature: &str) -> FeatureNote {
    use FeatureUnit::{Count, Days, Flag, Hours, Money, Number, Share, Times};
    let say = |label: &str, unit| FeatureNote { label: label.to_owned(), unit };
    match feature {
        "amount" => return say("order amount", Money),
        "item_count" => return say("items in the order", Count),
        "units" => return say("units in the order", Count),
        "shipping_fee_share" => return say("freight as a share of the amount", Share),
        "tax_duty_share" => return say("tax and duty as a share of the amount", Share),
        "discount_share" => return say("discount as a share of the amount", Share),
        "hour_of_day" => return say("hour of the day when placed", Number),
        "is_night" => return say("placed at night (0 to 6 h)", Flag),
        "is_weekend" => return say("placed on a weekend", Flag),
        "account_age_days" => return say("age of the account", Days),
        "promised_delivery_days" => return say("time until the promised delivery", Days),
        "promised_ship_hours" => return say("time until the promised shipping", Hours),
        "ship_billing_country_differs" => return say("shipping and billing country differ", Flag),
        "ship_ip_country_differs" => return say("shipping country and country of the connection differ", Flag),
        "billing_ip_country_differs" => return say("billing country and country of the connection differ", Flag),
        "billing_payment_country_differs" => return say("billing country and country of the card differ", Flag),
        "basket_line_count" => return say("lines in the basket", Count),
        "basket_unit_price_max" => return say("dearest item", Money),
        "basket_sized_line_count" => return say("lines with a size", Count),
        "basket_spare_size_count" => return say("further sizes of the same item in the basket", Count),
        _ => {}
    }
    if let Some(what) = feature.strip_prefix("customer_new_") {
        return say(&format!("first use of this {} by a known customer", entity(what)), Flag);
    }
    let windows = [("_24h", "in 24 h"), ("_7d", "in 7 days"), ("_30d", "in 30 days"), ("_lifetime", "before this one")];
    for (suffix, when) in windows {
        let Some(rest) = feature.strip_suffix(suffix) else { continue };
        for (aggregate, unit, words) in [
            ("_order_count", Count, "orders by this {}"),
            ("_customer_distinct", Count, "other customers on this {}"),
            ("_amount_mean", Money, "usual amount of this {}"),
            ("_amount_ratio", Times, "amount as a multiple of the usual one of this {}"),
            ("_fraud_count", Count, "known frauds by this {}"),
            ("_return_count", Count, "known returns by this {}"),
            ("_return_rate", Share, "known return rate of this {}"),
            ("_fraud_rate", Share, "known fraud rate of this {}"),
        ] {
            if let Some(who) = rest.strip_suffix(aggregate) {
                let words = words.replace("{}", &entity(who));
                let words = if matches!(unit, Times) { words } else { format!("{words} {when}") };
                return FeatureNote { label: words, unit };
            }
        }
    }
    if let Some(who) = feature.strip_suffix("_hours_since_last") {
        return say(&format!("time since the last order by this {}", entity(who)), Hours);
    }
    say(&feature.replace('_', " "), Number)
}

fn entity(name: &str) -> String {
    match name {
        "ship_address" => "delivery address".to_owned(),
        "network" => "IP network".to_owned(),
        "ip" => "IP address".to_owned(),
        "payment" => "card or account".to_owned(),
        other => other.replace('_', " "),
    }
}
