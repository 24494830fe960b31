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
    OutputTable { name: "satisfaction_drivers", partition: None, sort: &["rank"], bloom: &[] },
    OutputTable { name: "satisfaction_model", partition: None, sort: &["measure", "predictor"], bloom: &[] },
    OutputTable { name: "customer_profile", partition: None, sort: &["service_rank"], bloom: &["customer_id"] },
    OutputTable {
        name: "open_cases",
        partition: None,
        sort: &["segment", "segment_value", "process", "stage"],
        bloom: &[],
    },
    OutputTable {
        name: "exceptions",
        partition: Some("detected_date"),
        sort: &["rank"],
        bloom: &["order_id", "customer_id"],
    },
    OutputTable { name: "inventory_position", partition: None, sort: &["sku", "warehouse_id"], bloom: &["sku"] },
    OutputTable { name: "review_queue", partition: None, sort: &["queue_date", "rank"], bloom: &["order_id"] },
    OutputTable {
        name: "quarantine",
        partition: Some("source"),
        sort: &["file", "row", "column", "reason"],
        bloom: &["order_id"],
    },
    OutputTable {
        name: "model_monitor",
        partition: None,
        sort: &["target", "role", "grain", "period_start", "feature"],
        bloom: &[],
    },
    OutputTable { name: "late_rows", partition: None, sort: &[], bloom: &["order_id"] },
    OutputTable { name: "runs", partition: None, sort: &[], bloom: &[] },
];

/// Tables that an evaluation writes, one partition a target. They stand below [`EVALUATION_DIR`], each in the folder of its
/// name without the `evaluation_`, and a run leaves them as they are.
pub static EVALUATIONS: &[OutputTable] = &[
    of_evaluation("evaluation_measures"),
    of_evaluation("evaluation_reliability"),
    of_evaluation("evaluation_days"),
    of_evaluation("evaluation_folds"),
    of_evaluation("evaluation_scores"),
    of_evaluation("money_saved"),
    of_evaluation("rule_replay"),
];

/// Rows stay in the order in which the evaluation tells them.
const fn of_evaluation(name: &'static str) -> OutputTable {
    OutputTable { name, partition: Some("target"), sort: &[], bloom: &[] }
}

/// The output table of this name.
pub fn output(name: &str) -> Option<&'static OutputTable> {
    OUTPUTS.iter().chain(EVALUATIONS).find(|t| t.name == name)
}

impl OutputTable {
    /// The folder of its files, below the output folder.
    pub fn folder(&self) -> String {
        match EVALUATIONS.iter().any(|table| table.name == self.name) {
            true => format!("{EVALUATION_DIR}/{}", self.name.trim_start_matches("evaluation_")),
            false => self.name.to_owned(),
        }
    }
}

/// Folder of what evaluations publish.
pub const EVALUATION_DIR: &str = "evaluation";

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
