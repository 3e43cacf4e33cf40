//! The texts of `/proc`, as far as they are needed. Whatever is not as the kernel writes it is passed over.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The state of a socket that is listened on.
const LISTENS: &str = "0A";
/// The length of the identifier of a container.
const CONTAINER_ID: usize = 64;

/// What a process has from when it began to run its program: a new program moves it, within a process that goes on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Program {
    name: Box<str>,
    started: u64,
    code: u64,
    stack: u64,
    arguments: (u64, u64),
}

/// The program of a process, by `stat`.
pub(crate) fn program(stat: &str) -> Option<Program> {
    // The name may hold anything, parentheses too.
    let (_, rest) = stat.split_once('(')?;
    let (name, rest) = rest.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // Counted from 1 in proc(5), and the name is the second.
    let number = |field: usize| fields.get(field - 3).and_then(|text| text.parse().ok());
    Some(Program {
        name: name.into(),
        started: number(22)?,
        code: number(26).unwrap_or_default(),
        stack: number(28).unwrap_or_default(),
        arguments: (number(48).unwrap_or_default(), number(49).unwrap_or_default()),
    })
}

/// The arguments in one line, by `cmdline`.
pub(crate) fn command_line(cmdline: &[u8]) -> String {
    let arguments = cmdline.split(|byte| *byte == 0).filter(|argument| !argument.is_empty());
    arguments.map(String::from_utf8_lossy).collect::<Vec<_>>().join(" ")
}

/// The user whom a process belongs to, by `status`.
pub(crate) fn user(status: &str) -> Option<u32> {
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    users.split_ascii_whitespace().next()?.parse().ok()
}

/// The names of users, by the list of users.
pub(crate) fn names(passwd: &str) -> HashMap<u32, Box<str>> {
    let mut names = HashMap::new();
    for line in passwd.lines() {
        let mut fields = line.split(':');
        if let (Some(name), Some(number)) = (fields.next(), fields.nth(1))
            && let Ok(number) = number.parse()
        {
            // The first counts.
            names.entry(number).or_insert_with(|| name.into());
        }
    }
    names
}

/// All lines of `cgroup` in one.
pub(crate) fn control_groups(cgroup: &str) -> String {
    cgroup.lines().collect::<Vec<_>>().join("|")
}

/// The container that a control group is named after: `/docker/ID`, `docker-ID.scope`, `cri-containerd-ID.scope` and so on.
pub(crate) fn container(cgroup: &str) -> Option<&str> {
    cgroup.lines().find_map(container_in)
}

fn container_in(line: &str) -> Option<&str> {
    let line = line.trim_end();
    let slash = line.find('/')?;
    let ends = |at: usize| matches!(line.as_bytes().get(at), None | Some(b'.'));
    let begins = line.match_indices(['/', '-']).map(|(at, _)| at + 1).filter(|at| *at > slash);
    let candidates = begins.filter_map(|at| Some((at, line.get(at..at + CONTAINER_ID)?)));
    let is_id = |id: &str| id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    candidates.filter(|(at, id)| is_id(id) && ends(at + CONTAINER_ID)).map(|(_, id)| id).next_back()
}

/// Addresses that are listened on, by the number of the socket.
pub(crate) type Listening = BTreeMap<u64, SocketAddr>;

/// Adds those of a table of sockets, `net/tcp` or `net/tcp6`.
pub(crate) fn listening(table: &str, found: &mut Listening) {
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split_ascii_whitespace().take(10).collect();
        if let [_, local, _, LISTENS, _, _, _, _, _, socket] = fields[..]
            && let (Some(address), Ok(socket)) = (address(local), socket.parse())
        {
            found.insert(socket, address);
        }
    }
}

/// An address as the kernel prints it: words as they are in memory, and the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (words, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    if !words.is_ascii() || !matches!(words.len(), 8 | 32) {
        return None;
    }
    let mut bytes = Vec::with_capacity(16);
    for word in words.as_bytes().chunks(8) {
        let word = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    let ip = match <[u8; 4]>::try_from(&bytes[..]) {
        Ok(bytes) => IpAddr::V4(Ipv4Addr::from(bytes)),
        // One of IPv4 in the form of IPv6 is one of IPv4.
        Err(_) => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(&bytes[..]).ok()?)).to_canonical(),
    };
    Some(SocketAddr::new(ip, port))
}

/// The number of the socket that a descriptor is, by where its link leads.
pub(crate) fn socket(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}
