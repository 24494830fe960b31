//! Where a file stands: paths below the output folder, with `/` between the parts, and the names of partitions.
//!
//! `TABLE/COLUMN=VALUE/part-0.parquet`, or `TABLE/part-0.parquet` without a partition. A batch run uses the same names each
//! time, so that a file is replaced whole by a rename and a plain glob never meets a row in two files of one partition.
//! Micro-batches will add `epoch-SEQ.parquet` beside it. `runs` only grows: `runs/run-SEQ.parquet`.

use crate::contract::output::OutputTable;
use serde::{Deserialize, Serialize};

/// Folder value of a null, as Hive has it. An empty text shares it: Hive has no folder for it either.
pub(super) const NULL_PARTITION: &str = "__HIVE_DEFAULT_PARTITION__";

/// Type of a partition column, which the folder names alone do not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PartitionType {
    /// A calendar day, `2018-10-18`.
    Date,
    /// A text.
    Text,
}

impl PartitionType {
    /// The folder value that holds the empty file of a table without rows.
    ///
    /// Readers guess the type of a partition column from its values, and from nothing but a null they guess text (DuckDB,
    /// polars) or refuse (pyarrow), which breaks `placed_date >= DATE '2018-01-01'`. So the empty file of a table by day
    /// stands under a day and one by text under a text; it has no rows, so no query ever returns the value.
    pub(super) fn of_nothing(self) -> &'static str {
        match self {
            Self::Date => "1970-01-01",
            Self::Text => "none",
        }
    }
}

/// True for tables whose files stay when a run adds its own.
pub fn is_appended(table: &OutputTable) -> bool {
    ["runs", "late_rows"].contains(&table.name)
}

/// Path of a table's file in a batch run. `value` is the partition's, `None` for null; tables without a partition
/// column ignore it.
pub(super) fn file_path(table: &OutputTable, value: Option<&str>, seq: u64) -> String {
    let folder = table.folder();
    match table.partition {
        Some(column) => format!("{folder}/{column}={}/part-0.parquet", folder_value(value)),
        None if is_appended(table) => format!("{folder}/run-{seq:06}.parquet"),
        None => format!("{folder}/part-0.parquet"),
    }
}

/// The commit that began a file of a table that only grows; numbers outgrow their six digits.
pub(super) fn begun_by(path: &str) -> Option<u64> {
    let (_, name) = path.rsplit_once("/run-")?;
    name.strip_suffix(".parquet")?.parse().ok()
}

/// A partition value as a folder name: the characters that Hive escapes are `%XX`, the rest is as it is.
fn folder_value(value: Option<&str>) -> String {
    let value = match value {
        None | Some("") => return NULL_PARTITION.to_owned(),
        Some(value) => value,
    };
    let mut name = String::with_capacity(value.len());
    for c in value.chars() {
        if c.is_ascii_control() || "\"#%'*/:=?\\{[]^".contains(c) {
            name.push_str(&format!("%{:02X}", u32::from(c)));
        } else {
            name.push(c);
        }
    }
    name
}

/// Folder name of a run's staged files. It begins with the commit's number, because equal runs have equal ids: only the
/// number tells the leftovers of a finished commit from those of a rerun that was killed.
pub(super) fn staging_name(seq: u64, run_id: &str) -> String {
    let id: String = run_id.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(64).collect();
    format!("{seq:08}-{id}")
}

/// Path of a file below the staging folder of its run: in the folder of its partition, which tables share, so that few folders
/// are made and synced for a commit. polars finds the partition's value in this path too.
pub(super) fn staged_path(path: &str) -> String {
    let (partition, rest): (Vec<&str>, Vec<&str>) = path.split('/').partition(|part| part.contains('='));
    let file = rest.join(".");
    partition.into_iter().chain([file.as_str()]).collect::<Vec<_>>().join("/")
}

/// File name of commit `seq`.
pub(super) fn record_name(seq: u64) -> String {
    format!("{seq:08}.json")
}

/// The number in a commit's file name; `None` for anything else, such as a record that was never published.
pub(super) fn record_seq(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".json")?;
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::output::output;

    #[test]
    fn paths_follow_the_table_and_partition_values_are_escaped_as_in_hive() {
        let path = |table: &str, value: Option<&str>| file_path(output(table).unwrap(), value, 7);
        assert_eq!(path("order_scores", Some("2018-10-18")), "order_scores/placed_date=2018-10-18/part-0.parquet");
        assert_eq!(path("quarantine", Some("a/b=50%")), "quarantine/source=a%2Fb%3D50%25/part-0.parquet");
        assert_eq!(path("quarantine", Some("é x")), "quarantine/source=é x/part-0.parquet");
        assert_eq!(path("quarantine", None), "quarantine/source=__HIVE_DEFAULT_PARTITION__/part-0.parquet");
        assert_eq!(path("review_queue", None), "review_queue/part-0.parquet");
        assert_eq!(path("runs", None), "runs/run-000007.parquet");
        assert_eq!(path("evaluation_days", Some("fraud")), "evaluation/days/target=fraud/part-0.parquet");
        assert_eq!(path("rule_replay", Some("fraud")), "evaluation/rule_replay/target=fraud/part-0.parquet");
    }

    #[test]
    fn staged_files_share_the_folders_of_their_partitions() {
        assert_eq!(
            staged_path("order_scores/placed_date=2018-10-18/part-0.parquet"),
            "placed_date=2018-10-18/order_scores.part-0.parquet"
        );
        assert_eq!(
            staged_path("evaluation/days/target=a%2Fb/part-0.parquet"),
            "target=a%2Fb/evaluation.days.part-0.parquet"
        );
        assert_eq!(staged_path("_state/stream/journal"), "_state.stream.journal");
    }

    #[test]
    fn files_of_a_table_that_grows_are_in_the_order_of_their_commits() {
        let files = ["runs/run-000999.parquet", "runs/run-999999.parquet", "runs/run-1000000.parquet"];
        assert_eq!(files.map(begun_by), [Some(999), Some(999_999), Some(1_000_000)]);
        assert_eq!(begun_by("kpi/grain=day/part-0.parquet"), None);
    }

    #[test]
    fn a_record_that_was_never_published_has_no_number() {
        assert_eq!(record_seq(&record_name(12)), Some(12));
        assert_eq!(record_seq("00000012.json.tmp"), None);
        assert_eq!(record_seq("+12.json"), None);
        assert_eq!(record_seq(".json"), None);
    }

    #[test]
    fn a_run_id_cannot_leave_the_staging_folder() {
        assert_eq!(staging_name(3, "../x=y"), "00000003----x-y");
    }
}
