//! Counters for operators. Labels come from closed sets only: nothing a
//! program or a request says becomes a label.

use std::sync::Arc;

use assize_judge::engine::Engine;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{
    Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    TextEncoder,
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
    pub(crate) fn new(engine: &Arc<Engine>) -> Result<Self, prometheus::Error> {
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
        registry.register(Box::new(CompileCache::new(engine)?))?;
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

/// The figures of the cache of compiled programs, asked for when somebody
/// looks.
struct CompileCache {
    engine: Arc<Engine>,
    hits: Opts,
    misses: Opts,
    evictions: Opts,
    bytes: Opts,
    capacity: Opts,
    entries: Opts,
    descriptions: Vec<Desc>,
}

impl CompileCache {
    fn new(engine: &Arc<Engine>) -> Result<Self, prometheus::Error> {
        let of = |name: &str, help: &str| Opts::new(format!("assize_compile_cache_{name}"), help);
        let (hits, misses, evictions) = (
            of(
                "hits_total",
                "Builds that took what was compiled before, or was being compiled.",
            ),
            of("misses_total", "Builds that compiled."),
            of(
                "evictions_total",
                "Compiled programs that made room for others.",
            ),
        );
        let (bytes, capacity, entries) = (
            of("bytes", "Bytes of compiled programs that are kept."),
            of("capacity_bytes", "Bytes that may be kept."),
            of(
                "entries",
                "Compiled programs that are kept, errors included.",
            ),
        );
        let all = [&hits, &misses, &evictions, &bytes, &capacity, &entries];
        let describe = |o: &&Opts| {
            Desc::new(
                o.name.clone(),
                o.help.clone(),
                Vec::new(),
                o.const_labels.clone(),
            )
        };
        let descriptions = all.iter().map(describe).collect::<Result<_, _>>()?;
        Ok(Self {
            engine: Arc::clone(engine),
            hits,
            misses,
            evictions,
            bytes,
            capacity,
            entries,
            descriptions,
        })
    }
}

impl Collector for CompileCache {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let stats = self.engine.compiler().cache().unwrap_or_default();
        let counters = [
            (&self.hits, stats.hits),
            (&self.misses, stats.misses),
            (&self.evictions, stats.evictions),
        ];
        let gauges = [
            (&self.bytes, stats.bytes),
            (&self.capacity, stats.capacity),
            (&self.entries, stats.entries),
        ];
        let counters = counters.into_iter().filter_map(|(opts, value)| {
            let counter = IntCounter::with_opts(opts.clone()).ok()?;
            counter.inc_by(value);
            Some(counter.collect())
        });
        let gauges = gauges.into_iter().filter_map(|(opts, value)| {
            let gauge = IntGauge::with_opts(opts.clone()).ok()?;
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
            Some(gauge.collect())
        });
        counters.chain(gauges).flatten().collect()
    }
}
