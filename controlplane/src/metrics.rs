//! Counters, seen twice: by Prometheus, and by `ttgctl stats` through the admin API. Never labelled by device.

use std::{collections::BTreeMap, net::SocketAddr};

/// The core's counters, by name.
#[derive(Debug, Default)]
pub struct Counters {
    values: BTreeMap<&'static str, u64>,
}

impl Counters {
    /// Counts.
    pub fn add(&mut self, name: &'static str, n: u64) {
        *self.values.entry(name).or_default() += n;
        metrics::counter!("ttg_control_total", "what" => name).increment(n);
    }

    /// Everything counted so far.
    pub fn all(&self) -> BTreeMap<String, u64> {
        self.values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
    }
}

/// Prometheus' endpoint could not be opened.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot serve metrics on {listen}: {error}. Change `metrics`, or stop what has that port (`ss -ltnp` tells)."
)]
pub struct MetricsError {
    listen: SocketAddr,
    error: String,
}

/// Serves everything counted in this process to Prometheus, on the current tokio runtime.
pub fn serve(listen: SocketAddr) -> Result<(), MetricsError> {
    let failed = |error: &dyn std::fmt::Display| MetricsError { listen, error: error.to_string() };
    // The exporter binds late and would only log; this says so at once.
    std::net::TcpListener::bind(listen).map_err(|e| failed(&e))?;
    metrics_exporter_prometheus::PrometheusBuilder::new()
        .with_http_listener(listen)
        .install()
        .map_err(|e| failed(&e))
}
