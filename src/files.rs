//! Files that an operator names and replaces while the server runs. They may lie on a network that hangs, or be no files
//! at all: no thread that serves anybody waits for them, and neither does the end of the process.

use std::{
    fs, io,
    path::Path,
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::Duration,
};

use tokio::{sync::mpsc, time::timeout};

use crate::metrics::Metrics;

/// How long a file may take to be read before that is told.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads the whole file. A pipe, a device or a folder is refused instead of waited for.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    fs::read(path)
}

/// Reads the whole file as text, as [`read`] does.
pub fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))
}

/// Reads for no longer than 10 s. What hangs then is left to itself: nothing can end a thread inside the system.
pub fn read_in_time<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    read_within(PATIENCE, read)
}

fn read_within<T: Send + 'static>(patience: Duration, read: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let (found, finds) = sync_channel(1);
    thread::Builder::new().name("read-file".to_owned()).spawn(move || found.send(read()))?;
    finds.recv_timeout(patience).map_err(|_| {
        let text = format!("reading it takes longer than {} s; its file system may be hanging", patience.as_secs());
        io::Error::new(io::ErrorKind::TimedOut, text)
    })
}

/// Why a file is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// It is time again; only what has changed matters.
    Routine,
    /// Somebody asked for it (SIGHUP): it is read whatever it looks like.
    Asked,
}

/// Asks for a look at once.
#[derive(Debug, Clone)]
pub struct Follower(SyncSender<()>);

impl Follower {
    /// Looks as soon as the look under way has ended.
    pub fn look_now(&self) {
        // One that is asked for already is as good.
        let _ = self.0.try_send(());
    }
}

/// Looks at a file again and again, on a thread of its own that ends with the future; the future hands on what each look
/// found, and tells of looks that do not end.
pub fn follow<T: Send + 'static>(
    what: &'static str,
    every: Duration,
    metrics: Metrics,
    look: impl FnMut(Look) -> T + Send + 'static,
    take: impl Fn(T),
) -> (Follower, impl Future<Output = ()>) {
    let (asks, asked) = sync_channel(1);
    let (found, finds) = mpsc::channel(1);
    let work = move || look_again(every, &asked, &found, look);
    thread::Builder::new().name(what.replace(' ', "-")).spawn(work).expect("a node can have threads");
    (Follower(asks), hand_on(what, PATIENCE, metrics, finds, take))
}

fn look_again<T>(every: Duration, asked: &Receiver<()>, found: &mpsc::Sender<T>, mut look: impl FnMut(Look) -> T) {
    let mut reason = Look::Routine;
    while found.blocking_send(look(reason)).is_ok() {
        reason = match asked.recv_timeout(every) {
            Ok(()) => Look::Asked,
            // Nobody can ask any more, but who watches is still there.
            Err(RecvTimeoutError::Disconnected) => {
                thread::sleep(every);
                Look::Routine
            }
            Err(RecvTimeoutError::Timeout) => Look::Routine,
        };
    }
}

async fn hand_on<T>(
    what: &'static str,
    patience: Duration,
    metrics: Metrics,
    mut finds: mpsc::Receiver<T>,
    take: impl Fn(T),
) {
    let mut hangs = false;
    loop {
        match timeout(patience, finds.recv()).await {
            Ok(Some(found)) => {
                if std::mem::take(&mut hangs) {
                    tracing::info!(file = what, "the file can be read again");
                }
                take(found);
            }
            Ok(None) => return,
            Err(_) if hangs => {}
            Err(_) => {
                hangs = true;
                metrics.reloads.with_label_values(&["refused"]).inc();
                let seconds = patience.as_secs();
                tracing::error!(file = what, seconds, "reading a file has timed out; its last contents stay in force");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn what_is_no_regular_file_is_refused_and_not_waited_for() {
        for path in ["/dev/zero", "/"] {
            assert_eq!(read(Path::new(path)).unwrap_err().to_string(), "it is no regular file", "{path}");
        }
        assert_eq!(read(Path::new("/nowhere/at/all")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_read_that_hangs_is_given_up() {
        let (_stays, hangs) = channel::<()>();
        let given_up = read_within(Duration::from_millis(1), move || hangs.recv().is_ok()).unwrap_err();
        assert_eq!(given_up.kind(), io::ErrorKind::TimedOut);
        assert_eq!(read_in_time(|| 7).unwrap(), 7);
    }

    #[tokio::test]
    async fn a_look_that_is_asked_for_is_not_a_routine_one() {
        let (tells, mut told) = mpsc::unbounded_channel();
        let (follower, work) = follow(
            "apps file",
            Duration::from_secs(3_600),
            Metrics::new(),
            |look| look,
            move |look| {
                tells.send(look).unwrap();
            },
        );
        let work = tokio::spawn(work);
        assert_eq!(told.recv().await, Some(Look::Routine));
        follower.look_now();
        assert_eq!(told.recv().await, Some(Look::Asked));
        work.abort();
    }

    #[tokio::test]
    async fn looks_that_do_not_end_are_counted_once_each_and_stop_nobody() {
        let metrics = Metrics::new();
        let (stays, finds) = mpsc::channel::<()>(1);
        let work = tokio::spawn(hand_on("apps file", Duration::from_millis(1), metrics.clone(), finds, |()| {}));
        for hangs in [1, 2] {
            let refused = metrics.reloads.with_label_values(&["refused"]);
            let counted = async {
                while refused.get() == hangs - 1 {
                    tokio::task::yield_now().await;
                }
            };
            timeout(Duration::from_secs(10), counted).await.unwrap();
            assert_eq!(refused.get(), hangs);
            stays.send(()).await.unwrap();
        }
        work.abort();
    }
}
