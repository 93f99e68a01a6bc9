//! Path validation: which names a znode may have.
//!
//! The rules are ZooKeeper's, which looks at UTF-16 units: a character beyond U+FFFF is two
//! surrogates there, and no surrogate is allowed.

/// Why no znode can have a path.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PathError {
    /// It has no character.
    #[error("path is empty")]
    Empty,
    /// It does not start with a slash.
    #[error("path is not absolute")]
    Relative,
    /// It ends with a slash and is not the root.
    #[error("path ends with a slash")]
    TrailingSlash,
    /// Two slashes follow each other.
    #[error("path has an empty name")]
    EmptyName,
    /// A name is `.` or `..`.
    #[error("path has a name that is . or ..")]
    DotName,
    /// A character that no name may have.
    #[error("path has the character U+{0:04X}")]
    Character(u32),
}

/// Whether a znode can have this path.
///
/// # Errors
///
/// The first reason why not.
pub fn validate(path: &str) -> Result<(), PathError> {
    if path.is_empty() {
        return Err(PathError::Empty);
    }
    let Some(names) = path.strip_prefix('/') else {
        return Err(PathError::Relative);
    };
    if names.is_empty() {
        return Ok(());
    }
    if names.ends_with('/') {
        return Err(PathError::TrailingSlash);
    }
    for name in names.split('/') {
        validate_name(name)?;
    }
    Ok(())
}

fn validate_name(name: &str) -> Result<(), PathError> {
    match name {
        "" => return Err(PathError::EmptyName),
        "." | ".." => return Err(PathError::DotName),
        _ => {}
    }
    // Almost every name is plain ASCII: one pass over bytes that the optimizer turns into vectors.
    if name.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return Ok(());
    }
    match name.chars().find(|character| is_forbidden(*character)) {
        Some(character) => Err(PathError::Character(u32::from(character))),
        None => Ok(()),
    }
}

/// Control characters, private use, the specials at the end of the plane, and everything beyond it.
fn is_forbidden(character: char) -> bool {
    matches!(
        u32::from(character),
        0x0000..=0x001f | 0x007f..=0x009f | 0xd800..=0xf8ff | 0xfff0..=u32::MAX
    )
}
