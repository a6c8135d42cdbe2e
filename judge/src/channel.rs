//! Our end of the channel to a candidate: one call, one alleged answer.
//!
//! Nothing that arrives here is believed further than "this process says its
//! function returned that". It is bounded before it is read and decoded in
//! [`crate::plain`] alone.

use std::io;
use std::os::unix::net::UnixStream as StdStream;

use assize_executor::Channel;
use assize_runtimes::manifest::Dialect;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{UnixStream, unix::pipe};

use crate::plain::{Json, PlainValue, to_javascript_tagged, to_python_tagged};

/// Longest frame, in bytes; the guest's harness has the same bound.
const MAX_FRAME: usize = 16 << 20;

/// What a candidate alleges.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The function returned this.
    Value(PlainValue),
    /// It raised.
    Raised(Alleged),
    /// The program raised while it was loaded.
    Load(Alleged),
    /// There is no such function.
    Missing,
    /// It returned something that cannot be carried as plain data.
    NotPlain(String),
    /// The process ended before it answered.
    Gone,
    /// What arrived makes no sense.
    Nonsense(String),
}

/// An exception, as alleged.
#[derive(Debug, Deserialize)]
pub(crate) struct Alleged {
    #[serde(rename = "type")]
    kind: String,
    message: String,
    line: Option<u64>,
}

impl std::fmt::Display for Alleged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let clip = |s: &str, n: usize| -> String {
            s.chars().take(n).flat_map(char::escape_debug).collect()
        };
        write!(f, "{}: {}", clip(&self.kind, 100), clip(&self.message, 300))?;
        self.line.map_or(Ok(()), |line| write!(f, " (line {line})"))
    }
}

#[derive(Deserialize)]
struct Hello {
    ready: Option<bool>,
    load: Option<Alleged>,
}

#[derive(Deserialize)]
struct Reply {
    #[serde(default, deserialize_with = "present")]
    value: Option<Box<RawValue>>,
    raised: Option<Alleged>,
    missing: Option<bool>,
    not_plain: Option<String>,
}

/// Tells `"value": null`, which is `None` returned, from no value at all.
fn present<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(d).map(Some)
}

/// Asks for one call and returns what is alleged of it.
pub(crate) async fn ask(
    channel: Channel,
    dialect: Dialect,
    function: &str,
    args: &[Json],
    kwargs: &[(String, Json)],
) -> Answer {
    let tagged = match dialect {
        Dialect::Python => to_python_tagged,
        Dialect::Javascript => to_javascript_tagged,
    };
    let args: Vec<Value> = args.iter().map(tagged).collect();
    let kwargs: Vec<Value> = kwargs.iter().map(|(k, v)| json!([k, tagged(v)])).collect();
    let call = json!({"call": {"id": 1, "name": function, "args": args, "kwargs": kwargs}});
    match converse(channel, &call).await {
        Ok(answer) => answer,
        // A reset or a torn frame: the process is gone.
        Err(_) => Answer::Gone,
    }
}

async fn converse(channel: Channel, call: &Value) -> io::Result<Answer> {
    let (mut hears, mut says) = open(channel)?;
    let hello = match receive(&mut hears).await? {
        Ok(frame) => frame,
        Err(nonsense) => return Ok(Answer::Nonsense(nonsense)),
    };
    match serde_json::from_slice(&hello) {
        Ok(Hello {
            ready: Some(true),
            load: None,
        }) => {}
        Ok(Hello {
            load: Some(alleged),
            ..
        }) => return Ok(Answer::Load(alleged)),
        Ok(Hello { .. }) => return Ok(Answer::Nonsense("no greeting".into())),
        Err(e) => return Ok(Answer::Nonsense(e.to_string())),
    }
    send(&mut says, call.to_string().as_bytes()).await?;
    let reply = match receive(&mut hears).await? {
        Ok(frame) => frame,
        Err(nonsense) => return Ok(Answer::Nonsense(nonsense)),
    };
    Ok(read_reply(&reply))
}

pub(crate) fn read_reply(frame: &[u8]) -> Answer {
    match serde_json::from_slice::<Reply>(frame) {
        Ok(Reply {
            raised: Some(alleged),
            ..
        }) => Answer::Raised(alleged),
        Ok(Reply {
            missing: Some(true),
            ..
        }) => Answer::Missing,
        Ok(Reply {
            not_plain: Some(reason),
            ..
        }) => Answer::NotPlain(
            reason
                .chars()
                .take(300)
                .flat_map(char::escape_debug)
                .collect(),
        ),
        Ok(Reply {
            value: Some(raw), ..
        }) => match PlainValue::from_slice(raw.get().as_bytes()) {
            Ok(value) => Answer::Value(value),
            Err(bad) => Answer::Nonsense(bad.to_string()),
        },
        Ok(Reply { .. }) => Answer::Nonsense("an empty answer".into()),
        Err(e) => Answer::Nonsense(e.to_string()),
    }
}

type Hears = Box<dyn AsyncRead + Send + Unpin>;
type Says = Box<dyn AsyncWrite + Send + Unpin>;

fn open(channel: Channel) -> io::Result<(Hears, Says)> {
    Ok(match channel {
        Channel::Pipes { hears, says } => (
            Box::new(pipe::Receiver::from_owned_fd(hears)?),
            Box::new(pipe::Sender::from_owned_fd(says)?),
        ),
        // Never made for a function test: its program prints on its own account.
        Channel::Stdio { .. } => return Err(io::ErrorKind::InvalidInput.into()),
        Channel::Socket(socket) => {
            let socket = StdStream::from(socket);
            socket.set_nonblocking(true)?;
            let (hears, says) = UnixStream::from_std(socket)?.into_split();
            (Box::new(hears), Box::new(says))
        }
    })
}

async fn send(says: &mut Says, body: &[u8]) -> io::Result<()> {
    let length = u32::try_from(body.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    says.write_all(&length.to_le_bytes()).await?;
    says.write_all(body).await
}

async fn receive(hears: &mut Hears) -> io::Result<Result<Vec<u8>, String>> {
    let mut prefix = [0; 4];
    hears.read_exact(&mut prefix).await?;
    let length = u32::from_le_bytes(prefix) as usize;
    if length > MAX_FRAME {
        return Ok(Err(format!("a frame of {length} bytes")));
    }
    // Grows as bytes arrive: a lying prefix reserves nothing.
    let mut body = Vec::new();
    let got = hears.take(length as u64).read_to_end(&mut body).await?;
    if got < length {
        Err(io::ErrorKind::UnexpectedEof.into())
    } else {
        Ok(Ok(body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_null_value_is_a_value() {
        assert!(matches!(
            read_reply(b"{\"id\":1,\"value\":null}"),
            Answer::Value(PlainValue::Null)
        ));
    }

    #[test]
    fn forged_replies_are_nonsense_and_never_a_panic() {
        for frame in [
            &b""[..],
            b"[]",
            b"{}",
            b"{\"value\":{\"i\":\"x\"}}",
            b"\xff\xfe",
            b"nul",
        ] {
            assert!(
                matches!(read_reply(frame), Answer::Nonsense(_)),
                "{frame:?}"
            );
        }
    }
}
