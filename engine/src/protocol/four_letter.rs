//! Four-letter words: what an operator types instead of a handshake.

/// A word, or what else may stand where a handshake's length is expected.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(missing_docs, reason = "the names are the words themselves")]
pub enum Word {
    Conf,
    Cons,
    Crst,
    Dirs,
    Dump,
    Envi,
    Gtmk,
    Hash,
    Isro,
    Mntr,
    Ruok,
    Srst,
    Srvr,
    Stat,
    /// Followed by the mask, eight bytes.
    Stmk,
    Wchc,
    Wchp,
    Wchs,
}

/// What telnet sends when it is told to close: no word and no length. The connection is closed.
pub const TELNET_CLOSE: [u8; 4] = [0xff, 0xf4, 0xff, 0xfd];

impl Word {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Conf,
        Self::Cons,
        Self::Crst,
        Self::Dirs,
        Self::Dump,
        Self::Envi,
        Self::Gtmk,
        Self::Hash,
        Self::Isro,
        Self::Mntr,
        Self::Ruok,
        Self::Srst,
        Self::Srvr,
        Self::Stat,
        Self::Stmk,
        Self::Wchc,
        Self::Wchp,
        Self::Wchs,
    ];

    /// The word that a connection starts with, if it is one: its first four bytes. As a frame's
    /// length each word would be far above every limit.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 4]) -> Option<Self> {
        Self::ALL.into_iter().find(|word| word.as_str().as_bytes() == bytes)
    }

    /// The word that `name` is, as a whitelist (`4lw.commands.whitelist`) has it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|word| word.as_str() == name)
    }

    /// Its letters.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Conf => "conf",
            Self::Cons => "cons",
            Self::Crst => "crst",
            Self::Dirs => "dirs",
            Self::Dump => "dump",
            Self::Envi => "envi",
            Self::Gtmk => "gtmk",
            Self::Hash => "hash",
            Self::Isro => "isro",
            Self::Mntr => "mntr",
            Self::Ruok => "ruok",
            Self::Srst => "srst",
            Self::Srvr => "srvr",
            Self::Stat => "stat",
            Self::Stmk => "stmk",
            Self::Wchc => "wchc",
            Self::Wchp => "wchp",
            Self::Wchs => "wchs",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_its_four_bytes() {
        for word in Word::ALL {
            let bytes = word.as_str().as_bytes().try_into().expect("four letters");
            assert_eq!(Word::from_bytes(bytes), Some(word));
            assert_eq!(Word::from_name(word.as_str()), Some(word));
        }
        assert_eq!(Word::from_bytes(*b"RUOK"), None);
        assert_eq!(Word::from_bytes([0, 0, 0, 44]), None);
        assert_eq!(Word::from_bytes(TELNET_CLOSE), None);
    }
}
