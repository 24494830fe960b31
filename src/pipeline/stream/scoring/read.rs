//! What is read of accepted rows: all of them is held for as long as a stream runs, and picked, moved and saved.

use crate::config::{Pipeline, condition_columns};
use crate::ingest::Unread;
use std::collections::BTreeSet;

/// Tables that features and decisions read.
pub(in crate::pipeline::stream) const READ: &[&str] =
    &["orders", "order_items", "returns", "tickets", "feedback", "review_decisions"];

/// Columns that features, labels and decisions read of no pipeline, unless it names them. What a row is refused for is seen
/// before it is accepted; KPIs, satisfaction and exceptions read the typed rows. All times of orders are read: one that lies
/// ahead says that the status was written later.
const UNREAD: &[(&str, &[&str])] = &[
    (
        "orders",
        &[
            "currency",
            "channel",
            "seller_id",
            "payment_method",
            "payment_id",
            "email",
            "email_domain",
            "phone",
            "ip",
            "ip_network",
            "device_id",
            "ship_region",
            "ship_postcode",
            "ship_address",
            "cancel_reason",
            "warehouse_id",
            "ship_from",
            "carrier",
            "service_level",
        ],
    ),
    ("order_items", &["category", "currency", "brand", "color", "shipped_quantity"]),
    (
        "returns",
        &[
            "kind",
            "reason",
            "approved_at",
            "rejected_at",
            "received_at",
            "refunded_at",
            "replacement_shipped_at",
            "replacement_received_at",
            "closed_at",
            "amount",
            "currency",
            "quantity",
        ],
    ),
    (
        "tickets",
        &[
            "first_reply_at",
            "solved_at",
            "last_solved_at",
            "channel",
            "topic",
            "language",
            "agent_language",
            "outcome",
            "amount",
            "currency",
        ],
    ),
    ("feedback", &["scale", "text", "language", "replied_at", "response_offered_at"]),
];

/// Columns that nothing reads of accepted rows: neither the keys and values of the declared features nor the conditions of
/// the rules name them.
pub(in crate::pipeline::stream) fn unread(pipeline: &Pipeline) -> Unread {
    let rules = pipeline.raw.decision.rules.iter().flat_map(|rule| condition_columns(&rule.when));
    let mut named: BTreeSet<String> = rules.map(|column| column.name).collect();
    for spec in &pipeline.features {
        let entities = [Some(spec.entity), spec.with, spec.other].into_iter().flatten();
        named.extend(entities.map(|entity| entity.column.to_owned()));
        named.extend(spec.value.map(|value| value.name.to_owned()));
    }
    let is_unread = |column: &&&'static str| !named.contains(**column);
    UNREAD.iter().map(|(table, columns)| (*table, columns.iter().filter(is_unread).copied().collect())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::input::{Kind, table};
    use std::path::Path;

    #[test]
    fn what_rows_are_told_apart_and_timed_by_is_always_read() {
        for (name, columns) in UNREAD {
            let contract = table(name).unwrap();
            for column in *columns {
                assert!(!contract.key.contains(column) && contract.clock != *column, "{name}.{column}");
                let kind = contract.columns.iter().find(|known| known.name == *column).map(|known| known.kind);
                // What is made of an address stands beside it.
                assert!(kind.is_some() || ["email_domain", "ip_network"].contains(column), "{name}.{column}");
                assert!(*name != "orders" || kind != Some(Kind::Instant), "{name}.{column}");
            }
        }
    }

    #[test]
    fn what_a_pipeline_names_is_read() {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/demo.toml")).unwrap();
        let more = "[[decision.rules]]\nname = \"n\"\nwhen = \"carrier = 'x'\"\neffect = \"review\"\nreason = \"r\"\n\
                    [[features.declare]]\nentity = \"warehouse\"\naggregates = [\"count\"]\nwindows = [\"7d\"]\n";
        let unread = |text: &str| {
            let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines");
            unread(&Pipeline::parse(text, "demo.toml", &base, &[], &|_| None).unwrap())
        };
        let (before, after) = (unread(&text), unread(&(text.clone() + more)));
        assert!(!before["orders"].contains(&"device_id"), "the shipped features count by it");
        for column in ["carrier", "warehouse_id"] {
            assert!(before["orders"].contains(&column) && !after["orders"].contains(&column), "{column}");
        }
    }
}
