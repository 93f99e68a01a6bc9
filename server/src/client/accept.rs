//! Listening sockets: one per shard on the same port, so that the kernel spreads connections and
//! no accepted socket has to change cores.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    os::fd::{FromRawFd, IntoRawFd, OwnedFd},
    sync::{Arc, Mutex},
    time::Duration,
};

use glommio::net::TcpListener;
use socket2::{Domain, Protocol, Socket, Type};

/// Connections the kernel holds for us until they are accepted, when nothing else is configured.
const BACKLOG_DEFAULT: i32 = 4096;

/// What an operator decides about listening.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListenSettings {
    /// Where; port 0 lets the system choose.
    pub(crate) address: SocketAddr,
    /// How many connections the kernel holds until they are accepted.
    pub(crate) backlog: Option<i32>,
    /// Whether the kernel probes silent connections.
    pub(crate) keep_alive: bool,
}

/// A bound socket that does not listen yet: until it does, connections are refused.
#[derive(Debug)]
pub(crate) struct Bound {
    socket: Socket,
    backlog: i32,
}

/// Binds `count` sockets to one port, and says which.
pub(crate) fn bind(
    settings: &ListenSettings,
    count: usize,
) -> io::Result<(SocketAddr, Vec<Bound>)> {
    let mut address = settings.address;
    if address.port() != 0 {
        // SO_REUSEPORT would let a second server of the same user share the port in silence. This
        // socket is without it, so it collides with whoever listens, and is gone again at once.
        let probe = socket(settings, false)?;
        probe.bind(&address.into())?;
    }
    let mut bound = Vec::with_capacity(count);
    for _ in 0..count {
        let socket = socket(settings, true)?;
        socket.bind(&address.into())?;
        if address.port() == 0 {
            let local = socket.local_addr()?;
            address = local.as_socket().expect("an internet socket has such an address");
        }
        bound.push(Bound { socket, backlog: settings.backlog.unwrap_or(BACKLOG_DEFAULT) });
    }
    Ok((address, bound))
}

fn socket(settings: &ListenSettings, is_shared: bool) -> io::Result<Socket> {
    let domain = Domain::for_address(settings.address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    if settings.address.is_ipv6() {
        // The unspecified address means every address, of both families.
        socket.set_only_v6(!settings.address.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(is_shared)?;
    // Linux hands both options on to the sockets that are accepted here.
    socket.set_tcp_nodelay(true)?;
    socket.set_keepalive(settings.keep_alive)?;
    Ok(socket)
}

/// Starts to listen, on the executor that runs this thread.
pub(crate) fn listen(bound: Bound) -> io::Result<TcpListener> {
    bound.socket.listen(bound.backlog)?;
    let descriptor = OwnedFd::from(bound.socket).into_raw_fd();
    #[expect(unsafe_code, reason = "glommio offers no other way to a socket with options")]
    // SAFETY: the descriptor is open, it is a listening socket, and `into_raw_fd` gave up every
    // other claim to it.
    let listener = unsafe { TcpListener::from_raw_fd(descriptor) };
    Ok(listener)
}

/// How long accepting pauses after an error, such as too many open files.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How many connections there are, over all shards. Behind a lock that is taken when a connection
/// comes and when it goes, and at no other time.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    counts: Arc<Mutex<Counts>>,
    /// Most connections of one address; `None`: any number.
    per_address_max: Option<u32>,
    /// Most connections of all.
    total_max: Option<u32>,
}

#[derive(Debug, Default)]
struct Counts {
    total: u32,
    by_address: HashMap<IpAddr, u32>,
}

impl Admission {
    /// With 0 for "any number", as `maxClientCnxns` and `maxCnxns` have it.
    pub(crate) fn new(per_address_max: u32, total_max: u32) -> Self {
        Self {
            counts: Arc::default(),
            per_address_max: Some(per_address_max).filter(|max| *max != 0),
            total_max: Some(total_max).filter(|max| *max != 0),
        }
    }

    /// Counts a connection in, or says why not. The ticket counts it out when it is dropped.
    pub(crate) fn enter(&self, address: IpAddr) -> Result<Ticket, Refused> {
        let address = address.to_canonical();
        let mut counts = self.counts.lock().expect("no panic under this lock");
        if self.total_max.is_some_and(|max| counts.total >= max) {
            return Err(Refused::Total);
        }
        let of_address = counts.by_address.entry(address).or_insert(0);
        if self.per_address_max.is_some_and(|max| *of_address >= max) {
            return Err(Refused::Address);
        }
        *of_address += 1;
        counts.total += 1;
        Ok(Ticket { counts: self.counts.clone(), address })
    }
}

/// Why a connection was not let in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refused {
    /// Its address has too many.
    Address,
    /// There are too many.
    Total,
}

/// A connection that was counted in.
#[derive(Debug)]
pub(crate) struct Ticket {
    counts: Arc<Mutex<Counts>>,
    address: IpAddr,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().expect("no panic under this lock");
        counts.total -= 1;
        let of_address = counts.by_address.get_mut(&self.address).expect("counted in");
        *of_address -= 1;
        if *of_address == 0 {
            counts.by_address.remove(&self.address);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const A: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    const B: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

    #[test]
    fn counts_each_address_and_all() {
        let admission = Admission::new(2, 3);
        let _first = admission.enter(A).expect("room");
        let second = admission.enter(A).expect("room");
        assert_eq!(admission.enter(A).err(), Some(Refused::Address));
        let _third = admission.enter(B).expect("room");
        assert_eq!(admission.enter(B).err(), Some(Refused::Total));
        drop(second);
        assert!(admission.enter(A).is_ok(), "a place became free");
    }

    #[test]
    fn an_address_is_the_same_in_both_families() {
        let admission = Admission::new(1, 0);
        let mapped = IpAddr::V6(Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped());
        let _first = admission.enter(A).expect("room");
        assert_eq!(admission.enter(mapped).err(), Some(Refused::Address));
    }

    #[test]
    fn several_sockets_share_a_port_that_the_system_chose() {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let settings = ListenSettings { address, backlog: None, keep_alive: true };
        let (bound, sockets) = bind(&settings, 3).expect("loopback");
        assert_ne!(bound.port(), 0);
        assert_eq!(sockets.len(), 3);
        for bound in &sockets {
            bound.socket.listen(bound.backlog).expect("a bound socket");
        }
        let again = ListenSettings { address: bound, ..settings };
        let error = bind(&again, 1).expect_err("somebody listens there");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
