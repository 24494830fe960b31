//! What becomes known by the passing of time alone, while a stream goes on.

use crate::harness::{finish, ordersight};
use crate::landing::{TINY, stream, tiny, told};
use crate::shop::differing_rows;
use crate::tiny::query;

/// An order is not looked at for its delivery where nothing counts deliveries. One that was asked back before it came counts
/// as returned from its delivery on, and before it not.
#[test]
fn an_order_asked_back_before_it_came_counts_from_its_delivery_on() {
    let folder = tiny();
    let returns = "[sources.returns]\npath = \"land/*-returns.csv\"\n[tables.returns]\nsource = \"returns\"\n\
                   columns = { return_id = \"rid\", order_id = \"id\", requested_at = \"at\" }\n";
    let pipeline = TINY
        .replace("path = \"land\"\nformat = \"csv\"", "path = \"land/*-orders.csv\"")
        .replace("amount = \"amount\" }", "amount = \"amount\", delivered_at = \"came\" }")
        .replace("[stream]", &format!("{returns}[stream]"));
    std::fs::write(folder.path().join("tiny.toml"), pipeline).unwrap();
    let order = |n: u32, day: u32, came: &str| {
        format!("id,at,who,amount,came\no{n},2025-01-{day:02}T10:00:00Z,c,9.00,{came}\n")
    };
    // Days in January, and what lands on each; o1 is asked back on the 5th and comes on the 10th, o2 only comes.
    let days = [
        (1, "orders", order(1, 1, "2025-01-10T00:00:00Z")),
        (2, "orders", order(2, 2, "2025-01-09T00:00:00Z")),
        (5, "returns", "rid,id,at\nr1,o1,2025-01-05T10:00:00Z\n".to_owned()),
        (8, "orders", order(3, 8, "")),
        (12, "orders", order(4, 12, "")),
        (25, "orders", order(5, 25, "")),
    ];
    for (day, table, text) in &days {
        std::fs::write(folder.path().join(format!("land/{day:02}-{table}.csv")), text).unwrap();
        let clock = format!("2025-01-{day:02}T20:00:00Z");
        let done = finish(&mut stream(folder.path(), &["--once", "--as-of", &clock]));
        assert_eq!(done.code, 0, "{day}: {}", done.stderr);
    }
    let mut command = ordersight(&["run", "tiny.toml", "--out", "batch", "--as-of", "2025-01-25T20:00:00Z"]);
    let done = finish(command.current_dir(folder.path()));
    assert_eq!(done.code, 0, "{}", done.stderr);
    let features = |out: &str| {
        let mut rows = told(&folder.path().join(out));
        rows.retain(|name, _| name.starts_with("order_features"));
        rows
    };
    assert!(!features("batch").is_empty());
    assert_eq!(differing_rows(&features("batch"), &features("out")), Vec::<String>::new());
    let counted = query(
        &folder.path().join("out"),
        "SELECT order_id, CAST(customer_return_count_lifetime AS INT) AS n FROM order_features ORDER BY order_id",
    );
    let counted: Vec<_> = counted.iter().map(|row| row["n"].as_u64().unwrap_or(9)).collect();
    assert_eq!(counted, [0, 0, 0, 1, 1]);
}
