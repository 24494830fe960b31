//! What could keep a likely return from happening, by what makes it likely.

use crate::config::FeatureSpec;
use crate::contract::feature::EventKind;

/// A measure against a likely return.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReturnMeasure {
    /// Offer size advice before the order is packed.
    SizeAdvice,
    /// Have the customer confirm the delivery address.
    ConfirmAddress,
    /// Have the customer confirm what is ordered, and check what is said of the item.
    ConfirmItem,
    /// Check the parcel against the order, and its packing, before it leaves.
    PackCheck,
    /// Let the customer pay for sending back.
    RefuseFreeReturn,
}

impl ReturnMeasure {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::SizeAdvice, Self::ConfirmAddress, Self::ConfirmItem, Self::PackCheck, Self::RefuseFreeReturn];

    /// Its name in the output.
    pub fn name(self) -> &'static str {
        match self {
            Self::SizeAdvice => "size_advice",
            Self::ConfirmAddress => "confirm_address",
            Self::ConfirmItem => "confirm_item",
            Self::PackCheck => "pack_check",
            Self::RefuseFreeReturn => "refuse_free_return",
        }
    }
}

/// Which features point to a measure.
#[derive(Debug)]
enum Family {
    /// Facts of the order or line, by name.
    Facts(&'static [&'static str]),
    /// What these entities, alone or in a pair, did before, of these events.
    Past { entities: &'static [&'static str], events: &'static [EventKind] },
}

/// Families of features, the measure each points to, and why. The first that fits counts: a pair of customer and size
/// is of the size.
static ADVICE: &[(Family, ReturnMeasure, &str)] = &[
    (
        Family::Facts(&["basket_spare_size_count", "line_spare_size_count", "basket_sized_line_count"]),
        ReturnMeasure::SizeAdvice,
        "several sizes of one article are chosen from at home: who knows the size orders one",
    ),
    (
        Family::Past {
            entities: &["size"],
            events: &[EventKind::Line, EventKind::Order, EventKind::Return, EventKind::ReturnRequest],
        },
        ReturnMeasure::SizeAdvice,
        "a size that comes back more than others, or is new to the customer, runs small or large",
    ),
    (
        Family::Facts(&["ship_billing_country_differs", "ship_ip_country_differs"]),
        ReturnMeasure::ConfirmAddress,
        "a parcel for another country than the customer's is often one that does not arrive",
    ),
    (
        Family::Past {
            entities: &["ship_address", "ship_postcode", "ship_region", "ship_country"],
            events: &[
                EventKind::Order,
                EventKind::Return,
                EventKind::ReturnRequest,
                EventKind::Contact,
                EventKind::Claim,
                EventKind::Dispute,
            ],
        },
        ReturnMeasure::ConfirmAddress,
        "parcels to this place come back, or the place is new to the customer",
    ),
    (
        Family::Facts(&[
            "basket_line_count",
            "basket_article_count",
            "item_count",
            "units",
            "line_quantity",
            "line_same_article_count",
        ]),
        ReturnMeasure::ConfirmItem,
        "more than is kept is ordered to choose from, or by mistake",
    ),
    (
        Family::Past {
            entities: &["sku", "color", "brand", "category"],
            events: &[EventKind::Line, EventKind::Order, EventKind::Return, EventKind::ReturnRequest],
        },
        ReturnMeasure::ConfirmItem,
        "an article that comes back from many customers is not what its description says",
    ),
    (
        Family::Past {
            entities: &["seller", "warehouse", "service_level"],
            events: &[EventKind::Return, EventKind::ReturnRequest, EventKind::Claim, EventKind::Dispute],
        },
        ReturnMeasure::PackCheck,
        "what comes back from one seller, warehouse or service was packed wrongly or badly",
    ),
    (
        Family::Past {
            entities: &["customer", "payment", "device", "email", "phone"],
            events: &[EventKind::Claim, EventKind::Dispute, EventKind::Contact],
        },
        ReturnMeasure::PackCheck,
        "whoever complained of earlier parcels is answered with a parcel that was checked",
    ),
    (
        Family::Past {
            entities: &["customer", "payment", "device", "email", "phone"],
            events: &[EventKind::Return, EventKind::ReturnRequest],
        },
        ReturnMeasure::RefuseFreeReturn,
        "who returns most of what they order is not held by advice, only by the price of returning",
    ),
];

impl Family {
    fn has(&self, feature: &str, spec: Option<&FeatureSpec>) -> bool {
        match (self, spec) {
            (Self::Facts(names), _) => names.contains(&feature),
            (Self::Past { entities, events }, Some(spec)) => {
                let of = |name: &str| entities.contains(&name);
                (of(spec.entity.name) || spec.with.is_some_and(|with| of(with.name))) && events.contains(&spec.events)
            }
            (Self::Past { .. }, None) => false,
        }
    }
}

/// The measure that a feature points to, if it is the reason of a likely return; `None` where it points to none, as the
/// hour of the day does. `specs` are the pipeline's declared features.
pub fn measure_of(feature: &str, specs: &[FeatureSpec]) -> Option<ReturnMeasure> {
    let spec = specs.iter().find(|spec| spec.name == feature);
    ADVICE.iter().find(|(family, ..)| family.has(feature, spec)).map(|(_, measure, _)| *measure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::built_in_features;

    #[test]
    fn every_measure_has_its_features_and_every_row_its_reason() {
        let specs = built_in_features();
        for (feature, expected) in [
            ("line_spare_size_count", Some(ReturnMeasure::SizeAdvice)),
            ("customer_return_rate_lifetime", Some(ReturnMeasure::RefuseFreeReturn)),
            ("ship_billing_country_differs", Some(ReturnMeasure::ConfirmAddress)),
            ("basket_article_count", Some(ReturnMeasure::ConfirmItem)),
            ("hour_of_day", None),
            ("customer_order_count_24h", None),
        ] {
            assert_eq!(measure_of(feature, &specs), expected, "{feature}");
        }
        let pointed: Vec<(&str, Option<ReturnMeasure>)> =
            specs.iter().map(|spec| (spec.name.as_str(), measure_of(&spec.name, &specs))).collect();
        for (start, measure) in [
            ("sku_return", ReturnMeasure::ConfirmItem),
            ("seller_return", ReturnMeasure::PackCheck),
            ("customer_return", ReturnMeasure::RefuseFreeReturn),
        ] {
            let of_start: Vec<_> = pointed.iter().filter(|(name, _)| name.starts_with(start)).collect();
            assert!(!of_start.is_empty(), "{start}");
            assert!(of_start.iter().all(|(_, found)| *found == Some(measure)), "{of_start:?}");
        }
        assert!(ADVICE.iter().all(|(_, _, why)| why.len() > 20));
        assert!(ReturnMeasure::ALL.iter().all(|m| ADVICE.iter().any(|(_, of, _)| of == m)), "no measure without a row");
    }
}
