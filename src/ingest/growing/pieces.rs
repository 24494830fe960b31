//! Rows that grow by a few at a time, in few pieces, so that picking some of them costs what they are and not what all are.

use super::frames;
use crate::error::Result;
use crate::ingest::contiguous::contiguous;
use polars::prelude::*;

/// Small pieces at most: rows are picked out of each by itself.
const MOST: usize = 8;

/// Rows from which on a piece stays as it is: an epoch would stand still for as long as it takes to move them, and that would
/// be the longer the more there are.
const LARGE: usize = 1 << 20;

/// How many times the next piece is in the one before it, at least: each row is moved once for every level alone.
const TIMES: usize = 4;

/// Rows in the order in which they came.
#[derive(Clone, Default)]
pub(super) struct Pieces {
    /// Each contiguous in memory, of one set of columns.
    pieces: Vec<Piece>,
}

/// Some rows, which are never changed.
#[derive(Clone)]
struct Piece {
    rows: DataFrame,
    /// What they are called where they are saved, once anybody has asked for that.
    name: Option<String>,
}

impl Piece {
    fn of(mut rows: DataFrame) -> Self {
        rows.rechunk_mut();
        Self { rows, name: None }
    }
}

impl Pieces {
    /// All rows of a frame.
    pub(super) fn of(frame: DataFrame) -> Self {
        Self { pieces: vec![Piece::of(frame)] }
    }

    /// Pieces that were saved, each under its name.
    pub(super) fn of_saved(pieces: Vec<(String, DataFrame)>) -> Self {
        let pieces = pieces.into_iter().map(|(name, rows)| Piece { name: Some(name), ..Piece::of(rows) });
        Self { pieces: pieces.collect() }
    }

    /// Every piece with its name; those that have none get one by `name`.
    pub(super) fn named(&mut self, mut name: impl FnMut() -> String) -> impl Iterator<Item = (String, &DataFrame)> {
        self.pieces.iter_mut().map(move |piece| (piece.name.get_or_insert_with(&mut name).clone(), &piece.rows))
    }

    /// How many rows there are.
    pub(super) fn height(&self) -> usize {
        self.pieces.iter().map(|piece| piece.rows.height()).sum()
    }

    /// Adds rows after all others.
    pub(super) fn push(&mut self, rows: DataFrame) -> Result<()> {
        let new = Piece::of(rows);
        match self.pieces.last_mut() {
            // A frame without rows is there for its columns alone.
            Some(nothing) if nothing.rows.height() == 0 => *nothing = new,
            _ => self.pieces.push(new),
        }
        let large = self.pieces.iter().take_while(|piece| piece.rows.height() >= LARGE).count();
        while let [.., before, last] = &self.pieces[large..]
            && (before.rows.height() < TIMES * last.rows.height() || self.pieces.len() - large > MOST)
        {
            let (Some(last), Some(Piece { rows: mut both, .. })) = (self.pieces.pop(), self.pieces.pop()) else {
                break;
            };
            both.vstack_mut_owned(last.rows).map_err(frames())?;
            contiguous(&mut both)?;
            self.pieces.push(Piece::of(both));
        }
        Ok(())
    }

    /// All of them as one frame; without columns where nothing ever came.
    pub(super) fn whole(&self) -> Result<DataFrame> {
        let mut pieces = self.pieces.iter().map(|piece| &piece.rows);
        let Some(mut whole) = pieces.next().cloned() else { return Ok(DataFrame::empty()) };
        for piece in pieces {
            whole.vstack_mut(piece).map_err(frames())?;
        }
        Ok(whole)
    }

    /// The rows at these places, in the order of these.
    pub(super) fn take(&self, at: &[IdxSize]) -> Result<DataFrame> {
        let pieces = || self.pieces.iter().map(|piece| &piece.rows);
        let firsts: Vec<usize> =
            pieces().scan(0, |first, p| Some(std::mem::replace(first, *first + p.height()))).collect();
        let piece_of = |at: IdxSize| firsts.partition_point(|first| *first <= at as usize) - 1;
        // Texts of one piece are picked without being copied, which polars does where it picks out of several.
        let mut of_piece: Vec<Vec<IdxSize>> = vec![Vec::new(); self.pieces.len()];
        at.iter().for_each(|at| of_piece[piece_of(*at)].push(*at));
        let mut next: Vec<usize> =
            of_piece.iter().scan(0, |sum, p| Some(std::mem::replace(sum, *sum + p.len()))).collect();
        let mut picked: Option<DataFrame> = None;
        for ((piece, first), rows) in pieces().zip(&firsts).zip(of_piece) {
            let rows: Vec<IdxSize> = rows.into_iter().map(|at| at - *first as IdxSize).collect();
            let rows = piece.take(&IdxCa::from_vec("rows".into(), rows)).map_err(frames())?;
            match &mut picked {
                Some(picked) => drop(picked.vstack_mut_owned(rows).map_err(frames())?),
                None => picked = Some(rows),
            }
        }
        let Some(mut picked) = picked else { return Ok(DataFrame::empty()) };
        picked.rechunk_mut();
        let order: Vec<IdxSize> = at
            .iter()
            .map(|at| {
                let place = &mut next[piece_of(*at)];
                std::mem::replace(place, *place + 1) as IdxSize
            })
            .collect();
        picked.take(&IdxCa::from_vec("rows".into(), order)).map_err(frames())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_keep_their_places_in_few_pieces() {
        let mut pieces = Pieces::default();
        let sizes = [0, 5, 1, 1, 300, 7, 0, 2, 40, 1, 1, 1, 90, 1, 3, 1];
        let mut all: Vec<i64> = Vec::new();
        for size in sizes.into_iter().chain(std::iter::repeat_n(1, 200)) {
            let rows: Vec<i64> = (all.len() as i64..).take(size).collect();
            all.extend(&rows);
            pieces.push(df!("n" => rows).unwrap()).unwrap();
            assert!(pieces.pieces.len() <= MOST);
            assert_eq!(pieces.height(), all.len());
        }
        let places: Vec<IdxSize> = (0..all.len() as IdxSize).rev().collect();
        let taken = pieces.take(&places).unwrap();
        let taken: Vec<i64> = taken.column("n").unwrap().i64().unwrap().into_no_null_iter().collect();
        all.reverse();
        assert_eq!(taken, all);
        // A name stays with its rows; what is put together is another piece.
        let mut next = 0..;
        let mut names = |pieces: &mut Pieces| -> Vec<(String, usize)> {
            let name = || next.next().map(|n: i32| n.to_string()).unwrap_or_default();
            pieces.named(name).map(|(name, rows)| (name, rows.height())).collect()
        };
        let before = names(&mut pieces);
        assert_eq!(names(&mut pieces), before);
        pieces.push(df!("n" => [1_i64]).unwrap()).unwrap();
        let after = names(&mut pieces);
        assert_eq!(after[0], before[0]);
        assert!(!before.contains(after.last().unwrap()));
        let saved = pieces.named(String::new).map(|(name, rows)| (name, rows.clone())).collect();
        let mut again = Pieces::of_saved(saved);
        assert_eq!(names(&mut again), after);
        assert!(again.whole().unwrap().equals(&pieces.whole().unwrap()));
    }
}
