//! Reading an NDJSON body a little ahead of those who work on it.
//!
//! Far enough ahead to notice a client that leaves while every slot is busy
//! (hyper learns of it only by reading), and not so far that a batch of a
//! hundred thousand cases has to fit into memory.

use std::collections::VecDeque;

use axum::body::Body;
use futures::StreamExt;
use tokio::sync::mpsc;

use crate::extract::MAX_BODY;

/// Bytes read ahead.
const AHEAD: usize = 8 << 20;

/// One line of the body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// A line that is not blank, without its end.
    Whole(Vec<u8>),
    /// A line longer than any request may be; nothing after it is read.
    TooLong,
}

/// How reading ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The body is over and all of it was taken.
    Complete,
    /// The client is gone.
    Left,
    /// Nobody takes lines any more.
    Unwanted,
}

/// Reads `body` and hands its lines over one by one.
pub(crate) async fn read(body: Body, lines: mpsc::Sender<Line>) -> Ended {
    let mut stream = body.into_data_stream();
    let mut split = Splitter::default();
    let mut open = true;
    loop {
        if !open && split.ready.is_empty() {
            return Ended::Complete;
        }
        tokio::select! {
            room = lines.reserve(), if !split.ready.is_empty() => match (room, split.take()) {
                (Ok(room), Some(line)) => room.send(line),
                (Ok(_), None) => {}
                (Err(_), _) => return Ended::Unwanted,
            },
            chunk = stream.next(), if open && split.held < AHEAD => match chunk {
                Some(Ok(bytes)) => open = split.push(&bytes),
                Some(Err(_)) => return Ended::Left,
                None => {
                    split.finish();
                    open = false;
                }
            },
        }
    }
}

/// Cuts bytes into lines.
#[derive(Default)]
struct Splitter {
    ready: VecDeque<Line>,
    partial: Vec<u8>,
    /// Bytes in `ready`.
    held: usize,
}

impl Splitter {
    /// Takes more bytes; false when no more may come.
    fn push(&mut self, bytes: &[u8]) -> bool {
        // Only what is new is searched: a long line costs its length once.
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            match piece.strip_suffix(b"\n") {
                Some(end) => {
                    self.partial.extend_from_slice(end);
                    self.finish();
                }
                None => self.partial.extend_from_slice(piece),
            }
            if self.partial.len() > MAX_BODY {
                self.partial = Vec::new();
                self.ready.push_back(Line::TooLong);
                return false;
            }
        }
        true
    }

    /// The end of a line, or of the body.
    fn finish(&mut self) {
        let line = std::mem::take(&mut self.partial);
        if !line.iter().all(u8::is_ascii_whitespace) {
            self.held += line.len();
            self.ready.push_back(Line::Whole(line));
        }
    }

    fn take(&mut self) -> Option<Line> {
        let line = self.ready.pop_front();
        if let Some(Line::Whole(line)) = &line {
            self.held -= line.len();
        }
        line
    }
}

/// All lines of a body that arrives in these chunks.
pub(crate) fn split(chunks: &[&[u8]]) -> Vec<Line> {
    let mut splitter = Splitter::default();
    if chunks.iter().all(|chunk| splitter.push(chunk)) {
        splitter.finish();
    }
    std::iter::from_fn(|| splitter.take()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_do_not_depend_on_how_the_bytes_arrive() {
        let whole = split(&[b"ab\n\n \r\ncd\nef"]);
        assert_eq!(
            whole,
            split(&[b"a", b"b\n\n", b" \r", b"\nc", b"d\ne", b"f"])
        );
        let text = |s: &str| Line::Whole(s.as_bytes().to_vec());
        assert_eq!(whole, [text("ab"), text("cd"), text("ef")]);
    }

    #[test]
    fn a_line_without_end_is_cut_off() {
        let mut splitter = Splitter::default();
        let chunk = vec![b'x'; 1 << 20];
        let taken = (0..64).take_while(|_| splitter.push(&chunk)).count();
        assert_eq!(taken, MAX_BODY >> 20);
        assert_eq!(splitter.take(), Some(Line::TooLong));
    }
}
