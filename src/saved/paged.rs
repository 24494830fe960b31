//! Rows of which few change at a time, mostly late ones: what has not changed since it was saved is not saved again.

use super::{Cell, Frozen};

/// Rows of a page.
const ROWS: usize = 1 << 16;

/// Rows in pages. One that was saved is shared with whoever writes it until one of its rows changes.
#[derive(Debug, Clone)]
pub struct Paged<T> {
    /// All but the last have as many rows as a page can have.
    pages: Vec<Page<T>>,
}

#[derive(Debug, Clone)]
enum Page<T> {
    Own(Vec<T>),
    Frozen(Frozen<T>),
}

impl<T> Default for Paged<T> {
    fn default() -> Self {
        Self { pages: Vec::new() }
    }
}

impl<T: bytemuck::Pod> Page<T> {
    fn rows(&self) -> &[T] {
        match self {
            Self::Own(rows) => rows,
            Self::Frozen(rows) => rows,
        }
    }

    fn edit(&mut self) -> &mut Vec<T> {
        if let Self::Frozen(rows) = self {
            *self = Self::Own(rows.to_vec());
        }
        match self {
            Self::Own(rows) => rows,
            Self::Frozen(rows) => rows.edit(),
        }
    }
}

impl<T: bytemuck::Pod + Cell> Paged<T> {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.pages.last().map_or(0, |last| (self.pages.len() - 1) * ROWS + last.rows().len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// A row.
    pub fn get(&self, at: usize) -> Option<T> {
        self.pages.get(at / ROWS)?.rows().get(at % ROWS).copied()
    }

    /// Puts a row in the place of another; the one that was there, or nothing if none was.
    pub fn replace(&mut self, at: usize, row: T) -> Option<T> {
        let page = self.pages.get_mut(at / ROWS)?;
        let before = *page.rows().get(at % ROWS)?;
        page.edit()[at % ROWS] = row;
        Some(before)
    }

    /// Adds a row.
    pub fn push(&mut self, row: T) {
        match self.pages.last_mut() {
            Some(last) if last.rows().len() < ROWS => last.edit().push(row),
            _ => self.pages.push(Page::Own(vec![row])),
        }
    }

    /// Adds the same row until there are so many.
    pub fn reach(&mut self, rows: usize, row: T) {
        (self.len()..rows).for_each(|_| self.push(row));
    }

    /// Every row.
    pub fn iter(&self) -> impl Iterator<Item = T> {
        self.pages.iter().flat_map(Page::rows).copied()
    }

    /// All pages, to be shared.
    pub(super) fn freeze(&mut self) -> Vec<Frozen<T>> {
        let freeze = |page: &mut Page<T>| match page {
            Page::Own(rows) => {
                let rows = Frozen::from(std::mem::take(rows));
                *page = Page::Frozen(rows.clone());
                rows
            }
            Page::Frozen(rows) => rows.clone(),
        };
        self.pages.iter_mut().map(freeze).collect()
    }

    /// What [`Self::freeze`] gave, unless these are no such pages.
    pub(super) fn of(pages: Vec<Frozen<T>>) -> Option<Self> {
        let (last, full) = pages.split_last().map_or((None, &[][..]), |(last, full)| (Some(last), full));
        let fits =
            full.iter().all(|page| page.len() == ROWS) && last.is_none_or(|last| (1..=ROWS).contains(&last.len()));
        fits.then(|| Self { pages: pages.into_iter().map(Page::Frozen).collect() })
    }
}
