//! What Prometheus sees. Every metric is declared here; `echolog describe metrics` lists them.

use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry,
};

/// The metrics of one process.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// All of them.
    pub registry: Registry,
    /// Of the command handler.
    pub handler: HandlerMetrics,
    /// Of the projector.
    pub projector: ProjectorMetrics,
    /// Of the auth callout.
    pub callout: CalloutMetrics,
    /// Of the connections.
    pub process: ProcessMetrics,
}

/// Metrics of the command handler.
#[derive(Clone, Debug)]
pub struct HandlerMetrics {
    /// Commands by what became of them.
    pub commands: IntCounterVec,
    /// From the broker's receipt to the outcome.
    pub command_seconds: Histogram,
    /// One append to the log.
    pub append_seconds: Histogram,
    /// Events by type.
    pub events_appended: IntCounterVec,
    /// Appends that a fence or a claim stopped.
    pub append_conflicts: IntCounter,
    /// Partitions that this process decides.
    pub owned_partitions: Gauge,
    /// Events held because the tables may not show them yet.
    pub tail_events: Gauge,
    /// How far back ids are known without PostgreSQL.
    pub known_ids_seconds: Gauge,
    /// Mails and text messages by what became of them.
    pub deliveries: IntCounterVec,
    /// What other providers were asked about people, by what they said.
    pub vouchings: IntCounterVec,
}

/// Metrics of the projector.
#[derive(Clone, Debug)]
pub struct ProjectorMetrics {
    /// Events that a projection still has to take in.
    pub lag_events: GaugeVec,
    /// The age of the oldest of them.
    pub lag_seconds: GaugeVec,
    /// Events taken in.
    pub events: IntCounterVec,
    /// One transaction.
    pub flush_seconds: prometheus::HistogramVec,
    /// Events of one transaction.
    pub batch_events: prometheus::HistogramVec,
    /// Keys that are set aside because of an event that cannot be applied.
    pub parked_keys: GaugeVec,
    /// Events that wait under these keys.
    pub parked_events: GaugeVec,
    /// How far a rebuild is.
    pub replay_progress: GaugeVec,
}

/// Metrics of the auth callout.
#[derive(Clone, Debug)]
pub struct CalloutMetrics {
    /// Clients that wanted to connect, by what became of them.
    pub connects: IntCounterVec,
    /// One answer.
    pub connect_seconds: Histogram,
    /// Connections that this process has let in.
    pub connections: Gauge,
    /// Connections that it has ended.
    pub kicked: IntCounter,
}

/// Metrics of every process.
#[derive(Clone, Debug)]
pub struct ProcessMetrics {
    /// Connections to NATS that were made again.
    pub nats_reconnects: IntCounter,
    /// Connections to PostgreSQL.
    pub db_pool_connections: GaugeVec,
}

/// Seconds, from half a millisecond to ten seconds.
const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Events of one transaction.
const EVENTS: [f64; 9] = [1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10_000.0];

impl Metrics {
    /// Declares all metrics.
    ///
    /// # Errors
    /// Two of one name: a fault in this file.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new_custom(Some("echolog".to_owned()), None)?;
        let declare = Declare(&registry);
        let callout = CalloutMetrics::new(&declare)?;
        let process = ProcessMetrics::new(&declare)?;
        let handler = HandlerMetrics::new(&declare)?;
        let projector = ProjectorMetrics {
            lag_events: declare.gauges(
                "projection_lag_events",
                "Events that a projection still has to take in.",
                &["projection", "partition"],
            )?,
            lag_seconds: declare.gauges(
                "projection_lag_seconds",
                "Age of the oldest event that a projection still has to take in.",
                &["projection"],
            )?,
            events: declare.counters(
                "projection_events_total",
                "Events that a projection has taken in.",
                &["projection"],
            )?,
            flush_seconds: declare.histograms(
                "projection_flush_seconds",
                "Time of one transaction of a projection.",
                &SECONDS,
            )?,
            batch_events: declare.histograms(
                "projection_batch_events",
                "Events of one transaction of a projection.",
                &EVENTS,
            )?,
            parked_keys: declare.gauges(
                "parked_keys",
                "Keys that a projection has set aside because of an event that it cannot apply.",
                &["projection"],
            )?,
            parked_events: declare.gauges(
                "parked_events",
                "Events that wait under keys that a projection has set aside.",
                &["projection"],
            )?,
            replay_progress: declare.gauges(
                "replay_progress_ratio",
                "How far a rebuild is, from 0 to 1.",
                &["projection"],
            )?,
        };
        Ok(Self { registry, handler, projector, callout, process })
    }

    /// Makes every metric with labels appear once, so that it can be listed.
    pub fn touch(&self) {
        let Self { handler, projector, callout, process, .. } = self;
        let _ = handler.commands.with_label_values(&["", "", "", ""]);
        let _ = handler.events_appended.with_label_values(&[""]);
        let _ = handler.deliveries.with_label_values(&["", ""]);
        let _ = handler.vouchings.with_label_values(&["", ""]);
        let _ = projector.lag_events.with_label_values(&["", ""]);
        for gauge in [
            &projector.lag_seconds,
            &projector.parked_keys,
            &projector.parked_events,
            &projector.replay_progress,
        ] {
            let _ = gauge.with_label_values(&[""]);
        }
        let _ = projector.events.with_label_values(&[""]);
        let _ = projector.flush_seconds.with_label_values(&[""]);
        let _ = projector.batch_events.with_label_values(&[""]);
        let _ = callout.connects.with_label_values(&[""]);
        let _ = process.db_pool_connections.with_label_values(&[""]);
    }
}

impl HandlerMetrics {
    fn new(declare: &Declare<'_>) -> prometheus::Result<Self> {
        Ok(Self {
            commands: declare.counters(
                "commands_total",
                "Commands by what became of them; code is empty when accepted.",
                &["domain", "command", "status", "code"],
            )?,
            command_seconds: declare.histogram(
                "command_seconds",
                "Time from the broker's receipt of a command to its outcome.",
            )?,
            append_seconds: declare
                .histogram("append_seconds", "Time of one append to the log.")?,
            events_appended: declare.counters(
                "events_appended_total",
                "Events appended to the log.",
                &["type"],
            )?,
            append_conflicts: declare
                .counter("append_conflicts_total", "Appends that a fence or a claim stopped.")?,
            owned_partitions: declare
                .gauge("owned_partitions", "Partitions that this process decides.")?,
            tail_events: declare.gauge(
                "tail_events",
                "Events held in memory because the tables may not show them yet.",
            )?,
            known_ids_seconds: declare.gauge(
                "known_ids_seconds",
                "How far back a handler knows the ids of commands by itself: at most 240.",
            )?,
            deliveries: declare.counters(
                "deliveries_total",
                "Mails and text messages by what became of them.",
                &["channel", "result"],
            )?,
            vouchings: declare.counters(
                "oauth_questions_total",
                "What other providers were asked about people, by what came of it: vouched, refreshed, refused or failed.",
                &["provider", "result"],
            )?,
        })
    }
}

impl CalloutMetrics {
    fn new(declare: &Declare<'_>) -> prometheus::Result<Self> {
        Ok(Self {
            connects: declare.counters(
                "connects_total",
                "End users that wanted to connect to NATS, by what became of them.",
                &["result"],
            )?,
            connect_seconds: declare
                .histogram("connect_seconds", "Time that the auth callout takes for an answer.")?,
            connections: declare.gauge(
                "connections",
                "End users that this process has let in and that are there.",
            )?,
            kicked: declare.counter(
                "kicked_connections_total",
                "Connections of end users that were ended because their right to be there had.",
            )?,
        })
    }
}

impl ProcessMetrics {
    fn new(declare: &Declare<'_>) -> prometheus::Result<Self> {
        Ok(Self {
            nats_reconnects: declare
                .counter("nats_reconnects_total", "Connections to NATS that were made again.")?,
            db_pool_connections: declare.gauges(
                "db_pool_connections",
                "Connections to PostgreSQL by state.",
                &["state"],
            )?,
        })
    }
}

struct Declare<'r>(&'r Registry);

impl Declare<'_> {
    fn keep<M: prometheus::core::Collector + Clone + 'static>(
        &self,
        metric: M,
    ) -> prometheus::Result<M> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        self.keep(IntCounter::new(name, help)?)
    }

    fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<IntCounterVec> {
        self.keep(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    fn gauge(&self, name: &str, help: &str) -> prometheus::Result<Gauge> {
        self.keep(Gauge::new(name, help)?)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<GaugeVec> {
        self.keep(GaugeVec::new(Opts::new(name, help), labels)?)
    }

    fn histogram(&self, name: &str, help: &str) -> prometheus::Result<Histogram> {
        let opts = HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
        self.keep(Histogram::with_opts(opts)?)
    }

    fn histograms(
        &self,
        name: &str,
        help: &str,
        buckets: &[f64],
    ) -> prometheus::Result<prometheus::HistogramVec> {
        let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.keep(prometheus::HistogramVec::new(opts, &["projection"])?)
    }
}
