//! When to stop: TERM from a service manager, INT from a terminal.

use tokio::signal::unix::{SignalKind, signal};

/// Resolves at the first TERM or INT.
pub async fn requested() {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        // Without signal handlers the default action ends the process, which is what is wanted.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
