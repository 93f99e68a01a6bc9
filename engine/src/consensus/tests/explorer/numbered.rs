//! Values that are kept once and have small numbers from then on: what states are made of repeats
//! itself, so that a state is a few numbers and two states are equal if these are.

use alloc::vec::Vec;
use core::hash::{BuildHasher, Hash};

use foldhash::fast::FixedState;
use hashbrown::HashTable;

pub(super) fn hash_of(value: &impl Hash) -> u64 {
    FixedState::with_seed(0).hash_one(value)
}

/// Different values, numbered from 0 as they come.
pub(super) struct Numbered<T> {
    numbers: HashTable<u32>,
    values: Vec<T>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { numbers: HashTable::new(), values: Vec::new() }
    }
}

impl<T: Eq + Hash> Numbered<T> {
    /// The number of `value`, and whether it is new.
    pub(super) fn insert(&mut self, value: T) -> (u32, bool) {
        let Self { numbers, values } = self;
        let hash = hash_of(&value);
        if let Some(number) = numbers.find(hash, |number| values[*number as usize] == value) {
            return (*number, false);
        }
        let number = u32::try_from(values.len()).unwrap();
        values.push(value);
        numbers.insert_unique(hash, number, |number| hash_of(&values[*number as usize]));
        (number, true)
    }

    pub(super) fn number(&mut self, value: T) -> u32 {
        self.insert(value).0
    }

    pub(super) fn get(&self, number: u32) -> &T {
        &self.values[number as usize]
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }
}
