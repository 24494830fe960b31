//! Many small jobs on a few threads of their own.
//!
//! Not rayon, on purpose. A rayon worker that waits for another pool (every polars operation runs in polars' own) takes up
//! the next job of its own pool meanwhile, on top of the one in hand: three thousand partitions nest until the stack is
//! full. These threads wait.

use crate::error::{Error, Result};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The answers of `work` for all `items`, in their order, or the error of the first item that was seen to fail. After an
/// error no new item is begun.
pub(super) fn map<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    work: impl Fn(&T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let worker = || {
        let mut done = Vec::new();
        while !failed.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { break };
            let answer = work(item);
            failed.fetch_or(answer.is_err(), Ordering::Relaxed);
            done.push((index, answer));
        }
        done
    };
    let mut answers = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads.clamp(1, items.len().max(1))).map(|_| scope.spawn(worker)).collect();
        let mut answers = Vec::with_capacity(items.len());
        for thread in threads {
            answers.extend(thread.join().map_err(|_| Error::Invariant("a publishing thread panicked".to_owned()))?);
        }
        Ok::<_, Error>(answers)
    })?;
    answers.sort_by_key(|(index, _)| *index);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_in_the_order_of_the_items_and_an_error_ends_the_work() {
        let items: Vec<usize> = (0..1_000).collect();
        assert_eq!(map(&items, 8, |i| Ok(i * 2)).unwrap(), items.iter().map(|i| i * 2).collect::<Vec<_>>());
        assert_eq!(map(&[], 8, |i: &usize| Ok(*i)).unwrap(), Vec::<usize>::new());
        let count = AtomicUsize::new(0);
        let result = map(&items, 2, |_| {
            count.fetch_add(1, Ordering::SeqCst);
            Err::<(), _>(Error::usage("no"))
        });
        assert!(result.is_err());
        assert!(count.into_inner() <= 2);
    }
}
