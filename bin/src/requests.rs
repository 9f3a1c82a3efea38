//! Requests that are taken side by side, so many at once.

use std::future::Future;
use std::sync::Arc;

use echolog_nats::{Incoming, Subscriber};
use futures::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::handler::stopped;

/// How many are under way at once.
const CONCURRENCY: usize = 256;

/// The place that a request takes. Whoever only waits before the answer gives it back.
pub(crate) type Place = OwnedSemaphorePermit;

/// Takes requests until `stop` turns true, and then finishes those that have come.
pub(crate) async fn take_all<F>(
    mut requests: Subscriber,
    mut stop: watch::Receiver<bool>,
    take: impl Fn(Incoming, Place) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(CONCURRENCY));
    let mut under_way = JoinSet::new();
    let mut draining = false;
    loop {
        let next = async { (Arc::clone(&places).acquire_owned().await, requests.next().await) };
        tokio::select! {
            next = next => match next {
                (Ok(place), Some(request)) => {
                    under_way.spawn(take(request.into(), place));
                }
                (Err(_), _) | (_, None) => break,
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
