//! Stories about watches, and a comparison with ZooKeeper's two tables.

use std::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::{String, ToString},
    sync::Arc,
    vec,
};

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

fn change(kind: ChangeKind, path: &str) -> Change {
    Change { kind, path: SharedStr::new(path), acl: Arc::from([]), zxid: Zxid(1) }
}

fn change_kind(word: &str) -> Option<ChangeKind> {
    match word {
        "created" => Some(ChangeKind::Created),
        "deleted" => Some(ChangeKind::Deleted),
        "changed" => Some(ChangeKind::DataChanged),
        "children" => Some(ChangeKind::ChildrenChanged),
        _ => None,
    }
}

fn watch_kind(word: &str) -> Option<WatchKind> {
    match word {
        "data" => Some(WatchKind::Data),
        "child" => Some(WatchKind::Child),
        "persistent" => Some(WatchKind::Persistent),
        "recursive" => Some(WatchKind::PersistentRecursive),
        _ => None,
    }
}

/// Each line is `1 data /a` (connection 1 leaves a data watch), `created /a` (who is told), `remove
/// 1 data /a`, `has 1 any /a`, `gone 1`, or `count`.
fn check(script: &str, expected: &Expect) {
    let mut watches = Watches::new();
    let mut out = String::new();
    for line in script.lines().map(str::trim) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let watcher = |word: &str| WatcherId(word.parse().expect("a connection's number"));
        let watcher_type = |word| watch_kind(word).map_or(WatcherType::Any, WatcherType::Only);
        let result = match words[..] {
            [verb, path] if change_kind(verb).is_some() => {
                let kind = change_kind(verb).expect("just checked");
                let mut told = Vec::new();
                watches.fire(&change(kind, path), &mut told);
                format!("{:?}", told.iter().map(|watcher| watcher.0).collect::<Vec<_>>())
            }
            ["remove", id, kind, path] => {
                watches.remove(watcher(id), path, watcher_type(kind)).to_string()
            }
            ["has", id, kind, path] => {
                watches.contains(watcher(id), path, watcher_type(kind)).to_string()
            }
            ["gone", id] => {
                watches.remove_watcher(watcher(id));
                String::new()
            }
            ["count"] => {
                let list = watches
                    .listed()
                    .map(|(watcher, path)| format!("{} {}", watcher.0, path.as_str()));
                format!("{} {:?}", watches.count(), list.collect::<Vec<_>>())
            }
            [id, kind, path] => {
                watches.add(watcher(id), path, watch_kind(kind).expect("a kind of watch"));
                continue;
            }
            _ => panic!("{line}"),
        };
        let colon = if result.is_empty() { "" } else { ": " };
        out.push_str(&format!("{line}{colon}{result}\n"));
    }
    expected.assert_eq(&out);
}

#[test]
fn a_watch_is_told_once() {
    check(
        "1 data /a
         2 data /a
         1 child /a
         changed /b
         changed /a
         changed /a
         children /a
         children /a
         count",
        &expect![[r#"
            changed /b: []
            changed /a: [1, 2]
            changed /a: []
            children /a: [1]
            children /a: []
            count: 0 []
        "#]],
    );
}

#[test]
fn exists_and_data_watches_are_the_same() {
    check(
        "1 data /a
         1 data /a
         count
         created /a
         changed /a",
        &expect![[r#"
            count: 1 ["1 /a"]
            created /a: [1]
            changed /a: []
        "#]],
    );
}

#[test]
fn a_delete_tells_each_connection_once_and_ends_both_watches() {
    check(
        "1 data /a
         1 child /a
         2 child /a
         3 recursive /
         3 data /a
         deleted /a
         deleted /a
         count",
        &expect![[r#"
            deleted /a: [1, 2, 3]
            deleted /a: [3]
            count: 1 ["3 /"]
        "#]],
    );
}

#[test]
fn persistent_watches_stay_and_see_children() {
    check(
        "1 persistent /a
         changed /a
         children /a
         deleted /a
         created /a
         changed /a/b
         count",
        &expect![[r#"
            changed /a: [1]
            children /a: [1]
            deleted /a: [1]
            created /a: [1]
            changed /a/b: []
            count: 2 ["1 /a"]
        "#]],
    );
}

#[test]
fn recursive_watches_see_what_is_below_but_no_lists_of_children() {
    check(
        "1 recursive /a
         2 recursive /
         created /a
         created /a/b/c
         children /a
         changed /ab
         changed /
         deleted /a/b/c",
        &expect![[r#"
            created /a: [1, 2]
            created /a/b/c: [1, 2]
            children /a: []
            changed /ab: [2]
            changed /: [2]
            deleted /a/b/c: [1, 2]
        "#]],
    );
}

#[test]
fn one_connection_may_have_every_kind_on_one_path() {
    check(
        "1 data /a
         1 child /a
         1 persistent /a
         1 recursive /a
         count
         changed /a
         has 1 data /a
         has 1 child /a
         remove 1 persistent /a
         remove 1 persistent /a
         children /a
         changed /a
         remove 1 any /a
         has 1 any /a
         count",
        &expect![[r#"
            count: 2 ["1 /a"]
            changed /a: [1]
            has 1 data /a: false
            has 1 child /a: true
            remove 1 persistent /a: true
            remove 1 persistent /a: false
            children /a: [1]
            changed /a: [1]
            remove 1 any /a: true
            has 1 any /a: false
            count: 0 []
        "#]],
    );
}

#[test]
fn a_connection_takes_its_watches_along() {
    check(
        "1 data /a
         2 data /a
         1 recursive /
         gone 1
         gone 3
         changed /a
         count",
        &expect![[r#"
            gone 1
            gone 3
            changed /a: [2]
            count: 0 []
        "#]],
    );
}

/// A connection with many watches leaves in portions; those who stay notice nothing.
#[test]
fn a_connection_with_many_watches_leaves_in_portions() {
    let mut watches = Watches::new();
    for number in 0..1000 {
        watches.add(WatcherId(1), &format!("/{number}"), WatchKind::Data);
    }
    watches.add(WatcherId(2), "/999", WatchKind::Data);
    watches.remove_watcher(WatcherId(1));
    assert_eq!(watches.count(), 1001 - LEFTOVERS_PER_CALL);
    let mut told = Vec::new();
    for _ in 0..3 {
        watches.fire(&change(ChangeKind::Deleted, "/other"), &mut told);
    }
    assert_eq!((watches.count(), &told), (1, &vec![]));
    watches.fire(&change(ChangeKind::Deleted, "/999"), &mut told);
    assert_eq!(told, [WatcherId(2)]);
}

#[test]
fn a_client_that_returns_is_told_what_it_missed() {
    let paths = |text: &str| text.split_whitespace().map(String::from).collect();
    let wanted = SetWatches {
        relative_zxid: Zxid(10),
        data: paths("/old /changed /gone /gone"),
        exist: paths("/gone /old"),
        child: paths("/old /children /gone"),
        persistent: paths("/changed /gone"),
        persistent_recursive: paths("/children"),
    };
    let last_changes = |path: &str| match path {
        "/old" => Some((Zxid(10), Zxid(10))),
        "/changed" => Some((Zxid(11), Zxid(10))),
        "/children" => Some((Zxid(10), Zxid(11))),
        _ => None,
    };
    let mut watches = Watches::new();
    let mut events = Vec::new();
    watches.restore_from(WatcherId(1), &wanted, last_changes, &mut events);
    let mut out = String::new();
    for (kind, path) in &events {
        out.push_str(&format!("{kind:?} {}\n", path.as_str()));
    }
    for (watcher, path, modes) in watches.links.iter() {
        out.push_str(&format!("{} watches {path:?} {modes:?}\n", watcher.0));
    }
    expect![[r#"
        DataChanged /changed
        Deleted /gone
        Deleted /gone
        Created /old
        ChildrenChanged /children
        Deleted /gone
        1 watches "/old" Modes(3)
        1 watches "/gone" Modes(5)
        1 watches "/changed" Modes(4)
        1 watches "/children" Modes(8)
    "#]]
    .assert_eq(&out);
}

/// ZooKeeper's own shape: two tables, and a set of watchers that the second must not tell again.
#[derive(Debug, Default)]
struct TwoTables {
    data: BTreeMap<(String, u64), BTreeSet<&'static str>>,
    child: BTreeMap<(String, u64), BTreeSet<&'static str>>,
}

impl TwoTables {
    fn add(&mut self, watcher: u64, path: &str, kind: WatchKind) {
        let key = (path.to_string(), watcher);
        let (in_data, in_child, mode) = match kind {
            WatchKind::Data => (true, false, "standard"),
            WatchKind::Child => (false, true, "standard"),
            WatchKind::Persistent => (true, true, "persistent"),
            WatchKind::PersistentRecursive => (true, false, "recursive"),
        };
        if in_data {
            self.data.entry(key.clone()).or_default().insert(mode);
        }
        if in_child {
            self.child.entry(key).or_default().insert(mode);
        }
    }

    fn trigger(
        table: &mut BTreeMap<(String, u64), BTreeSet<&'static str>>,
        path: &str,
    ) -> BTreeSet<u64> {
        let mut told = BTreeSet::new();
        for ((at, watcher), modes) in table.iter_mut() {
            let is_above = at == "/" || !at.is_empty() && path.starts_with(&format!("{at}/"));
            if at == path {
                told.insert(*watcher);
                modes.remove("standard");
            } else if is_above && modes.contains("recursive") {
                told.insert(*watcher);
            }
        }
        table.retain(|_, modes| !modes.is_empty());
        told
    }

    fn fire(&mut self, kind: ChangeKind, path: &str) -> BTreeSet<u64> {
        match kind {
            ChangeKind::Created | ChangeKind::DataChanged => Self::trigger(&mut self.data, path),
            ChangeKind::ChildrenChanged => Self::trigger(&mut self.child, path),
            ChangeKind::Deleted => {
                let told = Self::trigger(&mut self.data, path);
                &told | &Self::trigger(&mut self.child, path)
            }
        }
    }
}

const PATHS: [&str; 6] = ["/", "/a", "/a/b", "/a/b/c", "/ab", ""];

proptest! {
    /// Whatever happens, the same connections are told as by ZooKeeper's two tables, and the same
    /// watches are left.
    #[test]
    fn tells_whom_two_tables_would_tell(
        steps in prop::collection::vec((0..9u8, 0..4u64, 0..PATHS.len()), 0..80)
    ) {
        let mut watches = Watches::new();
        let mut model = TwoTables::default();
        for (step, watcher, path) in steps {
            let path = PATHS[path];
            let kinds = [
                WatchKind::Data,
                WatchKind::Child,
                WatchKind::Persistent,
                WatchKind::PersistentRecursive,
            ];
            let changes = [
                ChangeKind::Created,
                ChangeKind::Deleted,
                ChangeKind::DataChanged,
                ChangeKind::ChildrenChanged,
            ];
            match usize::from(step) {
                step @ 0..4 => {
                    watches.add(WatcherId(watcher), path, kinds[step]);
                    model.add(watcher, path, kinds[step]);
                }
                step @ 4..8 if !path.is_empty() => {
                    let mut told = Vec::new();
                    watches.fire(&change(changes[step - 4], path), &mut told);
                    let expected = model.fire(changes[step - 4], path);
                    prop_assert!(told.iter().map(|watcher| watcher.0).eq(expected));
                }
                8 => {
                    watches.remove_watcher(WatcherId(watcher));
                    model.data.retain(|(_, other), _| *other != watcher);
                    model.child.retain(|(_, other), _| *other != watcher);
                }
                _ => {}
            }
            prop_assert_eq!(watches.count(), model.data.len() + model.child.len());
            let listed = watches.listed();
            let listed = listed.map(|(watcher, path)| (path.as_str().to_string(), watcher.0));
            let listed: BTreeSet<_> = listed.collect();
            prop_assert!(listed.iter().eq(model.data.keys()));
        }
    }
}
