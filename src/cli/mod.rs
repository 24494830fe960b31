//! Arguments, the terminal and exit codes. What is computed is decided elsewhere.

mod args;
mod check;
mod demo;
mod evaluate;
mod evaluated;
mod explain;
mod memory;
mod models;
mod progress;
mod review;
mod run;
mod stream;
mod summary;
mod train;

use crate::error::{Error, Result};
use crate::types::time::parse_instant;
use args::{Cli, Command};
use clap::Parser;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

/// Done as asked.
const DONE: u8 = 0;
/// Done, but something the pipeline's `fail_on` names came up.
const DONE_BUT: u8 = 1;

/// Runs the command line and gives the exit code of the contract.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    init_log(&cli);
    match dispatch(&cli) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            let (red, plain) = if colour { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
            let mut message = format!("{red}error:{plain} {error}\n");
            if let Some(hint) = error.hint() {
                message.push_str(&format!("hint: {hint}\n"));
            }
            to_stderr(&message);
            ExitCode::from(error.exit_code())
        }
    }
}

fn dispatch(cli: &Cli) -> Result<u8> {
    match &cli.command {
        Command::Demo(args) => demo::run(cli, args),
        Command::Generate(args) => demo::generate(cli, args),
        Command::Check(args) => check::run(cli, args),
        Command::Run(args) => run::run(cli, args),
        Command::Stream(args) => stream::run(cli, args),
        Command::Train(args) => train::run(cli, args),
        Command::Evaluate(args) => evaluate::run(cli, args),
        Command::Models(args) => models::run(cli, args),
        Command::Explain(args) => explain::run(args),
        Command::Query(args) => {
            crate::query::query(&args.out, &args.sql, args.format.into(), &mut std::io::stdout().lock())?;
            Ok(DONE)
        }
        Command::Report(args) => {
            let path = crate::report::write(&args.out)?;
            to_stdout(&format!("{}\n", path.display()))?;
            Ok(DONE)
        }
        Command::Review(args) => review::run(cli, &args.action),
        Command::Clean(args) => run::clean(args),
    }
}

fn init_log(cli: &Cli) {
    let level = match (cli.quiet, cli.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "info,ordersight=debug",
        (false, _) => "debug",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("ORDERSIGHT_LOG").unwrap_or_else(|_| level.into());
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    // A second initialisation can only come from a program that embeds us and logs by itself.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colour).try_init();
    polars::error::set_warning_function(|message, _| tracing::debug!("polars: {message}"));
}

/// Writes to standard output; a reader that has gone away is no error.
fn to_stdout(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::io("write", Path::new("standard output"))(e))
        }
        _ => Ok(()),
    }
}

/// Writes to standard error; there is nobody to tell if that fails.
fn to_stderr(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

fn instant(text: Option<&str>) -> Result<Option<i64>> {
    instant_of("--as-of", text)
}

fn instant_of(name: &str, text: Option<&str>) -> Result<Option<i64>> {
    text.map(|t| {
        parse_instant(t).ok_or_else(|| Error::Usage {
            message: format!("{name} `{t}` is not an RFC 3339 instant"),
            hint: Some("write it as 2024-05-01T00:00:00Z".to_owned()),
        })
    })
    .transpose()
}

/// The wall clock, read once at the start of a command and passed on from here.
fn now_micros() -> i64 {
    chrono::Utc::now().timestamp_micros()
}
