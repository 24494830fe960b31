//! Rows that grow by a few at a time, in few pieces, so that picking some of them costs what they are and not what all are.

use super::frames;
use crate::error::Result;
use crate::ingest::contiguous::contiguous;
use crate::saved::Rows;
use polars::prelude::*;

/// Small pieces at most: rows are picked out of each by itself. Beyond it the last ones are put together.
const MOST: usize = 8;

/// Rows from which on a piece stays as it is: an epoch would stand still for as long as it takes to move them, and that would
/// be the longer the more there are.
const LARGE: usize = 1 << 16;

/// A piece this many times as long as all that come after it is not put together with them: each row is moved once for every
/// level alone.
const TIMES: usize = 4;

/// Stretches of rows of one piece at most that are picked one after the other; more are picked piece by piece and put in
/// order then, since each by itself costs some microseconds a column.
const MOST_RUNS: usize = 32;

/// Rows in the order in which they came.
#[derive(Clone, Default)]
pub(super) struct Pieces {
    /// Each contiguous in memory, of one set of columns.
    pieces: Vec<Piece>,
}

/// Some rows, which are never changed.
#[derive(Clone)]
struct Piece {
    rows: Rows,
    /// What they are called where they are saved, once anybody has asked for that.
    name: Option<String>,
}

/// Which columns are wanted, by name and type.
type Wanted<'w> = &'w dyn Fn(&str, &DataType) -> bool;

impl Piece {
    fn of(mut rows: DataFrame) -> Self {
        rows.rechunk_mut();
        Self { rows: rows.into(), name: None }
    }
}

impl Pieces {
    /// All rows of a frame.
    pub(super) fn of(frame: DataFrame) -> Self {
        Self { pieces: vec![Piece::of(frame)] }
    }

    /// Pieces that were saved, each under its name and contiguous as it was.
    pub(super) fn of_saved(pieces: Vec<(String, Rows)>) -> Self {
        Self { pieces: pieces.into_iter().map(|(name, rows)| Piece { rows, name: Some(name) }).collect() }
    }

    /// Every piece with its name; those that have none get one by `name`.
    pub(super) fn named(&mut self, mut name: impl FnMut() -> String) -> impl Iterator<Item = (String, &Rows)> {
        self.pieces.iter_mut().map(move |piece| (piece.name.get_or_insert_with(&mut name).clone(), &piece.rows))
    }

    /// Lets go of columns of large pieces that were saved, and that nobody has asked for since this was called before. Small
    /// ones are put together soon.
    pub(super) fn let_go(&self) {
        self.pieces.iter().filter(|piece| piece.rows.height() >= LARGE).for_each(|piece| piece.rows.let_go());
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
        while self.pieces.len() - large > MOST {
            // The last two in any case, and those before them that are not much larger than what comes after.
            let mut first = self.pieces.len() - 2;
            let mut rows: usize = self.pieces[first..].iter().map(|piece| piece.rows.height()).sum();
            while first > large && self.pieces[first - 1].rows.height() < TIMES * rows {
                first -= 1;
                rows += self.pieces[first].rows.height();
            }
            let together = self.pieces.split_off(first);
            let mut all = DataFrame::empty();
            for piece in &together {
                match all.height() {
                    0 => all = piece.rows.all()?,
                    _ => drop(all.vstack_mut_owned(piece.rows.all()?).map_err(frames())?),
                }
            }
            drop(together);
            contiguous(&mut all)?;
            self.pieces.push(Piece::of(all));
        }
        Ok(())
    }

    /// All of them as one frame; without columns where nothing ever came.
    pub(super) fn whole(&self) -> Result<DataFrame> {
        let mut pieces = self.pieces.iter().map(|piece| &piece.rows);
        let Some(first) = pieces.next() else { return Ok(DataFrame::empty()) };
        let mut whole = first.all()?;
        for piece in pieces {
            whole.vstack_mut_owned(piece.all()?).map_err(frames())?;
        }
        Ok(whole)
    }

    /// The places at which pieces begin.
    fn firsts(&self) -> Vec<usize> {
        let heights = self.pieces.iter().map(|piece| piece.rows.height());
        heights.scan(0, |first, n| Some(std::mem::replace(first, *first + n))).collect()
    }

    /// The numbers, or instants, of one column at these places.
    pub(super) fn numbers(&self, column: &str, at: &[IdxSize]) -> Result<Vec<Option<i64>>> {
        let firsts = self.firsts();
        let mut columns: Vec<Option<Int64Chunked>> = vec![None; firsts.len()];
        let mut number = |at: &IdxSize| -> Result<Option<i64>> {
            let piece = firsts.partition_point(|first| *first <= *at as usize) - 1;
            let numbers = match &mut columns[piece] {
                Some(numbers) => numbers,
                nothing => {
                    let of_piece = self.pieces[piece].rows.wanted(&|name, _| name == column)?;
                    let of_piece = of_piece.column(column).map(Column::to_physical_repr);
                    nothing.insert(of_piece.and_then(|column| column.i64().cloned()).map_err(frames())?)
                }
            };
            Ok(numbers.get(*at as usize - firsts[piece]))
        };
        at.iter().map(&mut number).collect()
    }

    /// The rows at these places, in the order of these.
    pub(super) fn take(&self, at: &[IdxSize]) -> Result<DataFrame> {
        self.take_wanted(at, &|_, _| true)
    }

    /// As [`Self::take`], with the columns that are `wanted` by their name and type.
    pub(super) fn take_wanted(&self, at: &[IdxSize], wanted: Wanted<'_>) -> Result<DataFrame> {
        let firsts = self.firsts();
        let piece_of = |at: IdxSize| firsts.partition_point(|first| *first <= at as usize) - 1;
        let row_in = |piece: usize, at: IdxSize| at - firsts[piece] as IdxSize;
        // What is asked for mostly stands in the order in which it came: one piece after another.
        let runs: Vec<&[IdxSize]> = at.chunk_by(|a, b| piece_of(*a) == piece_of(*b)).take(MOST_RUNS + 1).collect();
        if runs.len() <= MOST_RUNS {
            let of_run = |run: &[IdxSize]| {
                let piece = piece_of(run[0]);
                (piece, run.iter().map(|at| row_in(piece, *at)).collect())
            };
            return self.picked(runs.into_iter().map(of_run).collect(), wanted);
        }
        let mut of_piece: Vec<(usize, Vec<IdxSize>)> =
            (0..self.pieces.len()).map(|piece| (piece, Vec::new())).collect();
        for at in at {
            let piece = piece_of(*at);
            of_piece[piece].1.push(row_in(piece, *at));
        }
        let counts = of_piece.iter().map(|(_, rows)| rows.len());
        let mut next: Vec<usize> = counts.scan(0, |sum, n| Some(std::mem::replace(sum, *sum + n))).collect();
        let order = at.iter().map(|at| {
            let place = &mut next[piece_of(*at)];
            std::mem::replace(place, *place + 1) as IdxSize
        });
        let order = IdxCa::from_vec("rows".into(), order.collect());
        self.picked(of_piece, wanted)?.take(&order).map_err(frames())
    }

    /// Rows of pieces one after the other. Texts of one piece are picked without being copied, which polars does where it picks
    /// out of several.
    fn picked(&self, runs: Vec<(usize, Vec<IdxSize>)>, wanted: Wanted<'_>) -> Result<DataFrame> {
        let mut picked = DataFrame::empty();
        for (piece, rows) in runs {
            let Some(first) = rows.first() else { continue };
            let piece = self.pieces[piece].rows.wanted(wanted)?;
            let rows = match rows.windows(2).all(|pair| pair[0] + 1 == pair[1]) {
                true => piece.slice(i64::from(*first), rows.len()),
                false => piece.take(&IdxCa::from_vec("rows".into(), rows)).map_err(frames())?,
            };
            match picked.height() {
                0 => picked = rows,
                _ => drop(picked.vstack_mut_owned(rows).map_err(frames())?),
            }
        }
        if picked.height() == 0 {
            return self.pieces.last().map_or(Ok(picked), |piece| piece.rows.none(wanted));
        }
        picked.rechunk_mut();
        Ok(picked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_that_nobody_wants_are_not_picked() {
        let mut pieces = Pieces::default();
        for first in [0_i64, 3] {
            let names: Vec<String> = (first..first + 3).map(|n| format!("n{n}")).collect();
            pieces.push(df!("number" => (first..first + 3).collect::<Vec<_>>(), "name" => names).unwrap()).unwrap();
        }
        let wanted = |_: &str, dtype: &DataType| *dtype != DataType::String;
        let taken = pieces.take_wanted(&[5, 0, 4], &wanted).unwrap();
        assert!(taken.equals(&df!("number" => [5_i64, 0, 4]).unwrap()));
        assert_eq!(pieces.take_wanted(&[], &wanted).unwrap().schema().len(), 1);
        assert_eq!(pieces.take(&[1]).unwrap(), df!("number" => [1_i64], "name" => ["n1"]).unwrap());
    }

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
        all.reverse();
        // In their order, some of them, and to and fro between pieces.
        let to_and_fro = (0..100).flat_map(|n| [n as IdxSize, all.len() as IdxSize - 1 - n as IdxSize]).collect();
        for places in [(0..all.len() as IdxSize).collect(), vec![7, 8, 11, 400, 401], Vec::new(), to_and_fro] {
            let expected: Vec<i64> = places.iter().map(|at| all[*at as usize]).collect();
            let taken = pieces.take(&places).unwrap();
            let taken: Vec<i64> = taken.column("n").unwrap().i64().unwrap().into_no_null_iter().collect();
            assert_eq!(taken, expected);
            let numbers = pieces.numbers("n", &places).unwrap();
            assert!(numbers.into_iter().eq(expected.into_iter().map(Some)));
        }
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

    #[test]
    fn rows_that_nobody_asks_for_are_not_read() {
        use crate::saved::damaged;
        let none = || df!("n" => [0_i64; 0], "text" => [""; 0]).unwrap();
        // Of rows that are there one column is, so that the other must not be read.
        let there = |first: i64| {
            Rows::in_file(100, none(), move |nth| match nth {
                0 => Ok(Column::new("n".into(), (first..first + 100).collect::<Vec<_>>())),
                _ => Err(damaged()),
            })
        };
        let gone = || Rows::in_file(100, none(), |_| Err(damaged()));
        let numbers = |_: &str, dtype: &DataType| *dtype == DataType::Int64;
        let saved = [gone(), there(100), gone(), there(300)];
        let mut pieces = Pieces::of_saved((0..).map(|nth: u32| nth.to_string()).zip(saved).collect());
        assert_eq!((pieces.height(), pieces.named(String::new).count()), (400, 4));
        assert_eq!(pieces.numbers("n", &[350, 100]).unwrap(), [Some(350), Some(100)]);
        let none = pieces.take(&[]).unwrap();
        assert_eq!((none.width(), none.height()), (2, 0));
        let to_and_fro: Vec<IdxSize> = (0..60).flat_map(|n| [n + 100, n + 300]).collect();
        for places in [vec![100, 399, 150], to_and_fro] {
            let taken = pieces.take_wanted(&places, &numbers).unwrap();
            let taken = taken.column("n").unwrap().i64().unwrap().into_no_null_iter();
            assert!(taken.eq(places.iter().map(|at| i64::from(*at))));
        }
        assert!(pieces.take_wanted(&[99], &numbers).is_err() && pieces.take_wanted(&[300, 200], &numbers).is_err());
        assert!(pieces.take(&[100]).is_err() && pieces.whole().is_err());
    }
}
