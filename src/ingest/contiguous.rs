//! Rows held in few large blocks.
//!
//! What comes from files is in pieces of a page or a part of a file each, and texts are views into the pages that they were read
//! from. Tables that are held for long would be millions of small blocks: memory that nothing can lay aside, and that stays in
//! use as a whole for one text.

use crate::error::{Error, Result};
use polars::prelude::*;
use rayon::prelude::*;

/// The length of a text that stands in its view.
const INLINE: usize = 12;

/// Puts every column into one piece, and its texts into few large blocks unless several rows share them.
///
/// # Errors
/// [`Error::Frames`] only for defects.
pub(super) fn contiguous(frame: &mut DataFrame) -> Result<()> {
    let stage = || Error::frames("rows in one piece");
    let height = frame.height();
    // Each is let go of as soon as it stands in one piece, so that the table is not held twice.
    let columns = std::mem::take(frame).into_columns().into_par_iter();
    let columns = columns.map(|column| in_one_piece(column).map_err(stage()));
    *frame = DataFrame::new(height, columns.collect::<Result<Vec<_>>>()?).map_err(stage())?;
    Ok(())
}

fn in_one_piece(pieces: Column) -> PolarsResult<Column> {
    let column = pieces.rechunk();
    drop(pieces);
    if !column.dtype().is_string() {
        return Ok(column);
    }
    let views = column.str()?.downcast_iter().next().filter(|views| views.data_buffers().len() > 1);
    let Some(views) = views else { return Ok(column) };
    let long: usize = views.len_iter().map(|length| length as usize).filter(|length| *length > INLINE).sum();
    // The words of a dictionary are there once for all rows.
    if long > views.total_buffer_len() {
        return Ok(column);
    }
    Ok(StringChunked::with_chunk(column.name().clone(), views.clone().gc()).into_column())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffers(frame: &DataFrame) -> Vec<usize> {
        let of = |column: &Column| column.str().unwrap().downcast_iter().map(|views| views.data_buffers().len()).sum();
        frame.columns().iter().map(of).collect()
    }

    #[test]
    fn texts_of_many_pages_stand_in_one_block_and_shared_ones_stay_shared() {
        let page = |first: usize| {
            let own: Vec<Option<String>> =
                (first..first + 50).map(|n| (n % 7 > 0).then(|| format!("a text that is long enough {n}"))).collect();
            let word = StringChunked::new("word".into(), ["a word of a dictionary"]);
            // Each row points to the one text.
            let words = word.take(&IdxCa::from_vec("at".into(), vec![0; 50])).unwrap();
            let columns =
                vec![Column::new("own".into(), own), words.into_column(), Column::new("short".into(), vec!["x"; 50])];
            DataFrame::new(50, columns).unwrap()
        };
        let mut frame = page(0);
        for first in [50, 100, 150] {
            frame.vstack_mut_owned(page(first)).unwrap();
        }
        let before = frame.clone();
        contiguous(&mut frame).unwrap();
        assert!(frame.equals_missing(&before));
        assert_eq!(buffers(&frame), [1, 4, 0]);
        // Few rows, and none, are what they were.
        let mut few = before.slice(60, 2);
        contiguous(&mut few).unwrap();
        contiguous(&mut DataFrame::empty()).unwrap();
        assert!(few.equals_missing(&before.slice(60, 2)));
    }
}
