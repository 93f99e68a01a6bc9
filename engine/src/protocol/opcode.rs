//! Operation numbers (jute: `ZooDefs.OpCode`), and the names that operators know them by.

/// A kind of request that a client may send.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(i32)]
#[expect(missing_docs, reason = "the names are ZooKeeper's own")]
pub enum OpCode {
    Create = 1,
    Delete = 2,
    Exists = 3,
    GetData = 4,
    SetData = 5,
    GetAcl = 6,
    SetAcl = 7,
    GetChildren = 8,
    Sync = 9,
    Ping = 11,
    GetChildren2 = 12,
    /// In a multi only.
    Check = 13,
    Multi = 14,
    Create2 = 15,
    Reconfig = 16,
    CheckWatches = 17,
    RemoveWatches = 18,
    CreateContainer = 19,
    CreateTtl = 21,
    MultiRead = 22,
    Auth = 100,
    SetWatches = 101,
    Sasl = 102,
    GetEphemerals = 103,
    GetAllChildrenNumber = 104,
    SetWatches2 = 105,
    AddWatch = 106,
    WhoAmI = 107,
    /// Never decoded: a session is opened by the first frame of a connection, which has no header.
    CreateSession = -10,
    CloseSession = -11,
}

/// The type of a multi's result that is an error.
pub const ERROR: i32 = -1;

impl OpCode {
    /// All of them.
    pub const ALL: [Self; 30] = [
        Self::Create,
        Self::Delete,
        Self::Exists,
        Self::GetData,
        Self::SetData,
        Self::GetAcl,
        Self::SetAcl,
        Self::GetChildren,
        Self::Sync,
        Self::Ping,
        Self::GetChildren2,
        Self::Check,
        Self::Multi,
        Self::Create2,
        Self::Reconfig,
        Self::CheckWatches,
        Self::RemoveWatches,
        Self::CreateContainer,
        Self::CreateTtl,
        Self::MultiRead,
        Self::Auth,
        Self::SetWatches,
        Self::Sasl,
        Self::GetEphemerals,
        Self::GetAllChildrenNumber,
        Self::SetWatches2,
        Self::AddWatch,
        Self::WhoAmI,
        Self::CreateSession,
        Self::CloseSession,
    ];

    /// The number on the wire.
    #[must_use]
    pub fn number(self) -> i32 {
        self as i32
    }

    /// The operation with this number, if it is one of ours.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        Some(match number {
            1 => Self::Create,
            2 => Self::Delete,
            3 => Self::Exists,
            4 => Self::GetData,
            5 => Self::SetData,
            6 => Self::GetAcl,
            7 => Self::SetAcl,
            8 => Self::GetChildren,
            9 => Self::Sync,
            11 => Self::Ping,
            12 => Self::GetChildren2,
            13 => Self::Check,
            14 => Self::Multi,
            15 => Self::Create2,
            16 => Self::Reconfig,
            17 => Self::CheckWatches,
            18 => Self::RemoveWatches,
            19 => Self::CreateContainer,
            21 => Self::CreateTtl,
            22 => Self::MultiRead,
            100 => Self::Auth,
            101 => Self::SetWatches,
            102 => Self::Sasl,
            103 => Self::GetEphemerals,
            104 => Self::GetAllChildrenNumber,
            105 => Self::SetWatches2,
            106 => Self::AddWatch,
            107 => Self::WhoAmI,
            -10 => Self::CreateSession,
            -11 => Self::CloseSession,
            _ => return None,
        })
    }

    /// What `cons` shows as a connection's last operation (`lop`). `None`: it does not show there.
    #[must_use]
    pub fn short_name(self) -> Option<&'static str> {
        Some(match self {
            Self::Create | Self::Create2 | Self::CreateContainer | Self::CreateTtl => "CREA",
            Self::Delete => "DELE",
            Self::Exists => "EXIS",
            Self::GetData => "GETD",
            Self::SetData => "SETD",
            Self::GetAcl => "GETA",
            Self::SetAcl => "SETA",
            Self::GetChildren | Self::GetChildren2 => "GETC",
            Self::Sync => "SYNC",
            Self::Ping => "PING",
            Self::Check => "CHEC",
            Self::Multi => "MULT",
            Self::Reconfig => "RECO",
            Self::CheckWatches => "CHKW",
            Self::RemoveWatches => "REMW",
            Self::MultiRead => "MLTR",
            Self::SetWatches => "SETW",
            Self::GetEphemerals => "GETE",
            Self::GetAllChildrenNumber => "GETACN",
            Self::SetWatches2 => "STW2",
            Self::AddWatch => "ADDW",
            Self::WhoAmI => "HOMI",
            Self::CreateSession => "SESS",
            Self::CloseSession => "CLOS",
            Self::Auth | Self::Sasl => return None,
        })
    }

    /// The last part of its counter's name, `op_count_..`. `None`: it is counted in the total only.
    #[must_use]
    pub fn metric_name(self) -> Option<&'static str> {
        Some(match self {
            Self::Create | Self::Create2 | Self::CreateContainer | Self::CreateTtl => "create",
            Self::Delete => "delete",
            Self::Exists => "exists",
            Self::GetData => "get_data",
            Self::SetData => "set_data",
            Self::GetAcl => "get_acl",
            Self::SetAcl => "set_acl",
            Self::GetChildren | Self::GetChildren2 => "get_children",
            Self::Sync => "sync",
            Self::Ping => "ping",
            Self::Check => "check",
            Self::Multi => "multi",
            Self::Reconfig => "reconfig",
            Self::CheckWatches => "check_watches",
            Self::RemoveWatches => "remove_watches",
            Self::MultiRead => "multi_read",
            Self::SetWatches | Self::SetWatches2 => "set_watches",
            Self::GetEphemerals => "get_ephemerals",
            Self::GetAllChildrenNumber => "get_all_children_number",
            Self::AddWatch => "add_watch",
            Self::WhoAmI => "who_am_i",
            Self::CreateSession => "create_session",
            Self::CloseSession => "close_session",
            Self::Auth | Self::Sasl => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_comes_back() {
        for opcode in OpCode::ALL {
            assert_eq!(OpCode::from_number(opcode.number()), Some(opcode));
        }
        let known = (-200..1000).filter(|number| OpCode::from_number(*number).is_some()).count();
        assert_eq!(known, OpCode::ALL.len());
    }
}
