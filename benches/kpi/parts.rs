//! Typed Parquet in order of `order_id`, read part by part: of each table only the row groups in which the orders of a part
//! lie.

use ordersight::kpi::History;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::statistics::Statistics;
use polars::prelude::*;
use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Columns of tables.
pub(crate) type Asked = [(&'static str, &'static [&'static str])];

/// Orders read and counted at a time.
const ORDERS_IN_A_PART: usize = 1 << 18;

/// Where the parts lie.
pub(crate) struct Parts {
    tables: Vec<Table>,
    /// The first order of each part.
    bounds: Vec<String>,
}

struct Table {
    name: &'static str,
    columns: &'static [&'static str],
    path: PathBuf,
    groups: Vec<RowGroup>,
}

/// Rows of a table, and the last order among them; none if they name no order.
struct RowGroup {
    rows: Range<usize>,
    last: Option<String>,
}

impl Parts {
    /// The parts of typed tables, and the history of all customers.
    pub(crate) fn of(typed: &Path, asked: &Asked) -> (Self, History) {
        let tables: Vec<Table> = asked.iter().map(|(name, columns)| Table::of(typed, name, columns)).collect();
        let (mut history, mut bounds) = (History::default(), Vec::new());
        let orders = tables.iter().find(|table| table.name == "orders").unwrap();
        let rows = orders.groups.last().map_or(0, |group| group.rows.end);
        for start in (0..rows).step_by(ORDERS_IN_A_PART) {
            let frame =
                orders.read(start..rows.min(start + ORDERS_IN_A_PART), &["order_id", "customer_id", "placed_at"]);
            bounds.push(frame.column("order_id").unwrap().str().unwrap().get(0).unwrap().to_owned());
            history.add(&frame).unwrap();
        }
        (Self { tables, bounds }, history)
    }

    pub(crate) fn len(&self) -> usize {
        self.bounds.len()
    }

    /// The tables of a part. Rows that name no order are in the last.
    pub(crate) fn part(&self, at: usize) -> BTreeMap<&'static str, DataFrame> {
        let begin = (at > 0).then(|| self.bounds[at].as_str());
        let end = self.bounds.get(at + 1).map(String::as_str);
        self.tables.iter().map(|table| (table.name, table.between(begin, end))).collect()
    }
}

impl Table {
    fn of(typed: &Path, name: &'static str, columns: &'static [&'static str]) -> Self {
        let path = typed.join(format!("{name}.parquet"));
        let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
        let mut rows = 0;
        let groups = reader.metadata().row_groups().iter().map(|group| {
            let ids = group.columns().iter().find(|column| column.column_path().string() == "order_id").unwrap();
            let last = match ids.statistics() {
                Some(Statistics::ByteArray(ids)) => ids.max_opt().map(|last| last.as_utf8().unwrap().to_owned()),
                _ => None,
            };
            let begin = rows;
            rows += usize::try_from(group.num_rows()).unwrap();
            RowGroup { rows: begin..rows, last }
        });
        let groups: Vec<RowGroup> = groups.collect();
        let lasts = groups.iter().filter_map(|group| group.last.as_ref());
        assert!(lasts.is_sorted(), "{} is not in order of order_id: prepare it anew", path.display());
        Self { name, columns, path, groups }
    }

    /// Rows of orders from `begin` on and before `end`, which are none for the first and the last part.
    fn between(&self, begin: Option<&str>, end: Option<&str>) -> DataFrame {
        // The row group that an order lies in, or would: the first whose last order is not before it.
        let group = |id: &str| self.groups.partition_point(|group| group.last.as_deref().is_some_and(|last| last < id));
        let first = begin.map_or(0, group);
        let last = end.map_or(self.groups.len(), |end| self.groups.len().min(group(end) + 1));
        let rows = &self.groups[first..last.max(first)];
        let rows = rows.first().map_or(0, |g| g.rows.start)..rows.last().map_or(0, |g| g.rows.end);
        let frame = self.read(rows, self.columns);
        let ids = frame.column("order_id").unwrap().str().unwrap().clone();
        let row = |id: &str| {
            let mut range = 0..ids.len();
            while !range.is_empty() {
                let middle = range.start.midpoint(range.end);
                match ids.get(middle).is_some_and(|other| other < id) {
                    true => range.start = middle + 1,
                    false => range.end = middle,
                }
            }
            range.start
        };
        let (from, to) = (begin.map_or(0, row), end.map_or(ids.len(), row));
        frame.slice(from as i64, to - from)
    }

    fn read(&self, rows: Range<usize>, columns: &[&str]) -> DataFrame {
        let path = self.path.to_string_lossy();
        let scan = LazyFrame::scan_parquet(path.as_ref().into(), ScanArgsParquet::default()).unwrap();
        let columns: Vec<Expr> = columns.iter().map(|column| col(*column)).collect();
        scan.slice(rows.start as i64, rows.len() as IdxSize).select(columns).collect().unwrap()
    }
}
