//! Metrics and probes over HTTP, on loopback only.
//!
//! Three fixed pages need no server library, and those at hand read a request for as long as its sender likes: a probe that hangs
//! would keep a thread for ever. Here a connection gets one request, one answer and two seconds.

use super::prometheus::{CONTENT_TYPE, prometheus};
use super::status::Status;
use crate::error::{Error, Result};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a loop may be silent and still count as alive: longer than any epoch should take, shorter than anybody should wait
/// for a stuck one to be started anew.
pub const HEARTBEAT_BOUND: Duration = Duration::from_secs(60);

/// What a connection may take in all.
const CONNECTION_TIME: Duration = Duration::from_secs(2);
/// Bytes of a request read at most; probes send a few hundred.
const REQUEST_BYTES: usize = 8_192;
/// Connections served side by side; more are told to come again.
const CONNECTIONS: usize = 16;

/// Serves the status of a stream; ends when dropped.
#[derive(Debug)]
pub struct Endpoint {
    address: SocketAddr,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Endpoint {
    /// Serves `shared` at `address`: `/metrics`, `/healthz` (200 while the loop gives signs of life, else 503) and `/ready` (200
    /// after the first commit or a caught-up start, else 503). Port 0 takes any free one: see [`Endpoint::address`].
    ///
    /// # Errors
    /// [`Error::Usage`] when the address is not on loopback; [`Error::Environment`] when it cannot be listened at.
    pub fn start(address: SocketAddr, shared: Arc<Mutex<Status>>) -> Result<Self> {
        Self::start_with(address, shared, HEARTBEAT_BOUND)
    }

    /// The same with another bound for the silence of the loop.
    ///
    /// # Errors
    /// As [`Endpoint::start`].
    pub fn start_with(address: SocketAddr, shared: Arc<Mutex<Status>>, heartbeat_bound: Duration) -> Result<Self> {
        if !address.ip().is_loopback() {
            return Err(Error::Usage {
                message: format!("health is served on loopback only, and `{address}` is not"),
                hint: Some("use 127.0.0.1 or [::1]; a proxy with access control may stand before it".to_owned()),
            });
        }
        let place = address.to_string();
        let failed = || Error::io("listen at", Path::new(&place));
        let listener = TcpListener::bind(address).map_err(failed())?;
        let address = listener.local_addr().map_err(failed())?;
        let stopping = Arc::new(AtomicBool::new(false));
        let served = Served { shared, heartbeat_bound, open: AtomicUsize::new(0) };
        let stop = stopping.clone();
        let thread = std::thread::Builder::new()
            .name("health".to_owned())
            .spawn(move || accept(&listener, &Arc::new(served), &stop))
            .map_err(failed())?;
        Ok(Self { address, stopping, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // A connection wakes the thread, which then sees that it is to stop. If none can be made it must not be waited for.
        let woken = TcpStream::connect_timeout(&self.address, CONNECTION_TIME).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| woken) {
            // A panic of that thread was told when it happened, and the stream does not depend on it.
            let _ = thread.join();
        }
    }
}

struct Served {
    shared: Arc<Mutex<Status>>,
    heartbeat_bound: Duration,
    open: AtomicUsize,
}

/// A place among the connections that are served side by side; free again when dropped.
struct Place(Arc<Served>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

fn accept(listener: &TcpListener, served: &Arc<Served>, stopping: &AtomicBool) {
    for connection in listener.incoming() {
        if stopping.load(Ordering::SeqCst) {
            return;
        }
        let Ok(connection) = connection else {
            // Out of file handles, most likely: trying on at once would only burn a core.
            std::thread::sleep(Duration::from_millis(50));
            continue;
        };
        let until = Instant::now() + CONNECTION_TIME;
        let place = Place(served.clone());
        if served.open.fetch_add(1, Ordering::SeqCst) >= CONNECTIONS {
            drop(place);
            let _ = answer(connection, until, &Answer::plain(503, "too many connections\n"));
            continue;
        }
        // Without a thread the connection is closed, and whoever asked asks again.
        let _ = std::thread::Builder::new().name("health".to_owned()).spawn(move || {
            // What the other side did not stay to hear is not our trouble.
            let _ = serve(connection, until, &place.0);
        });
    }
}

fn serve(mut connection: TcpStream, until: Instant, served: &Served) -> io::Result<()> {
    let mut request = Vec::new();
    let mut part = [0_u8; 1_024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < REQUEST_BYTES {
        connection.set_read_timeout(Some(left(until)?))?;
        match connection.read(&mut part)? {
            0 => break,
            n => request.extend_from_slice(&part[..n]),
        }
    }
    let line = String::from_utf8_lossy(request.split(|&b| b == b'\r' || b == b'\n').next().unwrap_or_default());
    let mut words = line.split(' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    let now = chrono::Utc::now().timestamp_micros();
    let reply = match (method, target, version) {
        (Some("GET"), Some(target), Some(version)) if version.starts_with("HTTP/1.") => served.page(target, now),
        (Some(_), Some(_), Some(version)) if version.starts_with("HTTP/1.") => Answer::plain(405, "only GET\n"),
        _ => Answer::plain(400, "not an HTTP/1 request\n"),
    };
    answer(connection, until, &reply)
}

/// What is left of the time of a connection.
fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

struct Answer {
    code: u16,
    content_type: &'static str,
    body: String,
}

impl Answer {
    fn plain(code: u16, body: impl Into<String>) -> Self {
        Self { code, content_type: "text/plain; charset=utf-8", body: body.into() }
    }
}

impl Served {
    fn page(&self, target: &str, now: i64) -> Answer {
        let status = || self.shared.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match target.split('?').next().unwrap_or_default() {
            "/metrics" => Answer { code: 200, content_type: CONTENT_TYPE, body: prometheus(&status(), now) },
            "/healthz" => {
                let status = status();
                let silent = status.silent_seconds(now);
                if status.state.has_ended() {
                    Answer::plain(503, format!("{}\n", status.state.name()))
                } else if silent > self.heartbeat_bound.as_secs_f64() {
                    Answer::plain(503, format!("no sign of life for {silent:.0} s\n"))
                } else {
                    Answer::plain(200, "alive\n")
                }
            }
            "/ready" if status().is_ready() => Answer::plain(200, "ready\n"),
            "/ready" => Answer::plain(503, "nothing is committed yet\n"),
            _ => Answer::plain(404, "there are /metrics, /healthz and /ready\n"),
        }
    }
}

fn answer(mut connection: TcpStream, until: Instant, answer: &Answer) -> io::Result<()> {
    let Answer { code, content_type, body } = answer;
    let reason = match code {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        _ => "Service Unavailable",
    };
    let allow = if *code == 405 { "Allow: GET\r\n" } else { "" };
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {code} {reason}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n{allow}Connection: close\r\n\r\n{body}"
    );
    connection.set_write_timeout(Some(left(until)?))?;
    connection.write_all(text.as_bytes())?;
    connection.shutdown(std::net::Shutdown::Write)
}

#[cfg(test)]
mod tests {
    use super::super::status::{State, tests::well};
    use super::*;

    fn now() -> i64 {
        chrono::Utc::now().timestamp_micros()
    }

    fn endpoint(status: Status) -> (Endpoint, Arc<Mutex<Status>>) {
        let shared = Arc::new(Mutex::new(status));
        (Endpoint::start("127.0.0.1:0".parse().unwrap(), shared.clone()).unwrap(), shared)
    }

    fn ask(endpoint: &Endpoint, request: &str) -> String {
        let mut connection = TcpStream::connect(endpoint.address()).unwrap();
        connection.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        connection.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        connection.read_to_string(&mut text).unwrap();
        text
    }

    fn get(endpoint: &Endpoint, path: &str) -> String {
        ask(endpoint, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    }

    #[test]
    fn metrics_and_probes_follow_the_status() {
        let (endpoint, shared) = endpoint(Status { beat_at: now(), ..well() });
        let metrics = get(&endpoint, "/metrics");
        let (head, body) = metrics.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("version=0.0.4"), "{head}");
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
        assert!(body.contains("ordersight_stream_epoch 12\n"), "{body}");
        assert!(get(&endpoint, "/healthz").starts_with("HTTP/1.1 200 "));
        assert!(get(&endpoint, "/ready?verbose").starts_with("HTTP/1.1 200 "));

        *shared.lock().unwrap() =
            Status { beat_at: now() - 75_000_000, committed_at: None, caught_up: false, ..well() };
        let silent = get(&endpoint, "/healthz");
        assert!(silent.starts_with("HTTP/1.1 503 ") && silent.ends_with("no sign of life for 75 s\n"), "{silent}");
        assert!(get(&endpoint, "/ready").starts_with("HTTP/1.1 503 "));

        *shared.lock().unwrap() = Status { beat_at: now(), state: State::Failed, ..well() };
        assert!(get(&endpoint, "/healthz").ends_with("failed\n"));
    }

    #[test]
    fn other_paths_methods_and_noise_are_turned_away() {
        let (endpoint, _) = endpoint(well());
        assert!(get(&endpoint, "/").starts_with("HTTP/1.1 404 Not Found\r\n"));
        let post = ask(&endpoint, "POST /metrics HTTP/1.1\r\nContent-Length: 100000\r\n\r\n");
        assert!(post.starts_with("HTTP/1.1 405 ") && post.contains("\r\nAllow: GET\r\n"), "{post}");
        assert!(ask(&endpoint, "\r\n\r\n").starts_with("HTTP/1.1 400 "));
        assert!(ask(&endpoint, "GET /metrics\r\n\r\n").starts_with("HTTP/1.1 400 "));
    }

    #[test]
    fn only_loopback_is_served() {
        for address in ["0.0.0.0:0", "192.0.2.1:80", "[::]:0"] {
            let error = Endpoint::start(address.parse().unwrap(), Arc::default()).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(address) && error.hint().is_some(), "{error}");
        }
    }

    #[test]
    fn requests_that_never_end_hold_nobody_up_for_ever() {
        let (endpoint, _) = endpoint(Status { beat_at: now(), ..well() });
        let mut slow: Vec<TcpStream> = (0..CONNECTIONS + 4)
            .map(|_| {
                let mut connection = TcpStream::connect(endpoint.address()).unwrap();
                connection.write_all(b"GET /metrics HT").unwrap();
                connection
            })
            .collect();
        let start = Instant::now();
        while !get(&endpoint, "/healthz").starts_with("HTTP/1.1 200 ") {
            assert!(start.elapsed() < Duration::from_secs(20), "still held up");
            std::thread::sleep(Duration::from_millis(50));
            // They go on sending a little: what counts is the time in all.
            slow.iter_mut().for_each(|connection| drop(connection.write(b"T")));
        }
    }

    #[test]
    fn it_ends_when_dropped_and_its_port_is_free_again() {
        let (endpoint, shared) = endpoint(well());
        let address = endpoint.address();
        drop(endpoint);
        drop(Endpoint::start(address, shared).unwrap());
    }
}
