//! Queries over a small published state, in every format.

use super::*;
use crate::contract::output::output;
use crate::publish::Publisher;
use polars::prelude::*;
use std::collections::BTreeMap;

/// Three scores on two days and two KPIs, published below `out`.
fn publish(out: &Path) {
    let reason = StructChunked::from_series(
        "".into(),
        1,
        [Series::new("feature".into(), ["amount"]), Series::new("contribution".into(), [0.5])].iter(),
    )
    .unwrap()
    .into_series();
    let scores = DataFrame::new(
        3,
        vec![
            Series::new("order_id".into(), ["o1", "o2", "o3"]).into_column(),
            Int64Chunked::from_vec("placed_at".into(), vec![1_000_000, 2_500_000, 86_400_000_000])
                .into_datetime(TimeUnit::Microseconds, Some(polars::prelude::TimeZone::UTC))
                .into_series()
                .into_column(),
            Int32Chunked::from_vec("placed_date".into(), vec![0, 0, 1]).into_date().into_series().into_column(),
            Series::new("fraud_probability".into(), [Some(0.25), None, Some(0.5)]).into_column(),
            Series::new("fraud_reasons".into(), [Some(reason), None, None]).into_column(),
        ],
    )
    .unwrap();
    let kpi = DataFrame::new(
        2,
        vec![
            Series::new("grain".into(), ["day", "month"]).into_column(),
            Series::new("kpi".into(), ["orders", "orders, \"all\""]).into_column(),
            Series::new("value".into(), [3.0, 3.0]).into_column(),
        ],
    )
    .unwrap();
    let publisher = Publisher::open(out).unwrap();
    let mut staging = publisher.begin("r", BTreeMap::new()).unwrap();
    staging.write(output("order_scores").unwrap(), &scores).unwrap();
    staging.write(output("kpi").unwrap(), &kpi).unwrap();
    staging.commit().unwrap();
}

fn ask(out: &Path, sql: &str, format: Format) -> String {
    let mut sink = Vec::new();
    query(out, sql, format, &mut sink).unwrap();
    String::from_utf8(sink).unwrap()
}

#[test]
fn an_answer_comes_out_whole_in_every_text_format() {
    let out = tempfile::tempdir().unwrap();
    publish(out.path());
    let sql =
        "SELECT order_id, placed_at, placed_date, fraud_probability, fraud_reasons FROM order_scores ORDER BY order_id";
    assert_eq!(
        ask(out.path(), sql, Format::Json),
        concat!(
            r#"{"order_id":"o1","placed_at":"1970-01-01T00:00:01Z","placed_date":"1970-01-01","fraud_probability":0.25,"#,
            r#""fraud_reasons":[{"feature":"amount","contribution":0.5}]}"#,
            "\n",
            r#"{"order_id":"o2","placed_at":"1970-01-01T00:00:02.500Z","placed_date":"1970-01-01","#,
            r#""fraud_probability":null,"fraud_reasons":null}"#,
            "\n",
            r#"{"order_id":"o3","placed_at":"1970-01-02T00:00:00Z","placed_date":"1970-01-02","fraud_probability":0.5,"#,
            r#""fraud_reasons":null}"#,
            "\n",
        )
    );
    assert_eq!(
        ask(out.path(), sql, Format::Csv),
        concat!(
            "order_id,placed_at,placed_date,fraud_probability,fraud_reasons\n",
            "o1,1970-01-01T00:00:01Z,1970-01-01,0.25,\"[{\"\"feature\"\":\"\"amount\"\",\"\"contribution\"\":0.5}]\"\n",
            "o2,1970-01-01T00:00:02.500Z,1970-01-01,,\n",
            "o3,1970-01-02T00:00:00Z,1970-01-02,0.5,\n",
        )
    );
    let table = ask(out.path(), "SELECT order_id, fraud_probability AS p FROM order_scores ORDER BY 1", Format::Table);
    let lines: Vec<&str> = table.lines().map(str::trim_end).collect();
    assert_eq!(lines[1], " order_id      p", "{table}");
    assert_eq!(lines[3], " o1         0.25", "{table}");
    assert_eq!(lines.last(), Some(&"3 rows"));
}

#[test]
fn a_parquet_answer_reads_back_and_an_untyped_null_is_a_text() {
    let out = tempfile::tempdir().unwrap();
    publish(out.path());
    let mut bytes = Vec::new();
    let sql = "SELECT *, NULL AS nothing FROM order_scores ORDER BY order_id";
    query(out.path(), sql, Format::Parquet, &mut bytes).unwrap();
    let frame = ParquetReader::new(std::io::Cursor::new(bytes)).finish().unwrap();
    assert_eq!(frame.shape(), (3, 6));
    assert_eq!(frame.column("nothing").unwrap().dtype(), &DataType::String);
    assert_eq!(frame.column("placed_date").unwrap().dtype(), &DataType::Date);
}

#[test]
fn tables_join_and_partition_columns_filter_wherever_the_output_stands() {
    let root = tempfile::tempdir().unwrap();
    // A folder that looks like a partition, and characters that look like a pattern.
    let out = root.path().join("env=prod").join("a[b]*");
    publish(&out);
    let sql = "WITH day AS (SELECT * FROM order_scores WHERE placed_date >= DATE '1970-01-02') \
               SELECT d.order_id, k.value FROM day d CROSS JOIN kpi k WHERE k.grain = 'month'";
    assert_eq!(ask(&out, sql, Format::Csv), "order_id,value\no3,3.0\n");
    let columns = answer(&out, "SELECT * FROM kpi").unwrap();
    assert_eq!(columns.get_column_names(), ["kpi", "value", "grain"]);
    assert_eq!(ask(&out, "SHOW TABLES", Format::Csv), "name\nkpi\norder_scores\n");
}

#[test]
fn a_wrong_name_is_an_error_of_usage_that_says_what_there_is() {
    let out = tempfile::tempdir().unwrap();
    let nothing = answer(out.path(), "SELECT * FROM kpi").unwrap_err();
    assert!(nothing.to_string().starts_with("nothing was published in"), "{nothing}");
    publish(out.path());
    let fails = |sql: &str| {
        let error = answer(out.path(), sql).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
        (error.to_string(), error.hint().map(str::to_owned))
    };
    assert_eq!(
        fails("SELECT * FROM order_score"),
        (
            "there is no table `order_score`; there are: kpi, order_scores".into(),
            Some("did you mean `order_scores`?".into())
        )
    );
    for sql in ["SELECT valeu FROM kpi", "SELECT kpi FROM kpi WHERE valeu > 1", "SELECT sum(k.valeu) FROM kpi k"] {
        assert_eq!(
            fails(sql),
            ("there is no column `valeu`; there are: kpi, value, grain".into(), Some("did you mean `value`?".into())),
            "{sql}"
        );
    }
    assert!(fails("SELEC 1").0.starts_with("the query cannot be read"));
    assert!(fails("").0.len() > 10);
    assert!(fails("SELECT no_such_function(value) FROM kpi").0.contains("no_such_function"));
}

#[test]
fn instants_compare_with_timestamps_as_sql_writes_them_and_come_out_in_utc() {
    let folder = tempfile::tempdir().unwrap();
    publish(folder.path());
    let sql = "SELECT order_id, placed_at FROM order_scores \
               WHERE placed_at > TIMESTAMP '1970-01-01 00:00:01' AND placed_at < TIMESTAMP '1970-01-01 12:00:00'";
    assert_eq!(
        ask(folder.path(), sql, Format::Json),
        "{\"order_id\":\"o2\",\"placed_at\":\"1970-01-01T00:00:02.500Z\"}\n"
    );
}
