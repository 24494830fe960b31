//! Parquet: typed columns, read in row-group batches.

use super::{CHUNK_ROWS, Cells, Chunk, Sink, texts};
use crate::error::{Error, Result};
use crate::ingest::discover::SourceFile;
use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use arrow::array::{Array, ArrayRef, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use std::fs::File;

pub(super) fn read(file: &SourceFile, sink: &mut Sink<'_>) -> Result<()> {
    let refused = |what: String| Error::InputRefused {
        message: format!("{}: not a readable Parquet file: {what}", file.path.display()),
        hint: Some("the file may be cut short; export it again".to_owned()),
    };
    let opened = File::open(&file.path).map_err(Error::io("read", &file.path))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(opened).map_err(|e| refused(e.to_string()))?;
    let schema = builder.schema().clone();
    let reader = builder.with_batch_size(CHUNK_ROWS).build().map_err(|e| refused(e.to_string()))?;
    let mut row = 0_u64;
    let mut any = false;
    for batch in reader {
        let batch = batch.map_err(|e| refused(e.to_string()))?;
        let mut columns = Vec::with_capacity(batch.num_columns());
        for (field, array) in schema.fields().iter().zip(batch.columns()) {
            // Lists and structs are no values of a table; a mapping that names one finds the column missing.
            if !field.data_type().is_nested() {
                columns.push((field.name().clone(), cells(array).map_err(|e| refused(e.to_string()))?));
            }
        }
        let rows = (row + 1..=row + batch.num_rows() as u64).collect();
        row += batch.num_rows() as u64;
        any = true;
        sink(Chunk { columns, rows, broken: Vec::new(), absent: Vec::new() })?;
    }
    if !any {
        let empty = |name: &String| (name.clone(), Cells::Text(StringViewArray::from(Vec::<Option<&str>>::new())));
        let columns = schema.fields().iter().filter(|f| !f.data_type().is_nested()).map(|f| empty(f.name())).collect();
        sink(Chunk { columns, rows: Vec::new(), broken: Vec::new(), absent: Vec::new() })?;
    }
    Ok(())
}

fn cells(array: &ArrayRef) -> Result<Cells, arrow::error::ArrowError> {
    Ok(match array.data_type() {
        DataType::Boolean | DataType::Timestamp(..) | DataType::Date32 | DataType::Float32 | DataType::Float64 => {
            Cells::Native(array.clone())
        }
        kind if kind.is_integer() => Cells::Native(cast(array, &DataType::Int64)?),
        // Text of any layout, dictionaries, decimals (exactly), and whatever else has a text form.
        _ => Cells::Text(texts(array)?),
    })
}
