//! The output tables: names, partitions and the order of rows.

/// An output table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputTable {
    /// Its name: the folder under the output, and its name in `ordersight query`.
    pub name: &'static str,
    /// The Hive partition column, which stands in the folder names and not in the files.
    pub partition: Option<&'static str>,
    /// The columns rows are sorted by inside a file; also what makes equal runs equal files.
    pub sort: &'static [&'static str],
    /// Identifier columns that get a Bloom filter.
    pub bloom: &'static [&'static str],
}

/// All output tables that a run can write.
pub static OUTPUTS: &[OutputTable] = &[
    OutputTable {
        name: "order_scores",
        partition: Some("placed_date"),
        sort: &["placed_at", "order_id", "line"],
        bloom: &["order_id", "customer_id"],
    },
    OutputTable {
        name: "order_features",
        partition: Some("placed_date"),
        sort: &["placed_at", "order_id", "line"],
        bloom: &["order_id", "customer_id"],
    },
    OutputTable {
        name: "kpi",
        partition: Some("grain"),
        sort: &["kpi", "segment", "segment_value", "period_start"],
        bloom: &[],
    },
    OutputTable {
        name: "satisfaction",
        partition: Some("grain"),
        sort: &["kpi", "segment", "segment_value", "period_start"],
        bloom: &[],
    },
    OutputTable {
        name: "scorecard",
        partition: None,
        sort: &["channel", "pack", "kpi", "required", "level", "window", "mature"],
        bloom: &[],
    },
    OutputTable {
        name: "order_satisfaction",
        partition: Some("placed_date"),
        sort: &["order_id"],
        bloom: &["order_id"],
    },
    OutputTable { name: "review_queue", partition: None, sort: &["queue_date", "rank"], bloom: &["order_id"] },
    OutputTable {
        name: "quarantine",
        partition: Some("source"),
        sort: &["file", "row", "column", "reason"],
        bloom: &["order_id"],
    },
    OutputTable { name: "runs", partition: None, sort: &[], bloom: &[] },
];

/// The output table of this name.
pub fn output(name: &str) -> Option<&'static OutputTable> {
    OUTPUTS.iter().find(|t| t.name == name)
}

/// Folder of typed copies of source files; may be emptied at any time.
pub const CACHE_DIR: &str = "_cache";
/// Folder of runs that are not yet published.
pub const STAGING_DIR: &str = "_staging";
/// Folder of commit records, one JSON file each, in order.
pub const COMMITS_DIR: &str = "_commits";
/// Folder of what one run hands to the next: the key of personal hashes, later the feature state.
pub const STATE_DIR: &str = "_state";
/// Lock file that keeps two writers apart.
pub const LOCK_FILE: &str = "_lock";
