//! The twelve window features of the handbook's protocol by the kernel: from Parquet to Parquet, and in memory.

use crate::{median, peak_memory_mib};
use ordersight::features::kernel::{
    Aggregate, Declaration, Declarations, Events, Interner, Queries, State, Values, Window,
};
use ordersight::types::time::DAY;
use parquet::basic::{Compression, Encoding, Type};
use parquet::column::reader::ColumnReader;
use parquet::data_type::{DataType, DoubleType, Int32Type, Int64Type};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Instant;

/// Columns of the payments, as `tests/reference/window_bench.py` writes them; none has nulls.
const ID: usize = 0;
const AT: usize = 1;
const CUSTOMER: usize = 2;
const TERMINAL: usize = 3;
const AMOUNT: usize = 4;
const FRAUD: usize = 5;

/// Rows read or written at once: little beside the columns.
const BATCH: usize = 16_384;

/// Rounds of the kernel alone, of which the first warms up.
const ROUNDS: usize = 6;

/// Counts and means (or shares) of the same windows, shortest first.
fn state(mean: Aggregate, delay: i64) -> State {
    let windows = [1, 7, 30].map(|days| Window::Span(days * DAY));
    let both = windows.map(|window| [Aggregate::Count, mean].map(|what| Declaration::new("payment", what, window)));
    State::new(Declarations::new(both.into_iter().flatten().map(|d| d.delayed(delay)).collect()).unwrap())
}

fn customers() -> State {
    state(Aggregate::Mean, 0)
}

fn terminals() -> State {
    state(Aggregate::Rate { prior: 0.0, weight: 0.0 }, 7 * DAY)
}

/// Hands over a column in batches.
fn each_batch(file: &SerializedFileReader<File>, column: usize, mut take: impl FnMut(&[i64])) {
    let mut batch = Vec::with_capacity(BATCH);
    for group in 0..file.num_row_groups() {
        let rows = file.get_row_group(group).unwrap();
        let (mut levels, mut left) = (Vec::new(), rows.metadata().num_rows() as usize);
        let mut column = rows.get_column_reader(column).unwrap();
        while left > 0 {
            batch.clear();
            levels.clear();
            match &mut column {
                ColumnReader::Int64ColumnReader(column) => {
                    column.read_records(BATCH, Some(&mut levels), None, &mut batch).unwrap();
                }
                ColumnReader::Int32ColumnReader(column) => {
                    let mut narrow = Vec::with_capacity(BATCH);
                    column.read_records(BATCH, Some(&mut levels), None, &mut narrow).unwrap();
                    batch.extend(narrow.into_iter().map(i64::from));
                }
                _ => panic!("a column of payments that is no integer"),
            }
            assert!(!batch.is_empty() && batch.len() <= left, "a null in the payments");
            left -= batch.len();
            take(&batch);
        }
    }
}

fn open(payments: &Path) -> (SerializedFileReader<File>, usize) {
    let file = SerializedFileReader::new(File::open(payments).unwrap()).unwrap();
    let rows = file.metadata().file_metadata().num_rows() as usize;
    (file, rows)
}

/// A column, each value made into another.
fn read<T>(file: &SerializedFileReader<File>, rows: usize, column: usize, value: impl Fn(i64) -> T) -> Vec<T> {
    let mut whole = Vec::with_capacity(rows);
    each_batch(file, column, |batch| whole.extend(batch.iter().map(|&it| value(it))));
    whole
}

/// A column of keys, numbered.
fn number(file: &SerializedFileReader<File>, rows: usize, column: usize) -> Vec<u32> {
    let (mut keys, mut numbers) = (Interner::default(), Vec::with_capacity(rows));
    each_batch(file, column, |batch| {
        numbers.extend(keys.intern_all(batch.iter().map(|key| Some(key.to_le_bytes()))).unwrap());
    });
    numbers
}

/// Reads payments, computes the features and writes them beside the payments' numbers; one line with the peak memory, MiB.
///
/// One row group whose columns are written one after the other while the next ones are computed. Only the columns that the
/// state in hand needs are in memory.
pub(crate) fn parquet_to_parquet(payments: &Path, out: &Path) {
    let (_, rows) = open(payments);
    // Each column through a file of its own: readers side by side would move one another's place.
    let file = || open(payments).0;
    // Nothing waits here: a column is taken when the one before is written.
    let (sender, receiver) = sync_channel(0);
    std::thread::scope(|scope| {
        scope.spawn(|| write(payments, out, receiver));
        let ((entity, amount), at) = rayon::join(
            || {
                let amount = || read(&file(), rows, AMOUNT, |amount| amount);
                rayon::join(|| number(&file(), rows, CUSTOMER), amount)
            },
            || read(&file(), rows, AT, |at| at),
        );
        let mut send = |_, values: Values| {
            sender.send(values).unwrap();
            Ok(())
        };
        let events = Events { entity: &entity, happened_at: &at, value: Some(&amount), ..Events::default() };
        customers().step_each(&events, &Queries { entity: &entity, at: &at }, &mut send).unwrap();
        drop((entity, amount));
        let (entity, fraud) =
            rayon::join(|| number(&file(), rows, TERMINAL), || read(&file(), rows, FRAUD, |fraud| fraud != 0));
        let events = Events { entity: &entity, happened_at: &at, label: Some(&fraud), ..Events::default() };
        terminals().step_each(&events, &Queries { entity: &entity, at: &at }, &mut send).unwrap();
        drop(sender);
    });
    println!("{:.1}", peak_memory_mib());
}

fn write(payments: &Path, out: &Path, columns: Receiver<Values>) {
    let windows = ["customer", "terminal"].map(|who| [1, 7, 30].map(|days| (who, days)));
    let features = windows.as_flattened().iter().map(|(who, days)| {
        let mean = if *who == "customer" { "mean_amount" } else { "fraud_share" };
        format!("required int32 {who}_count_{days}d; optional double {who}_{mean}_{days}d;")
    });
    let schema = format!("message features {{ required int64 id; {} }}", features.collect::<String>());
    let schema = Arc::new(parse_message_type(&schema).unwrap());
    // Snappy as DuckDB writes. Whole numbers as packed differences: as small as by a dictionary, and nothing is looked up.
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_write_batch_size(BATCH);
    for column in schema.get_fields().iter().filter(|column| column.get_physical_type() != Type::DOUBLE) {
        let path = ColumnPath::from(column.name());
        properties = properties.set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
    }
    let file = File::create(out).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties.build())).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let (source, _) = open(payments);
    write_column::<Int64Type>(&mut group, |put| each_batch(&source, ID, |batch| put(batch, None)));
    for values in columns {
        match values {
            Values::Count(counts) => write_column::<Int32Type>(&mut group, |put| {
                let mut signed = Vec::with_capacity(BATCH);
                for counts in counts.chunks(BATCH) {
                    signed.clear();
                    signed.extend(counts.iter().map(|&count| i32::try_from(count).unwrap()));
                    put(&signed, None);
                }
            }),
            Values::Real(means) => write_column::<DoubleType>(&mut group, |put| {
                let (mut there, mut levels) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
                for means in means.chunks(BATCH) {
                    there.clear();
                    levels.clear();
                    levels.extend(means.iter().map(|mean| i16::from(!mean.is_nan())));
                    there.extend(means.iter().filter(|mean| !mean.is_nan()));
                    put(&there, Some(&levels));
                }
            }),
            Values::Integer(_) => panic!("neither a count nor a mean"),
        }
    }
    group.close().unwrap();
    writer.close().unwrap();
}

/// The next column of a row group; `fill` is given what writes a batch: values that are there, and which are.
fn write_column<D: DataType>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    fill: impl FnOnce(&mut dyn FnMut(&[D::T], Option<&[i16]>)),
) {
    let mut column = group.next_column().unwrap().unwrap();
    fill(&mut |values, levels| {
        column.typed::<D>().write_batch(values, levels, None).unwrap();
    });
    column.close().unwrap();
}

/// Columns in memory with keys numbered, to feature columns in memory: one line with the median of the rounds, seconds.
pub(crate) fn kernel_alone(payments: &Path) {
    let (file, rows) = open(payments);
    let at = read(&file, rows, AT, |at| at);
    let (customer, terminal) = (number(&file, rows, CUSTOMER), number(&file, rows, TERMINAL));
    let amount = read(&file, rows, AMOUNT, |amount| amount);
    let fraud = read(&file, rows, FRAUD, |fraud| fraud != 0);
    let of = |entity| Events { entity, happened_at: &at, ..Events::default() };
    let asking = |entity| Queries { entity, at: &at };
    let round = || {
        let begun = Instant::now();
        let of_customers = Events { value: Some(&amount), ..of(&customer) };
        let of_terminals = Events { label: Some(&fraud), ..of(&terminal) };
        // Side by side: what is not parallel in the one fills up what is not in the other.
        let (first, second) = rayon::join(
            || customers().step(&of_customers, &asking(&customer)).unwrap(),
            || terminals().step(&of_terminals, &asking(&terminal)).unwrap(),
        );
        let seconds = begun.elapsed().as_secs_f64();
        assert_eq!((first.len(), second.len()), (6, 6));
        seconds
    };
    let rounds: Vec<f64> = (0..ROUNDS).map(|_| round()).collect();
    println!("{:.4}", median(rounds[1..].to_vec()));
}
