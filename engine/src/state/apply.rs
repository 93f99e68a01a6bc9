//! Applying a command: who may ask, and which of the edits it becomes.
//!
//! The same command on the same State gives the same result everywhere: nothing here knows
//! settings, clocks, or the order of a hash table.

use alloc::vec::Vec;

use super::{
    Changes, Outcome, Session, SessionChange, State,
    command::{Command, Op},
};
use crate::{
    batch::{BatchHeader, BatchKind},
    ids::{Owner, SessionId, Zxid},
    limits::PASSWORD_BYTES,
    protocol::{error_code::ErrorCode, records::Id},
};

/// The command that is being applied, as its edits see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker<'a> {
    pub(super) zxid: Zxid,
    pub(super) session: SessionId,
    pub(super) auth: &'a [Id],
    pub(super) skip_acl: bool,
    pub(super) enforce_quota: bool,
}

impl State {
    /// Starts the batch after the last one. Its commands must follow, each by [`Self::apply`].
    ///
    /// # Panics
    ///
    /// When it is not the next batch: slots have no gaps, and zxids do not go back.
    pub fn begin_batch(&mut self, header: &BatchHeader) {
        let applied = &mut self.applied;
        assert!(header.slot == applied.slot.next(), "{:?} after {:?}", header.slot, applied.slot);
        assert!(header.time >= applied.time, "time goes back at {:?}", header.slot);
        applied.slot = header.slot;
        applied.origin = header.origin;
        applied.time = header.time;
        applied.hash = header.hash;
        match header.kind {
            BatchKind::Commands | BatchKind::Config => {
                assert!(header.epoch == applied.epoch, "an epoch starts with a NewEpoch batch");
                assert!(
                    header.first_zxid.0 == applied.last_zxid.0 + 1,
                    "{} after {}",
                    header.first_zxid,
                    applied.last_zxid
                );
            }
            BatchKind::NewEpoch => {
                assert!(header.epoch > applied.epoch, "{:?} is not new", header.epoch);
                applied.epoch = header.epoch;
                applied.last_zxid = Zxid::new(header.epoch, 0);
            }
        }
    }

    /// Applies one command of the batch that was begun. `zxid` is the one it takes, or the last one
    /// given if it takes none. What it changed is appended to `changes`.
    ///
    /// # Errors
    ///
    /// The code for the client. A command that fails is applied too: it has taken its zxid.
    ///
    /// # Panics
    ///
    /// When `zxid` is not the command's turn.
    pub fn apply(
        &mut self,
        zxid: Zxid,
        command: &Command,
        changes: &mut Changes,
    ) -> Result<Outcome, ErrorCode> {
        let takes_zxid = command.op.takes_zxid();
        let expected = self.applied.last_zxid.0 + i64::from(takes_zxid);
        assert!(zxid.0 == expected, "{zxid} comes after {}", self.applied.last_zxid);
        self.applied.last_zxid = zxid;
        let result = self.apply_command(zxid, command, changes);
        if takes_zxid {
            self.digest.note(zxid);
        }
        result
    }

    fn apply_command(
        &mut self,
        zxid: Zxid,
        command: &Command,
        changes: &mut Changes,
    ) -> Result<Outcome, ErrorCode> {
        let Command { session, owner, .. } = *command;
        let asker = Asker {
            zxid,
            session,
            auth: &command.auth,
            skip_acl: command.skip_acl,
            enforce_quota: command.enforce_quota,
        };
        match &command.op {
            Op::CreateSession { timeout_ms, password } => {
                self.create_session(session, owner, *timeout_ms, password, changes)
            }
            Op::AttachSession { timeout_ms, password } => {
                self.attach_session(session, owner, *timeout_ms, password, changes)
            }
            Op::CloseSession => {
                // Owner 0 is the leader's clock: nobody owns the right to an expired session.
                if owner != Owner(0) {
                    self.sessions.check(session, owner)?;
                }
                self.close_session(asker, changes)
            }
            // The leader's clock asks, for no session.
            Op::DeleteContainer { path } => self.delete_due(asker, path, changes),
            Op::Multi(ops) => {
                self.sessions.check(session, owner)?;
                Ok(self.multi(asker, ops, changes))
            }
            op @ (Op::Create(_)
            | Op::Delete { .. }
            | Op::SetData { .. }
            | Op::SetAcl { .. }
            | Op::Check { .. }
            | Op::Fail(_)) => {
                self.sessions.check(session, owner)?;
                self.apply_op(asker, op, changes)
            }
        }
    }

    /// Applies one operation of a client's session. It changes nothing if it fails.
    fn apply_op(
        &mut self,
        asker: Asker<'_>,
        op: &Op,
        changes: &mut Changes,
    ) -> Result<Outcome, ErrorCode> {
        match op {
            Op::Create(create) => self.create(asker, create, changes),
            Op::Delete { path, version } => self.delete(asker, path, *version, changes),
            Op::SetData { path, data, version } => {
                self.set_data(asker, path, data.as_ref(), *version, changes)
            }
            Op::SetAcl { path, acl, version } => self.set_acl(asker, path, acl, *version),
            Op::Check { path, version } => self.check(asker, path, *version),
            Op::Fail(code) => Err(*code),
            Op::CreateSession { .. }
            | Op::AttachSession { .. }
            | Op::CloseSession
            | Op::DeleteContainer { .. }
            | Op::Multi(_) => Err(ErrorCode::Unimplemented),
        }
    }

    /// All of `ops`, each seeing what those before it did, or nothing.
    fn multi(&mut self, asker: Asker<'_>, ops: &[Op], changes: &mut Changes) -> Outcome {
        let savepoint = self.start_undo();
        let change_count = changes.znodes.len();
        let mut outcomes = Vec::with_capacity(ops.len());
        for op in ops {
            // An ACL has no way back in the undo log: ZooKeeper has no setACL in a multi either.
            let result = match op {
                Op::SetAcl { .. } => Err(ErrorCode::Unimplemented),
                op => self.apply_op(asker, op, changes),
            };
            match result {
                Ok(outcome) => outcomes.push(outcome),
                Err(code) => {
                    self.roll_back(savepoint);
                    changes.znodes.truncate(change_count);
                    let failed = outcomes.len();
                    return Outcome::MultiFailed { failed, code, op_count: ops.len() };
                }
            }
        }
        self.forget_undo();
        Outcome::Multi(outcomes)
    }

    fn create_session(
        &mut self,
        session: SessionId,
        owner: Owner,
        timeout_ms: i32,
        password: &[u8; PASSWORD_BYTES],
        changes: &mut Changes,
    ) -> Result<Outcome, ErrorCode> {
        // Servers draw ids that are never drawn again. Should one fail to, the session that has the
        // id keeps it.
        if self.sessions.by_id.contains_key(&session) {
            return Err(ErrorCode::SystemError);
        }
        self.sessions.by_id.insert(session, Session::new(timeout_ms, owner, *password));
        changes.sessions.push(SessionChange::Opened { session, timeout_ms, owner });
        Ok(Outcome::SessionCreated { timeout_ms })
    }

    fn attach_session(
        &mut self,
        session: SessionId,
        owner: Owner,
        timeout_ms: i32,
        password: &[u8; PASSWORD_BYTES],
        changes: &mut Changes,
    ) -> Result<Outcome, ErrorCode> {
        let found = self.sessions.by_id.get_mut(&session);
        // A wrong password gets the answer of a session that is gone, and leaves the owner alone.
        let found =
            found.filter(|found| found.has_password(password)).ok_or(ErrorCode::SessionExpired)?;
        let previous_owner = core::mem::replace(&mut found.owner, owner);
        found.timeout_ms = timeout_ms;
        changes.sessions.push(SessionChange::Attached {
            session,
            timeout_ms,
            owner,
            previous_owner,
        });
        Ok(Outcome::SessionAttached { timeout_ms })
    }

    /// Closes the asker's session; its ephemerals go in the order of their paths.
    fn close_session(
        &mut self,
        asker: Asker<'_>,
        changes: &mut Changes,
    ) -> Result<Outcome, ErrorCode> {
        let session = self.sessions.remove(asker.session).ok_or(ErrorCode::SessionExpired)?;
        for path in &session.ephemerals {
            let found = self.tree.find(path).expect("a session lists znodes that exist");
            self.remove_znode(asker.zxid, found, changes);
        }
        changes
            .sessions
            .push(SessionChange::Closed { session: asker.session, owner: session.owner });
        Ok(Outcome::SessionClosed)
    }
}
