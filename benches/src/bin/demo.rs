//! `make demo`: a gateway, a radio on simulated air, three devices. `ONCE=1` makes it a check that ends by itself.

use std::process::ExitCode;

fn main() -> ExitCode {
    let once = std::env::var("ONCE").is_ok_and(|value| !value.is_empty() && value != "0");
    match benches::demo::run(once) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}
