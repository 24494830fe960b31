//! What lines of standard input become, and how much of them is held.

use crate::intake::lines::{RAW_KEPT, READ_IN_BYTES};
use crate::intake::*;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::io::{Cursor, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(60);

fn sources() -> BTreeSet<String> {
    ["orders", "returns"].map(str::to_owned).into()
}

fn lines(text: impl AsRef<[u8]> + Send + 'static) -> Lines {
    Lines::start(Cursor::new(text), &sources(), LinesSettings::default()).unwrap()
}

fn record(source: &str, n: usize) -> String {
    format!("{{\"source\":\"{source}\",\"n\":{n}}}\n")
}

#[test]
fn lines_come_by_source_in_order_and_what_is_no_record_is_refused_with_its_number() {
    let text = "\u{feff}{\"source\":\"orders\",\"n\":1.0}\n\n{\"source\":\"returns\",\"n\":2}\r\nnonsense\n{\"n\":3}\n\
                {\"source\":\"orders\",\"n\":4}";
    let batch = lines(text).take(100, LONG);
    let by_source: Vec<_> =
        batch.by_source.iter().map(|(s, b)| (s.as_str(), std::str::from_utf8(b).unwrap())).collect();
    assert_eq!(by_source, [("orders", "{\"n\":1.0}\n{\"n\":4}\n"), ("returns", "{\"n\":2}\n")]);
    let refused: Vec<_> = batch.refused.iter().map(|r| (r.line, r.why.as_str(), r.raw.as_str())).collect();
    assert_eq!(refused, [(4, "it is not a JSON object", "nonsense"), (5, "it has no member `source`", "{\"n\":3}")]);
    assert_eq!((batch.lines, batch.offset, batch.ended, batch.broken), (6, 6, true, None));
}

#[test]
fn a_line_that_is_too_long_is_refused_and_the_next_one_is_read() {
    let long = |extra: usize| {
        let head = "{\"source\":\"orders\",\"t\":\"";
        format!("{head}{}\"}}", "x".repeat(MAX_LINE_BYTES - head.len() - 2 + extra))
    };
    for end in ["", "\n"] {
        let text = format!("{}\n{}\n{}{}{end}", long(0), long(1), record("orders", 3), long(2));
        let batch = lines(text).take(100, LONG);
        assert_eq!((batch.lines, batch.ended), (4, true));
        assert_eq!(batch.refused.iter().map(|r| r.line).collect::<Vec<_>>(), [2, 4]);
        assert_eq!(batch.refused[0].why, "it is longer than 16777216 bytes");
        assert_eq!(batch.refused[0].raw.len(), RAW_KEPT);
        assert!(batch.by_source["orders"].ends_with(b"\n{\"n\":3}\n"));
    }
}

#[test]
fn a_batch_ends_at_its_lines_its_bytes_or_its_time() {
    let text: String = (0..10).map(|n| record("orders", n)).collect();
    let settings = LinesSettings { batch_bytes: 17, ..LinesSettings::default() };
    let mut by_bytes = Lines::start(Cursor::new(text.clone()), &sources(), settings).unwrap();
    assert_eq!(by_bytes.take(100, LONG).lines, 3);
    let mut by_lines = lines(text);
    assert_eq!((by_lines.take(4, LONG).offset, by_lines.take(4, LONG).offset), (4, 8));
    let last = by_lines.take(4, LONG);
    assert_eq!((last.lines, last.offset, last.ended), (2, 10, true));
    assert_eq!(by_lines.take(4, LONG), LineBatch { offset: 10, ended: true, ..LineBatch::default() });
}

/// Gives what is sent to it, and waits in between; an error when told so.
struct Pipe(mpsc::Receiver<Option<Vec<u8>>>);

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self.0.recv() {
            Ok(Some(bytes)) => {
                buffer[..bytes.len()].copy_from_slice(&bytes);
                Ok(bytes.len())
            }
            Ok(None) => Err(std::io::Error::other("the pipe broke")),
            Err(_) => Ok(0),
        }
    }
}

#[test]
fn a_line_does_not_wait_for_the_next_one_and_half_a_line_waits_for_its_rest() {
    let (sender, receiver) = mpsc::channel();
    let mut lines = Lines::start(Pipe(receiver), &sources(), LinesSettings::default()).unwrap();
    let text = record("orders", 1) + &record("orders", 2);
    sender.send(Some(text.as_bytes()[..30].to_vec())).unwrap();
    assert_eq!(lines.take(1, LONG).lines, 1);
    let nothing = lines.take(1, Duration::from_millis(20));
    assert_eq!((nothing.lines, nothing.ended), (0, false));
    sender.send(Some(text.as_bytes()[30..].to_vec())).unwrap();
    assert_eq!(lines.take(1, LONG).by_source["orders"], b"{\"n\":2}\n");
    sender.send(None).unwrap();
    let batch = lines.take(1, LONG);
    assert_eq!((batch.ended, batch.broken.as_deref()), (true, Some("the pipe broke")));
}

/// A million lines, made as they are asked for, and how many bytes of them were asked for.
struct Million {
    next: usize,
    left: Cursor<String>,
    given: Arc<AtomicUsize>,
}

impl Read for Million {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.left.position() as usize == self.left.get_ref().len() && self.next < 1_000_000 {
            let lines = self.next..self.next + 1_000;
            self.next = lines.end;
            self.left = Cursor::new(lines.map(|n| record("orders", n)).collect());
        }
        let n = self.left.read(buffer)?;
        self.given.fetch_add(n, Ordering::SeqCst);
        Ok(n)
    }
}

#[test]
fn a_fast_producer_is_slowed_and_memory_stays_within_the_bound() {
    let given = Arc::new(AtomicUsize::new(0));
    let input = Million { next: 0, left: Cursor::default(), given: given.clone() };
    let settings = LinesSettings { queued_lines: 2_000, queued_bytes: 30_000, ..LinesSettings::default() };
    let mut lines = Lines::start(input, &sources(), settings).unwrap();
    let (mut taken, mut batches, mut records) = (0_u64, 0, blake3::Hasher::new());
    loop {
        let before = given.load(Ordering::SeqCst);
        // Slow where it shows: while nothing is taken, the producer comes to a stand.
        if batches < 5 {
            std::thread::sleep(Duration::from_millis(20));
            let read = given.load(Ordering::SeqCst);
            assert!(read as u64 <= taken * 40 + 30_000 * 3 + 2 * READ_IN_BYTES as u64, "{before} {read}");
        }
        let batch = lines.take(1_500, LONG);
        taken += batch.lines;
        batches += 1;
        for bytes in batch.by_source.values() {
            records.update(bytes);
        }
        if batch.ended {
            break;
        }
    }
    let mut expected = blake3::Hasher::new();
    for n in 0..1_000_000 {
        expected.update(format!("{{\"n\":{n}}}\n").as_bytes());
    }
    assert_eq!((taken, records.finalize()), (1_000_000, expected.finalize()));
    let held = lines.held();
    assert!(held.most_lines <= 2_000 && held.most_bytes <= 30_000, "{held:?}");
    assert_eq!((held.lines, held.bytes), (0, 0));
}

#[test]
fn dropping_the_lines_lets_go_of_a_reader_that_waits_for_room() {
    let given = Arc::new(AtomicUsize::new(0));
    let input = Million { next: 0, left: Cursor::default(), given: given.clone() };
    let settings = LinesSettings { queued_lines: 10, ..LinesSettings::default() };
    let lines = Lines::start(input, &sources(), settings).unwrap();
    assert!(Arc::strong_count(&given) == 2);
    drop(lines);
    let start = Instant::now();
    // The reader owns the input: once that is gone, so is the thread.
    while Arc::strong_count(&given) > 1 {
        assert!(start.elapsed() < LONG, "the reader still waits");
        std::thread::sleep(Duration::from_millis(5));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the bounds and wherever it is killed: what was taken before and what comes after skipping it is the whole,
    /// each line once.
    #[test]
    fn stopped_anywhere_and_replayed_from_the_start_gives_every_line_once(
        kinds in prop::collection::vec(0..5_u8, 0..120),
        (queued_lines, queued_bytes) in (1..20_usize, 1..200_usize),
        (batch, stop_after) in (1..30_usize, 0..8_usize),
    ) {
        let line = |(n, kind): (usize, &u8)| match kind {
            0 | 1 => record("orders", n),
            2 => record("returns", n),
            3 => "\n".to_owned(),
            _ => format!("no record {n}\n"),
        };
        let text: String = kinds.iter().enumerate().map(line).collect();
        let settings = LinesSettings { queued_lines, queued_bytes, ..LinesSettings::default() };
        let start = || Lines::start(Cursor::new(text.clone()), &sources(), settings).unwrap();
        let mut whole = lines(text.clone()).take(usize::MAX, LONG);
        let mut pieces = LineBatch::default();
        let mut add = |piece: LineBatch| {
            for (source, records) in piece.by_source {
                pieces.by_source.entry(source).or_default().extend(records);
            }
            pieces.lines += piece.lines;
            pieces.refused.extend(piece.refused);
            (pieces.offset, pieces.ended) = (piece.offset, piece.ended);
            (piece.offset, piece.ended)
        };
        let mut first = start();
        let mut offset = 0;
        for _ in 0..stop_after {
            (offset, _) = add(first.take(batch, LONG));
        }
        drop(first);
        let mut second = start();
        second.skip(offset);
        while !add(second.take(batch, LONG)).1 {}
        prop_assert!(second.held().most_lines <= queued_lines);
        whole.offset = whole.offset.max(pieces.offset);
        prop_assert_eq!(&pieces, &whole);
        prop_assert_eq!(pieces.lines, kinds.len() as u64);
    }
}
