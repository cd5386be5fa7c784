//! Serving: connections accepted, bounded and ended in order. Beneath `axum::serve` because that has no time limit for
//! request headers, so that a few thousand silent connections would shut everybody out.

use std::{future::Future, io, net::IpAddr, pin::pin, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request},
};
use hyper::{body::Incoming, server::conn::http1, service::Service};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{Backend, Door, WebConfig, WebCounter, WebLimits, router, source::SourceKey, throttle::Strangers};

/// After the accept call failed (no file descriptor left) the next try waits a little.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Largest request head.
const HEADER_BYTES: usize = 32_768;

/// Serves the edge until `shutdown`; then lets running requests finish within their own limit.
///
/// WebSockets live on their own tasks and end when the backend closes their sessions.
pub async fn serve(
    listener: TcpListener,
    config: WebConfig,
    backend: Arc<dyn Backend>,
    shutdown: impl Future<Output = ()> + Send,
) {
    let limits = config.limits.clone();
    let proxies = config.trusted_proxies.clone();
    let router = router(config, Arc::clone(&backend));
    let places = Arc::new(Semaphore::new(limits.connections));
    let sources = Strangers::default();
    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listener, &places) => accepted,
            Some(_) = tasks.join_next() => continue,
        };
        let (stream, place) = match accepted {
            Ok(pair) => pair,
            Err(error) => {
                tracing::warn!(%error, "no connection accepted");
                backend.count(WebCounter::Refused(Door::Page, "accept-failed"));
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(peer) = stream.peer_addr().ok() else { continue };
        let limit = if is_proxy(&proxies, peer.ip()) { limits.connections } else { limits.connections_per_source };
        let Some(seat) = sources.admit(SourceKey::of(peer.ip()), limit) else {
            backend.count(WebCounter::Refused(Door::Page, "too-many-connections"));
            continue;
        };
        let connection = connection(stream, router.clone(), ConnectInfo(peer), limits.clone(), stopped.clone());
        tasks.spawn(async move {
            connection.await;
            drop((place, seat));
        });
    }
    drop(listener);
    stop.send_replace(true);
    let all_done = async { while tasks.join_next().await.is_some() {} };
    if timeout(limits.request_limit + limits.header_limit, all_done).await.is_err() {
        tracing::warn!("connections were cut at shutdown");
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    // The place first: with none left, the kernel's queue holds the newcomers.
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, place))
}

fn is_proxy(proxies: &[IpAddr], peer: IpAddr) -> bool {
    proxies.iter().any(|proxy| proxy.to_canonical() == peer.to_canonical())
}

async fn connection(
    stream: TcpStream,
    router: Router,
    info: ConnectInfo<std::net::SocketAddr>,
    limits: WebLimits,
    mut stopped: watch::Receiver<bool>,
) {
    // Small messages must not wait for the next; without it they are only slower.
    stream.set_nodelay(true).ok();
    let routed = TowerToHyperService::new(router);
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let mut request: Request = request.map(Body::new);
        request.extensions_mut().insert(info);
        routed.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_limit)
        .max_buf_size(HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        _ = async { stopped.wait_for(|stop| *stop).await.is_ok() } => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::trace!(%error, "a connection ended badly");
    }
}
