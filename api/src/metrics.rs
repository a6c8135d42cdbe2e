//! Counters for operators. Labels come from closed sets only: nothing a
//! program or a request says becomes a label.

use prometheus::{
    Encoder, Histogram, HistogramOpts, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};

/// All metrics of the server.
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) requests: IntCounterVec,
    pub(crate) runs: IntCounterVec,
    pub(crate) verdicts: IntCounterVec,
    pub(crate) faults: IntCounterVec,
    pub(crate) refused: IntCounterVec,
    pub(crate) queued: Histogram,
    pub(crate) cpu: Histogram,
    pub(crate) running: IntGauge,
    pub(crate) waiting: IntGauge,
}

impl Metrics {
    /// Registers everything. Fails only on a programming error.
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let seconds = |name: &str, help: &str| {
            let buckets = prometheus::exponential_buckets(0.0001, 3.0, 12)?;
            let histogram = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets))?;
            registry.register(Box::new(histogram.clone()))?;
            Ok::<_, prometheus::Error>(histogram)
        };
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let metrics = Self {
            requests: counter(
                "assize_http_requests_total",
                "Requests.",
                &["route", "status"],
            )?,
            runs: counter(
                "assize_runs_total",
                "Runs by backend and end.",
                &["backend", "status"],
            )?,
            verdicts: counter("assize_verdicts_total", "Cases by verdict.", &["verdict"])?,
            faults: counter(
                "assize_faults_total",
                "Failures of ours by code.",
                &["code"],
            )?,
            refused: counter(
                "assize_refused_total",
                "Requests refused by code.",
                &["code"],
            )?,
            queued: seconds("assize_queue_seconds", "Time cases waited for a slot.")?,
            cpu: seconds("assize_cpu_seconds", "CPU time of cases.")?,
            running: gauge("assize_cases_running", "Cases being tried.")?,
            waiting: gauge("assize_cases_waiting", "Cases waiting for a slot.")?,
            registry: registry.clone(),
        };
        let process = prometheus::process_collector::ProcessCollector::for_self();
        registry.register(Box::new(process))?;
        Ok(metrics)
    }

    /// The text exposition format.
    pub(crate) fn text(&self) -> String {
        let mut out = Vec::new();
        match TextEncoder::new().encode(&self.registry.gather(), &mut out) {
            Ok(()) => String::from_utf8_lossy(&out).into_owned(),
            Err(error) => {
                tracing::error!(%error, "metrics could not be written");
                String::new()
            }
        }
    }
}
