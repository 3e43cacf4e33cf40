//! One question to one nameserver: over UDP, and over TCP when the answer does not fit.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::ProtoError;
use hickory_proto::op::{Edns, Message, MessageType, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::error::ServerError;

/// How long a server may take for each of: an answer over UDP, a TCP connection, an answer over it. As in Prometheus,
/// which does not heed resolv.conf here.
const PATIENCE: Duration = Duration::from_secs(2);
/// The largest answer that is accepted over UDP, as in Prometheus.
const MAX_UDP: u16 = 4096;
const HEADER: usize = 12;

/// A question, encoded once for all servers.
#[derive(Debug)]
pub(super) struct Query {
    message: Message,
    pub(super) bytes: Vec<u8>,
}

impl Query {
    /// Asks for records of a full name. Fails when no such name can be in DNS.
    pub(super) fn new(full_name: &str, kind: RecordType) -> Result<Self, ProtoError> {
        let mut message = Message::query();
        message.metadata.recursion_desired = true;
        message.add_query(hickory_proto::op::Query::query(dns_name(full_name)?, kind));
        let mut edns = Edns::new();
        edns.set_max_payload(MAX_UDP);
        message.set_edns(edns);
        let bytes = message.to_vec()?;
        Ok(Self { message, bytes })
    }

    /// What a server says, whether it likes the question or not.
    pub(super) async fn ask(&self, server: SocketAddr) -> Result<Message, ServerError> {
        let over_udp = in_time(server, self.over_udp(server)).await?;
        if !is_truncated(&over_udp) {
            return self.read(server, &over_udp);
        }
        let stream = in_time(server, TcpStream::connect(server)).await?;
        let over_tcp = in_time(server, self.over_tcp(stream)).await?;
        if is_truncated(&over_tcp) {
            return Err(ServerError::Truncated { server });
        }
        self.read(server, &over_tcp)
    }

    /// The first datagram that belongs to this query; a port and an ID of its own keep strangers' datagrams out.
    async fn over_udp(&self, server: SocketAddr) -> io::Result<Vec<u8>> {
        let local: SocketAddr = match server {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(local).await?;
        socket.connect(server).await?;
        socket.send(&self.bytes).await?;
        let mut buffer = vec![0; MAX_UDP.into()];
        loop {
            let length = socket.recv(&mut buffer).await?;
            if length >= HEADER && buffer[..2] == self.bytes[..2] {
                buffer.truncate(length);
                return Ok(buffer);
            }
        }
    }

    async fn over_tcp(&self, mut stream: TcpStream) -> io::Result<Vec<u8>> {
        let length = u16::try_from(self.bytes.len()).map_err(io::Error::other)?;
        let mut framed = Vec::with_capacity(2 + self.bytes.len());
        framed.extend_from_slice(&length.to_be_bytes());
        framed.extend_from_slice(&self.bytes);
        stream.write_all(&framed).await?;
        let length = stream.read_u16().await?;
        let mut answer = vec![0; length.into()];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    }

    /// Reads an answer, unless it is one to another question.
    pub(super) fn read(&self, server: SocketAddr, bytes: &[u8]) -> Result<Message, ServerError> {
        let answer = Message::from_vec(bytes).map_err(|source| ServerError::Malformed { server, source })?;
        let head = &answer.metadata;
        // A server that refuses may leave the question out of its answer.
        let refused = !matches!(head.response_code, ResponseCode::NoError | ResponseCode::NXDomain);
        let same = answer.queries == self.message.queries || (refused && answer.queries.is_empty());
        if head.id != self.message.metadata.id || head.message_type != MessageType::Response || !same {
            return Err(ServerError::Unrelated { server });
        }
        Ok(answer)
    }
}

/// Whether the TC bit is set. Read before decoding: some servers cut their answers in the middle of a record.
fn is_truncated(answer: &[u8]) -> bool {
    answer.get(2).is_some_and(|flags| flags & 0x02 != 0)
}

async fn in_time<T>(server: SocketAddr, step: impl Future<Output = io::Result<T>>) -> Result<T, ServerError> {
    match timeout(PATIENCE, step).await {
        Ok(result) => result.map_err(|source| ServerError::Io { server, source }),
        Err(_) => Err(ServerError::Timeout { server, after: PATIENCE }),
    }
}

/// A name from its text, any bytes allowed: `\.` and the like stand for themselves, `\123` for a byte.
fn dns_name(text: &str) -> Result<Name, ProtoError> {
    let mut labels = vec![Vec::new()];
    let mut rest = text.strip_suffix('.').unwrap_or(text).as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let label = labels.last_mut().expect("there is always a last label");
        match byte {
            b'.' => labels.push(Vec::new()),
            b'\\' => {
                let (value, length) = escaped(rest)?;
                label.push(value);
                rest = &rest[length..];
            }
            byte => label.push(byte),
        }
    }
    if labels == [Vec::<u8>::new()] {
        return Ok(Name::root());
    }
    Name::from_labels(labels)
}

fn escaped(rest: &[u8]) -> Result<(u8, usize), ProtoError> {
    match rest {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', ..] => {
            let value = [a, b, c].into_iter().fold(0, |value, digit| value * 10 + u16::from(digit - b'0'));
            Ok((u8::try_from(value).map_err(|_| ProtoError::from("an escaped byte is above 255"))?, 3))
        }
        [byte, ..] => Ok((*byte, 1)),
        [] => Err(ProtoError::from("a name ends with a backslash")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> Option<Vec<Vec<u8>>> {
        dns_name(text).ok().map(|name| name.iter().map(<[u8]>::to_vec).collect())
    }

    #[test]
    fn names_are_read_byte_by_byte() {
        let cases: [(&str, Option<&[&[u8]]>); 9] = [
            ("_http._tcp.example.test.", Some(&[b"_http", b"_tcp", b"example", b"test"])),
            ("example.test", Some(&[b"example", b"test"])),
            (r"a\.b\032c.test.", Some(&[b"a.b c", b"test"])),
            ("0/25.2.0.192.test.", Some(&[b"0/25", b"2", b"0", b"192", b"test"])),
            (".", Some(&[])),
            ("a..b.", None),
            (r"a\256.", None),
            ("0123456789012345678901234567890123456789012345678901234567890123.test.", None),
            (r"a\", None),
        ];
        for (text, expected) in cases {
            let expected = expected.map(|labels| labels.iter().map(|label| label.to_vec()).collect::<Vec<_>>());
            assert_eq!(labels(text), expected, "{text}");
        }
    }

    #[test]
    fn an_answer_to_another_question_is_refused() {
        let server = "127.0.0.1:53".parse().unwrap();
        let query = Query::new("a.test.", RecordType::A).unwrap();
        let respond = |change: fn(&mut Message)| {
            let mut answer = query.message.clone();
            answer.metadata.message_type = MessageType::Response;
            change(&mut answer);
            query.read(server, &answer.to_vec().unwrap())
        };
        assert!(respond(|_| ()).is_ok());
        assert!(respond(|answer| answer.metadata.message_type = MessageType::Query).is_err());
        assert!(respond(|answer| answer.metadata.id = answer.metadata.id.wrapping_add(1)).is_err());
        assert!(respond(|answer| answer.queries.clear()).is_err());
        let refused = respond(|answer| {
            answer.queries.clear();
            answer.metadata.response_code = ResponseCode::Refused;
        });
        assert_eq!(refused.unwrap().metadata.response_code, ResponseCode::Refused);
    }
}
