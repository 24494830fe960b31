//! The `ordersight` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    ordersight::cli::main()
}
