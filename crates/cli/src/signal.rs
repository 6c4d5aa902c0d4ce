//! Ctrl-C and the terminate signal.

use tokio::sync::watch;
use tokio::task::JoinSet;

/// Waits for Ctrl-C or the terminate signal.
pub(crate) async fn stopped() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}

/// A stop signal for a run: true after the first Ctrl-C; the second ends the process.
pub(crate) struct Stop {
    /// What the run listens to.
    pub(crate) receiver: watch::Receiver<bool>,
    // Ends the listening when the run is over.
    _listening: JoinSet<()>,
}

impl Stop {
    /// Starts listening.
    pub(crate) fn listen() -> Self {
        let (sender, receiver) = watch::channel(false);
        let mut listening = JoinSet::new();
        listening.spawn(async move {
            stopped().await;
            crate::output::note(
                "sheaf: stopping: what is in flight may finish; once more ends at once",
            );
            sender.send_replace(true);
            stopped().await;
            end_at_once();
        });
        Self { receiver, _listening: listening }
    }
}

#[expect(clippy::exit, reason = "the second Ctrl-C means now")]
fn end_at_once() {
    std::process::exit(5)
}
