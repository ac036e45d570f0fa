//! `make bench`: the comparison tables, for people on standard output and as JSON in a file.

use std::path::Path;
use std::process::ExitCode;

#[cfg(feature = "daemons")]
use allocator as _;
use benches::bench::{Options, run};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (agent, json, only) = match arguments.as_slice() {
        [agent, json] => (agent, json, ""),
        [agent, json, only] => (agent, json, only.as_str()),
        _ => {
            eprintln!(
                "usage: bench AGENT JSON [ONLY]\n\n\
                 AGENT  the radio agent as it is put on access points: built static, with the profile `agent`\n\
                 JSON   file to write the results to\n\
                 ONLY   names of benches, separated by commas; all without\n\n\
                 `make bench` builds both programs and runs this one; `make bench ONLY=kernels,table` runs some."
            );
            return ExitCode::from(2);
        }
    };
    match run(&Options { agent: Path::new(agent), json: Path::new(json), only }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
