//! NDJSON on standard input, several sources at once, read ahead as far as a bounded queue allows.

use super::line::{MAX_LINE_BYTES, split};
use super::queue::{Content, Held, Item, Queue};
use crate::error::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Lines handed over at a time at most: enough to make the lock cheap, and little beside the bound of the queue.
const GROUP: usize = 256;
/// Bytes asked of the input at a time.
const READ_IN_BYTES: usize = 1 << 16;
/// Bytes kept of a line that is refused.
const RAW_KEPT: usize = 1 << 16;

/// How much of the input is held in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinesSettings {
    /// Lines that wait to be taken at most.
    pub queued_lines: usize,
    /// Bytes that wait to be taken at most; a longer line waits alone.
    pub queued_bytes: usize,
    /// Bytes of records after which a batch is full, whatever number of lines it may have.
    pub batch_bytes: usize,
}

impl Default for LinesSettings {
    /// A second or two of orders at the pace the stream keeps, in less memory than their scoring takes.
    fn default() -> Self {
        Self { queued_lines: 100_000, queued_bytes: 64 << 20, batch_bytes: 256 << 20 }
    }
}

/// A line that is no record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedLine {
    /// Its number in the input, from 1, counted from the input's very beginning.
    pub line: u64,
    /// Why it was refused; holds no value of the line.
    pub why: String,
    /// The line as it came, its first 64 KiB at most, what is not UTF-8 replaced. It may hold personal data.
    pub raw: String,
}

/// Consecutive lines of the input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LineBatch {
    /// Records by source as NDJSON, without the member `source`, in the order they came.
    pub by_source: BTreeMap<String, Vec<u8>>,
    /// Lines of the input that this batch took in all: records, refused and empty ones.
    pub lines: u64,
    /// Lines of the input taken so far, with this batch and with what was skipped: what [`Lines::skip`] is told after a restart.
    pub offset: u64,
    /// True when the input has ended and nothing is left.
    pub ended: bool,
    /// Why the input could not be read on, when that is how it ended.
    pub broken: Option<String>,
    /// Lines that are no records, in order.
    pub refused: Vec<RefusedLine>,
}

/// Reads lines in the background. Dropping it lets go of the reader, which ends when its input does.
#[derive(Debug)]
pub struct Lines {
    queue: Arc<Queue>,
    /// Lines up to this number are passed over.
    skipped: Arc<AtomicU64>,
    sources: Vec<String>,
    settings: LinesSettings,
    offset: u64,
}

impl Lines {
    /// Starts to read. Each line must be one JSON object whose member `source` is one of `sources`.
    ///
    /// # Errors
    /// [`Error::Environment`] when the system gives no thread.
    pub fn start(
        input: impl Read + Send + 'static,
        sources: &BTreeSet<String>,
        settings: LinesSettings,
    ) -> Result<Self> {
        let queue = Arc::new(Queue::new(settings.queued_lines, settings.queued_bytes));
        let skipped = Arc::new(AtomicU64::new(0));
        let sources: Vec<String> = sources.iter().cloned().collect();
        let reader = Reader { queue: queue.clone(), skipped: skipped.clone(), sources: sources.clone() };
        std::thread::Builder::new()
            .name("standard input".to_owned())
            .spawn(move || reader.run(input))
            .map_err(Error::io("read", Path::new("standard input")))?;
        Ok(Self { queue, skipped, sources, settings, offset: 0 })
    }

    /// Passes over the first `lines` lines: an input that is replayed from its first line after a restart gives only what was not
    /// taken. Does not wait for them. To be called before the first [`Lines::take`].
    pub fn skip(&mut self, lines: u64) {
        self.skipped.fetch_max(lines, Ordering::SeqCst);
        self.offset = self.offset.max(lines);
    }

    /// Takes what comes until there are `max_lines`, `max_wait` has passed, the batch is full, or the input has ended. With a
    /// wait of zero it takes what is there.
    pub fn take(&mut self, max_lines: usize, max_wait: Duration) -> LineBatch {
        let start = Instant::now();
        let mut batch = LineBatch::default();
        let mut by_source: Vec<Vec<u8>> = vec![Vec::new(); self.sources.len()];
        let (mut lines, mut bytes) = (0_usize, 0_usize);
        let skipped = self.skipped.load(Ordering::SeqCst);
        let mut state = self.queue.lock();
        loop {
            while lines < max_lines && bytes < self.settings.batch_bytes {
                let Some(Item { line, content }) = self.queue.pop(&mut state) else { break };
                if line <= skipped {
                    continue;
                }
                (lines, bytes, self.offset) = (lines + 1, bytes + content.bytes(), line);
                match content {
                    Content::Record { source, record } => by_source[source].extend_from_slice(&record),
                    Content::Blank => {}
                    Content::Refused { why, raw } => batch.refused.push(RefusedLine { line, why, raw }),
                }
            }
            self.queue.has_room();
            batch.ended = state.ended && state.items.is_empty();
            let left = max_wait.saturating_sub(start.elapsed());
            if batch.ended || lines >= max_lines || bytes >= self.settings.batch_bytes || left.is_zero() {
                break;
            }
            state = self.queue.wait(state, left);
        }
        batch.broken = state.broken.clone().filter(|_| batch.ended);
        drop(state);
        let taken = self.sources.iter().cloned().zip(by_source).filter(|(_, records)| !records.is_empty());
        batch.by_source = taken.collect();
        (batch.lines, batch.offset) = (lines as u64, self.offset);
        batch
    }

    /// How much waits to be taken, now and at most so far.
    pub fn held(&self) -> Held {
        self.queue.lock().held
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// The reading side.
struct Reader {
    queue: Arc<Queue>,
    skipped: Arc<AtomicU64>,
    sources: Vec<String>,
}

impl Drop for Reader {
    /// However the thread ends, nobody waits for it for ever.
    fn drop(&mut self) {
        self.queue.end(None);
    }
}

impl Reader {
    fn run(self, input: impl Read) {
        let mut input = BufReader::with_capacity(READ_IN_BYTES, input);
        let (mut group, mut number, mut line) = (Vec::with_capacity(GROUP), 0_u64, Vec::new());
        loop {
            let content = match self.next(&mut input, &mut line, number + 1) {
                Ok(Some(content)) => content,
                Ok(None) => break,
                Err(error) => {
                    self.queue.push(group.drain(..));
                    return self.queue.end(Some(error.to_string()));
                }
            };
            number += 1;
            if let Some(content) = content {
                group.push(Item { line: number, content });
            }
            // What was read must not wait for what was not: the next line may be long in coming.
            if (group.len() >= GROUP || !input.buffer().contains(&b'\n')) && !self.queue.push(group.drain(..)) {
                return;
            }
        }
        self.queue.push(group.drain(..));
    }

    /// The next line: outer `None` at the end of the input, inner when it is passed over.
    fn next(
        &self,
        input: &mut BufReader<impl Read>,
        line: &mut Vec<u8>,
        number: u64,
    ) -> std::io::Result<Option<Option<Content>>> {
        line.clear();
        if input.by_ref().take(MAX_LINE_BYTES as u64 + 1).read_until(b'\n', line)? == 0 {
            return Ok(None);
        }
        let long = line.len() > MAX_LINE_BYTES && !line.ends_with(b"\n");
        if long {
            line.truncate(RAW_KEPT);
            input.skip_until(b'\n')?;
        }
        if number <= self.skipped.load(Ordering::SeqCst) {
            return Ok(Some(None));
        }
        let shown: &[u8] = if number == 1 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) } else { line };
        let content = if long {
            let why = format!("it is longer than {MAX_LINE_BYTES} bytes");
            Content::Refused { why, raw: raw(shown) }
        } else if shown.iter().all(u8::is_ascii_whitespace) {
            Content::Blank
        } else {
            match split(shown, &self.sources) {
                Ok((source, record)) => Content::Record { source, record },
                Err(why) => Content::Refused { why, raw: raw(shown) },
            }
        };
        Ok(Some(Some(content)))
    }
}

fn raw(line: &[u8]) -> String {
    String::from_utf8_lossy(&line[..line.len().min(RAW_KEPT)]).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc;

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
        assert_eq!(
            refused,
            [(4, "it is not a JSON object", "nonsense"), (5, "it has no member `source`", "{\"n\":3}")]
        );
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
}
