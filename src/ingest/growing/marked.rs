//! Which rows stood at a moment, though others have replaced them since: what is corrected has to be known as it was.

use super::groups::Group;

/// Rows that stood at the last mark.
#[derive(Debug, Clone, Default)]
pub(super) struct Marked {
    /// Rows from this one on came later.
    height: u32,
    /// Rows from before that others have replaced, with their groups; in the order in which that happened.
    replaced: Vec<(Group, u32)>,
    /// Whether the rows from before are not here any more.
    pub(super) is_lost: bool,
}

impl Marked {
    /// Those of a table of so many rows, none of which has been replaced since.
    pub(super) fn at(height: usize) -> Self {
        Self { height: height as u32, ..Self::default() }
    }

    /// Whether a row was there.
    pub(super) fn has(&self, row: u32) -> bool {
        row < self.height
    }

    /// A row of a group does not stand any more.
    pub(super) fn replaced(&mut self, group: Group, row: u32) {
        if self.has(row) {
            self.replaced.push((group, row));
        }
    }

    /// Every row that was replaced, with its group.
    pub(super) fn all_replaced(&self) -> impl Iterator<Item = (Group, u32)> {
        self.replaced.iter().copied()
    }

    /// What was replaced, to be looked for by group.
    pub(super) fn by_group(&self) -> Replaced {
        let mut rows = self.replaced.clone();
        rows.sort_unstable();
        Replaced(rows)
    }
}

/// Rows by group.
pub(super) struct Replaced(Vec<(Group, u32)>);

impl Replaced {
    /// Those of a group, ascending.
    pub(super) fn of(&self, group: Group) -> impl Iterator<Item = u32> {
        let first = self.0.partition_point(|(of, _)| *of < group);
        self.0[first..].iter().take_while(move |(of, _)| *of == group).map(|(_, row)| *row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_from_before_are_those_that_came_before_and_went_after() {
        let mut marked = Marked::at(5);
        for (group, row) in [(7, 3), (2, 5), (7, 1), (9, 4), (2, 9)] {
            marked.replaced(group, row);
        }
        assert_eq!([4, 5].map(|row| marked.has(row)), [true, false]);
        assert_eq!(marked.all_replaced().collect::<Vec<_>>(), [(7, 3), (7, 1), (9, 4)]);
        let replaced = marked.by_group();
        assert_eq!(
            [7, 2, 9, 8].map(|group| replaced.of(group).collect::<Vec<_>>()),
            [vec![1, 3], vec![], vec![4], vec![]]
        );
    }
}
