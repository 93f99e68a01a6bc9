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

#[cfg(test)]
mod tests {
    use alloc::{fmt::Write as _, string::String};

    use expect_test::{Expect, expect};

    use super::*;

    fn check(paths: &[&str], expected: &Expect) {
        let mut out = String::new();
        for path in paths {
            match validate(path) {
                Ok(()) => writeln!(out, "{path:?} is a path").unwrap(),
                Err(error) => writeln!(out, "{path:?}: {error}").unwrap(),
            }
        }
        expected.assert_eq(&out);
    }

    #[test]
    fn allows_any_text_between_slashes() {
        check(
            &[
                "/",
                "/a",
                "/a/b",
                "/...",
                "/a..",
                "/.a",
                "/a b",
                "/~",
                "/\u{a0}",
                "/名前",
                "/\u{ffef}",
            ],
            &expect![[r#"
                "/" is a path
                "/a" is a path
                "/a/b" is a path
                "/..." is a path
                "/a.." is a path
                "/.a" is a path
                "/a b" is a path
                "/~" is a path
                "/\u{a0}" is a path
                "/名前" is a path
                "/\u{ffef}" is a path
            "#]],
        );
    }

    #[test]
    fn refuses_odd_slashes_and_dots() {
        check(
            &["", "a", "a/b", "//", "/a/", "/a//b", "/.", "/..", "/a/./b", "/a/..", "/../a"],
            &expect![[r#"
                "": path is empty
                "a": path is not absolute
                "a/b": path is not absolute
                "//": path ends with a slash
                "/a/": path ends with a slash
                "/a//b": path has an empty name
                "/.": path has a name that is . or ..
                "/..": path has a name that is . or ..
                "/a/./b": path has a name that is . or ..
                "/a/..": path has a name that is . or ..
                "/../a": path has a name that is . or ..
            "#]],
        );
    }

    #[test]
    fn refuses_characters_that_java_cannot_show() {
        check(
            &[
                "/a\0",
                "/\u{1}",
                "/\u{1f}",
                "/\u{7f}",
                "/\u{9f}",
                "/é\n",
                "/\u{e000}",
                "/\u{f8ff}",
                "/\u{fff0}",
                "/\u{fffd}",
                "/\u{10000}",
                "/😀",
            ],
            &expect![[r#"
                "/a\0": path has the character U+0000
                "/\u{1}": path has the character U+0001
                "/\u{1f}": path has the character U+001F
                "/\u{7f}": path has the character U+007F
                "/\u{9f}": path has the character U+009F
                "/é\n": path has the character U+000A
                "/\u{e000}": path has the character U+E000
                "/\u{f8ff}": path has the character U+F8FF
                "/\u{fff0}": path has the character U+FFF0
                "/�": path has the character U+FFFD
                "/𐀀": path has the character U+10000
                "/😀": path has the character U+1F600
            "#]],
        );
    }
}
