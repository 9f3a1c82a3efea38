//! Ways to fold one log.

use echolog_events::{Partition, Recorded};
use echolog_projectors::rebuild::Rebuild;
use echolog_projectors::{Projection, Runner, Target};

use super::history::History;
use super::model::Model;
use crate::support::{Source, Tables};

/// Who is to read what: the view's number, and the same counted from what was said, who was there
/// and what they have read.
const UNREAD: &str = "SELECT p.conversation_id, p.user_id, p.unread_count, (
        SELECT count(*) FROM messages.messages AS m
        JOIN messages.membership_periods AS s
            ON s.conversation_id = m.conversation_id AND s.user_id = p.user_id
            AND s.to_seq IS NULL AND s.from_seq < m.seq
        WHERE m.conversation_id = p.conversation_id AND m.sender_user_id <> p.user_id
            AND NOT m.is_deleted
            AND NOT EXISTS (SELECT FROM messages.cursor_moves AS r
                WHERE r.conversation_id = m.conversation_id AND r.user_id = p.user_id
                    AND r.kind = 'read' AND r.up_to_seq >= m.seq)
    ) AS recount
    FROM messages.conversation_participants AS p ORDER BY 1, 2";

/// Projectors of some partitions each, and whose turn it is for how many events: numbers that are
/// taken modulo what there is.
#[derive(Clone, Debug)]
pub(super) struct Split {
    pub(super) projectors: Vec<u8>,
    pub(super) turns: Vec<(u8, usize)>,
}

/// In batches of the given sizes, over and over.
pub(super) async fn in_batches(tables: &Tables, events: &[Recorded], sizes: &[usize]) {
    tables.clear().await;
    tables.feed(&cut(events, sizes)).await;
}

fn cut<'a>(mut events: &'a [Recorded], sizes: &[usize]) -> Vec<&'a [Recorded]> {
    let mut batches = Vec::new();
    for size in sizes.iter().cycle() {
        if events.is_empty() {
            break;
        }
        let (batch, rest) = events.split_at((*size).min(events.len()));
        batches.push(batch);
        events = rest;
    }
    batches
}

/// One event after the other; unread numbers are right after each.
pub(super) async fn one_by_one(tables: &Tables, history: &History) {
    tables.clear().await;
    let events: Vec<_> = history.log.events.chunks(1).collect();
    let feed = |projection| tables.feed_one(Target::live(projection), &events);
    tokio::join!(
        feed(Projection::Auth),
        feed(Projection::Users),
        feed(Projection::Audit),
        feed(Projection::Ledger),
        feed(Projection::Deciders),
        count_one_by_one(tables, history),
    );
}

async fn count_one_by_one(tables: &Tables, history: &History) {
    let mut runner = tables.runner(Target::live(Projection::Messages)).await;
    let mut model = Model::default();
    for event in &history.log.events {
        let events = std::slice::from_ref(event);
        runner.apply(events, event.seq).await.expect("the event is applied");
        model.see(event);
        assert_eq!(tables.rows(UNREAD).await, model.unread(), "unread after event {}", event.seq);
    }
}

/// Beside the live tables, which are compared.
pub(super) async fn rebuilt(tables: &Tables, events: &[Recorded], projection: Projection) {
    let rebuild = Rebuild::new(&tables.database, projection);
    // A history that failed may have left one.
    rebuild.drop_shadow().await.expect("dropped");
    rebuild.create_shadow().await.expect("a copy");
    let mut source = Source(events);
    rebuild.catch_up(&mut source, None, |_| {}).await.expect("caught up");
    let comparison = rebuild.compare(&mut source).await.expect("compared");
    assert_eq!(comparison.differences, [], "{}", projection.name());
}

/// By several projectors, each of which sees to its own partitions, in turns.
pub(super) async fn apart(tables: &Tables, events: &[Recorded], split: &Split) {
    tables.clear().await;
    let [a, b, c, d, e, f] = Projection::ALL.map(|it| one_apart(tables, it, events, split));
    tokio::join!(a, b, c, d, e, f);
}

async fn one_apart(tables: &Tables, projection: Projection, events: &[Recorded], split: &Split) {
    let mut runners = Vec::new();
    for partitions in split.partitions(projection) {
        runners.push((tables.runner_of(Target::live(projection), &partitions).await, events));
    }
    let mut turns = split.turns.iter().cycle();
    while !runners.is_empty() {
        let (who, size) = turns.next().expect("some turns");
        let index = usize::from(*who) % runners.len();
        let (runner, rest) = &mut runners[index];
        if !advance(runner, rest, *size).await {
            runners.remove(index);
        }
    }
}

/// Whether there is more to do.
async fn advance(runner: &mut Runner, rest: &mut &[Recorded], size: usize) -> bool {
    let (batch, later) = rest.split_at(size.min(rest.len()));
    let Some(last) = batch.last() else { return false };
    runner.apply(batch, last.seq).await.expect("the batch is applied");
    *rest = later;
    true
}

impl Split {
    /// The partitions of each projector.
    fn partitions(&self, projection: Projection) -> Vec<Vec<Partition>> {
        if projection.is_single_lane() {
            return vec![Partition::all().collect()];
        }
        let mut projectors =
            vec![Vec::new(); 1 + usize::from(*self.projectors.iter().max().expect("16"))];
        for (partition, projector) in Partition::all().zip(&self.projectors) {
            projectors[usize::from(*projector)].push(partition);
        }
        projectors.retain(|partitions| !partitions.is_empty());
        projectors
    }
}
