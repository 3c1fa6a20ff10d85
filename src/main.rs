//! Parse, start, exit code; no logic.

fn main() -> std::process::ExitCode {
    quarterdeck::cli::run()
}
