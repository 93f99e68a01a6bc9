//! A conversation that makes every word say something: two sessions that write, read, watch, fail.

use std::{collections::BTreeMap, time::Duration};

use ringkeeper_bench::{
    servers::{Server, four_letter},
    tour::{self, Tour},
    wire::{
        Connection, Failure,
        records::{self, Acl, code, flags, op},
    },
};

/// A server of its own, and the two sessions after their conversation.
pub(crate) struct Talk {
    pub(crate) server: Server,
    /// Wrote; has an ephemeral.
    pub(crate) writer: Connection,
    /// Read; has four watches.
    pub(crate) reader: Connection,
}

impl Talk {
    /// On a fresh server, counted from the first request of the conversation on.
    pub(crate) fn hold(tour: &Tour) -> Result<Self, Failure> {
        let server = tour.private(tour::shared_settings())?;
        // The probe that waited for the start has left numbers; its connection must be gone, too.
        tour::eventually(Duration::from_secs(10), "the probe is gone", || {
            let text = four_letter(server.address(), "srvr")?;
            Ok(text.contains("Connections: 1\n"))
        })?;
        four_letter(server.address(), "srst")?;
        let mut writer = Connection::new_session(server.address())?;
        let mut reader = Connection::new_session(server.address())?;
        write(&mut writer)?;
        read(&mut reader)?;
        writer.set("/talk", b"and again", -1)?;
        assert_eq!(reader.event()?.path, "/talk");
        writer
            .call(op::CREATE_TTL, &records::create_ttl("/ttl", None, flags::TTL, 100_000))?
            .ok()?;
        writer.delete("/talk/s-0000000001", -1)?;
        assert_eq!(reader.event()?.path, "/talk");
        let mut third = Connection::new_session(server.address())?;
        third.call(op::CLOSE_SESSION, &[])?.ok()?;
        third.expect_closed()?;
        Ok(Self { server, writer, reader })
    }

    /// The answer to a word.
    pub(crate) fn ask(&self, word: &str) -> Result<String, Failure> {
        four_letter(self.server.address(), word)
    }

    /// The line of `cons` about one of the connections, as names and values.
    pub(crate) fn cons(&self, of: &Connection) -> Result<BTreeMap<String, String>, Failure> {
        let text = self.ask("cons")?;
        // In the brackets: whether it is read from, which depends on the moment.
        let local = format!(" /{}[", of.stream().local_addr()?);
        let line = text.lines().find(|line| line.starts_with(&local)).ok_or(text.as_str())?;
        let (_, line) = line.split_once("](").ok_or(line)?;
        let fields =
            line.trim_end_matches(')').split(',').filter_map(|field| field.split_once('='));
        Ok(fields.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }

    /// `mntr` as names and values.
    pub(crate) fn mntr(&self) -> Result<BTreeMap<String, String>, Failure> {
        let text = self.ask("mntr")?;
        let pairs = text.lines().filter_map(|line| line.split_once('\t'));
        Ok(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }
}

fn write(writer: &mut Connection) -> Result<(), Failure> {
    writer.create("/talk", b"hello", 0)?;
    writer.create("/talk/e", b"", flags::EPHEMERAL)?;
    let again = records::create("/talk/e", None, &Acl::open(), flags::EPHEMERAL);
    assert_eq!(writer.call(op::CREATE, &again)?.err, code::NODE_EXISTS);
    let numbered = records::create("/talk/s-", None, &Acl::open(), flags::SEQUENTIAL);
    writer.call(op::CREATE2, &numbered)?.ok()?;
    writer.set("/talk", b"world", -1)?;
    Ok(())
}

fn read(reader: &mut Connection) -> Result<(), Failure> {
    reader.call(op::GET_DATA, &records::path_watch("/talk", true))?.ok()?;
    reader.call(op::GET_CHILDREN, &records::path_watch("/talk", true))?.ok()?;
    let none = reader.call(op::EXISTS, &records::path_watch("/none", true))?;
    assert_eq!(none.err, code::NO_NODE);
    reader.call(op::GET_CHILDREN2, &records::path_watch("/talk", false))?.ok()?;
    reader.call(op::ADD_WATCH, &records::path_int("/persistent", 0))?.ok()?;
    reader.call(op::ADD_WATCH, &records::path_int("/recursive", 1))?.ok()?;
    reader.call(op::SYNC, &records::path_only("/talk"))?.ok()?;
    reader.call(op::GET_ACL, &records::path_only("/talk"))?.ok()?;
    reader.call(op::GET_EPHEMERALS, &records::path_only("/"))?.ok()?;
    reader.call(op::GET_ALL_CHILDREN_NUMBER, &records::path_only("/"))?.ok()?;
    reader.call(op::WHO_AM_I, &[])?.ok()?;
    let parts = [(op::DELETE, records::path_version("/none", -1))];
    reader.call(op::MULTI, &records::multi(&parts))?.ok()?;
    let parts = [(op::GET_DATA, records::path_watch("/talk", false))];
    reader.call(op::MULTI_READ, &records::multi(&parts))?.ok()?;
    // Neither of these two is a client's last operation of its own.
    reader.send_xid(-4, op::AUTH, &records::auth("digest", b"user:password"))?;
    reader.reply()?.ok()?;
    reader.send_xid(-2, op::PING, &[])?;
    reader.reply()?.ok()
}
