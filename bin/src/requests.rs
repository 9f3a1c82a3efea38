//! Requests that are taken side by side, so many at once.

use std::future::Future;

use echolog_nats::{Incoming, Subscriber};
use futures::StreamExt;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::handler::stopped;

/// How many are under way at once.
const CONCURRENCY: usize = 256;

/// Takes requests until `stop` turns true, and then finishes those that have come.
pub(crate) async fn take_all<F>(
    mut requests: Subscriber,
    mut stop: watch::Receiver<bool>,
    take: impl Fn(Incoming) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut under_way = JoinSet::new();
    let mut draining = false;
    loop {
        tokio::select! {
            request = requests.next(), if under_way.len() < CONCURRENCY => match request {
                Some(request) => {
                    under_way.spawn(take(request.into()));
                }
                None => break,
            },
            Some(_) = under_way.join_next() => {}
            () = stopped(&mut stop), if !draining => {
                draining = true;
                if requests.drain().await.is_err() {
                    break;
                }
            }
        }
    }
    while under_way.join_next().await.is_some() {}
}
