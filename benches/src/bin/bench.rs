//! `make bench`: the comparison tables, for people on standard output and as JSON in a file.

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [agent, json] = arguments.as_slice() else {
        eprintln!(
            "usage: bench AGENT JSON\n\n\
             AGENT  the radio agent as it is put on access points: built static, with the profile `agent`\n\
             JSON   file to write the results to\n\n\
             `make bench` builds both programs and runs this one."
        );
        return ExitCode::from(2);
    };
    match benches::bench::run(agent, json) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
