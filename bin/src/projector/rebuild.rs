//! Rebuilding and verifying.
use echolog_nats::EventLog;
use echolog_projectors::db::Database;

/// How.
#[derive(Clone, Debug, Default)]
pub struct Rebuild {
    /// Swap even if the new tables differ.
    pub force: bool,
}
/// x
#[derive(Clone, Debug, Default)]
pub struct Report;
impl Report {
    /// x
    pub fn is_clean(&self) -> bool {
        true
    }
}
impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "pending")
    }
}
/// x
pub async fn run(_log: &EventLog, _db: &Database, _p: &str, _r: Rebuild) -> anyhow::Result<Report> {
    Ok(Report)
}
/// x
pub async fn verify(_log: &EventLog, _db: &Database, _p: Option<&str>) -> anyhow::Result<Report> {
    Ok(Report)
}
