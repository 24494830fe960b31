//! The files of an evaluation: tables for queries, one JSON document for everything else.

use super::{Evaluated, Fold};
use crate::error::{Error, Result};
use crate::publish::parquet::{FileOptions, encode};
use crate::risk::Target;
use crate::risk::evaluate::Slice;
use crate::types::time::format_instant;
use polars::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;

/// Folder under the output.
const FOLDER: &str = "evaluation";

/// Writes `OUT/evaluation/{measures,reliability,days,folds}.parquet` and `evaluation.json`, each by rename.
///
/// They stand beside what runs publish and not among it: an evaluation changes nothing that a run has committed.
pub(super) fn write(evaluated: &Evaluated, out: &Path, as_of: i64) -> Result<()> {
    let folder = out.join(FOLDER);
    std::fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
    let metadata = BTreeMap::from([
        ("pipeline".to_owned(), evaluated.pipeline.clone()),
        ("target".to_owned(), evaluated.target.to_string()),
        ("family".to_owned(), evaluated.family.to_owned()),
        ("as_of".to_owned(), format_instant(as_of)),
        ("currency".to_owned(), evaluated.currency.clone()),
    ]);
    let tables = [
        ("measures", measures(evaluated)?),
        ("reliability", reliability(evaluated)?),
        ("days", days(evaluated)?),
        ("folds", folds(evaluated)?),
    ];
    for (name, frame) in tables {
        let bytes = encode(&frame, FileOptions::default(), &metadata)?;
        replace(&folder, &format!("{name}.parquet"), &bytes)?;
    }
    let json =
        serde_json::to_string_pretty(evaluated).map_err(|error| Error::Invariant(format!("evaluation: {error}")))?;
    replace(&folder, "evaluation.json", json.as_bytes())
}

fn replace(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let (path, fresh) = (folder.join(name), folder.join(format!(".{name}.new")));
    std::fs::write(&fresh, bytes).map_err(Error::io("write", &fresh))?;
    std::fs::rename(&fresh, &path).map_err(Error::io("replace", &path))
}

fn text<'a>(name: &str, values: impl Iterator<Item = &'a str>) -> Column {
    Column::new(name.into(), values.collect::<Vec<_>>())
}

fn count(name: &str, values: impl Iterator<Item = usize>) -> Column {
    Column::new(name.into(), values.map(|value| value as i64).collect::<Vec<_>>())
}

fn number(name: &str, values: impl Iterator<Item = Option<f64>>) -> Column {
    Column::new(name.into(), values.collect::<Vec<_>>())
}

fn instant(name: &str, values: impl Iterator<Item = i64>) -> Result<Column> {
    let zoned = DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC));
    Column::new(name.into(), values.collect::<Vec<_>>()).cast(&zoned).map_err(Error::frames("evaluation"))
}

fn frame(columns: Vec<Column>) -> Result<DataFrame> {
    DataFrame::new_infer_height(columns).map_err(Error::frames("evaluation"))
}

fn measures(evaluated: &Evaluated) -> Result<DataFrame> {
    let all = || evaluated.measures.iter();
    frame(vec![
        text("target", all().map(|_| evaluated.target.name())),
        text("family", all().map(|_| evaluated.family)),
        text("segment", all().map(|m| m.segment.as_str())),
        text("segment_value", all().map(|m| m.segment_value.as_str())),
        text("measure", all().map(|m| m.measure)),
        number("value", all().map(|m| m.estimate.value)),
        number("lower", all().map(|m| m.estimate.lower)),
        number("upper", all().map(|m| m.estimate.upper)),
        text("drawn_by", all().map(|m| m.drawn_by)),
        count("rows", all().map(|m| m.rows)),
        count("positives", all().map(|m| m.positives)),
    ])
}

fn reliability(evaluated: &Evaluated) -> Result<DataFrame> {
    let all = || {
        evaluated
            .reliability
            .iter()
            .flat_map(|diagram| diagram.bins.iter().enumerate().map(move |(bin, found)| (diagram, bin + 1, found)))
    };
    frame(vec![
        text("target", all().map(|_| evaluated.target.name())),
        text("segment", all().map(|(diagram, ..)| diagram.segment.as_str())),
        text("segment_value", all().map(|(diagram, ..)| diagram.segment_value.as_str())),
        count("bin", all().map(|(_, bin, _)| bin)),
        count("rows", all().map(|(.., found)| found.rows)),
        number("predicted", all().map(|(.., found)| Some(found.predicted))),
        number("observed", all().map(|(.., found)| Some(found.observed))),
    ])
}

fn days(evaluated: &Evaluated) -> Result<DataFrame> {
    let all = || evaluated.days.iter();
    let day = Column::new("day".into(), all().map(|d| d.day).collect::<Vec<_>>());
    let fraud = |value: f64| (evaluated.target == Target::Fraud).then_some(value);
    frame(vec![
        text("target", all().map(|_| evaluated.target.name())),
        day.cast(&DataType::Date).map_err(Error::frames("evaluation"))?,
        count("rows", all().map(|d| d.rows)),
        count("positives", all().map(|d| d.positives)),
        count("looked", all().map(|d| d.looked)),
        count("found", all().map(|d| d.found)),
        count("customers_found", all().map(|d| d.customers_found)),
        number("value", all().map(|d| fraud(d.value))),
        number("value_found", all().map(|d| fraud(d.value_found))),
        number("saved", all().map(|d| fraud(d.saved))),
        number("saved_largest_first", all().map(|d| fraud(d.saved_largest))),
        number("saved_at_random", all().map(|d| fraud(d.saved_random))),
    ])
}

fn folds(evaluated: &Evaluated) -> Result<DataFrame> {
    let all = || evaluated.folds.iter();
    let mut columns = vec![
        text("target", all().map(|_| evaluated.target.name())),
        count("fold", all().map(|f| f.fold)),
        text("calibration", all().map(|f| f.calibration.method.as_str())),
    ];
    for (name, slice) in
        [("train", (|f| &f.train) as fn(&Fold) -> &Slice), ("calibrate", |f| &f.calibrate), ("test", |f| &f.test)]
    {
        columns.push(instant(&format!("{name}_from"), all().map(|f| slice(f).from))?);
        columns.push(instant(&format!("{name}_to"), all().map(|f| slice(f).to))?);
        columns.push(count(&format!("{name}_rows"), all().map(|f| slice(f).rows)));
        columns.push(count(&format!("{name}_positives"), all().map(|f| slice(f).positives)));
    }
    frame(columns)
}
