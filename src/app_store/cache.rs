//! The last known apps in a file of the node, sealed, for a start while NATS is away.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};

use super::{known::Known, sealed::Seal, write};
use crate::files;

/// What the file is sealed as, in the place of an app's id, which it cannot be.
const NAME: &str = "/cache";

/// Writes the file, on a thread of its own: nothing waits for a file system.
#[derive(Debug, Clone)]
pub(super) struct Cache(Sender<Vec<u8>>);

/// Why the file does not tell the apps.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unread {
    #[error("there is none yet")]
    None,
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Sealed(#[from] super::sealed::Unsealed),
    #[error("it does not hold apps")]
    Form,
}

/// What stood in the file.
pub(super) fn read(path: &Path, seal: &Seal) -> Result<Known, Unread> {
    let its_path = path.to_owned();
    let record = match files::read_in_time(move || files::read(&its_path)).flatten() {
        Ok(record) => record,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Unread::None),
        Err(error) => return Err(error.into()),
    };
    let (_, text) = seal.open(NAME, &record)?;
    serde_json::from_slice(&text).map_err(|_| Unread::Form)
}

impl Cache {
    pub(super) fn start(path: PathBuf, seal: Arc<Seal>) -> io::Result<Self> {
        let (texts, written) = channel();
        thread::Builder::new().name("apps-cache".to_owned()).spawn(move || write_last(&path, &seal, &written))?;
        Ok(Self(texts))
    }

    pub(super) fn keep(&self, known: &Known) {
        let text = serde_json::to_vec(known).expect("what is known can be written as JSON");
        // A thread that has ended has said why.
        let _ = self.0.send(text);
    }
}

/// Of several that wait only the last one counts. One that is in the file already is not written again.
fn write_last(path: &Path, seal: &Seal, texts: &Receiver<Vec<u8>>) {
    let mut last = None;
    while let Ok(text) = texts.recv() {
        let text = texts.try_iter().last().unwrap_or(text);
        if last.as_ref() == Some(&text) && fs::exists(path).unwrap_or(false) {
            continue;
        }
        match write::replace(path, &seal.close(NAME, 0, &text, rand::random())) {
            Ok(()) => last = Some(text),
            Err(error) => {
                tracing::error!(
                    file = %path.display(), %error,
                    "the last known apps cannot be kept (GAUNG_APPS_CACHE); a start while NATS is away would know older ones"
                );
            }
        }
    }
}
