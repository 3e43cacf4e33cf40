//! Network interfaces of this machine.

use std::io;
use std::net::Ipv6Addr;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, netdevice, socket_with};

/// The number of a network interface: the scope of the IPv6 addresses that are reached by it. One is named, or given by its number,
/// of which nobody asks whether it is there.
pub fn interface_number(name: &str) -> io::Result<u32> {
    let socket = socket_with(AddressFamily::INET6, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    match (netdevice::name_to_index(socket, name), name.parse()) {
        (Ok(number), _) | (Err(_), Ok(number)) => Ok(number),
        (Err(Errno::NODEV | Errno::NAMETOOLONG), Err(_)) => {
            Err(io::Error::new(io::ErrorKind::NotFound, format!("there is no network interface {name:?} here")))
        }
        (Err(error), Err(_)) => Err(error.into()),
    }
}

/// An IPv6 address and the interface by which it is reached, which stands behind a `%`: `fe80::1%eth0`. Nothing if it is none, or if no
/// interface is named.
pub fn zoned(text: &str) -> Option<(Ipv6Addr, &str)> {
    let (address, interface) = text.split_once('%')?;
    (!interface.is_empty()).then_some((address.parse().ok()?, interface))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_stands_behind_an_address() {
        let of = |text| zoned(text).map(|(address, interface)| (address.to_string(), interface));
        assert_eq!(of("fe80:0::1%eth0.1"), Some(("fe80::1".to_owned(), "eth0.1")));
        assert_eq!(of("fe80::1%a%b"), Some(("fe80::1".to_owned(), "a%b")));
        for text in ["fe80::1", "fe80::1%", "%eth0", "host%eth0", "192.0.2.1%eth0", "[fe80::1]%eth0"] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn an_interface_is_named_or_numbered() {
        assert_eq!(interface_number("lo").expect("every machine has it"), 1);
        assert_eq!(interface_number("7").expect("a number"), 7);
        for name in ["no-such", "longer-than-any-name-of-an-interface", ""] {
            let error = interface_number(name).expect_err(name);
            assert_eq!(error.to_string(), format!("there is no network interface {name:?} here"));
        }
    }
}
